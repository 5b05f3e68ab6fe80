import { int2s, int4s, texts, uuids } from './binary.ts';
import { NODE_RUN, OUTBOX, RUN_RECORD, RUN_SUMMARY, TIMER } from './columns.ts';
import type { Executor, Statement } from './db.ts';
import { iso } from './times.ts';
import { FIRST_ID } from './pages.ts';
import type { Bytes, IdempotencyRow, LoadedRun, NodeRunRow, NodeRunRowOf, OutboxRow, RunRecord, RunSummary, TimerRow } from './types.ts';

/* What the owner of a shard reads: runs to go on with, and what is still to be done for them. */

const LOAD: Statement = { name: 'runs-load', text: `SELECT ${RUN_RECORD} FROM run r WHERE r.id = ANY ($1::uuid[]) ORDER BY r.id` };

const LIVE: Statement = {
  name: 'runs-live',
  text: `SELECT ${RUN_RECORD} FROM run r
  WHERE r.finished_at IS NULL AND r.id > $1::uuid AND r.shard = ANY ($2::int2[]) ORDER BY r.id LIMIT $3::int4`,
};

const NODES: Statement = {
  name: 'runs-nodes',
  text: `SELECT n.run_id AS "runId", ${NODE_RUN} FROM node_run n WHERE n.run_id = ANY ($1::uuid[])`,
};

const DEFINITIONS: Statement = { name: 'runs-definitions', text: 'SELECT hash, spec FROM definition WHERE hash = ANY ($1::text[])' };

const BY_UID: Statement = { name: 'runs-by-uid', text: `SELECT ${RUN_SUMMARY} FROM run r WHERE r.uid = ANY ($1::text[])` };

const OUTBOX_OF: Statement = {
  name: 'outbox-load',
  text: `SELECT ${OUTBOX} FROM outbox o WHERE o.shard = ANY ($1::int2[]) AND o.id > $2::int8 ORDER BY o.id LIMIT $3::int4`,
};

const DUE: Statement = {
  name: 'timers-due',
  text: `SELECT d.* FROM unnest($1::int2[]) AS s(id) CROSS JOIN LATERAL (
    SELECT ${TIMER} FROM timer t WHERE t.shard = s.id AND t.due_at <= $2::timestamptz ORDER BY t.due_at LIMIT $3::int4) d
  ORDER BY d."dueAt" LIMIT $3::int4`,
};

const IDEMPOTENT: Statement = {
  name: 'idempotency-find',
  text: `SELECT run_id AS "runId", key, body_hash AS "bodyHash", expires_at AS "expiresAt" FROM idempotency
  WHERE namespace = $1::text AND principal = $2::text AND key = $3::text AND expires_at > now()`,
};

const PROJECTED: Statement = {
  name: 'runs-projected',
  text: `UPDATE run r SET projected_version = greatest(r.projected_version, p.version), projected_final = r.projected_final OR (r.finished_at IS NOT NULL AND p.version >= r.version)
  FROM unnest($1::uuid[], $2::int4[]) AS p(id, version) WHERE r.id = p.id`,
};

const UNPROJECTED: Statement = {
  name: 'runs-unprojected',
  text: `SELECT ${RUN_RECORD} FROM run r
  WHERE r.uid IS NOT NULL AND r.finished_at IS NOT NULL AND NOT r.projected_final AND r.id > $1::uuid AND r.shard = ANY ($2::int2[])
  ORDER BY r.id LIMIT $3::int4`,
};

/** Before every outbox id. */
export const FIRST_OUTBOX_ID = '0';

/** Live or not: one run with its definition and all its nodes, undefined when there is none. */
export async function loadRun(db: Executor, id: string): Promise<LoadedRun | undefined> {
  return (await loadRuns(db, [id]))[0];
}

