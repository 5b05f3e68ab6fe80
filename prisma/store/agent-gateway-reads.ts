import type { AgentEvent, AgentEventKind } from '../../crds/agent-run.ts';
import { AGENT_EVENT, AGENT_RUN, agentEventOf, agentRunOf, limitOf, type StoredAgentEvent, type StoredAgentRun } from './agent-columns.ts';
import type { AgentRunRow, BudgetLevel, Limit } from './agent-types.ts';
import { texts } from './binary.ts';
import type { Executor, Statement } from './db.ts';
import { FIRST_ID } from './pages.ts';
import { iso } from './times.ts';

/* What the model gateway reads: limits of budgets, conversations, and agent runs that need a hand. */

const LIMITS: Statement = {
  name: 'gateway-limits',
  text: `SELECT level, name, tokens, nano FROM budget_limit WHERE namespace = $1::text AND name = ANY ($2::text[])`,
};
const CONVERSATION: Statement = {
  name: 'gateway-conversation',
  text: 'SELECT id, namespace, agent, principal, title, turns, revision FROM agent_conversation WHERE id = $1::uuid',
};
const MAKE_CONVERSATION: Statement = {
  name: 'gateway-conversation-make',
  text: `INSERT INTO agent_conversation (id, namespace, agent, principal, title, turns, revision, created_at, updated_at)
  VALUES ($1::uuid, $2::text, $3::text, $4::text, $5::text, 0, NULL, $6::timestamptz, $6::timestamptz) ON CONFLICT (id) DO NOTHING`,
};
const TURNS: Statement = {
  name: 'gateway-conversation-turns',
  text: `SELECT a.id, a.turn FROM agent_run a WHERE a.conversation_id = $1::uuid AND a.phase = 'Succeeded' AND a.turn < $2::int4 ORDER BY a.turn DESC LIMIT $3::int4`,
};
const KINDS_OF: Statement = {
  name: 'gateway-events-of-kinds',
  text: `SELECT e.agent_run AS "agentRun", ${AGENT_EVENT} FROM agent_event e WHERE e.agent_run = ANY ($1::uuid[]) AND e.kind = ANY ($2::text[]) ORDER BY e.agent_run, e.seq DESC LIMIT $3::int4`,
};
const OVERDUE: Statement = { name: 'gateway-overdue', text: 'SELECT a.id FROM agent_run a WHERE a.finished_at IS NULL AND a.deadline < $1::timestamptz LIMIT $2::int4' };
const OPEN_OF_RUN: Statement = { name: 'gateway-open-of-run', text: `SELECT ${AGENT_RUN} FROM agent_run a WHERE a.run_id = $1::uuid AND a.finished_at IS NULL` };
const NODE_WAITS = `n.status = 'Waiting' AND n.due_at IS NULL`;
const UNHEARD = `SELECT a.id, a.run_id AS "runId", a.node, a.item FROM agent_run a JOIN node_run n ON n.run_id = a.run_id AND n.node = a.node AND n.item = a.item WHERE ${NODE_WAITS} AND a.parked`;
const UNHEARD_OPEN: Statement = { name: 'gateway-unheard-open', text: `${UNHEARD} AND a.finished_at IS NULL AND a.awaited = 0 AND a.updated_at < $1::timestamptz LIMIT $2::int4` };
const UNHEARD_ENDED: Statement = { name: 'gateway-unheard-ended', text: `${UNHEARD} AND a.finished_at > $1::timestamptz AND a.finished_at < $2::timestamptz LIMIT $3::int4` };
const OPEN: Statement = {
  name: 'gateway-open-slice',
  text: `WITH slice AS MATERIALIZED (
    SELECT a.id, a.run_id, a.node, a.item, a.awaited = 0 AND a.updated_at < $4::timestamptz AS still, row_number() OVER (ORDER BY a.id) AS place
    FROM agent_run a WHERE a.finished_at IS NULL AND a.id > $1::uuid ORDER BY a.id LIMIT $2::int4)
  SELECT s.id, s.run_id AS "runId", s.node, s.item, r.phase AS "runPhase", s.place = $2::int4 AS "more", (r.id IS NULL OR r.finished_at < $3::timestamptz OR n.finished_at < $3::timestamptz) IS TRUE AS abandoned,
    (s.still AND ${NODE_WAITS}) IS TRUE AS unheard
  FROM slice s LEFT JOIN run r ON r.id = s.run_id LEFT JOIN node_run n ON n.run_id = s.run_id AND n.node = s.node AND n.item = s.item
  WHERE r.id IS NULL OR r.finished_at < $3::timestamptz OR n.finished_at < $3::timestamptz OR (s.still AND ${NODE_WAITS}) OR s.place = $2::int4`,
};

