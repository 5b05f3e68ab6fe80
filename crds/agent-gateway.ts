import { z } from 'zod';
import { AGENT_PHASES, callId } from './agent-run.ts';
import type { FoldedState } from './agent-fold.ts';
import type { DeepReadonly } from './readonly.ts';

/** What a runner and the model gateway say to each other about one agent run; the model calls themselves have the shape of OpenAI's chat completions. */

const text = z.string();

/** Headers of a model call. */
export const GATEWAY_HEADERS = {
  /** Steps completed + 1. */
  step: 'x-rambo-step',
  /** `step` or `compaction`; `step` when absent. */
  purpose: 'x-rambo-purpose',
  /** Of purpose `compaction`: how many messages after the instructions the answer replaces. */
  messages: 'x-rambo-messages',
} as const;

/** Error codes of the gateway. `Unavailable` and `Busy`: ask again; `Ended`: the body has `ended` too; `Waiting`: report parked; the rest end the attempt. */
export const GATEWAY_CODES = ['Ended', 'Waiting', 'Fenced', 'Unavailable', 'Busy', 'Invalid', 'StepMismatch', 'NotOpened', 'Unauthenticated', 'NotFound', 'TooLarge'] as const;
/** One of them. */
export type GatewayCode = (typeof GATEWAY_CODES)[number];

/** How an agent run ended. */
export const endedSchema = z.object({ phase: z.enum(AGENT_PHASES), reason: text.optional(), message: text.optional(), output: z.unknown().optional() });
/** How an agent run ended. */
export type Ended = DeepReadonly<z.output<typeof endedSchema>>;

/** Body of an error. `ended` with code `Ended`. */
export const gatewayErrorSchema = z.object({ error: z.object({ code: text, message: text, type: text.optional() }), ended: endedSchema.optional(), why: text.optional() });

/** What the loop has to know of its revision. */
export const agentRunnerSpecSchema = z.object({
  agent: text.optional(),
  revision: text,
  /** Name of the first Model; the gateway decides which one answers. */
  model: text,
  tools: z.array(z.object({ name: text, display: text, description: text, inputSchema: z.unknown() })),
  parameters: z.object({ temperature: z.number().optional(), topP: z.number().optional(), maxOutputTokens: z.int() }),
  limits: z.object({ maxSteps: z.int(), parallelTools: z.int(), repeatWindow: z.int() }),
  outputSchema: z.unknown().optional(),
  compaction: z.object({ atTokens: z.int(), keepLast: z.int() }).optional(),
  /** Epoch milliseconds; the gateway holds it. */
  deadline: z.number().nullable(),
});
/** What the loop has to know of its revision. */
export type AgentRunnerSpec = DeepReadonly<z.output<typeof agentRunnerSpecSchema>>;

/** `POST /v1/agent/open`. */
export const openBodySchema = z.object({ with: z.record(text, z.unknown()), runner: text.min(1).max(253) });
/** Answer of `open`. */
export interface OpenAnswer {
  readonly id: string;
  readonly spec: AgentRunnerSpec;
  readonly state: FoldedState;
}

/** `POST /v1/agent/tool`. */
export const toolBodySchema = z.object({ step: z.int().min(1), callId });
/** `POST /v1/agent/finish`. The gateway judges the answer in its journal; `text` is only compared with it. */
export const finishBodySchema = z.object({ text });
/** Answer of `finish`. */
export type FinishAnswer = { readonly status: 'done'; readonly output: unknown } | { readonly status: 'repair'; readonly message: string };