/** Runs in order of their id; those that do not exist are absent. */
export async function loadRuns(db: Executor, ids: readonly string[]): Promise<readonly LoadedRun[]> {
  return withRows(db, await db.query<RunRecord>(LOAD, [uuids(ids, (id) => id)]));
}

/** A page of the live runs of some shards, in order of their id, from above `afterId`. Shorter than `limit`: the last page. */
export async function loadLiveRuns(db: Executor, shards: readonly number[], afterId: string, limit: number): Promise<readonly LoadedRun[]> {
  return withRows(db, await db.query<RunRecord>(LIVE, [afterId, int2s(shards, (id) => id), limit]));
}

/** Adds definitions (one buffer per content) and nodes. Runs only move by their owner, so the queries need no snapshot. */
async function withRows(db: Executor, runs: readonly RunRecord[]): Promise<readonly LoadedRun[]> {
  if (runs.length === 0) return [];
  const hashes = [...new Set(runs.map((run) => run.definitionHash))];
  const [nodes, definitions] = await Promise.all([
    db.query<NodeRunRowOf>(NODES, [uuids(runs, (run) => run.id)]),
    db.query<{ hash: string; spec: Bytes }>(DEFINITIONS, [texts(hashes, (hash) => hash)]),
  ]);
  const specs = new Map(definitions.map((row) => [row.hash, row.spec] as const));
  const byRun = new Map<string, NodeRunRow[]>(runs.map((run) => [run.id, []] as const));
  for (const row of nodes) byRun.get(row.runId)?.push(row);
  return runs.map((run) => ({ run, definition: specs.get(run.definitionHash) ?? new Uint8Array(), nodes: byRun.get(run.id) ?? [] }));
}

/** The run of a WorkflowRun, by its uid. */
export async function runByUid(db: Executor, uid: string): Promise<RunSummary | undefined> {
  return (await runsByUids(db, [uid]))[0];
}

/** The runs of WorkflowRuns; uids without a run are absent. */
export async function runsByUids(db: Executor, uids: readonly string[]): Promise<readonly RunSummary[]> {
  return db.query<RunSummary>(BY_UID, [texts(uids, (uid) => uid)]);
}

/** A page of what is still to be published, oldest first, from above `afterId`. */
export async function loadOutbox(db: Executor, shards: readonly number[], afterId: string = FIRST_OUTBOX_ID, limit = 10_000): Promise<readonly OutboxRow[]> {
  return db.query<OutboxRow>(OUTBOX_OF, [int2s(shards, (id) => id), afterId, limit]);
}

/** Timers due at `now` (epoch milliseconds), the oldest first. */
export async function dueTimers(db: Executor, shards: readonly number[], now: number, limit: number): Promise<readonly TimerRow[]> {
  return db.query<TimerRow>(DUE, [int2s(shards, (id) => id), iso(now), limit]);
}

/** What a start under this key made before, unless it has expired. */
export async function findIdempotent(db: Executor, namespace: string, principal: string, key: string): Promise<IdempotencyRow | undefined> {
  return (await db.query<IdempotencyRow>(IDEMPOTENT, [namespace, principal, key]))[0];
}

/** Versions that reached the status of their CR. Older reports than the stored one change nothing. */
export async function markProjected(db: Executor, runs: readonly { readonly run: string; readonly version: number }[]): Promise<void> {
  const newest = new Map<string, number>();
  for (const { run, version } of runs) newest.set(run, Math.max(version, newest.get(run) ?? version));
  const rows = [...newest];
  if (rows.length > 0) await db.query(PROJECTED, [uuids(rows, ([id]) => id), int4s(rows, ([, version]) => version)]);
}

/** A page of ended runs whose CR does not show the end yet. Live runs are all in their owner's memory. */
export async function unprojectedRuns(db: Executor, shards: readonly number[], afterId: string = FIRST_ID, limit = 500): Promise<readonly RunRecord[]> {
  return db.query<RunRecord>(UNPROJECTED, [afterId, int2s(shards, (id) => id), limit]);
}