/** A limit that somebody set instead of the installation's. `name` is the agent's, empty for all of the namespace. */
export interface BudgetLimitRow {
  readonly level: BudgetLevel;
  readonly name: string;
  readonly limit: Limit;
}

/** Limits set for a namespace as a whole and for one agent of it. */
export async function budgetLimits(db: Executor, namespace: string, agent: string | null): Promise<readonly BudgetLimitRow[]> {
  const rows = await db.query<{ level: BudgetLevel; name: string; tokens: string | null; nano: string | null }>(LIMITS, [namespace, texts(agent === null ? [''] : ['', agent], (name) => name)]);
  return rows.map(({ level, name, tokens, nano }) => ({ level, name, limit: limitOf(tokens, nano) }));
}

/** A conversation. */
export interface ConversationRow {
  readonly id: string;
  readonly namespace: string;
  readonly agent: string;
  readonly principal: string;
  readonly title: string;
  readonly turns: number;
  /** The revision it began with, and stays with. */
  readonly revision: string | null;
}

/** A conversation; made where it is not there yet. */
export async function openConversation(db: Executor, make: Omit<ConversationRow, 'turns' | 'revision'>, at: number): Promise<ConversationRow> {
  await db.query(MAKE_CONVERSATION, [make.id, make.namespace, make.agent, make.principal, make.title, iso(at)]);
  const [row] = await db.query<ConversationRow>(CONVERSATION, [make.id]);
  return row ?? { ...make, turns: 0, revision: null };
}

/** Ids of the turns of a conversation that succeeded, before `turn`, newest first. */
export async function earlierTurns(db: Executor, id: string, turn: number, limit: number): Promise<readonly string[]> {
  return (await db.query<{ id: string }>(TURNS, [id, turn, limit])).map((row) => row.id);
}

/** Events of these kinds of some agent runs, newest first within each. */
export async function eventsOfKinds(db: Executor, agentRuns: readonly string[], kinds: readonly AgentEventKind[], limit: number): Promise<readonly { readonly agentRun: string; readonly event: AgentEvent }[]> {
  const rows = await db.query<StoredAgentEvent & { readonly agentRun: string }>(KINDS_OF, [[...agentRuns], texts(kinds, (kind) => kind), limit]);
  return rows.map((row) => ({ agentRun: row.agentRun, event: agentEventOf(row) }));
}

/** An open agent run that needs a hand. */
export interface NeedyAgentRun extends Pick<AgentRunRow, 'id' | 'runId' | 'node' | 'item'> {
  /** Of its workflow run; null: there is none. */
  readonly runPhase: string | null;
  /** Its workflow run is gone or ended, or its node ended, before `before`. */
  readonly abandoned: boolean;
  /** Its node waits although it waits for nothing. */
  readonly unheard: boolean;
}

/** What a look at some of the open agent runs gave. `next`: where the next look begins; undefined: all were seen. */
export interface OpenSlice {
  readonly needy: readonly NeedyAgentRun[];
  readonly next: string | undefined;
}

/**
 * Looks at the next `size` open agent runs above `after`: those whose workflow run or node ended before `before` are abandoned, those that nobody
 * touched since `still` though they wait for nothing are unheard. However many are open, one look costs the same.
 */
export async function lookAtOpenAgentRuns(db: Executor, { after, size, before, still }: { readonly after: string | undefined; readonly size: number; readonly before: number; readonly still: number }): Promise<OpenSlice> {
  const rows = await db.query<NeedyAgentRun & { readonly more: boolean }>(OPEN, [after ?? FIRST_ID, size, iso(before), iso(still)]);
  return { needy: rows.filter(({ abandoned, unheard }) => abandoned || unheard), next: rows.find(({ more }) => more)?.id };
}

/** Open agent runs past their deadline. */
export async function overdueAgentRuns(db: Executor, now: number, limit: number): Promise<readonly string[]> {
  return (await db.query<{ id: string }>(OVERDUE, [iso(now), limit])).map(({ id }) => id);
}

/** Open agent runs of a workflow run. */
export async function openAgentRunsOf(db: Executor, runId: string): Promise<readonly AgentRunRow[]> {
  return (await db.query<StoredAgentRun>(OPEN_OF_RUN, [runId])).map(agentRunOf);
}

/** Parked agent runs whose node waits although they ended after `since`, or wait for nothing, and that nobody touched after `before`. */
export async function unheardAgentRuns(db: Executor, since: number, before: number, limit: number): Promise<readonly Pick<AgentRunRow, 'id' | 'runId' | 'node' | 'item'>[]> {
  type Row = Pick<AgentRunRow, 'id' | 'runId' | 'node' | 'item'>;
  return [...await db.query<Row>(UNHEARD_ENDED, [iso(since), iso(before), limit]), ...await db.query<Row>(UNHEARD_OPEN, [iso(before), limit])];
}
