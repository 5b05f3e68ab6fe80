import type { AgentPhase } from '../../crds/agent-run.ts';
import { AGENT_RUN, agentRunOf, limitOf, type StoredAgentRun } from './agent-columns.ts';
import type { ConversationRow } from './agent-gateway-reads.ts';
import type { AgentRunRow, BudgetLevel, Limit } from './agent-types.ts';
import type { Executor, Statement } from './db.ts';
import { clamp, cut, LAST_ID } from './pages.ts';
import { iso } from './times.ts';
import type { Page } from './types.ts';

/* What the API shows of agents. Pages are by key, never longer than 500 rows. Times in epoch milliseconds, money in nano-USD. */

/** Place of an entry in a list by time. */
export interface AgentCursor { readonly at: number; readonly id: string }

/** Which agent runs to list. */
export interface AgentRunQuery {
  readonly namespace: string;
  readonly agent?: string;
  readonly runId?: string;
  readonly phase?: AgentPhase;
  readonly after?: AgentCursor;
  readonly first: number;
}

/** Agent runs of a namespace, newest first. */
export async function listAgentRuns(db: Executor, query: AgentRunQuery): Promise<Page<AgentRunRow>> {
  const limit = clamp(query.first);
  const values: unknown[] = [query.namespace, limit + 1];
  const tests = ['a.namespace = $1::text'];
  const name = ['agent-runs-list'];
  const narrow = (label: string, test: (place: string) => string, ...given: readonly unknown[]): void => {
    tests.push(test(`$${values.length + 1}`));
    values.push(...given);
    name.push(label);
  };
  if (query.runId !== undefined) narrow('run', (place) => `a.run_id = ${place}::uuid`, query.runId);
  if (query.agent !== undefined) narrow('agent', (place) => `a.agent = ${place}::text`, query.agent);
  if (query.phase !== undefined) narrow('phase', (place) => `a.phase = ${place}::text`, query.phase);
  if (query.after !== undefined) narrow('after', (place) => `(a.created_at, a.id) < (${place}::timestamptz, $${values.length + 2}::uuid)`, iso(query.after.at), query.after.id);
  const text = `SELECT ${AGENT_RUN} FROM agent_run a WHERE ${tests.join(' AND ')} ORDER BY a.created_at DESC, a.id DESC LIMIT $2::int4`;
  const { rows, hasMore } = cut(await db.query<StoredAgentRun>({ name: name.join('-'), text }, values), limit);
  return { rows: rows.map(agentRunOf), hasMore };
}

/** A conversation and when it went on last. */
export interface TalkRow extends ConversationRow {
  readonly createdAt: number;
  readonly updatedAt: number;
}

const TALK = `c.id, c.namespace, c.agent, c.principal, c.title, c.turns, c.revision, c.created_at AS "createdAt", c.updated_at AS "updatedAt"`;
const GET_TALK: Statement = { name: 'agent-talk', text: `SELECT ${TALK} FROM agent_conversation c WHERE c.id = $1::uuid` };
const TALKS: Statement = {
  name: 'agent-talks',
  text: `SELECT ${TALK} FROM agent_conversation c WHERE c.namespace = $1::text AND c.agent = $2::text AND c.principal = $3::text
    AND (c.updated_at, c.id) < ($4::timestamptz, $5::uuid) ORDER BY c.updated_at DESC, c.id DESC LIMIT $6::int4`,
};
const TURNS: Statement = {
  name: 'agent-talk-turns',
  text: `SELECT ${AGENT_RUN} FROM agent_run a WHERE a.conversation_id = $1::uuid AND a.turn > $2::int4 ORDER BY a.turn LIMIT $3::int4`,
};
/** One conversation by its id (a UUID), whoever's it is. */
export async function getTalk(db: Executor, id: string): Promise<TalkRow | undefined> {
  return (await db.query<TalkRow>(GET_TALK, [id]))[0];
}

