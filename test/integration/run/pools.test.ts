import { script, TestStack } from '../../harness/test-stack.ts';

/** Runner pools from the outside: conditions, pods that fail, pods that ended, the mirror the API reads. */

let t: TestStack;
beforeAll(async () => { t = await TestStack.start({ api: true }); }, 120_000);
afterAll(async () => { await t.stop(); });

function pool(name: string, spec: object): object {
  return { apiVersion: 'rambo.dev/v1alpha1', kind: 'RunnerPool', metadata: { name, namespace: 'default' }, spec };
}

async function mirrored(): Promise<readonly string[]> {
  const query = '{ runnerPools(namespace: "default") { edges { node { name } } } }';
  const body = await t.ask<{ data: { runnerPools: { edges: readonly { node: { name: string } }[] } } }>(query);
  return body.data.runnerPools.edges.map((edge) => edge.node.name);
}

test('becomes Ready for kubectl wait, is listed over GraphQL, and is gone from there when deleted', async () => {
  await t.apply(pool('warm', { minReady: 1 }));
  await t.stack.kubectl.run('wait', '--for=condition=Ready', 'runnerpool/warm', '--timeout=30s');
  expect(await mirrored()).toContain('warm');
  await t.stack.kubectl.run('delete', 'runnerpool', 'warm');
  await t.until('the mirror to go', async () => !(await mirrored()).includes('warm'));
});

test('deleted while no controller runs: the mirror goes when one is back', async () => {
  await t.apply(pool('brief', { minReady: 0 }));
  await t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'Workflow', metadata: { name: 'brief', namespace: 'default' }, spec: { nodes: [{ name: 'a', type: 'transform', with: { output: 1 } }] } });
  await t.until('both mirrors', async () => (await mirrored()).includes('brief') && (await t.sql('select 1 from workflow where name = $1', ['brief'])).length === 1);
  await t.stack.child('controller-0').stop();
  await t.stack.kubectl.run('delete', 'runnerpool/brief', 'workflow/brief');
  t.stack.startController('controller-0');
  await t.until('the mirrors to go', async () => !(await mirrored()).includes('brief') && (await t.sql('select 1 from workflow where name = $1', ['brief'])).length === 0);
});

test('an image that cannot be pulled is said in Stalled, with the pod and the reason', async () => {
  await t.apply(pool('broken', { minReady: 1, image: 'nowhere.invalid/none:1' }));
  await t.stack.kubectl.run('wait', '--for=condition=Stalled', 'runnerpool/broken', '--timeout=30s');
  const stalled = await t.stack.kubectl.run('get', 'runnerpool', 'broken', '-o', 'jsonpath={.status.conditions[?(@.type=="Stalled")].reason}');
  expect(stalled).toBe('PodsFailing');
});

test('with reuse Never each node has a pod, and pods that ended are removed', async () => {
  await t.pool({ minReady: 1, max: 2, reuse: 'Never' }, 'single');
  const nodes = ['a', 'b', 'c'].map((name) => script(name, 'export default () => process.ppid;', { runner: { pool: 'single' } }));
  const { metadata } = await t.startInline(nodes, { workflow: { outputs: { runners: '${{ [nodes.a.output, nodes.b.output, nodes.c.output] }}' } } });
  const { status } = await t.finished(metadata.name);
  expect(status?.phase).toBe('Succeeded');
  const { runners }: { runners: readonly number[] } = status?.outputs as never;
  expect(new Set(runners).size).toBe(3);
  const recorded = await t.sql<{ runner: string | null }>('select runner from attempt where run_id = $1', [metadata.uid]);
  expect(new Set(recorded.map((row) => row.runner)).size).toBe(3);
  for (const { runner } of recorded) expect(runner).toMatch(/^single-/);
  await t.until('ended pods to go', async () => {
    const phases = await t.stack.kubectl.run('get', 'pods', '-l', 'rambo.dev/pool=single', '-o', 'jsonpath={.items[*].status.phase}');
    return !/Succeeded|Failed/.test(phases);
  });
});

interface Ran { readonly run: string; readonly runner: string; readonly from: Date; readonly to: Date }

/** Two runs of two nodes side by side in a pool; when and where each node ran. */
async function twoRuns(name: string): Promise<{ readonly first: readonly Ran[]; readonly second: readonly Ran[] }> {
  const nodes = ['a', 'b'].map((node) => script(node, 'export default () => new Promise((r) => setTimeout(r, 700));', { runner: { pool: name } }));
  const runs = [await t.startInline(nodes), await t.startInline(nodes)];
  for (const { metadata } of runs) expect((await t.finished(metadata.name)).status?.phase).toBe('Succeeded');
  const rows = await t.sql<Ran>('select run_id run, runner, started_at "from", finished_at "to" from attempt where run_id = any ($1::uuid[]) order by started_at', [runs.map((run) => run.metadata.uid)]);
  const [earliest] = rows;
  return { first: rows.filter((row) => row.run === earliest?.run), second: rows.filter((row) => row.run !== earliest?.run) };
}

const latest = (rows: readonly Ran[]): number => Math.max(...rows.map((row) => row.to.getTime()));
const soonest = (rows: readonly Ran[]): number => Math.min(...rows.map((row) => row.from.getTime()));

test('with reuse Run a pod has one run at a time: nodes of one run side by side, those of another afterwards', async () => {
  await t.pool({ minReady: 1, max: 1, slots: 4, reuse: 'Run' }, 'alone');
  const { first, second } = await twoRuns('alone');
  expect([first.length, second.length]).toEqual([2, 2]);
  expect((first[1]?.from.getTime() ?? 0)).toBeLessThan(first[0]?.to.getTime() ?? 0);
  // Starts are told by the runner's clock, ends as the controller recorded them; side by side they would overlap by 700 ms.
  expect(soonest(second)).toBeGreaterThan(latest(first) - 200);
});

test('with reuse Run and room for another pod, a second run gets one of its own', async () => {
  await t.apply(pool('apart', { minReady: 0, max: 2, slots: 4, reuse: 'Run' }));
  const { first, second } = await twoRuns('apart');
  const [one, two] = [new Set(first.map((row) => row.runner)), new Set(second.map((row) => row.runner))];
  expect([...one].filter((runner) => two.has(runner) && soonest(second) < latest(first))).toEqual([]);
  const pods = await t.stack.kubectl.run('get', 'pods', '-l', 'rambo.dev/pool=apart', '-o', 'name');
  expect(pods.trim().split('\n')).toHaveLength(2);
});
