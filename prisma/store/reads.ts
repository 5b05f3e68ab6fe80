import { int4s, texts, uuids } from './binary.ts';
import { ATTEMPT, EVENT, NODE_RUN, RUN_RECORD, RUN_SUMMARY } from './columns.ts';
import type { Executor, Statement } from './db.ts';
import { clamp, cut, MOST_ROWS } from './pages.ts';
import { iso } from './times.ts';
import type { AttemptRow, Bytes, EventRow, NodeRunRow, Page, RunQuery, RunRecord, RunSummary } from './types.ts';

/* What the API shows. Pages are by key, never by offset, and never longer than 500 rows. */


const GET: Statement = { name: 'run-get', text: `SELECT ${RUN_RECORD} FROM run r WHERE r.id = $1::uuid` };
const GET_MANY: Statement = { name: 'runs-get', text: `SELECT ${RUN_RECORD} FROM run r WHERE r.id = ANY ($1::uuid[])` };
const GET_BY_NAME: Statement = {
  name: 'run-get-by-name',
  text: `SELECT ${RUN_RECORD} FROM run r WHERE r.namespace = $1::text AND r.name = $2::text ORDER BY r.created_at DESC, r.id DESC LIMIT 1`,
};
const DEFINITION: Statement = { name: 'run-definition', text: 'SELECT d.spec FROM run r JOIN definition d ON d.hash = r.definition_hash WHERE r.id = $1::uuid' };
const NODES: Statement = {
  name: 'run-nodes',
  text: `SELECT ${NODE_RUN} FROM node_run n WHERE n.run_id = $1::uuid AND (n.node, n.item) > ($2::text, $3::int4) ORDER BY n.node, n.item LIMIT $4::int4`,
};
const ATTEMPTS: Statement = {
  name: 'run-attempts',
  text: `SELECT ${ATTEMPT} FROM attempt a WHERE a.run_id = $1::uuid AND (a.node, a.item, a.attempt) > ($2::text, $3::int4, $4::int4)
  ORDER BY a.node, a.item, a.attempt LIMIT $5::int4`,
};
const EVENTS: Statement = {
  name: 'run-events',
  text: `SELECT ${EVENT} FROM run_event e WHERE e.run_id = $1::uuid AND e.seq > $2::int4 ORDER BY e.seq LIMIT $3::int4`,
};

/** Place of a node in the order of `listNodes`. */
export interface NodeCursor { readonly node: string; readonly item: number }
/** Place of an attempt in the order of `listAttempts`. */
export interface AttemptCursor extends NodeCursor { readonly attempt: number }

/** One run by its id (a UUID; callers check the shape), payloads included. */
export async function getRun(db: Executor, id: string): Promise<RunRecord | undefined> {
  return (await db.query<RunRecord>(GET, [id]))[0];
}

/** Runs by their ids, in no order; absent ones are left out. At most 500. */
export async function getRuns(db: Executor, ids: readonly string[]): Promise<readonly RunRecord[]> {
  return db.query<RunRecord>(GET_MANY, [ids.slice(0, MOST_ROWS)]);
}

const STANDING: Statement = {
  name: 'runs-standing',
  text: 'SELECT count(*)::int4 AS count FROM unnest($1::uuid[], $2::int4[]) AS known(id, version) JOIN run r ON r.id = known.id AND r.version = known.version',
};

/** Whether all of these runs (at most 500, versions by id) are there and still have that version. */
export async function runsStand(db: Executor, versions: ReadonlyMap<string, number>): Promise<boolean> {
  const known = [...versions];
  if (known.length === 0) return true;
  if (known.length > MOST_ROWS) return false;
  const [row] = await db.query<{ count: number }>(STANDING, [uuids(known, ([id]) => id), int4s(known, ([, version]) => version)]);
  return row?.count === known.length;
}

/** The newest run of that name. */
export async function getRunByName(db: Executor, namespace: string, name: string): Promise<RunRecord | undefined> {
  return (await db.query<RunRecord>(GET_BY_NAME, [namespace, name]))[0];
}

/** The definition a run is pinned to. */
export async function getRunDefinition(db: Executor, id: string): Promise<Bytes | undefined> {
  return (await db.query<{ spec: Bytes }>(DEFINITION, [id]))[0]?.spec;
}

/** Runs of some namespaces, newest first. No namespace: no rows. */
export async function listRuns(db: Executor, query: RunQuery): Promise<Page<RunSummary>> {
  const limit = clamp(query.first);
  const cursor = query.before ?? query.after;
  const statement = listStatement(query, cursor !== undefined);
  const values: unknown[] = [texts([...new Set(query.namespaces)], (namespace) => namespace), limit + 1];
  if (query.workflow !== undefined) values.push(query.workflow);
  if (query.phase !== undefined) values.push(query.phase);
  if (cursor !== undefined) values.push(iso(cursor.createdAt), cursor.id);
  const page = cut(await db.query<RunSummary>(statement, values), limit);
  return query.before === undefined ? page : { rows: [...page.rows].reverse(), hasMore: page.hasMore };
}

/** One text per combination of filters, so that each has its index: a handful of prepared statements. */
function listStatement(query: RunQuery, paged: boolean): Statement {
  const backward = query.before !== undefined;
  const tests = ['r.namespace = ns.name'];
  let next = 3;
  if (query.workflow !== undefined) tests.push(`r.workflow = $${next++}::text`);
  if (query.phase !== undefined) tests.push(`r.phase = $${next++}::text`);
  if (paged) tests.push(`(r.created_at, r.id) ${backward ? '>' : '<'} ($${next}::timestamptz, $${next + 1}::uuid)`);
  const order = (prefix: string, created: string): string => backward ? `${prefix}${created} ASC, ${prefix}id ASC` : `${prefix}${created} DESC, ${prefix}id DESC`;
  const parts = [query.workflow && 'w', query.phase && 'p', paged && (backward ? 'b' : 'a')].filter((part) => typeof part === 'string');
  return {
    name: ['runs-list', ...parts].join('-'),
    text: `SELECT page.* FROM unnest($1::text[]) AS ns(name) CROSS JOIN LATERAL (
      SELECT ${RUN_SUMMARY} FROM run r WHERE ${tests.join(' AND ')} ORDER BY ${order('r.', 'created_at')} LIMIT $2::int4) page
    ORDER BY ${order('page.', '"createdAt"')} LIMIT $2::int4`,
  };
}

/** Nodes and items of a run by name and item, from above `after`. */
export async function listNodes(db: Executor, runId: string, after: NodeCursor | undefined, first: number): Promise<Page<NodeRunRow>> {
  const limit = clamp(first);
  return cut(await db.query<NodeRunRow>(NODES, [runId, after?.node ?? '', after?.item ?? -2, limit + 1]), limit);
}

/** Finished attempts of a run by node, item and number, from above `after`. */
export async function listAttempts(db: Executor, runId: string, after: AttemptCursor | undefined, first: number): Promise<Page<AttemptRow>> {
  const limit = clamp(first);
  return cut(await db.query<AttemptRow>(ATTEMPTS, [runId, after?.node ?? '', after?.item ?? -2, after?.attempt ?? 0, limit + 1]), limit);
}

/** History of a run, from above `afterSeq` (0: from the beginning). */
export async function listEvents(db: Executor, runId: string, afterSeq: number, first: number): Promise<Page<EventRow>> {
  const limit = clamp(first);
  return cut(await db.query<EventRow>(EVENTS, [runId, afterSeq, limit + 1]), limit);
}
