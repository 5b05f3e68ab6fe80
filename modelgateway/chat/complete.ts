import type { AgentEventPayload, ModelPurpose, NewAgentEvent, Usage } from '../../crds/agent-run.ts';
import type { RevisionSpec } from '../../crds/agent-revision.ts';
import { canonicalJson } from '../../crds/canonical.ts';
import {
  appendToAgentRun, eventsOfKinds, journaledLimit, lockAccounts, settle, warnAccounts, type AgentRunProgress, type AgentRunRow, type Amount, type Appended, type Appending, type BudgetAccountRow, type Db, type Executor,
} from '../../prisma/store/index.ts';
import { ending, REASONS } from '../run/ending.ts';
import type { Asked, Reservation } from './begin.ts';

/* The second transaction of a model call: the answer into the journal, the reservation settled with what was really used. */

type Completed = AgentEventPayload<'ModelCompleted'>;
type Failed = AgentEventPayload<'ModelFailed'>;

/** What completing came to. `Lost`: another gateway charged this call and asked again; the answer counts for nothing. `Ended`: the agent run ended meanwhile. */
export type Settled = 'Done' | 'Lost' | 'Ended';

/** Journals an answer. `compacted`: how many messages a summary replaces. */
export async function completeCall(db: Db, asked: Asked, reservation: Reservation, completed: Completed, at: number, compacted: number | undefined): Promise<Appended<Settled> | undefined> {
  const { usage } = completed;
  const spent = { tokens: usage.input + usage.output, nano: BigInt(completed.nano) };
  return appendToAgentRun<Settled>(db, asked.agentRun, at, async (run, tx) => {
    if (!(await settle(tx, reservation.requestId, spent))) return { events: [], result: 'Lost' };
    const used = usedBy(run, usage, spent.nano, completed.estimated);
    if (run.finishedAt !== null) return late(run, completed, spent, used);
    const events: NewAgentEvent[] = [{ kind: 'ModelCompleted', payload: completed }, ...await warnings(tx, reservation, spent)];
    if (completed.purpose === 'compaction' && compacted !== undefined) events.push({ kind: 'ContextCompacted', payload: { step: completed.step, messages: compacted, summary: completed.text } });
    const set = { ...used, ...(completed.purpose === 'step' ? { step: completed.step } : {}) };
    const repeated = await repeats(tx, run, completed, asked.spec);
    if (repeated === undefined) return { events, set, result: 'Done' };
    const end = ending({ phase: 'Failed', reason: REASONS.repeated, message: repeated });
    return { events: [...events, ...end.events], set: { ...set, ...end.set }, result: 'Ended' };
  });
}

/** Journals that a call brought no answer, and charges what it may have cost. */
export async function failCall(db: Db, asked: Asked, reservation: Reservation, failed: Pick<Failed, 'code' | 'message'>, spent: Amount, at: number): Promise<Appended<Settled> | undefined> {
  return appendToAgentRun<Settled>(db, asked.agentRun, at, async (run, tx) => {
    if (!(await settle(tx, reservation.requestId, spent))) return { events: [], result: 'Lost' };
    const payload: Failed = { step: asked.step, purpose: asked.purpose, requestId: reservation.requestId, model: reservation.candidate.name, ...failed, charged: { tokens: spent.tokens, nano: String(spent.nano) } };
    const charged = spent.tokens > 0 || spent.nano > 0n;
    return {
      events: [{ kind: 'ModelFailed', payload }],
      set: { modelCalls: run.modelCalls + 1, ...(charged ? { costNano: run.costNano + spent.nano, inputTokens: run.inputTokens + spent.tokens, usageUnknown: true } : {}) },
      result: run.finishedAt === null ? 'Done' : 'Ended',
    };
  });
}

function late(run: AgentRunRow, completed: Completed, spent: Amount, set: Partial<AgentRunProgress>): Appending<Settled> {
  const { step, purpose, requestId, model } = completed;
  return {
    events: [{ kind: 'ModelFailed', payload: { step, purpose, requestId, model, code: REASONS.gone, message: `the answer came after the agent run had ended (${run.phase})`, charged: { tokens: spent.tokens, nano: String(spent.nano) } } }],
    set, result: 'Ended',
  };
}

