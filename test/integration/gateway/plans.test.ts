import pg from 'pg';
import {
  childrenByIds, type Db, type Executor, listChildren, listMembers, listProjectEvents, listProjects, listRuns, listTaskRuns, openStore, projectsByIds, runsStand, type Statement,
} from '../../../prisma/store/index.ts';
import { testPostgres, type TestServer } from '../../harness/postgres.ts';
import { blocksOf, scans, seed, seededId as id, type Plan } from '../../harness/plans.ts';

/*
 * A million tasks and a million runs: every filter and order that a list offers finds its rows by an index and reads about as many as it
 * shows, with the planner as it comes and with the settings of the store.
 */

const ROWS = 1_000_000;
/** Buffers of 8 KB that one page may touch: a page of 100 rows needs at most a few per row. */
const MOST_BUFFERS = 1_500;
const PAGE_MS = 20;

/** Projects of 1 to 1000 get a thousand tasks each; ids say their number. */
const SEED = `
INSERT INTO app_user (id, role, created_at, updated_at) SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'DEVELOPER', now(), now() FROM generate_series(1, 100) i;
INSERT INTO profile (user_id, display_name, updated_at) SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'u', now() FROM generate_series(1, 20000) i;
INSERT INTO project (id, name, status, owner_id, namespace, created_at, updated_at)
  SELECT ('00000000-0000-7000-8001-' || lpad(to_hex(i), 12, '0'))::uuid, 'project ' || i, (ARRAY['ACTIVE','ON_HOLD','COMPLETED','ARCHIVED'])[1 + i % 4],
  ('00000000-0000-7000-8000-' || lpad(to_hex(1 + i % 100), 12, '0'))::uuid, 'ns-' || i, date_trunc('milliseconds', now()) - i * interval '1 minute', now() FROM generate_series(1, 20000) i;
INSERT INTO project_member SELECT p.id, u.id, 'DEVELOPER', now() FROM (SELECT id FROM project ORDER BY id LIMIT 2000) p, (SELECT id FROM app_user ORDER BY id LIMIT 5) u WHERE p.id IS NOT NULL ON CONFLICT DO NOTHING;
INSERT INTO sprint (id, project_id, name, status, created_at, updated_at) SELECT ('00000000-0000-7000-8002-' || lpad(to_hex(i), 12, '0'))::uuid, ('00000000-0000-7000-8001-' || lpad(to_hex(1 + i % 100), 12, '0'))::uuid,
  's', (ARRAY['PLANNED','ACTIVE','COMPLETED'])[1 + i % 3], now(), now() FROM generate_series(1, 10000) i;
INSERT INTO task (id, project_id, title, status, assigned_to, sprint_id, parent_id, created_at, updated_at)
  SELECT ('00000000-0000-7000-8003-' || lpad(to_hex(i), 12, '0'))::uuid, ('00000000-0000-7000-8001-' || lpad(to_hex(CASE WHEN i % 2 = 0 THEN 1 ELSE 1 + i % 1000 END), 12, '0'))::uuid, 'task ' || i,
  (ARRAY['TO_DO','IN_PROGRESS','DONE','BLOCKED'])[1 + i % 4], 'agent ' || i % 500, CASE WHEN i % 3 = 0 THEN ('00000000-0000-7000-8002-' || lpad(to_hex(1 + i % 10000), 12, '0'))::uuid END,
  NULL, date_trunc('milliseconds', now()) - i * interval '1 second', date_trunc('milliseconds', now()) - ((i * 7919::bigint) % ${ROWS}) * interval '1 second' FROM generate_series(1, ${ROWS}) i;
UPDATE task SET parent_id = '00000000-0000-7000-8003-000000000002' WHERE id < '00000000-0000-7000-8003-000000004000' AND project_id = '00000000-0000-7000-8001-000000000001' AND id <> '00000000-0000-7000-8003-000000000002';
INSERT INTO ticket (id, project_id, title, status, priority, type, created_at, updated_at) SELECT gen_random_uuid(), ('00000000-0000-7000-8001-' || lpad(to_hex(1 + i % 100), 12, '0'))::uuid, 't',
  (ARRAY['OPEN','IN_PROGRESS','RESOLVED','CLOSED'])[1 + i % 4], (ARRAY['HIGH','MEDIUM','LOW'])[1 + i % 3], 'BUG', now() - i * interval '1 second', now() FROM generate_series(1, 100000) i;
INSERT INTO requirement (id, project_id, title, status, priority, revision, created_at, updated_at) SELECT gen_random_uuid(), ('00000000-0000-7000-8001-' || lpad(to_hex(1 + i % 100), 12, '0'))::uuid, 'r',
  (ARRAY['DRAFT','APPROVED'])[1 + i % 2], 'LOW', '1.0', now() - i * interval '1 second', now() FROM generate_series(1, 50000) i;
INSERT INTO task_run SELECT t.id, gen_random_uuid(), now() - n * interval '1 second' FROM (SELECT id FROM task ORDER BY id LIMIT 20000) t, generate_series(1, 5) n;
INSERT INTO project_event SELECT ('00000000-0000-7000-8001-' || lpad(to_hex(1 + i % 10), 12, '0'))::uuid, i / 10 + 1, now(), 'UPDATED', 'Task', gen_random_uuid(), 'x' FROM generate_series(0, 199999) i;
INSERT INTO definition (hash, spec) VALUES ('h', '{}');
INSERT INTO run (id, namespace, name, source, shard, workflow, definition_hash, input, priority, principal, created_at, phase, finished_at, suspended, seq, total, done, version)
  SELECT ('00000000-0000-7000-8004-' || lpad(to_hex(i), 12, '0'))::uuid, 'ns-' || (CASE WHEN i % 2 = 0 THEN 1 ELSE 1 + i % 200 END), 'run-' || i, 'api', i % 256, 'wf-' || i % 50, 'h', '{}', 0, 'x',
  date_trunc('milliseconds', now()) - i * interval '1 second', (ARRAY['Succeeded','Failed','Running','Cancelled'])[1 + i % 4], CASE WHEN i % 4 <> 2 THEN now() END, false, 1, 1, 1, 1 FROM generate_series(1, ${ROWS}) i;
`;

