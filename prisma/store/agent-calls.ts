import { phaseOfWaiting, type CallState } from '../../crds/agent-fold.ts';
import type { AgentEvent, AgentEventPayload, AgentPhase, Effect, ModelPurpose } from '../../crds/agent-run.ts';
import { AGENT_EVENT, agentEventOf, type StoredAgentEvent } from './agent-columns.ts';
import type { AgentRunRow } from './agent-types.ts';
import { texts, uuids } from './binary.ts';
import type { Executor, Statement } from './db.ts';
import type { RunPhase } from '../../crds/workflow-run.ts';
import { iso } from './times.ts';
import { FIRST_ID } from './pages.ts';
import type { Bytes } from './types.ts';

/*
 * Tool calls of agent runs. A row changes only in a transaction that holds its agent run's row, but for the lease of whoever is
 * making the call, which is kept by the clock of Postgres: gateways need not agree on the time.
 */

/** A call that was asked for; `Completed` ones are kept, so that a repeated question finds the answer in the journal. */
export interface AgentCallRow {
  readonly agentRun: string;
  readonly callId: string;
  readonly namespace: string;
  readonly step: number;
  /** Name of the tool as the model has it. */
  readonly tool: string;
  readonly effect: Effect;
  readonly key: string;
  readonly argsHash: string;
  /** Canonical JSON, those of `bind` included. */
  readonly arguments: Bytes;
  readonly state: CallState | 'Completed';
  /** Gateway process that makes the call. */
  readonly holder: string | null;
  /** Its lease has not run out. */
  readonly held: boolean;
  readonly tries: number;
  readonly childRun: string | null;
  readonly createdAt: number;
}

/** What changes in a call. */
export interface CallChange {
  readonly state: CallState | 'Completed';
  /** Takes the lease for so long; absent: nobody makes the call. */
  readonly lease?: { readonly holder: string; readonly ms: number };
  /** One more try. */
  readonly tried?: boolean;
  readonly childRun?: string;
}

const CALL = `c.agent_run AS "agentRun", c.call_id AS "callId", c.namespace, c.step, c.tool, c.effect, c.key, c.args_hash AS "argsHash", c.arguments, c.state, c.holder,
  coalesce(c.holder_until > now(), false) AS held, c.tries, c.child_run AS "childRun", c.created_at AS "createdAt"`;

