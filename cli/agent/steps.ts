import { z } from 'zod';
import { textTable } from '../api/table.ts';

/* The journal of an agent run as a table: what happened when, what it took and what it cost. */

const stepSchema = z.looseObject({
  seq: z.int(), at: z.string(), kind: z.string(), step: z.int().nullable(), callId: z.string().nullable(), tool: z.string().nullable(), inputTokens: z.number().nullable(), outputTokens: z.number().nullable(),
  costUsd: z.string().nullable(), ms: z.number().nullable(), payload: z.looseObject({}),
});
/** One event, as the API lists it. */
export type StepItem = z.output<typeof stepSchema>;

const HEAD = ['SEQ', 'AFTER', 'STEP', 'KIND', 'TOOL', 'TOKENS', 'USD', 'TOOK', 'WHAT'];

/** Events of one agent run as a table. Times are those since its first event. Throws ZodError for what is no event. */
export function stepsTable(items: readonly unknown[]): string {
  const steps = z.array(stepSchema).parse(items);
  const begin = Date.parse(steps[0]?.at ?? '');
  return textTable(HEAD, steps.map((step) => [
    step.seq, span(Date.parse(step.at) - begin), step.step, step.kind, step.tool, step.inputTokens === null ? null : `${step.inputTokens} + ${step.outputTokens ?? 0}`, step.costUsd, step.ms === null ? null : span(step.ms), whatOf(step),
  ]));
}

/** A duration as people read it. */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  return minutes < 60 ? `${minutes} min ${Math.round((ms % 60_000) / 1_000)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const word = z.string().optional().catch(undefined);
const payloadSchema = z.looseObject({
  text: word, model: word, arguments: word, decision: word, by: word, reason: word, message: word, verdict: word, action: word, stage: word, guardrail: word, why: word, phase: word, summary: word, approval: word, input: z.unknown().optional(), output: z.unknown().optional(),
  isError: z.boolean().optional().catch(undefined), toolCalls: z.array(z.looseObject({ tool: z.string() })).optional().catch(undefined),
});

type Payload = z.output<typeof payloadSchema>;

/** The heart of an event in a few words, by its kind. */
const HEARTS: Readonly<Record<string, (p: Payload) => string | null>> = {
  RunStarted: ({ input }) => asText(input),
  ModelRequested: ({ model }) => words(model),
  ModelCompleted: ({ toolCalls = [], text }) => (toolCalls.length > 0 ? `calls ${toolCalls.map(({ tool }) => tool).join(', ')}` : words(text)),
  ToolRequested: ({ decision, arguments: args }) => words(decision, args),
  ToolCompleted: ({ isError, text }) => words(isError === true ? 'failed:' : undefined, text),
  ApprovalRequested: ({ approval }) => words(approval),
  ApprovalDecided: ({ decision, by, reason }) => words(decision, byWhom(by), reason),
  DoubtSettled: ({ verdict, by }) => words(verdict, byWhom(by)),
  GuardrailDecided: ({ action, guardrail, message }) => words(action, guardrail, message),
  ContextCompacted: ({ summary }) => words(summary),
  RunCompleted: ({ phase, reason, message, output }) => words(phase, reason, message ?? (output === undefined ? undefined : asText(output))),
};

function whatOf({ kind, payload }: StepItem): string | null {
  const of = payloadSchema.safeParse(payload);
  if (!of.success) return null;
  const heart = Object.hasOwn(HEARTS, kind) ? HEARTS[kind] : undefined;
  return heart === undefined ? words(of.data.action, of.data.why, of.data.message) : heart(of.data);
}

function byWhom(by: string | undefined): string | undefined {
  return by === undefined ? undefined : `by ${by}`;
}

function words(...all: readonly (string | undefined)[]): string | null {
  const text = all.filter((one) => one !== undefined && one !== '').join(' ');
  return text === '' ? null : text;
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value) ?? '';
}
