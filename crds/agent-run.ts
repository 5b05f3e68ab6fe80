import { z } from 'zod';
import { derivedUuid } from './derived-id.ts';
import type { DeepReadonly } from './readonly.ts';

/**
 * The journal of an agent run: what its events hold. One schema serves the model gateway, which writes them, the API, which shows
 * them, and the runner, which goes on from them. Money is in nano-USD (1e-9 USD) as decimal text, because JSON has no 64-bit integers.
 */

/** Phases of an agent run. In the four that wait, no runner holds it and its node is `Waiting`. */
export const AGENT_PHASES = [
  'Pending', 'Running', 'WaitingApproval', 'WaitingInput', 'Suspended', 'InDoubt', 'Succeeded', 'Failed', 'BudgetExhausted', 'Cancelled',
] as const;
/** One of the phases. */
export type AgentPhase = (typeof AGENT_PHASES)[number];
const FINAL: ReadonlySet<AgentPhase> = new Set<AgentPhase>(['Succeeded', 'Failed', 'BudgetExhausted', 'Cancelled']);

/** Whether a phase is never left. */
export function isFinalAgentPhase(phase: AgentPhase): boolean {
  return FINAL.has(phase);
}

/** What a tool call does to the world, and so what may be done where its outcome is unknown. */
export const EFFECTS = ['ReadOnly', 'Idempotent', 'KeyedIdempotent', 'Reconcilable', 'AtMostOnce'] as const;
/** One of the effect classes. */
export type Effect = (typeof EFFECTS)[number];

/** Id of the agent run of a node (`item` -1) or of one item of a forEach: a UUID that every process derives alike. */
export function agentRunId(run: string, node: string, item: number): string {
  return derivedUuid(`rambo-agent/${run}/${node}/${item}`);
}

const text = z.string();
const step = z.int().min(1).max(100_000);
/** Id of a tool call: `s<step>c<n>`. */
export const callId = z.string().min(1).max(128);
const nano = z.string().regex(/^\d{1,30}$/);
const amount = z.object({ tokens: z.int().min(0), nano });
const purpose = z.enum(['step', 'compaction', 'guardrail']);

/** Tokens of one model call as the provider counted them; an estimate where it did not. `input` includes `cached`, `output` includes `reasoning`. */
export const usageSchema = z.object({ input: z.int().min(0), cached: z.int().min(0), cacheWrite: z.int().min(0).default(0), output: z.int().min(0), reasoning: z.int().min(0) });

/** A tool call as the model asked for it. `callId` is ours (`s<step>c<n>`), `arguments` JSON text exactly as the model wrote it. */
export const toolCallSchema = z.object({ callId, tool: z.string().min(1).max(256), arguments: text });

/** Where a result too large for the journal lies in the object store. */
export const resultRefSchema = z.object({ key: text, sha256: text, bytes: z.int().min(0) });

/** One question of a tool: what it says, and the JSON Schema of the answer. `key` is the server's name of it. */
export const inputQuestionSchema = z.object({ key: z.string().min(1).max(128), message: text, schema: z.record(text, z.unknown()) });
/** What a person said to one question, as MCP has it: `content` fits the schema of the question, and goes only with `accept`. */
export const inputAnswerSchema = z.object({
  action: z.enum(['accept', 'decline', 'cancel']), content: z.record(text, z.union([text, z.number(), z.boolean(), z.array(text)])).optional(),
});
/** Answers to all questions of a round, by their keys. */
export const inputAnswersSchema = z.record(z.string().min(1).max(128), inputAnswerSchema);

