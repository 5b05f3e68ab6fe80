import pg from 'pg';
import { SESSION } from '../../../prisma/store/db.ts';
import {
  commitBatch, deletePool, deleteWorkflow, dueTimers, type Executor, findIdempotent, FIRST_ID, getPool, getRun, getRunByName, getRunDefinition, getWorkflow,
  listAttempts, listDeadLetters, listEvents, listNodes, listPools, listRuns, listWorkflowNodes, listWorkflows, loadLiveRuns, loadOutbox, loadRuns,
  markProjected, runsByUids, type RunWrite, type Statement, unprojectedRuns,
} from '../../../prisma/store/index.ts';
import { createWrite, nodeRow, progress, write } from '../../harness/rows.ts';
import { type Fixture, newRun, openFixture } from './fixture.ts';
import { scans, type Plan } from '../../harness/plans.ts';

/** Enough rows that a scan of the table is never the cheaper way. */
const FILL = `
TRUNCATE run, definition, node_run, attempt, run_event, outbox, timer, idempotency;
INSERT INTO definition SELECT 'hash-' || i, '{}' FROM generate_series(1, 3000) i;
INSERT INTO run (id, namespace, name, uid, source, shard, workflow, definition_hash, input, principal, created_at, phase, finished_at, projected_final)
  SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'ns-' || i % 20, 'run-' || i, CASE WHEN i % 2 = 0 THEN 'uid-' || i END, 'api', i % 256, 'wf-' || i % 50,
    'hash-' || (i % 3000 + 1), '{}', 'alice', timestamptz '2026-01-01' + i * interval '1 s', CASE WHEN i % 20 = 0 THEN 'Running' ELSE 'Succeeded' END,
    CASE WHEN i % 20 = 0 THEN NULL ELSE now() END, i % 40 <> 2 FROM generate_series(1, 20000) i;
INSERT INTO node_run (run_id, node, item, status, attempt, retries, infra) SELECT id, 'n' || n, -1, 'Succeeded', 1, 0, 0 FROM run, generate_series(1, 3) n;
INSERT INTO attempt (run_id, node, item, attempt, status, finished_at) SELECT run_id, node, item, 1, 'Succeeded', now() FROM node_run;
INSERT INTO run_event (run_id, seq, at, kind) SELECT id, n, now(), 'X' FROM run, generate_series(1, 4) n;
INSERT INTO outbox (shard, run_id, node, item, attempt, send) SELECT shard, id, 'n', -1, 1, 1 FROM run;
INSERT INTO timer (run_id, timer, shard, due_at) SELECT id, 'timeout', shard, created_at FROM run;
INSERT INTO idempotency SELECT 'ns-' || i % 20, 'alice', 'k' || i, gen_random_uuid(), 'h', now() + interval '1 day' FROM generate_series(1, 5000) i;
INSERT INTO workflow SELECT 'ns-' || i % 200, 'wf-' || i, 'u' || i, 1, '1', '{}', 'h', 'Ready', 1, NULL, NULL, now() FROM generate_series(1, 5000) i;
INSERT INTO workflow_node SELECT namespace, name, 'n' || n, n, 'script', '{}' FROM workflow, generate_series(1, 3) n;
INSERT INTO runner_pool SELECT 'ns-' || i % 200, 'pool-' || i, 'u' || i, 1, '1', '{}', NULL, now() FROM generate_series(1, 5000) i;
INSERT INTO dead_letter (subject, reason, payload) SELECT 's', 'r', 'x' FROM generate_series(1, 3000);
`;

let fixture: Fixture;
let client: pg.Client;
const empty = new Map<string, readonly string[]>();

beforeAll(async () => {
  fixture = await openFixture({ store: { statementTimeoutMs: 60_000 } });
  const production = new pg.Client({ connectionString: fixture.url, options: SESSION });
  await production.connect();
  for (const [name, call] of HOT) {
    await call(recorder(async (statement) => {
      const { rows } = await production.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(`EXPLAIN (GENERIC_PLAN, FORMAT JSON) ${statement.text}`);
      empty.set(name, [...empty.get(name) ?? [], ...rows.flatMap((row) => scans(row['QUERY PLAN'][0].Plan, ['shard']))]);
    }));
  }
  await production.end();
  client = new pg.Client({ connectionString: fixture.url });
  await client.connect();
  await client.query(FILL);
  await client.query('VACUUM ANALYZE');
}, 120_000);
afterAll(async () => {
  await client.end();
  await fixture.close();
});

/** Hands every statement to `look` and then runs it for real. */
function recorder(look: (statement: Statement, values: readonly unknown[]) => Promise<void>): Executor {
  return {
    query: async (statement, values) => {
      await look(statement, values);
      return fixture.db.query(statement, values);
    },
  };
}

function idOf(i: number): string {
  return `00000000-0000-7000-8000-${i.toString(16).padStart(12, '0')}`;
}

function full(base: RunWrite): RunWrite {
  return {
    ...base, nodes: [nodeRow('n1')], events: [{ seq: 9, at: 1, kind: 'X', node: null, item: null, attempt: null, reason: null, principal: null }],
    attempts: [{ node: 'n1', item: -1, attempt: 2, status: 'Failed', error: null, queuedAt: null, startedAt: null, finishedAt: 1, pod: null, runner: null }],
    outbox: [{ node: 'n', item: -1, attempt: 1, send: 1 }], timers: [{ timer: 't', dueAt: 1 }], clearTimers: ['u'],
  };
}