let server: TestServer;
let client: pg.Client;
let db: Db;

beforeAll(async () => {
  server = await testPostgres();
  const url = await server.createDatabase();
  await seed(url, SEED);
  client = new pg.Client({ connectionString: url });
  await client.connect();
  db = openStore({ url, max: 2, statementTimeoutMs: 30_000 });
}, 600_000);
afterAll(async () => {
  await db.close();
  await client.end();
  await server.stop();
});

const BIG = id(1, 1); // half of all tasks
const CURSOR = { value: Date.now() - 200_000_000, id: id(3, 500_000) };
const parents = [BIG];

const LISTS: readonly (readonly [string, (db: Executor) => Promise<unknown>])[] = [
  ['tasks', (on) => listChildren(on, 'task', { by: 'projectId', parents, first: 100 })],
  ['tasks, a later page', (on) => listChildren(on, 'task', { by: 'projectId', parents, first: 100, after: CURSOR })],
  ['tasks, the oldest first', (on) => listChildren(on, 'task', { by: 'projectId', parents, first: 100, ascending: true, after: CURSOR })],
  ['tasks by update', (on) => listChildren(on, 'task', { by: 'projectId', parents, first: 100, order: 'updatedAt', after: CURSOR })],
  ['tasks by update, the oldest first', (on) => listChildren(on, 'task', { by: 'projectId', parents, first: 100, order: 'updatedAt', ascending: true })],
  ['tasks of a status', (on) => listChildren(on, 'task', { by: 'projectId', parents, filters: { status: 'DONE' }, first: 100, after: CURSOR })],
  ['tasks of an assignee', (on) => listChildren(on, 'task', { by: 'projectId', parents, filters: { assignedTo: 'agent 8' }, first: 100 })],
  ['tasks of a status and an assignee', (on) => listChildren(on, 'task', { by: 'projectId', parents, filters: { status: 'TO_DO', assignedTo: 'agent 8' }, first: 100 })],
  ['tasks of a sprint', (on) => listChildren(on, 'task', { by: 'sprintId', parents: [id(2, 7)], filters: { projectId: BIG }, first: 100 })],
  ['tasks of a sprint and a status', (on) => listChildren(on, 'task', { by: 'sprintId', parents: [id(2, 7)], filters: { projectId: BIG, status: 'DONE' }, first: 100 })],
  ['parts of a task', (on) => listChildren(on, 'task', { by: 'parentId', parents: [id(3, 2)], filters: { projectId: BIG }, first: 100, after: { value: Date.now() - 1_000_000, id: id(3, 9) } })],
  ['tasks of many projects at once', (on) => listChildren(on, 'task', { by: 'projectId', parents: Array.from({ length: 20 }, (_, i) => id(1, i + 1)), first: 20 })],
  ['tasks by ids', (on) => childrenByIds(on, 'task', [id(3, 1), id(3, 999_999)])],
  ['sprints', (on) => listChildren(on, 'sprint', { by: 'projectId', parents, first: 100 })],
  ['sprints of a status', (on) => listChildren(on, 'sprint', { by: 'projectId', parents, filters: { status: 'ACTIVE' }, first: 20 })],
  ['tickets of a status', (on) => listChildren(on, 'ticket', { by: 'projectId', parents, filters: { status: 'OPEN' }, first: 100 })],
  ['tickets of a priority', (on) => listChildren(on, 'ticket', { by: 'projectId', parents, filters: { priority: 'HIGH' }, first: 100 })],
  ['requirements of a status', (on) => listChildren(on, 'requirement', { by: 'projectId', parents, filters: { status: 'DRAFT' }, first: 100 })],
  ['all projects', (on) => listProjects(on, { first: 100, after: { value: Date.now() - 3_600_000, id: id(1, 60) } })],
  ['all projects by name', (on) => listProjects(on, { order: 'name', ascending: true, first: 100, after: { value: 'project 5', id: id(1, 5) } })],
  ['all projects of a status', (on) => listProjects(on, { status: 'ACTIVE', first: 100 })],
  ['the project of a namespace', (on) => listProjects(on, { namespace: 'ns-77', first: 1 })],
  ['members', (on) => listMembers(on, parents, undefined, 100)],
  ['whether runs stand', (on) => runsStand(on, new Map([[id(4, 1), 1], [id(4, 2), 1]]))],
  ['runs of tasks', (on) => listTaskRuns(on, [id(3, 1), id(3, 2), id(3, 3)], undefined, 20)],
  ['changes', (on) => listProjectEvents(on, BIG, 10_000, 100)],
  ['projects by ids', (on) => projectsByIds(on, [id(1, 1), id(1, 20_000)])],
  ['runs', (on) => listRuns(on, { namespaces: ['ns-1'], first: 100 })],
  ['runs, a later page', (on) => listRuns(on, { namespaces: ['ns-1'], first: 100, after: { createdAt: CURSOR.value, id: id(4, 7) } })],
  ['runs of a workflow', (on) => listRuns(on, { namespaces: ['ns-1'], workflow: 'wf-8', first: 100 })],
  ['runs of a phase', (on) => listRuns(on, { namespaces: ['ns-1'], phase: 'Running', first: 100 })],
];

