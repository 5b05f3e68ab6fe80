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

/** The heart of an event in a few words. */
function whatOf({ kind, payload }: StepItem): string | null {
  const of = payloadSchema.safeParse(payload);
  if (!of.success) return null;
  const p = of.data;
  switch (kind) {
    case 'RunStarted': return asText(p.input);
    case 'ModelRequested': return words(p.model);
    case 'ModelCompleted': return (p.toolCalls ?? []).length > 0 ? `calls ${(p.toolCalls ?? []).map(({ tool }) => tool).join(', ')}` : words(p.text);
    case 'ToolRequested': return words(p.decision, p.arguments);
    case 'ToolCompleted': return words(p.isError === true ? 'failed:' : undefined, p.text);
    case 'ApprovalRequested': return words(p.approval);
    case 'ApprovalDecided': return words(p.decision, p.by === undefined ? undefined : `by ${p.by}`, p.reason);
    case 'DoubtSettled': return words(p.verdict, p.by === undefined ? undefined : `by ${p.by}`);
    case 'GuardrailDecided': return words(p.action, p.guardrail, p.message);
    case 'ContextCompacted': return words(p.summary);
    case 'RunCompleted': return words(p.phase, p.reason, p.message ?? (p.output === undefined ? undefined : asText(p.output)));
    default: return words(p.action, p.why, p.message);
  }
}

function words(...all: readonly (string | undefined)[]): string | null {
  const text = all.filter((one) => one !== undefined && one !== '').join(' ');
  return text === '' ? null : text;
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value) ?? '';
}