const GET: Statement = { name: 'agent-call-get', text: `SELECT ${CALL} FROM agent_call c WHERE c.agent_run = $1::uuid AND c.call_id = $2::text` };
const OF_RUN: Statement = { name: 'agent-calls-of', text: `SELECT ${CALL} FROM agent_call c WHERE c.agent_run = $1::uuid ORDER BY c.step DESC, c.created_at DESC, c.call_id DESC LIMIT $2::int4` };
const ADD: Statement = {
  name: 'agent-call-add',
  text: `INSERT INTO agent_call (agent_run, call_id, namespace, step, tool, effect, key, args_hash, arguments, state, created_at, updated_at)
  VALUES ($1::uuid, $2::text, $3::text, $4::int4, $5::text, $6::text, $7::text, $8::text, $9::bytea, $10::text, $11::timestamptz, $11::timestamptz)`,
};
const CHANGE: Statement = {
  name: 'agent-call-change',
  text: `UPDATE agent_call SET state = $3::text, holder = $4::text, holder_until = now() + $5::int4 * interval '1 millisecond', tries = tries + $6::int4,
    child_run = coalesce($7::uuid, child_run), updated_at = now() WHERE agent_run = $1::uuid AND call_id = $2::text`,
};
const EDIT: Statement = {
  name: 'agent-call-edit',
  text: `UPDATE agent_call SET arguments = $3::bytea, args_hash = $4::text, key = $5::text, updated_at = now() WHERE agent_run = $1::uuid AND call_id = $2::text`,
};
const RENEW: Statement = {
  name: 'agent-calls-renew',
  text: `UPDATE agent_call c SET holder_until = now() + $4::int4 * interval '1 millisecond' FROM unnest($1::uuid[], $2::text[]) AS k(agent_run, call_id)
  WHERE c.agent_run = k.agent_run AND c.call_id = k.call_id AND c.holder = $3::text AND c.state = 'Dispatched' RETURNING c.agent_run AS "agentRun", c.call_id AS "callId"`,
};
const OVER: Statement = {
  name: 'agent-calls-over',
  text: `SELECT k.agent_run AS "agentRun", k.call_id AS "callId" FROM unnest($1::uuid[], $2::text[]) AS k(agent_run, call_id) JOIN agent_run a ON a.id = k.agent_run WHERE a.finished_at IS NOT NULL`,
};
const STATES: Statement = { name: 'agent-call-states', text: `SELECT DISTINCT c.state FROM agent_call c WHERE c.agent_run = $1::uuid AND c.state <> 'Completed'` };
const BY_CHILD: Statement = { name: 'agent-call-by-child', text: `SELECT ${CALL} FROM agent_call c WHERE c.child_run = $1::uuid LIMIT 1` };
/** A run that failed by a node says why at the node. */
const NODE_ERROR = "CASE WHEN r.phase = 'Failed' THEN (SELECT n.error FROM node_run n WHERE n.run_id = r.id AND n.status = 'Failed' AND n.error IS NOT NULL ORDER BY n.node, n.item LIMIT 1) END";
const OPEN_CHILD = `SELECT ${CALL}, r.phase AS "childPhase", r.outputs, coalesce(r.error, ${NODE_ERROR}) AS error, a.finished_at IS NOT NULL AS "parentOver"
  FROM agent_call c JOIN agent_run a ON a.id = c.agent_run LEFT JOIN run r ON r.id = c.child_run WHERE c.state = 'Child'`;
const CHILD: Statement = { name: 'agent-child-open', text: `${OPEN_CHILD} AND c.child_run = $1::uuid LIMIT 1` };
const CHILDREN: Statement = { name: 'agent-children-over', text: `${OPEN_CHILD} AND c.child_run > $1::uuid ORDER BY c.child_run LIMIT $2::int4` };
const EVENT: Statement = {
  name: 'agent-event-of-call',
  text: `SELECT ${AGENT_EVENT} FROM agent_event e WHERE e.agent_run = $1::uuid AND e.kind = $2::text AND e.call_id = $3::text ORDER BY e.seq DESC LIMIT 1`,
};
const ANSWER: Statement = {
  name: 'agent-answer-of-step',
  text: `SELECT ${AGENT_EVENT} FROM agent_event e WHERE e.agent_run = $1::uuid AND e.kind = 'ModelCompleted' AND e.step = $2::int4 ORDER BY e.seq DESC`,
};

/** One call. */
export async function getAgentCall(db: Executor, agentRun: string, callId: string): Promise<AgentCallRow | undefined> {
  return (await db.query<AgentCallRow>(GET, [agentRun, callId]))[0];
}

/** The last calls of an agent run, newest first. */
export async function lastAgentCalls(db: Executor, agentRun: string, limit: number): Promise<readonly AgentCallRow[]> {
  return db.query<AgentCallRow>(OF_RUN, [agentRun, limit]);
}

/** Adds a call. Hold the agent run's row. */
export async function addAgentCall(tx: Executor, row: Omit<AgentCallRow, 'holder' | 'held' | 'tries' | 'childRun'>): Promise<void> {
  await tx.query(ADD, [row.agentRun, row.callId, row.namespace, row.step, row.tool, row.effect, row.key, row.argsHash, row.arguments, row.state, iso(row.createdAt)]);
}

/** Moves a call on. Hold the agent run's row and look at the call under it first. */
export async function changeAgentCall(tx: Executor, agentRun: string, callId: string, { state, lease, tried, childRun }: CallChange): Promise<void> {
  await tx.query(CHANGE, [agentRun, callId, state, lease?.holder ?? null, lease?.ms ?? null, tried === true ? 1 : 0, childRun ?? null]);
}