test.each(LISTS)('%s: by an index, with few blocks', async (_, call) => {
  const plans: Plan[] = [];
  const look = async (statement: Statement, values: readonly unknown[]): Promise<void> => {
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${statement.text}`, [...values]);
    plans.push(...rows.map((row) => row['QUERY PLAN'][0].Plan));
  };
  await call({ query: async (statement, values) => {
    await look(statement, values);
    return db.query(statement, values);
  } });
  expect(plans.length).toBeGreaterThan(0);
  expect(plans.flatMap((plan) => scans(plan))).toEqual([]);
  for (const plan of plans) expect(blocksOf(plan)).toBeLessThan(MOST_BUFFERS);
});

test('projects within the reach of a user who works on many: no table is read from end to end', async () => {
  const found: string[] = [];
  await listProjects({ query: async (statement, values) => {
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(`EXPLAIN (FORMAT JSON) ${statement.text}`, [...values]);
    found.push(...rows.flatMap((row) => scans(row['QUERY PLAN'][0].Plan)));
    return db.query(statement, values);
  } }, { userId: id(0, 1), first: 20 });
  expect(found).toEqual([]);
});

test('pages of a project with half a million tasks follow one another without a gap or a repetition', async () => {
  const times: number[] = [];
  const seen = new Set<string>();
  let after: { value: number; id: string } | undefined;
  let before = Infinity;
  for (let i = 0; i < 300; i++) {
    const begun = performance.now();
    const [page] = await listChildren(db, 'task', { by: 'projectId', parents, first: 100, ...(after === undefined ? {} : { after }) });
    times.push(performance.now() - begun);
    const rows = page?.rows ?? [];
    for (const row of rows) seen.add(row.id);
    const last = rows.at(-1);
    expect([rows.length, Number(last?.createdAt) <= before]).toEqual([100, true]);
    before = Number(last?.createdAt);
    after = last === undefined ? undefined : { value: Number(last.createdAt), id: last.id };
  }
  expect(seen.size).toBe(30_000);
  times.sort((a, b) => a - b);
  // A figure, not a gate: the machine of a test is busy with others.
  process.stderr.write(`    figure: a page of 100 of half a million tasks: p50 ${(times[150] ?? 0).toFixed(1)} ms, p99 ${(times[296] ?? 0).toFixed(1)} ms (aim ${PAGE_MS} ms over HTTP)\n`);
});
