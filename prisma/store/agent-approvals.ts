import type { Executor, Statement } from './db.ts';
import { clamp, cut, LAST_ID } from './pages.ts';
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

const APPROVAL = `p.id, p.agent_run AS "agentRun", p.call_id AS "callId", p.namespace, p.tool, p.hash, p.preview, p.approvers, p.four_eyes AS "fourEyes", p.state, p.expires_at AS "expiresAt",
  p.decided_by AS "decidedBy", p.decided_at AS "decidedAt", p.reason, p.created_at AS "createdAt"`;

const ADD: Statement = {
  name: 'approval-add',
  text: `INSERT INTO agent_approval (id, agent_run, call_id, namespace, tool, hash, preview, approvers, state, expires_at, created_at, four_eyes)
  VALUES ($1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::text, $7::bytea, $8::text[], 'Pending', $9::timestamptz, $10::timestamptz, $11::bool)`,
};
const GET: Statement = { name: 'approval-get', text: `SELECT ${APPROVAL} FROM agent_approval p WHERE p.id = $1::uuid` };
const LAST: Statement = { name: 'approval-of-call', text: `SELECT ${APPROVAL} FROM agent_approval p WHERE p.agent_run = $1::uuid AND p.call_id = $2::text ORDER BY p.created_at DESC, p.id DESC LIMIT 1` };
const DECIDE: Statement = {
  name: 'approval-decide',
  text: `UPDATE agent_approval SET state = $2::text, decided_by = $3::text, decided_at = $4::timestamptz, reason = $5::text, hash = $6::text, preview = $7::bytea
  WHERE id = $1::uuid AND state = 'Pending' RETURNING id`,
};
const EXPIRING: Statement = { name: 'approvals-expiring', text: `SELECT ${APPROVAL} FROM agent_approval p WHERE p.state = 'Pending' AND p.expires_at <= $1::timestamptz ORDER BY p.expires_at LIMIT $2::int4` };
const VOID: Statement = {
  name: 'approvals-void',
  text: `UPDATE agent_approval SET state = 'Voided', decided_at = $2::timestamptz, decided_by = 'rambo', reason = 'the agent run has ended' WHERE agent_run = $1::uuid AND state = 'Pending'`,
};

/** Asks for an approval. Hold the agent run's row; at most one of a call is open. */
export async function addApproval(tx: Executor, row: ApprovalCreate): Promise<void> {
  await tx.query(ADD, [row.id, row.agentRun, row.callId, row.namespace, row.tool, row.hash, row.preview, [...row.approvers], iso(row.expiresAt), iso(row.createdAt), row.fourEyes]);
}

/** One approval of a namespace; undefined where it is another's. */
export async function getApproval(db: Executor, namespace: string, id: string): Promise<ApprovalRow | undefined> {
  const [row] = await db.query<ApprovalRow>(GET, [id]);
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
export interface ApprovalQuery {
  readonly namespace: string;
  readonly state?: ApprovalState;
  readonly agentRun?: string;
  readonly after?: { readonly createdAt: number; readonly id: string };
  /** 1 to 500; clamped. */
  readonly first: number;
}

/** Approvals of a namespace. What is not asked for is no part of the statement: each is planned once, for all values. */
export async function listApprovals(db: Executor, { namespace, state, agentRun, after, first }: ApprovalQuery): Promise<Page<ApprovalRow>> {
  const limit = clamp(first);
  const from = after === undefined ? 'infinity' : iso(after.createdAt);
  const values: unknown[] = [namespace, from, after?.id ?? LAST_ID, limit + 1];
  const name = ['approvals-list'];
  const narrow = (label: string, test: (place: string) => string, value: string | undefined): string => {
    if (value === undefined) return '';
    values.push(value);
    name.push(label);
    return ` AND ${test(`$${values.length}`)}`;
  };
  const tests = narrow('state', (place) => `p.state = ${place}::text`, state) + narrow('run', (place) => `p.agent_run = ${place}::uuid`, agentRun);
  const text = `SELECT ${APPROVAL} FROM agent_approval p WHERE p.namespace = $1::text AND (p.created_at, p.id) < ($2::timestamptz, $3::uuid)${tests} ORDER BY p.created_at DESC, p.id DESC LIMIT $4::int4`;
  return cut(await db.query<ApprovalRow>({ name: name.join('-'), text }, values), limit);
}