/** Payload of each kind of event. */
export const AGENT_EVENTS = {
  /** `messages`: what the conversation brought along. `input` is what the node was given. */
  RunStarted: z.object({ revision: text, input: z.unknown(), instructions: text, history: z.array(z.object({ role: z.enum(['user', 'assistant']), text })).default([]) }),
  ModelRequested: z.object({ step, purpose, requestId: text, requestHash: text, model: text, reserved: amount }),
  ModelCompleted: z.object({
    step, purpose, requestId: text, model: text, text, reasoning: text.optional(), toolCalls: z.array(toolCallSchema), finish: text, usage: usageSchema, nano,
    /** Usage or price is an estimate. */
    estimated: z.boolean(), priceVersion: text.optional(), ms: z.number(), firstMs: z.number().optional(),
  }),
  /** A call that brought no answer; `charged` is what the budget pays for it. */
  ModelFailed: z.object({ step, purpose, requestId: text, model: text, code: text, message: text, charged: amount }),
  ToolRequested: z.object({ step, callId, tool: text, arguments: text, argsHash: text, key: text, effect: z.enum(EFFECTS), decision: z.enum(['Allow', 'Deny', 'RequireApproval']), reason: text.optional() }),
  ToolDispatched: z.object({ step, callId, tries: z.int().min(1), childRun: text.optional() }),
  ToolCompleted: z.object({ step, callId, tool: text, text, isError: z.boolean(), bytes: z.int().min(0), truncated: z.boolean(), ref: resultRefSchema.optional(), ms: z.number() }),
  ToolInDoubt: z.object({ step, callId, tool: text, message: text }),
  ApprovalRequested: z.object({ step, callId, tool: text, approval: text, hash: text, expiresAt: z.number(), approvers: z.array(text) }),
  ApprovalDecided: z.object({ step, callId, approval: text, decision: z.enum(['Approved', 'Rejected', 'Expired', 'Voided']), by: text, reason: text.optional(), arguments: text.optional() }),
  /** A tool asks a person (MCP `input_required`). `state` is the server's own, for the server only: it goes back with the answer, byte by byte. */
  InputRequested: z.object({ step, callId, tool: text, input: text, round: z.int().min(1), hash: text, expiresAt: z.number(), questions: z.array(inputQuestionSchema), state: text.optional(), answerers: z.array(text) }),
  /** What goes back to the tool; nobody in time is `cancel` to every question. */
  InputAnswered: z.object({ step, callId, input: text, how: z.enum(['Answered', 'Expired']), by: text, answers: inputAnswersSchema }),
  DoubtSettled: z.object({ step, callId, verdict: z.enum(['Happened', 'DidNotHappen', 'Stop']), by: text, result: text.optional() }),
  GuardrailDecided: z.object({ stage: z.enum(['Input', 'ToolCall', 'ToolResult', 'Output']), guardrail: text, action: z.enum(['Allow', 'Deny', 'Mutate', 'RequireApproval']), callId: callId.optional(), message: text.optional(), replacement: text.optional() }),
  /** The model's final text did not fit; `message` goes back to it. */
  OutputRejected: z.object({ step, problems: text, message: text }),
  /** The first `messages` messages after instructions are replaced by `summary`. */
  ContextCompacted: z.object({ step, messages: z.int().min(1), summary: text }),
  BudgetWarning: z.object({ account: text, level: text, used: amount, limit: z.object({ tokens: z.int().optional(), nano: nano.optional() }) }),
  BudgetExceeded: z.object({ account: text, level: text, action: z.enum(['Stop', 'Pause', 'Degrade']), message: text }),
  BudgetRaised: z.object({ account: text, by: text, limit: z.object({ tokens: z.int().optional(), nano: nano.optional() }) }),
  Parked: z.object({ why: text }),
  Woken: z.object({ why: text }),
  RunCompleted: z.object({ phase: z.enum(['Succeeded', 'Failed', 'BudgetExhausted', 'Cancelled']), reason: text.optional(), message: text.optional(), output: z.unknown().optional() }),
} as const;

/** Kinds of events. */
export type AgentEventKind = keyof typeof AGENT_EVENTS;
/** Payload of a kind, as the journal holds it. */
export type AgentEventPayload<K extends AgentEventKind> = DeepReadonly<z.output<(typeof AGENT_EVENTS)[K]>>;

/** One event of the journal. */
export type AgentEvent = { [K in AgentEventKind]: { readonly seq: number; readonly at: number; readonly kind: K; readonly payload: AgentEventPayload<K> } }[AgentEventKind];
/** An event that has no place in the journal yet. */
export type NewAgentEvent = { [K in AgentEventKind]: { readonly kind: K; readonly payload: AgentEventPayload<K> } }[AgentEventKind];

/** One question of a tool. */
export type InputQuestion = DeepReadonly<z.output<typeof inputQuestionSchema>>;
/** Answers to all questions of a round. */
export type InputAnswers = DeepReadonly<z.output<typeof inputAnswersSchema>>;

/** Usage of a model call. */
export type Usage = DeepReadonly<z.output<typeof usageSchema>>;
/** A tool call of the model. */
export type ToolCall = DeepReadonly<z.output<typeof toolCallSchema>>;
/** What a model call was for. */
export type ModelPurpose = z.output<typeof purpose>;

/** Whether a text is a kind of event. */
export function isAgentEventKind(kind: string): kind is AgentEventKind {
  return Object.hasOwn(AGENT_EVENTS, kind);
}

/** An event from its stored parts. Throws where the payload does not fit its kind, which only a newer release or a broken row does. */
export function parseAgentEvent(seq: number, at: number, kind: string, payload: unknown): AgentEvent {
  if (!isAgentEventKind(kind)) throw new Error(`event ${seq} has the unknown kind ${JSON.stringify(kind.slice(0, 64))}`);
  // The union of all kinds is what this function gives; TypeScript cannot follow one key through two lookups.
  return { seq, at, kind, payload: AGENT_EVENTS[kind].parse(payload) } as AgentEvent;
}
