import { z } from 'zod';
import { agentRunnerSpecSchema } from '../../../crds/agent-gateway.ts';
import { toolCallSchema } from '../../../crds/agent-run.ts';
import type { AgentMessage } from '../../../crds/agent-fold.ts';
import type { DeepReadonly } from '../../../crds/readonly.ts';

/* What the gateway answers, read at this door. Of the folded state only what the loop needs. */

const text = z.string();

const messageSchema: z.ZodType<AgentMessage> = z.discriminatedUnion('role', [
  z.object({ role: z.literal('system'), text }),
  z.object({ role: z.literal('user'), text }),
  z.object({ role: z.literal('assistant'), text, toolCalls: z.array(toolCallSchema) }),
  z.object({ role: z.literal('tool'), callId: text, tool: text, text, isError: z.boolean() }),
]);

const pendingSchema = z.object({ ...toolCallSchema.shape, step: z.int().min(1) });

/** Answer of `open`. */
export const openAnswerSchema = z.object({
  id: text,
  spec: agentRunnerSpecSchema,
  state: z.object({ step: z.int().min(0), messages: z.array(messageSchema), pending: z.array(pendingSchema), contextTokens: z.int().min(0) }),
});

/** Answer of `tool`. */
export const toolAnswerSchema = z.discriminatedUnion('status', [
  z.object({ status: z.literal('completed'), result: z.object({ text, isError: z.boolean(), truncated: z.boolean().optional() }) }),
  z.object({ status: z.literal('waiting'), why: z.enum(['approval', 'inDoubt', 'child', 'input']) }),
  z.object({ status: z.literal('running') }),
]);

/** Answer of `finish`. */
export const finishAnswerSchema = z.discriminatedUnion('status', [
  z.object({ status: z.literal('done'), output: z.unknown() }),
  z.object({ status: z.literal('repair'), message: text }),
]);

/** What `open` answered. */
export type OpenedRun = DeepReadonly<z.output<typeof openAnswerSchema>>;
/** A tool call that has no result yet. */
export type PendingCall = DeepReadonly<z.output<typeof pendingSchema>>;
/** Why a tool call waits. */
export type WaitingFor = Extract<z.output<typeof toolAnswerSchema>, { status: 'waiting' }>['why'];