/** Gives a call other arguments, and with them another key. Hold the agent run's row. */
export async function editAgentCall(tx: Executor, agentRun: string, callId: string, edit: { readonly arguments: Bytes; readonly argsHash: string; readonly key: string }): Promise<void> {
  await tx.query(EDIT, [agentRun, callId, edit.arguments, edit.argsHash, edit.key]);
}

/** Which call is meant. */
export interface CallRef {
  readonly agentRun: string;
  readonly callId: string;
}

/** Keeps the lease of calls that are being made; gives those that are still this holder's. */
export async function renewAgentCalls(db: Executor, calls: readonly CallRef[], holder: string, ms: number): Promise<readonly CallRef[]> {
  return calls.length === 0 ? [] : db.query<CallRef>(RENEW, [uuids(calls, (c) => c.agentRun), texts(calls, (c) => c.callId), holder, ms]);
}

/** Those of some calls whose agent run has ended: nobody waits for them. */
export async function callsOver(db: Executor, calls: readonly CallRef[]): Promise<readonly CallRef[]> {
  return calls.length === 0 ? [] : db.query<CallRef>(OVER, [uuids(calls, (c) => c.agentRun), texts(calls, (c) => c.callId)]);
}

/** The phase of an agent run that waits, by what it waits for: as the fold has it. */
export async function waitingPhase(tx: Executor, agentRun: string): Promise<AgentPhase> {
  return phaseOfWaiting((await tx.query<{ state: CallState }>(STATES, [agentRun])).map(({ state }) => state));
}

/** So many things less are awaited; a run that waits for others still says for which. */
export async function stillWaiting(tx: Executor, run: AgentRunRow, less: number): Promise<Pick<AgentRunRow, 'awaited' | 'phase'>> {
  const awaited = Math.max(0, run.awaited - less);
  return { awaited, phase: run.parked && awaited > 0 ? await waitingPhase(tx, run.id) : run.phase };
}

/** The call that started a workflow run, if one did: its agent run is the parent of every agent run in it. */
export async function callByChild(db: Executor, childRun: string): Promise<AgentCallRow | undefined> {
  return (await db.query<AgentCallRow>(BY_CHILD, [childRun]))[0];
}

/** A call that waits for a workflow run, and how that run is; `childPhase` null: there is none yet. */
export interface OpenChild extends AgentCallRow {
  readonly childPhase: RunPhase | null;
  readonly outputs: Bytes | null;
  readonly error: Bytes | null;
  /** The agent run that waits has ended. */
  readonly parentOver: boolean;
}

/** The call that waits for this workflow run, if one does. */
export async function openChild(db: Executor, childRun: string): Promise<OpenChild | undefined> {
  return (await db.query<OpenChild>(CHILD, [childRun]))[0];
}

/** Calls that wait for a workflow run, by its id, from above `after`. */
export async function openChildren(db: Executor, after: string | undefined, limit: number): Promise<readonly OpenChild[]> {
  return db.query<OpenChild>(CHILDREN, [after ?? FIRST_ID, limit]);
}

/** The last event of a kind about a call. */
export async function eventOfCall(db: Executor, agentRun: string, kind: 'ToolCompleted' | 'ToolRequested' | 'ToolInDoubt' | 'InputRequested', callId: string): Promise<AgentEvent | undefined> {
  const [row] = await db.query<StoredAgentEvent>(EVENT, [agentRun, kind, callId]);
  return row === undefined ? undefined : agentEventOf(row);
}

/** The model's last answer of a step for a purpose; undefined where there is none. */
export async function answerOfStep(db: Executor, agentRun: string, step: number, purpose: ModelPurpose): Promise<AgentEventPayload<'ModelCompleted'> | undefined> {
  for (const row of await db.query<StoredAgentEvent>(ANSWER, [agentRun, step])) {
    const event = agentEventOf(row);
    if (event.kind === 'ModelCompleted' && event.payload.purpose === purpose) return event.payload;
  }
  return undefined;
}