/** Conversations of one caller with an agent, the one that went on last first. */
export async function listTalks(db: Executor, { namespace, agent, principal }: Pick<TalkRow, 'namespace' | 'agent' | 'principal'>, after: AgentCursor | undefined, first: number): Promise<Page<TalkRow>> {
  const limit = clamp(first);
  return cut(await db.query<TalkRow>(TALKS, [namespace, agent, principal, after === undefined ? 'infinity' : iso(after.at), after?.id ?? LAST_ID, limit + 1]), limit);
}

/** Turns of a conversation from above `afterTurn`, in order. */
export async function listTurns(db: Executor, conversation: string, afterTurn: number, first: number): Promise<Page<AgentRunRow>> {
  const limit = clamp(first);
  const { rows, hasMore } = cut(await db.query<StoredAgentRun>(TURNS, [conversation, afterTurn, limit + 1]), limit);
  return { rows: rows.map(agentRunOf), hasMore };
}

/** A limit that somebody set over that of the installation. */
export interface SetLimitRow {
  readonly namespace: string;
  readonly level: BudgetLevel;
  /** Of the agent for AgentDay, else empty. */
  readonly name: string;
  readonly limit: Limit;
  readonly updatedBy: string;
  readonly updatedAt: number;
}

const LIMIT = 'l.namespace, l.level, l.name, l.tokens, l.nano, l.updated_by AS "updatedBy", l.updated_at AS "updatedAt"';
const SET_LIMIT: Statement = {
  name: 'budget-limit-set',
  text: `INSERT INTO budget_limit AS l (namespace, level, name, tokens, nano, updated_by, updated_at) VALUES ($1::text, $2::text, $3::text, $4::int8, $5::int8, $6::text, $7::timestamptz)
  ON CONFLICT (namespace, level, name) DO UPDATE SET tokens = excluded.tokens, nano = excluded.nano, updated_by = excluded.updated_by, updated_at = excluded.updated_at RETURNING ${LIMIT}`,
};
const LIMITS: Statement = {
  name: 'budget-limits-list',
  text: `SELECT ${LIMIT} FROM budget_limit l WHERE l.namespace = $1::text AND (l.level, l.name) > ($2::text, $3::text) ORDER BY l.level, l.name LIMIT $4::int4`,
};
const ONE_LIMIT: Statement = { name: 'budget-limit-get', text: `SELECT ${LIMIT} FROM budget_limit l WHERE l.namespace = $1::text AND l.level = $2::text AND l.name = $3::text` };

type StoredLimit = Omit<SetLimitRow, 'limit'> & { readonly tokens: string | null; readonly nano: string | null };

function setLimitOf({ tokens, nano, ...row }: StoredLimit): SetLimitRow {
  return { ...row, limit: limitOf(tokens, nano) };
}

/** Sets a limit of a namespace, or of one of its agents, for accounts that are made from now on. */
export async function setBudgetLimit(db: Executor, { namespace, level, name, limit, updatedBy, updatedAt }: SetLimitRow): Promise<SetLimitRow> {
  const rows = await db.query<StoredLimit>(SET_LIMIT, [namespace, level, name, limit.tokens, limit.nano, updatedBy, iso(updatedAt)]);
  return rows.map(setLimitOf)[0] ?? { namespace, level, name, limit, updatedBy, updatedAt };
}

/** A limit that was set, if one was. */
export async function getBudgetLimit(db: Executor, { namespace, level, name }: Pick<SetLimitRow, 'namespace' | 'level' | 'name'>): Promise<SetLimitRow | undefined> {
  return (await db.query<StoredLimit>(ONE_LIMIT, [namespace, level, name])).map(setLimitOf)[0];
}

/** Limits that were set in a namespace, by level and name, from above `after`. */
export async function listBudgetLimits(db: Executor, namespace: string, after: { readonly level: string; readonly name: string } | undefined, first: number): Promise<Page<SetLimitRow>> {
  const limit = clamp(first);
  const { rows, hasMore } = cut(await db.query<StoredLimit>(LIMITS, [namespace, after?.level ?? '', after?.name ?? '', limit + 1]), limit);
  return { rows: rows.map(setLimitOf), hasMore };
}
