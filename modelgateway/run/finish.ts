import { finishBodySchema, type FinishAnswer } from '../../crds/agent-gateway.ts';
import type { RevisionSpec } from '../../crds/agent-revision.ts';
import type { AgentEvent, AgentEventPayload, NewAgentEvent } from '../../crds/agent-run.ts';
import { schemaProblems } from '../../engine/index.ts';
import { appendToAgentRun, getAgentRun, type AgentRunRow } from '../../prisma/store/index.ts';
import { Refusal } from '../http/errors.ts';
import type { Handler } from '../http/server.ts';
import { endedOf, ending, REASONS } from './ending.ts';
import { ofStage } from './guard.ts';
import { tellAppended } from './notices.ts';
import type { OpenParts } from './open.ts';
import { notOpened, standing, type Caller } from './standing.ts';

/** How an answer was judged. */
type Verdict =
  | { readonly type: 'done'; readonly output: unknown; readonly decisions: readonly NewAgentEvent[] }
  | { readonly type: 'repair'; readonly problems: string; readonly message: string; readonly decisions: readonly NewAgentEvent[] }
  | { readonly type: 'failed'; readonly reason: string; readonly message: string; readonly decisions: readonly NewAgentEvent[] };

/**
 * `POST /v1/agent/finish`: the model has nothing more to do. What is judged is the last answer in the journal, not what the runner says: the
 * guardrails of the output first, then the output schema. What does not fit goes back to the model, so often and no more.
 */
export function finishDoor(parts: OpenParts): Handler {
  return async ({ caller, body }) => {
    if (!finishBodySchema.safeParse(body).success) throw new Refusal('Invalid', 'text must be the text of the last answer');
    const run = await getAgentRun(parts.db, caller.agentRun);
    if (run === undefined) throw notOpened();
    const ended = endedOf(run);
    if (ended !== undefined) return { status: 200, body: { ended } };
    const refusal = standing(run, caller.attempt);
    if (refusal !== undefined) throw refusal;
    const events = await parts.journals.events(run.id);
    const last = lastAnswer(events);
    const repair = repeatedRepair(events, last.step);
    if (repair !== undefined) return { status: 200, body: repair };
    const spec = await parts.revisions.ofRun(run.id);
    return { status: 200, body: await settle(parts, caller, run, last.step, await judge(parts, run, spec, last.text)) };
  };
}

function lastAnswer(events: readonly AgentEvent[]): AgentEventPayload<'ModelCompleted'> {
  const last = events.findLast((event) => event.kind === 'ModelCompleted' && event.payload.purpose === 'step');
  if (last?.kind !== 'ModelCompleted') throw new Refusal('Invalid', 'there is no answer to finish with', { why: 'NoAnswer' });
  if (last.payload.toolCalls.length > 0) throw new Refusal('Invalid', 'the last answer asks for tools: it is not the end', { why: 'CallsPending' });
  return last.payload;
}

/** The answer was sent back already: whoever asks again did not hear it. */
function repeatedRepair(events: readonly AgentEvent[], step: number): FinishAnswer | undefined {
  const rejected = events.findLast((event) => event.kind === 'OutputRejected');
  return rejected?.kind === 'OutputRejected' && rejected.payload.step === step ? { status: 'repair', message: rejected.payload.message } : undefined;
}

async function judge(parts: OpenParts, run: AgentRunRow, spec: RevisionSpec, text: string): Promise<Verdict> {
  const guardrails = ofStage(spec.guardrails, 'Output');
  const guarded = guardrails.length === 0 ? { ok: true as const, text, decisions: [] } : await parts.guard('Output', guardrails, text, run);
  const { decisions } = guarded;
  if (!guarded.ok) return { type: 'failed', reason: REASONS.guardrail, message: guarded.message, decisions };
  if (spec.outputSchema === undefined) return { type: 'done', output: guarded.text, decisions };
  const value = jsonOf(guarded.text);
  const problems = value.ok ? await schemaProblems(spec.outputSchema, value.value, 'output') : ['the answer is no JSON'];
  if (value.ok && problems.length === 0) return { type: 'done', output: value.value, decisions };
  const said = problems.join('; ');
  if (run.repairs >= spec.limits.outputRepairs) return { type: 'failed', reason: REASONS.output, message: `the output does not fit outputSchema after ${run.repairs} repairs: ${said}`, decisions };
  return { type: 'repair', problems: said, message: repairMessage(said, spec), decisions };
}

function repairMessage(problems: string, { outputSchema }: RevisionSpec): string {
  return `Your answer does not fit: ${problems}. Answer again with nothing but JSON that fits this JSON Schema: ${JSON.stringify(outputSchema)}`;
}

async function settle(parts: OpenParts, caller: Caller, before: AgentRunRow, step: number, verdict: Verdict): Promise<FinishAnswer | { readonly ended: unknown }> {
  const { decisions } = verdict;
  const appended = await appendToAgentRun<FinishAnswer | Refusal | undefined>(parts.db, before.id, parts.clock.now(), async (run) => {
    const refusal = standing(run, caller.attempt);
    if (refusal !== undefined) return { events: [], result: refusal.refused === 'Ended' ? undefined : refusal };
    // Judged by another request meanwhile: it is asked again and finds that one's answer.
    if (run.seq !== before.seq) return { events: [], result: new Refusal('Unavailable', 'the agent run changed meanwhile: ask again') };
    if (verdict.type === 'repair') {
      return { events: [...decisions, { kind: 'OutputRejected', payload: { step, problems: verdict.problems, message: verdict.message } }], set: { repairs: run.repairs + 1 }, result: { status: 'repair', message: verdict.message } };
    }
    const end = ending(verdict.type === 'done' ? { phase: 'Succeeded', output: verdict.output } : { phase: 'Failed', reason: verdict.reason, message: verdict.message });
    return { events: [...decisions, ...end.events], set: end.set, result: verdict.type === 'done' ? { status: 'done', output: verdict.output } : undefined };
  });
  if (appended === undefined) throw notOpened();
  tellAppended(parts.bus, appended);
  for (const { kind, payload } of appended.events) if (kind === 'RunCompleted') parts.counters.ended(payload.phase);
  if (appended.result instanceof Refusal) throw appended.result;
  return appended.result ?? { ended: endedOf(appended.run) };
}

/** JSON of an answer, also of one in a code fence: models like to wrap it. */
function jsonOf(text: string): { readonly ok: true; readonly value: unknown } | { readonly ok: false } {
  const fenced = /^\s*```(?:json)?\s*\n([\s\S]*?)\n?\s*```\s*$/.exec(text)?.[1];
  try {
    return { ok: true, value: JSON.parse(fenced ?? text) };
  } catch {
    return { ok: false };
  }
}
