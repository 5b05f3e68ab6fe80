import { byteas, int4s, texts } from './binary.ts';
import { RUNNER_POOL, WORKFLOW } from './columns.ts';
import type { Db, Executor, Statement } from './db.ts';
import { clamp, cut } from './pages.ts';
import { iso } from './times.ts';
import type { Page, RunnerPoolRow, WorkflowNodeRow, WorkflowRow } from './types.ts';

/*
 * Mirrors of definitions: written by the controller from its reflector, read by the API. A newer generation of the same
 * object replaces an older one, never the other way; another uid is another object and always replaces.
 */

const UPSERT_WORKFLOW: Statement = {
  name: 'workflow-upsert',
  text: `INSERT INTO workflow AS w (namespace, name, uid, generation, resource_version, spec, hash, phase, node_count, labels, problems, updated_at)
  VALUES ($1::text, $2::text, $3::text, $4::int4, $5::text, $6::bytea, $7::text, $8::text, $9::int4, $10::bytea, $11::bytea, $12::timestamptz)
  ON CONFLICT (namespace, name) DO UPDATE SET uid = excluded.uid, generation = excluded.generation, resource_version = excluded.resource_version,
    spec = excluded.spec, hash = excluded.hash, phase = excluded.phase, node_count = excluded.node_count, labels = excluded.labels,
    problems = excluded.problems, updated_at = excluded.updated_at
  WHERE w.uid <> excluded.uid OR w.generation <= excluded.generation RETURNING w.name`,
};
const DROP_NODES: Statement = { name: 'workflow-nodes-delete', text: 'DELETE FROM workflow_node WHERE namespace = $1::text AND workflow = $2::text' };
const ADD_NODES: Statement = {
  name: 'workflow-nodes-insert',
  text: `INSERT INTO workflow_node (namespace, workflow, name, position, type, config)
  SELECT $1::text, $2::text, n.* FROM unnest($3::text[], $4::int4[], $5::text[], $6::bytea[]) AS n(name, position, type, config)`,
};
const DELETE_WORKFLOW: Statement = { name: 'workflow-delete', text: 'DELETE FROM workflow WHERE namespace = $1::text AND name = $2::text AND uid = $3::text' };
const GET_WORKFLOW: Statement = { name: 'workflow-get', text: `SELECT ${WORKFLOW} FROM workflow w WHERE w.namespace = $1::text AND w.name = $2::text` };
const GET_NODES: Statement = {
  name: 'workflow-nodes-get',
  text: 'SELECT name, type, config FROM workflow_node WHERE namespace = $1::text AND workflow = $2::text ORDER BY position, name',
};
const LIST_WORKFLOWS: Statement = {
  name: 'workflows-list',
  text: `SELECT ${WORKFLOW} FROM workflow w WHERE w.namespace = ANY ($1::text[]) AND (w.namespace, w.name) > ($2::text, $3::text)
  ORDER BY w.namespace, w.name LIMIT $4::int4`,
};
const KEYS_WORKFLOWS: Statement = { name: 'workflows-keys', text: 'SELECT namespace, name, uid, generation FROM workflow' };
const KEYS_POOLS: Statement = { name: 'pools-keys', text: 'SELECT namespace, name, uid, generation FROM runner_pool' };
const UPSERT_POOL: Statement = {
  name: 'pool-upsert',
  text: `INSERT INTO runner_pool AS p (namespace, name, uid, generation, resource_version, spec, labels, updated_at)
  VALUES ($1::text, $2::text, $3::text, $4::int4, $5::text, $6::bytea, $7::bytea, $8::timestamptz)
  ON CONFLICT (namespace, name) DO UPDATE SET uid = excluded.uid, generation = excluded.generation, resource_version = excluded.resource_version,
    spec = excluded.spec, labels = excluded.labels, updated_at = excluded.updated_at
  WHERE p.uid <> excluded.uid OR p.generation <= excluded.generation`,
};
const DELETE_POOL: Statement = { name: 'pool-delete', text: 'DELETE FROM runner_pool WHERE namespace = $1::text AND name = $2::text AND uid = $3::text' };
const GET_POOL: Statement = { name: 'pool-get', text: `SELECT ${RUNNER_POOL} FROM runner_pool p WHERE p.namespace = $1::text AND p.name = $2::text` };
const LIST_POOLS: Statement = {
  name: 'pools-list',
  text: `SELECT ${RUNNER_POOL} FROM runner_pool p WHERE p.namespace = ANY ($1::text[]) AND (p.namespace, p.name) > ($2::text, $3::text)
  ORDER BY p.namespace, p.name LIMIT $4::int4`,
};

