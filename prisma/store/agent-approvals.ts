import { listWaiting, type WaitingQuery } from './agent-waiting.ts';
import type { Executor, Statement } from './db.ts';
import { iso } from './times.ts';
import type { Bytes, Page } from './types.ts';

/** States of an approval; only `Pending` is ever left. */
export const APPROVAL_STATES = ['Pending', 'Approved', 'Rejected', 'Expired', 'Voided'] as const;
/** One of the states. */
export type ApprovalState = (typeof APPROVAL_STATES)[number];

/** An approval as it is asked for. */
export interface ApprovalCreate {
  readonly id: string;
  readonly agentRun: string;
  readonly callId: string;
  readonly namespace: string;
  /** Display name of the tool. */
  readonly tool: string;
  readonly hash: string;
  /** JSON of ApprovalPreview. */
  readonly preview: Bytes;
  /** Users and groups who may decide; empty: whoever has the right. */
  readonly approvers: readonly string[];
  /** Who started the run may not approve. */
  readonly fourEyes: boolean;
  readonly expiresAt: number;
  readonly createdAt: number;
}

/** An approval. */
export interface ApprovalRow extends ApprovalCreate {
  readonly state: ApprovalState;
  readonly decidedBy: string | null;
  readonly decidedAt: number | null;
  readonly reason: string | null;
}

/** What a person is shown, and what the hash is made of beside the revision. */
export interface ApprovalPreview {
  readonly tool: string;
  readonly schemaHash: string;
  readonly arguments: unknown;
  /** Why it is asked for. */
  readonly reason: string;
}

const APPROVAL = `w.id, w.agent_run AS "agentRun", w.call_id AS "callId", w.namespace, w.tool, w.hash, w.preview, w.approvers, w.four_eyes AS "fourEyes", w.state, w.expires_at AS "expiresAt",
  w.decided_by AS "decidedBy", w.decided_at AS "decidedAt", w.reason, w.created_at AS "createdAt"`;

const ADD: Statement = {
  name: 'approval-add',
  text: `INSERT INTO agent_approval (id, agent_run, call_id, namespace, tool, hash, preview, approvers, state, expires_at, created_at, four_eyes)
  VALUES ($1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::text, $7::bytea, $8::text[], 'Pending', $9::timestamptz, $10::timestamptz, $11::bool)`,
};
const GET: Statement = { name: 'approval-get', text: `SELECT ${APPROVAL} FROM agent_approval w WHERE w.id = $1::uuid` };
const LAST: Statement = { name: 'approval-of-call', text: `SELECT ${APPROVAL} FROM agent_approval w WHERE w.agent_run = $1::uuid AND w.call_id = $2::text ORDER BY w.created_at DESC, w.id DESC LIMIT 1` };
const DECIDE: Statement = {
  name: 'approval-decide',
  text: `UPDATE agent_approval SET state = $2::text, decided_by = $3::text, decided_at = $4::timestamptz, reason = $5::text, hash = $6::text, preview = $7::bytea
  WHERE id = $1::uuid AND state = 'Pending' RETURNING id`,
};
const EXPIRING: Statement = { name: 'approvals-expiring', text: `SELECT ${APPROVAL} FROM agent_approval w WHERE w.state = 'Pending' AND w.expires_at <= $1::timestamptz ORDER BY w.expires_at LIMIT $2::int4` };
const VOID: Statement = {
  name: 'approvals-void',
  text: `UPDATE agent_approval SET state = 'Voided', decided_at = $2::timestamptz, decided_by = 'rambo', reason = 'the agent run has ended' WHERE agent_run = $1::uuid AND state = 'Pending'`,
};

/** Asks for an approval. Hold the agent run's row; at most one of a call is open. */
export async function addApproval(tx: Executor, row: ApprovalCreate): Promise<void> {
  await tx.query(ADD, [row.id, row.agentRun, row.callId, row.namespace, row.tool, row.hash, row.preview, [...row.approvers], iso(row.expiresAt), iso(row.createdAt), row.fourEyes]);
}

/** An approval by its id (a UUID), whoever's namespace it is in. */
export async function approvalById(db: Executor, id: string): Promise<ApprovalRow | undefined> {
  return (await db.query<ApprovalRow>(GET, [id]))[0];
}

/** One approval of a namespace; undefined where it is another's. */
export async function getApproval(db: Executor, namespace: string, id: string): Promise<ApprovalRow | undefined> {
  const row = await approvalById(db, id);
  return row?.namespace === namespace ? row : undefined;
}

/** The newest approval of a call. */
export async function approvalOfCall(db: Executor, agentRun: string, callId: string): Promise<ApprovalRow | undefined> {
  return (await db.query<ApprovalRow>(LAST, [agentRun, callId]))[0];
}

/** What a decision writes. `hash` and `preview` are new where arguments were edited. */
export interface ApprovalDecision {
  readonly state: Exclude<ApprovalState, 'Pending'>;
  readonly by: string;
  readonly at: number;
  readonly reason: string | null;
  readonly hash: string;
  readonly preview: Bytes;
}

/** Decides an approval once: false where it was decided before. */
export async function closeApproval(tx: Executor, id: string, { state, by, at, reason, hash, preview }: ApprovalDecision): Promise<boolean> {
  return (await tx.query(DECIDE, [id, state, by, iso(at), reason, hash, preview])).length > 0;
}

/** Approvals nobody decided in time. */
export async function expiredApprovals(db: Executor, at: number, limit: number): Promise<readonly ApprovalRow[]> {
  return db.query<ApprovalRow>(EXPIRING, [iso(at), limit]);
}

/** Closes the approvals of an agent run that ends. Hold its row. */
export async function voidApprovals(tx: Executor, agentRun: string, at: number): Promise<void> {
  await tx.query(VOID, [agentRun, iso(at)]);
}

/** Window on approvals, newest first. */
export type ApprovalQuery = WaitingQuery<ApprovalState>;

/** Approvals of a namespace. */
export function listApprovals(db: Executor, query: ApprovalQuery): Promise<Page<ApprovalRow>> {
  return listWaiting(db, { name: 'approvals-list', table: 'agent_approval', columns: APPROVAL }, query);
}
