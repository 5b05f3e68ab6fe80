import { isFinalAgentPhase, type AgentEvent, type NewAgentEvent } from '../../crds/agent-run.ts';
import { voidApprovals } from './agent-approvals.ts';
import { voidInputs } from './agent-inputs.ts';
import { byteas, int4s, texts } from './binary.ts';
import { AGENT_EVENT, AGENT_RUN, agentEventOf, agentRunOf, type StoredAgentEvent, type StoredAgentRun } from './agent-columns.ts';
import type { AgentRunProgress, AgentRunRow } from './agent-types.ts';
import type { Db, Executor, Statement } from './db.ts';
import { iso } from './times.ts';

/*
 * The journal of agent runs. Every append is one transaction that holds the agent run's row: lock, look, decide, insert with
 * the next numbers, update the projection. Whoever was fenced by a later attempt finds a higher epoch on the row.
 */

const LOCK: Statement = { name: 'agent-run-lock', text: `SELECT ${AGENT_RUN} FROM agent_run a WHERE a.id = $1::uuid FOR UPDATE` };
const GET: Statement = { name: 'agent-run-get', text: `SELECT ${AGENT_RUN} FROM agent_run a WHERE a.id = $1::uuid` };
const EVENTS: Statement = {
  name: 'agent-events',
  text: `SELECT ${AGENT_EVENT} FROM agent_event e WHERE e.agent_run = $1::uuid AND e.seq > $2::int4 ORDER BY e.seq LIMIT $3::int4`,
};
const APPEND: Statement = {
  name: 'agent-append',
  text: `WITH written AS (
    INSERT INTO agent_event (agent_run, seq, at, kind, step, call_id, payload)
    SELECT $1::uuid, e.seq, $2::timestamptz, e.kind, e.step, e.call_id, e.payload
    FROM unnest($3::int4[], $4::text[], $5::int4[], $6::text[], $7::bytea[]) AS e(seq, kind, step, call_id, payload))
  UPDATE agent_run SET seq = $8::int4, phase = $9::text, reason = $10::text, message = $11::text, step = $12::int4, epoch = $13::int4, runner = $14::text,
    parked = $15::bool, awaited = $16::int4, repairs = $17::int4, input_tokens = $18::int8, cached_tokens = $19::int8, output_tokens = $20::int8,
    reasoning_tokens = $21::int8, model_calls = $22::int4, tool_calls = $23::int4, cost_nano = $24::int8, usage_unknown = $25::bool,
    pending_approvals = $26::int4, output = $27::bytea, updated_at = $2::timestamptz, finished_at = $28::timestamptz
  WHERE id = $1::uuid`,
};

/** What one append writes: events in their order, and what changes in the projection. */
export interface Appending<T> {
  readonly events: readonly NewAgentEvent[];
  readonly set?: Partial<AgentRunProgress>;
  readonly result: T;
}

/** What an append wrote: the row as it stands now, and the events with their places. */
export interface Appended<T> {
  readonly run: AgentRunRow;
  readonly events: readonly AgentEvent[];
  readonly result: T;
}

/**
 * Appends to the journal of an agent run, or does nothing where `decide` gives neither events nor changes. `decide` sees the locked
 * row and may read and write other tables in the same transaction; it must not wait for anything else. Undefined: no such agent run.
 */
export async function appendToAgentRun<T>(db: Db, id: string, at: number, decide: (run: AgentRunRow, tx: Executor) => Promise<Appending<T>>): Promise<Appended<T> | undefined> {
  return db.transaction(async (tx) => {
    const run = await lockAgentRun(tx, id);
    return run === undefined ? undefined : writeAppending(tx, run, at, await decide(run, tx));
  });
}

/** The row, held until the transaction ends. */
export async function lockAgentRun(tx: Executor, id: string): Promise<AgentRunRow | undefined> {
  const [row] = await tx.query<StoredAgentRun>(LOCK, [id]);
  return row === undefined ? undefined : agentRunOf(row);
}

/** Writes an append under a row that this transaction holds. */
export async function writeAppending<T>(tx: Executor, run: AgentRunRow, at: number, { events, set, result }: Appending<T>): Promise<Appended<T>> {
  if (events.length === 0 && set === undefined) return { run, events: [], result };
  const seq = run.seq + events.length;
  const next: AgentRunRow = { ...run, ...set, seq, updatedAt: at };
  const finishedAt = isFinalAgentPhase(next.phase) ? run.finishedAt ?? at : null;
  await tx.query(APPEND, [
    run.id, iso(at), int4s(events.map((_, i) => run.seq + 1 + i), (n) => n), texts(events, (e) => e.kind), int4s(events, stepOf), texts(events, callOf),
    byteas(events, (e) => Buffer.from(JSON.stringify(e.payload))),
    seq, next.phase, next.reason, next.message, next.step, next.epoch, next.runner, next.parked, next.awaited, next.repairs, next.inputTokens, next.cachedTokens,
    next.outputTokens, next.reasoningTokens, next.modelCalls, next.toolCalls, next.costNano, next.usageUnknown, next.pendingApprovals, next.output,
    finishedAt === null ? null : iso(finishedAt),
  ]);
  if (finishedAt !== null && run.finishedAt === null && run.pendingApprovals > 0) await voidApprovals(tx, run.id, at);
  if (finishedAt !== null && run.finishedAt === null && run.awaited > 0) await voidInputs(tx, run.id, at);
  return { run: { ...next, finishedAt }, events: events.map((event, i) => ({ ...event, seq: run.seq + 1 + i, at })), result };
}

/** One agent run. */
export async function getAgentRun(db: Executor, id: string): Promise<AgentRunRow | undefined> {
  const [row] = await db.query<StoredAgentRun>(GET, [id]);
  return row === undefined ? undefined : agentRunOf(row);
}

/** At most `limit` events from above `afterSeq`, in order. */
export async function agentEvents(db: Executor, id: string, afterSeq: number, limit: number): Promise<readonly AgentEvent[]> {
  return (await db.query<StoredAgentEvent>(EVENTS, [id, afterSeq, limit])).map(agentEventOf);
}

const PAGE = 1_000;

/** The whole journal of an agent run, in order. */
export async function agentJournal(db: Executor, id: string): Promise<readonly AgentEvent[]> {
  const all: AgentEvent[] = [];
  for (;;) {
    const page = await agentEvents(db, id, all.at(-1)?.seq ?? 0, PAGE);
    all.push(...page);
    if (page.length < PAGE) return all;
  }
}

function stepOf({ payload }: NewAgentEvent): number | null {
  return 'step' in payload ? payload.step : null;
}

function callOf({ payload }: NewAgentEvent): string | null {
  return 'callId' in payload ? payload.callId ?? null : null;
}