/** Place of an object in a list. */
export interface ObjectCursor { readonly namespace: string; readonly name: string }
/** Which object a mirror row stands for, to find those whose CR is gone. */
export interface MirrorKey extends ObjectCursor { readonly uid: string; readonly generation: number }

/** Writes a Workflow and its nodes in one transaction. An older generation changes nothing. */
export async function upsertWorkflow(db: Db, row: WorkflowRow, nodes: readonly WorkflowNodeRow[]): Promise<void> {
  await db.transaction(async (tx) => {
    const written = await tx.query(UPSERT_WORKFLOW, [
      row.namespace, row.name, row.uid, row.generation, row.resourceVersion, row.spec, row.hash, row.phase, row.nodeCount,
      row.labels, row.problems, iso(row.updatedAt),
    ]);
    if (written.length === 0) return;
    await tx.query(DROP_NODES, [row.namespace, row.name]);
    const placed = [...new Map(nodes.map((node, position) => [node.name, { ...node, position }] as const)).values()];
    if (placed.length === 0) return;
    await tx.query(ADD_NODES, [
      row.namespace, row.name, texts(placed, (n) => n.name), int4s(placed, (n) => n.position), texts(placed, (n) => n.type), byteas(placed, (n) => n.config),
    ]);
  });
}

/** Removes a Workflow with that uid, and its nodes. */
export async function deleteWorkflow(db: Executor, namespace: string, name: string, uid: string): Promise<void> {
  await db.query(DELETE_WORKFLOW, [namespace, name, uid]);
}

/** One Workflow. */
export async function getWorkflow(db: Executor, namespace: string, name: string): Promise<WorkflowRow | undefined> {
  return (await db.query<WorkflowRow>(GET_WORKFLOW, [namespace, name]))[0];
}

/** Nodes of a Workflow in the order of its manifest. */
export async function listWorkflowNodes(db: Executor, namespace: string, name: string): Promise<readonly WorkflowNodeRow[]> {
  return db.query<WorkflowNodeRow>(GET_NODES, [namespace, name]);
}

/** Workflows of some namespaces by namespace and name, from above `after`. */
export async function listWorkflows(db: Executor, namespaces: readonly string[], after: ObjectCursor | undefined, first: number): Promise<Page<WorkflowRow>> {
  return page<WorkflowRow>(db, LIST_WORKFLOWS, namespaces, after, first);
}

/** All mirrored Workflows without their content: for the comparison with a fresh list of CRs. */
export async function workflowKeys(db: Executor): Promise<readonly MirrorKey[]> {
  return db.query<MirrorKey>(KEYS_WORKFLOWS, []);
}

/** All mirrored RunnerPools without their content. */
export async function poolKeys(db: Executor): Promise<readonly MirrorKey[]> {
  return db.query<MirrorKey>(KEYS_POOLS, []);
}

/** Writes a RunnerPool. An older generation changes nothing. */
export async function upsertPool(db: Executor, row: RunnerPoolRow): Promise<void> {
  await db.query(UPSERT_POOL, [row.namespace, row.name, row.uid, row.generation, row.resourceVersion, row.spec, row.labels, iso(row.updatedAt)]);
}

/** Removes a RunnerPool with that uid. */
export async function deletePool(db: Executor, namespace: string, name: string, uid: string): Promise<void> {
  await db.query(DELETE_POOL, [namespace, name, uid]);
}

/** One RunnerPool. */
export async function getPool(db: Executor, namespace: string, name: string): Promise<RunnerPoolRow | undefined> {
  return (await db.query<RunnerPoolRow>(GET_POOL, [namespace, name]))[0];
}

/** RunnerPools of some namespaces by namespace and name, from above `after`. */
export async function listPools(db: Executor, namespaces: readonly string[], after: ObjectCursor | undefined, first: number): Promise<Page<RunnerPoolRow>> {
  return page<RunnerPoolRow>(db, LIST_POOLS, namespaces, after, first);
}

async function page<Row extends object>(db: Executor, statement: Statement, namespaces: readonly string[], after: ObjectCursor | undefined, first: number): Promise<Page<Row>> {
  const limit = clamp(first);
  const rows = await db.query<Row>(statement, [texts(namespaces, (name) => name), after?.namespace ?? '', after?.name ?? '', limit + 1]);
  return cut(rows, limit);
}