function usedBy(run: AgentRunRow, usage: Usage, nano: bigint, estimated: boolean): Partial<AgentRunProgress> {
  return {
    inputTokens: run.inputTokens + usage.input, cachedTokens: run.cachedTokens + usage.cached, outputTokens: run.outputTokens + usage.output, reasoningTokens: run.reasoningTokens + usage.reasoning,
    modelCalls: run.modelCalls + 1, costNano: run.costNano + nano, ...(estimated ? { usageUnknown: true } : {}),
  };
}

/** Share of a limit from which on it is warned about: four fifths. */
function isNear({ limit, spent, reserved }: BudgetAccountRow, more: Amount): boolean {
  const tokens = limit.tokens !== null && (spent.tokens + reserved.tokens + more.tokens) * 5 >= limit.tokens * 4;
  return tokens || (limit.nano !== null && (spent.nano + reserved.nano + more.nano) * 5n >= limit.nano * 4n);
}

/** Events for accounts that have just come near their limit, once each. Only those that could have are looked at again. */
async function warnings(tx: Executor, { accounts, amount }: Reservation, spent: Amount): Promise<readonly NewAgentEvent[]> {
  const near = accounts.filter((account) => !account.warned && (isNear(account, amount) || isNear(account, spent))).map(({ key }) => key);
  if (near.length === 0) return [];
  const now = (await lockAccounts(tx, near)).filter((account) => !account.warned && isNear({ ...account, reserved: { tokens: 0, nano: 0n } }, { tokens: 0, nano: 0n }));
  const warned = new Set(now.length === 0 ? [] : await warnAccounts(tx, now.map(({ key }) => key)));
  return now.filter(({ key }) => warned.has(key)).map(({ key, level, spent, limit }) => ({
    kind: 'BudgetWarning',
    payload: {
      account: key, level, used: { tokens: spent.tokens, nano: String(spent.nano) },
      limit: journaledLimit(limit),
    },
  }));
}

/** Why an answer ends the run: its calls are the same one, so many times in a row. */
async function repeats(tx: Executor, run: AgentRunRow, { purpose, toolCalls }: { readonly purpose: ModelPurpose; readonly toolCalls: Completed['toolCalls'] }, spec: RevisionSpec): Promise<string | undefined> {
  const window = spec.limits.repeatWindow;
  const last = toolCalls.at(-1);
  if (purpose !== 'step' || last === undefined) return undefined;
  const same = (call: Completed['toolCalls'][number]): boolean => call.tool === last.tool && sameArguments(call.arguments, last.arguments);
  const own = countFromEnd(toolCalls, same);
  if (own >= window) return repeatedMessage(last.tool, own);
  if (own < toolCalls.length) return undefined;
  let count = own;
  for (const { event } of await eventsOfKinds(tx, [run.id], ['ModelCompleted'], window * 2)) {
    if (event.kind !== 'ModelCompleted' || event.payload.purpose !== 'step') continue;
    const before = countFromEnd(event.payload.toolCalls, same);
    count += before;
    if (count >= window) return repeatedMessage(last.tool, count);
    if (before === 0 || before < event.payload.toolCalls.length) return undefined;
  }
  return undefined;
}

function repeatedMessage(tool: string, times: number): string {
  return `the model asked for the same call of ${tool} ${times} times in a row (limits.repeatWindow)`;
}

function countFromEnd<T>(list: readonly T[], test: (entry: T) => boolean): number {
  let count = 0;
  for (let at = list.length - 1; at >= 0; at--) {
    const entry = list[at];
    if (entry === undefined || !test(entry)) break;
    count += 1;
  }
  return count;
}

function sameArguments(a: string, b: string): boolean {
  if (a === b) return true;
  try {
    return canonicalJson(JSON.parse(a)) === canonicalJson(JSON.parse(b));
  } catch {
    return false;
  }
}
