import { ended, longestPause, startRuns, steadyPool } from './books.ts';
import { startLoad } from './load.ts';
import { figure, pause, RELEASE, Site, SYSTEM, until } from './site.ts';

/** Rollouts, drains and restarts while runs are in flight: nothing is lost, nothing is done twice. */

let site: Site;
beforeAll(() => { site = Site.shared(); });
afterAll(async () => { await site.close(); });

const IMAGE = 'rambo/runner:dev';
const POOL = 'steady';

const AIM_SECONDS = 5;

/** What the controllers said since then, one line each: for whoever asks why a hand-over took so long. */
async function saidByControllers(began: number): Promise<string> {
  const since = `--since=${Math.ceil((performance.now() - began) / 1_000) + 5}s`;
  const log = await site.kubectl.run('logs', '-n', SYSTEM, '-l', `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=controller`, '--prefix', '--timestamps', '--tail=80', since);
  return log.split('\n').map((line) => `    ${line.slice(0, 400)}`).join('\n');
}

test('a rollout of the controller with runs in flight loses no node, does none twice, and pauses progress for seconds at most', async () => {
  await steadyPool(site, POOL);
  const ids = await startRuns(site, 20, 40, POOL);
  await pause(2_000);
  const began = performance.now();
  await site.kubectl.run('rollout', 'restart', `deploy/${RELEASE}-controller`, '-n', SYSTEM);
  await site.rolledOut(`deploy/${RELEASE}-controller`);
  const took = (performance.now() - began) / 1_000;
  const books = await ended(site, ids);
  expect(books).toMatchObject({ phases: ['Succeeded'], doubled: 0, lost: 0 });
  const { all, one, between } = await longestPause(site, ids);
  figure('rollout of two controllers', `${took.toFixed(1)} s; longest pause of all runs ${all.toFixed(2)} s, of one run ${one.toFixed(2)} s (aim 5 s), between ${between}; nodes tried again: ${books.again}`);
  if (all > AIM_SECONDS) process.stderr.write(`${await saidByControllers(began)}\n`);
}, 300_000);

test('a rolling restart of the API under load: no request fails', async () => {
  const ids = await startRuns(site, 1, 1, POOL);
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
  await steadyPool(site, POOL);
  const target = (await site.pods('default', `rambo.dev/pool=${POOL}`))[0]?.spec.nodeName ?? 'kubelet-1';
  const ids = await startRuns(site, 10, 60, POOL);
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
  expect(await ended(site, ids)).toMatchObject({ phases: ['Succeeded'], doubled: 0, lost: 0 });
  for (const workload of ['controller', 'api']) await site.rolledOut(`deploy/${RELEASE}-${workload}`);
}, 420_000);
