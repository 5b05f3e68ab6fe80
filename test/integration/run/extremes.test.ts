import { GUARD } from '../../chaos/site.ts';
import { chain, script, TestStack } from '../../harness/test-stack.ts';

/** Two controllers, one of which has a clock that is ten minutes fast; and what else goes to the edge. The numbers are those of the reliability page. */

const SKEW_MS = 600_000;
let t: TestStack;
beforeAll(async () => {
  t = await TestStack.start({ controllers: 2, api: true, bundles: { folder: 'chaos', env: { RAMBO_CHAOS_CLOCK_MS: `controller-1=${SKEW_MS}` } } });
  await t.sql(GUARD);
  await t.pool({ minReady: 1, max: 1, slots: 4, reuse: 'Shared' });
}, 120_000);
afterAll(async () => { await t.stop(); });
afterEach(async () => { expect(await t.sql('select run, writer, owner from chaos_stale')).toEqual([]); });

async function both(): Promise<void> {
  await t.until('both to have a part of the shards', async () => {
    const { 'controller-0': a = 0, 'controller-1': b = 0 } = await t.shardOwners();
    return a > 100 && b > 100;
  });
}

/** Starts runs over the API at once; their ids. */
async function start(count: number, input: object): Promise<readonly string[]> {
  const query = 'mutation($i: [StartRunInput!]!) { r: startRuns(inputs: $i) { results { ... on RunPayload { run { id } } } } }';
  const ids: string[] = [];
  for (let left = count; left > 0; left -= 50) {
    const i = Array.from({ length: Math.min(50, left) }, () => ({ namespace: 'default', ...input }));
    const { data } = await t.ask<{ data: { r: { results: readonly { run: { id: string } }[] } } }>(query, { i });
    ids.push(...data.r.results.map((result) => result.run.id));
  }
  return ids;
}

test('F34: a clock ten minutes fast on one of two: leases go by the clock of Postgres, so the shards stay where they are, and move when an owner dies', async () => {
  await both();
  const before = await t.sql('select id, owner from shard order by id');
  const nodes = [{ name: 'a', type: 'wait', with: { duration: '300ms' } }, { name: 'b', type: 'transform', dependsOn: ['a'], with: { output: 1 }, runner: { isolation: 'warm' } },
    script('c', 'export default () => new Promise((r) => setTimeout(r, 200))', { dependsOn: ['b'], timeout: '20s' })];
  await t.succeeded(await start(40, { definition: { nodes } }), 60_000);
  expect(await t.sql('select id, owner from shard order by id')).toEqual(before);
  const times = await t.sql<{ owner: string; early: boolean }>("select s.owner, bool_or(r.started_at > now() + interval '5 minutes') early from run r join shard s on s.id = r.shard group by 1 order by 1");
  // The fast one did write: what it says about time is wrong, what it holds is not.
  expect(times.map(({ owner, early }) => [owner.replace(/-[^-]+$/, ''), early])).toEqual([['controller-0', false], ['controller-1', true]]);
  const ids = await start(40, { definition: { nodes } });
  t.stack.child('controller-0').kill();
  await t.succeeded(ids, 60_000);
  t.stack.child('controller-1').kill();
  await t.succeeded(await start(10, { definition: { nodes } }), 60_000);
  await both();
});

test('F35: nodes that keep both cores busy for longer than a lease are not lost: busy is not dead', async () => {
  const busy = 'export default () => { const end = Date.now() + 12_000; while (Date.now() < end); return process.env.RAMBO_ATTEMPT; }';
  const ids = await start(2, { definition: { nodes: [script('busy', busy)] } });
  await t.succeeded(ids, 60_000);
  expect(await t.sql('select attempt, status from attempt where run_id = any ($1::uuid[])', [ids])).toEqual([{ attempt: 1, status: 'Succeeded' }, { attempt: 1, status: 'Succeeded' }]);
}, 90_000);

test('F36: 600 runs wait for runners that do not exist; a small run that comes last does not wait for all of them, one of higher priority for none', async () => {
  await t.stack.kubectl.run('delete', 'runnerpool', 'later', '--ignore-not-found');
  const warm = (n: number): object[] => chain(n, true).map((node) => ({ ...node, runner: { isolation: 'warm', pool: 'later' } }));
  await t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'Workflow', metadata: { name: 'wide', namespace: 'default' }, spec: { nodes: [
    { name: 'fan', type: 'transform', forEach: 'range(2000)', with: { output: '${{ item }}' }, runner: { isolation: 'warm', pool: 'later' } }] } });
  await t.stack.kubectl.run('wait', '--for=condition=Ready', 'workflow/wide', '--timeout=30s');
  const many = await start(600, { definition: { nodes: warm(3) } });
  const wide = await start(4, { workflow: 'wide' });
  const urgent = await start(4, { definition: { nodes: warm(1) }, priority: 10 });
  expect(await t.sql("select 1 from node_run where run_id = any ($1::uuid[]) and (item >= 0 or node <> 'fan') and status in ('Running', 'Succeeded')", [[...many, ...wide, ...urgent]])).toEqual([]);
  await t.pool({ minReady: 1, max: 1, slots: 4, reuse: 'Shared' }, 'later');
  await t.succeeded([...many, ...wide, ...urgent], 120_000);
  // Per controller, because their clocks differ: those of `first` that ended after some of `then`.
  const late = async (first: readonly string[], then: readonly string[]): Promise<object> => t.sql(
    `select a.id from run a join shard sa on sa.id = a.shard where a.id = any ($1::uuid[]) and a.finished_at > (
       select min(b.finished_at) from run b join shard sb on sb.id = b.shard where b.id = any ($2::uuid[]) and sb.owner = sa.owner)`, [first, then]);
  expect(await late(urgent, [...many, ...wide])).toEqual([]);
  // Each run has one node in turn: the chains of three are through long before the fan-outs of 2,000 that stand beside them.
  expect(await late(many, wide)).toEqual([]);
}, 200_000);

describe('F28: the admission policies are gone', () => {
  beforeAll(async () => {
    for (const kind of ['validatingadmissionpolicybinding', 'validatingadmissionpolicy']) await t.stack.kubectl.run('delete', kind, '-l', 'app.kubernetes.io/part-of=rambo', '--ignore-not-found');
    await t.stack.kubectl.run('delete', 'validatingadmissionpolicybinding', '--all');
  });

  test('a definition they would have refused ends its run as Invalid and says where', async () => {
    const { metadata } = await t.until('the object to be let in', async () => t.startInline([{ name: 'a', type: 'transform', with: { output: 1 } }], { workflow: { outputs: { 'X_': 1 } } }).catch(() => undefined));
    const { status } = await t.finished(metadata.name);
    expect(status?.phase).toBe('Failed');
    expect(status?.failures?.[0]).toMatchObject({ reason: 'Invalid' });
    expect(JSON.stringify(status?.failures)).toContain('X_');
  });
});