const SHARDS = [...Array(256).keys()];
const NAMESPACES = ['ns-1', 'ns-2'];
const CURSOR = { createdAt: Date.UTC(2026, 0, 1, 2), id: idOf(7_200) };
const HOT: readonly (readonly [string, (db: Executor) => Promise<unknown>])[] = [
  ['commitBatch', (db) => {
    const fresh = Array.from({ length: 5 }, newRun).map(({ id, shard }) => full(createWrite(id, shard, progress(), { idempotency: { key: id, bodyHash: 'h', expiresAt: Date.now() + 1e6 } })));
    const moved = Array.from({ length: 50 }, (_, i) => full(write(idOf(20 * (i + 1)), (20 * (i + 1)) % 256, 1)));
    const ended = write(idOf(4_000), 4_000 % 256, 1, progress({ phase: 'Succeeded', finishedAt: 1 }));
    return commitBatch(db, { owner: 'me', shards: fixture.shards, writes: [...fresh, ...moved, ended], published: ['1', '2', '3'] });
  }],
  ['commitBatch, published only', (db) => commitBatch(db, { owner: 'me', shards: [], writes: [], published: ['5'] })],
  ['loadRuns', (db) => loadRuns(db, [idOf(1), idOf(2)])],
  ['loadLiveRuns', (db) => loadLiveRuns(db, SHARDS, FIRST_ID, 100)],
  ['loadLiveRuns, a few shards', (db) => loadLiveRuns(db, [1, 2, 3], idOf(400), 100)],
  ['loadOutbox', (db) => loadOutbox(db, [1, 2], '0', 100)],
  ['dueTimers', (db) => dueTimers(db, SHARDS, Date.UTC(2026, 0, 1, 0, 1), 100)],
  ['findIdempotent', (db) => findIdempotent(db, 'ns-1', 'alice', 'k1')],
  ['runsByUids', (db) => runsByUids(db, ['uid-2', 'uid-4'])],
  ['markProjected', (db) => markProjected(db, [{ run: idOf(2), version: 1 }])],
  ['unprojectedRuns', (db) => unprojectedRuns(db, SHARDS, FIRST_ID, 100)],
  ['getRun', (db) => getRun(db, idOf(1))],
  ['getRunByName', (db) => getRunByName(db, 'ns-1', 'run-1')],
  ['getRunDefinition', (db) => getRunDefinition(db, idOf(1))],
  ['listRuns', (db) => listRuns(db, { namespaces: NAMESPACES, first: 50 })],
  ['listRuns, after', (db) => listRuns(db, { namespaces: NAMESPACES, first: 50, after: CURSOR })],
  ['listRuns, before', (db) => listRuns(db, { namespaces: NAMESPACES, first: 50, before: CURSOR })],
  ['listRuns, workflow', (db) => listRuns(db, { namespaces: NAMESPACES, workflow: 'wf-1', first: 50, after: CURSOR })],
  ['listRuns, phase', (db) => listRuns(db, { namespaces: ['ns-0'], phase: 'Running', first: 50, after: CURSOR })],
  ['listRuns, workflow and phase', (db) => listRuns(db, { namespaces: ['ns-0'], workflow: 'wf-0', phase: 'Running', first: 50 })],
  ['listNodes', (db) => listNodes(db, idOf(1), { node: 'n1', item: -1 }, 50)],
  ['listAttempts', (db) => listAttempts(db, idOf(1), undefined, 50)],
  ['listEvents', (db) => listEvents(db, idOf(1), 1, 50)],
  ['getWorkflow', (db) => getWorkflow(db, 'ns-1', 'wf-1')],
  ['listWorkflows', (db) => listWorkflows(db, NAMESPACES, { namespace: 'ns-1', name: 'a' }, 50)],
  ['listWorkflowNodes', (db) => listWorkflowNodes(db, 'ns-1', 'wf-1')],
  ['deleteWorkflow', (db) => deleteWorkflow(db, 'ns-1', 'wf-1', 'none')],
  ['getPool', (db) => getPool(db, 'ns-1', 'pool-1')],
  ['listPools', (db) => listPools(db, NAMESPACES, undefined, 50)],
  ['deletePool', (db) => deletePool(db, 'ns-1', 'pool-1', 'none')],
  ['listDeadLetters', (db) => listDeadLetters(db, '100', 10)],
];

test.each(HOT)('%s reads no table from end to end, with the planner as it comes', async (_, call) => {
  const found: string[] = [];
  await call(recorder(async (statement, values) => {
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(`EXPLAIN (FORMAT JSON) ${statement.text}`, [...values]);
    found.push(...rows.flatMap((row) => scans(row['QUERY PLAN'][0].Plan, ['shard'])));
  }));
  expect(found).toEqual([]);
});

test.each(HOT)('%s: nor does the plan that a session makes on empty tables and keeps', (name) => {
  expect(empty.get(name)).toEqual([]);
});
