import { startLoad } from './load.ts';
import { figure, pause, RELEASE, Site, SYSTEM, until } from './site.ts';

/** Rollouts, drains and restarts while runs are in flight: nothing is lost, nothing is done twice. */

let site: Site;
beforeAll(() => { site = Site.shared(); });
afterAll(async () => { await site.close(); });

const IMAGE = 'rambo/runner:dev';
const POOL = 'steady';

/** Chains that move on every few hundred milliseconds: a wait of the controller, then a node of a runner. */
function steady(n: number): object[] {
  return Array.from({ length: n }, (_, i) => [
    { name: `w${i}`, type: 'wait', with: { duration: '200ms' }, ...(i === 0 ? {} : { dependsOn: [`t${i - 1}`] }) },
    { name: `t${i}`, type: 'transform', dependsOn: [`w${i}`], with: { output: i }, runner: { isolation: 'warm', pool: POOL } },
  ]).flat();
}

async function pool(): Promise<void> {
  await site.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'RunnerPool', metadata: { name: POOL, namespace: 'default' }, spec: { minReady: 2, max: 2, slots: 32, reuse: 'Shared' } });
  await until('two ready runners', async () => (await site.pods('default', `rambo.dev/pool=${POOL}`)).filter((pod) => pod.status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True')).length >= 2, 90_000);
}

async function startRuns(n: number, length: number): Promise<readonly string[]> {
  const starts = Array.from({ length: n }, () => site.ask<{ startRun: { run: { id: string } } }>(
    'mutation($i: StartRunInput!) { startRun(input: $i) { ... on RunPayload { run { id } } } }', { i: { namespace: 'default', definition: { nodes: steady(length) } } }));
  return (await Promise.all(starts)).map(({ startRun }) => startRun.run.id);
}

/** Waits for the end of all runs; what the books say of them. */
async function ended(ids: readonly string[]): Promise<{ readonly phases: readonly string[]; readonly doubled: number; readonly again: number; readonly lost: number }> {
  await until('all runs to end', async () => (await site.sql(`SELECT 1 FROM run WHERE id = ANY ($1::uuid[]) AND finished_at IS NULL`, [ids])).length === 0, 120_000);
  const runs = await site.sql<{ phase: string }>('SELECT DISTINCT phase FROM run WHERE id = ANY ($1::uuid[])', [ids]);
  const [books] = await site.sql<{ doubled: number; again: number; lost: number }>(`
    WITH place AS (SELECT n.run_id, n.node, n.item, n.status, count(a.*) FILTER (WHERE a.status = 'Succeeded') AS good, count(a.*) AS tries
      FROM node_run n LEFT JOIN attempt a USING (run_id, node, item) WHERE n.run_id = ANY ($1::uuid[]) GROUP BY 1, 2, 3, 4)
    SELECT count(*) FILTER (WHERE good > 1)::int AS doubled, count(*) FILTER (WHERE tries > 1)::int AS again,
      count(*) FILTER (WHERE status <> 'Succeeded' OR (good = 0 AND node LIKE 't%'))::int AS lost FROM place`, [ids]);
  const finished = await site.sql<{ n: number }>(
    `SELECT count(*)::int AS n FROM (SELECT run_id, node, item FROM run_event WHERE run_id = ANY ($1::uuid[]) AND kind = 'NodeSucceeded' GROUP BY 1, 2, 3 HAVING count(*) > 1) twice`, [ids]);
  return { phases: runs.map((row) => row.phase), doubled: (books?.doubled ?? -1) + (finished[0]?.n ?? -1), again: books?.again ?? -1, lost: books?.lost ?? -1 };
}

/** The longest time in which none of these runs got on, in seconds. */
async function longestPause(ids: readonly string[]): Promise<{ readonly all: number; readonly one: number }> {
  const [row] = await site.sql<{ everyone: number; one: number }>(`
    WITH e AS (SELECT run_id, at, at - lag(at) OVER (ORDER BY at) AS everyone, at - lag(at) OVER (PARTITION BY run_id ORDER BY at) AS one FROM run_event WHERE run_id = ANY ($1::uuid[]))
    SELECT extract(epoch FROM max(everyone))::float AS everyone, extract(epoch FROM max(one))::float AS one FROM e`, [ids]);
  return { all: row?.everyone ?? -1, one: row?.one ?? -1 };
}

test('a rollout of the controller with runs in flight loses no node, does none twice, and pauses progress for seconds at most', async () => {
  await pool();
  const ids = await startRuns(20, 40);
  await pause(2_000);
  const began = performance.now();
  await site.kubectl.run('rollout', 'restart', `deploy/${RELEASE}-controller`, '-n', SYSTEM);
  await site.rolledOut(`deploy/${RELEASE}-controller`);
  const took = (performance.now() - began) / 1_000;
  const books = await ended(ids);
  expect(books).toMatchObject({ phases: ['Succeeded'], doubled: 0, lost: 0 });
  const { all, one } = await longestPause(ids);
  figure('rollout of two controllers', `${took.toFixed(1)} s; longest pause of all runs ${all.toFixed(2)} s, of one run ${one.toFixed(2)} s (aim 5 s); nodes tried again: ${books.again}`);
}, 300_000);

test('a rolling restart of the API under load: no request fails', async () => {
  const ids = await startRuns(1, 1);
  const load = startLoad({
    url: `http://${await site.service(`${RELEASE}-api`)}/graphql`,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${await site.token()}` },
    body: JSON.stringify({ query: 'query($id: ID!) { run(id: $id) { id phase } }', variables: { id: ids[0] } }),
  }, 8, (body) => body.includes(`"${ids[0] ?? ''}"`));
  await site.kubectl.run('rollout', 'restart', `deploy/${RELEASE}-api`, '-n', SYSTEM);
  await site.rolledOut(`deploy/${RELEASE}-api`);
  await pause(8_000); // the last old one ends its requests
  const result = await load.stop();
  figure('rolling restart of the API under load', `${result.requests} requests, ${result.failed.length} failed, p50 ${result.p50.toFixed(0)} ms, p99 ${result.p99.toFixed(0)} ms, slowest ${result.slowest.toFixed(0)} ms`);
  expect(result.failed.slice(0, 5)).toEqual([]);
  expect(result.requests).toBeGreaterThan(200);
}, 300_000);

test('a drained node: its runners and pods of nodes move, controller and API keep a replica, every run succeeds', async () => {
  await pool();
  const target = (await site.pods('default', `rambo.dev/pool=${POOL}`))[0]?.spec.nodeName ?? 'kubelet-1';
  const ids = await startRuns(10, 60);
  const own = await site.start([{ name: 'own', type: 'container', runner: { nodeSelector: { 'kubernetes.io/hostname': target } }, with: { image: IMAGE, command: ['bash', '-c', 'sleep 20; echo 1 > "$RAMBO_OUTPUT_FILE"'] } }]);
  await until('its pod to run', async () => (await site.pods('default', `rambo.dev/run-id=${own.metadata.uid}`))[0]?.status.phase === 'Running');
  try {
    await site.kubectl.run('drain', target, '--ignore-daemonsets', '--delete-emptydir-data', '--force', '--timeout=150s');
    const left = await site.get<{ items: readonly { metadata: { name: string } }[] }>('pods', '-A', '--field-selector', `spec.nodeName=${target},status.phase=Running`);
    expect(left.items).toEqual([]);
  } finally {
    await site.kubectl.run('uncordon', target);
  }
  expect((await site.finished(own.metadata.name, 150_000)).status?.phase).toBe('Succeeded');
  expect(await ended(ids)).toMatchObject({ phases: ['Succeeded'], doubled: 0, lost: 0 });
  for (const workload of ['controller', 'api']) await site.rolledOut(`deploy/${RELEASE}-${workload}`);
}, 420_000);
