import type { DatabaseFacts } from '../../prisma/backup/index.ts';
import type { ClusterFacts, Facts, ObjectFact, PodFact, ProcessFact } from './facts.ts';
import { findings } from './findings.ts';

const A = { name: '1_a', checksum: 'a' };
const B = { name: '2_b', checksum: 'b' };
const NOW = 1_764_000_000_000;

function database(over: Partial<DatabaseFacts> = {}): DatabaseFacts {
  return {
    serverVersion: '18', now: NOW, migrations: [A, B], unfinished: [], shards: [{ owner: 'controller-0-1', shards: 257, live: true }], replicas: [], phases: [], held: [],
    restorations: [], outbox: { rows: 0, oldestSeconds: 0 }, deadLetters: { total: 0, lastDay: 0, latest: [] }, tables: [], longTransactions: [], settings: { fsync: 'on' }, unanswered: [], ...over,
  };
}

function cluster(over: Partial<ClusterFacts> = {}): ClusterFacts {
  return { version: 'v1.36', crds: [], workflows: [], pools: [], runs: {}, stalled: [], pods: [], events: [], unanswered: [], ...over };
}

function facts(over: Partial<Facts> = {}): Facts {
  return { at: NOW, version: '0', known: [A, B], database: database(), cluster: cluster(), processes: [], ...over };
}

function pool(over: Partial<ObjectFact> = {}): ObjectFact {
  return { namespace: 'team', name: 'default', minReady: 1, conditions: [], ...over };
}

function pod(state: string, over: Partial<PodFact> = {}, message?: string): PodFact {
  const ready = state === 'running';
  return { namespace: 'team', name: 'p', phase: ready ? 'Running' : 'Pending', ready, pool: 'default', containers: [{ name: 'runner', image: 'x', ready, restarts: 0, state, message, env: {} }], ...over };
}

const notReady: ProcessFact = { name: 'controller-0', ready: false, says: 'nats: not connected' };

test('nothing is wrong with what is well', () => {
  expect(findings(facts({ cluster: cluster({ pools: [pool()], pods: [pod('running')] }), processes: [{ name: 'c', ready: true, says: 'ready' }] }))).toEqual([]);
});

test.each<[string, Partial<Facts>, RegExp]>([
  ['no controller', { database: database({ shards: [{ owner: null, shards: 257, live: false }] }) }, /^no controller holds shards: no run moves/],
  ['leases that are over', { database: database({ shards: [{ owner: 'dead', shards: 257, live: false }] }) }, /^no controller holds shards/],
  ['some shards without owner', { database: database({ shards: [{ owner: 'c', shards: 200, live: true }, { owner: null, shards: 57, live: false }] }) }, /^57 of 257 shards have no owner/],
  ['a migration missing', { database: database({ migrations: [A] }) }, /^the database lacks 2_b/],
  ['no schema', { database: database({ migrations: [] }) }, /^the database has no schema/],
  ['a migration of another build', { database: database({ migrations: [A, { ...B, checksum: 'x' }] }) }, /^2_b in the database is of another build/],
  ['a migration half-recorded', { database: database({ unfinished: [{ name: '2_b', startedAt: 'noon', logs: 'no\nluck' }] }) }, /^migration 2_b was begun at noon and never finished: no/],
  ['runs that wait for a person', { database: database({ held: [{ id: 'i', namespace: 'n', name: 'r', review: 'restored' }] }) }, /^1 run waits for a person \(NeedsReview\): n\/r \(i\)/],
  ['dispatches that do not leave', { database: database({ outbox: { rows: 2, oldestSeconds: 90 } }) }, /^2 dispatches have not left, the oldest for 90 s/],
  ['durability off', { database: database({ settings: { fsync: 'off' } }) }, /fsync=off/],
  ['an image that cannot be pulled', { cluster: cluster({ pools: [pool()], pods: [pod('waiting: ImagePullBackOff', {}, 'no such image')] }) }, /^pool team\/default has no ready runner: ImagePullBackOff: no such image$/],
  ['a pool without pods', { cluster: cluster({ pools: [pool()] }) }, /^pool team\/default has no ready runner: it has no pods$/],
  ['a pod nobody can place', { cluster: cluster({ pools: [pool()], pods: [pod('unknown', { message: 'Unschedulable: 0/3 nodes' })] }) }, /no ready runner: Unschedulable: 0\/3 nodes/],
  ['a controller that crashes', { cluster: cluster({ pods: [pod('waiting: CrashLoopBackOff', { pool: undefined, namespace: 'rambo-system', name: 'controller' })] }) }, /^pod rambo-system\/controller is not well: CrashLoopBackOff/],
  ['a kind that is missing', { cluster: cluster({ crds: [{ name: 'workflows.rambo.dev', present: false, established: false, versions: [], missingFields: [] }] }) }, /^the kind workflows\.rambo\.dev is not installed/],
  ['a kind of an older release', { cluster: cluster({ crds: [{ name: 'w', present: true, established: true, versions: [], missingFields: ['spec.x'] }] }) }, /older release: it drops spec\.x/],
  ['a process that is not ready', { processes: [notReady] }, /^controller-0 is not ready: nats: not connected/],
  ['nothing that could be looked at', { database: { unseen: 'no URL' }, cluster: { unseen: 'no kubeconfig' } }, /^the database was not looked at/],
])('%s is a problem', (_, over, what) => {
  const found = findings(facts(over));
  expect(found[0]).toMatchObject({ kind: 'problem' });
  expect(found[0]?.what).toMatch(what);
  expect(found[0]?.todo).not.toBe('');
});

test.each<[string, Partial<Facts>, RegExp]>([
  ['a database nobody named', { database: { unseen: 'no URL' } }, /database was not looked at/],
  ['a newer schema', { database: database({ migrations: [A, B, { name: '3_c', checksum: 'c' }] }) }, /3_c, which this rambo does not know/],
  ['a pool that wants nothing and has nothing', { cluster: cluster({ pools: [pool({ minReady: 0 })], unanswered: ['its events: forbidden'] }) }, /did not tell its events/],
  ['one bad runner beside a good one', { cluster: cluster({ pools: [pool()], pods: [pod('running'), pod('waiting: ErrImagePull')] }) }, /has 1 ready runner, and one that does not/],
  ['a runner that is being made', { cluster: cluster({ pools: [pool({ minReady: 0 })], pods: [pod('waiting: ContainerCreating')], workflows: [{ namespace: 'n', name: 'w', phase: 'Invalid', conditions: [{ type: 'Ready', status: 'False', message: 'node a' }] }] }) }, /workflow n\/w is Invalid: node a/],
])('%s is a note', (_, over, what) => {
  const found = findings(facts(over));
  expect(found.map(({ kind }) => kind)).toEqual(['note']);
  expect(found[0]?.what).toMatch(what);
});

test('problems come before notes', () => {
  expect(findings(facts({ database: database({ migrations: [A, B, { name: '3_c', checksum: 'c' }], shards: [] , outbox: { rows: 1, oldestSeconds: 100 } }) })).map(({ kind }) => kind)).toEqual(['problem', 'problem', 'note']);
});
