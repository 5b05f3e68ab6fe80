import { ended, longestPause, startRuns, steadyPool, unfinished } from './books.ts';
import { CHART, figure, pause, RELEASE, Site, SYSTEM, until, VALUES } from './site.ts';

/**
 * The release before this one, as people have it installed, is upgraded to this one and taken back, with runs in flight. Not
 * among the others: it begins without a release, and builds another one (`make e2e FILE=upgrade`).
 */

let site: Site;
beforeAll(() => { site = Site.shared(); });
afterAll(async () => { await site.close(); });

const POOL = 'steady';

/** Runs that get on every two seconds, each at another moment: so a pause of all of them is one. */
async function startApart(n: number, length: number): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let i = 0; i < n; i++) {
    ids.push(...await startRuns(site, 1, length, POOL, '2s'));
    await pause(200);
  }
  return ids;
}

async function rolledOut(): Promise<void> {
  for (const workload of ['controller', 'api']) await site.rolledOut(`deploy/${RELEASE}-${workload}`);
}

/** Waits until all controllers are of one release: the last old one has ended too. */
async function controllersAre(tag: string): Promise<void> {
  await until(`controllers of ${tag} alone`, async () => JSON.stringify(await images()) === JSON.stringify([`rambo/controller:${tag}`]));
}

async function images(): Promise<readonly string[]> {
  const { items } = await site.get<{ items: readonly { spec: { containers: readonly { image: string }[] } }[] }>('pods', '-n', SYSTEM, '-l', `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=controller`, '--field-selector=status.phase=Running');
  return [...new Set(items.map(({ spec }) => spec.containers[0]?.image ?? ''))];
}

async function columns(): Promise<number> {
  const [row] = await site.sql<{ n: number }>(`SELECT count(*)::int AS n FROM information_schema.columns WHERE table_schema = 'public'`);
  return row?.n ?? 0;
}

test('N-1 to N and back, with runs in flight: the schema expands, no run fails, no node is lost or done twice', async () => {
  const previous = process.env['RAMBO_E2E_PREVIOUS'];
  if (previous === undefined) throw new Error('run this test with `make e2e FILE=upgrade`');
  await site.helm(['install', RELEASE, previous, '--namespace', SYSTEM, '--timeout', '5m'], { ...VALUES, image: { tag: 'previous' } });
  await rolledOut();
  await steadyPool(site, POOL);
  await controllersAre('previous');
  const narrow = await columns();
  const before = await startApart(10, 90);

  let began = performance.now();
  await site.helm(['upgrade', RELEASE, CHART, '--namespace', SYSTEM, '--timeout', '5m'], VALUES);
  await rolledOut();
  const upgrade = (performance.now() - began) / 1_000;
  await controllersAre('dev');
  expect(await columns()).toBeGreaterThan(narrow);
  const wide = await columns();
  expect(await unfinished(site, before)).toBeGreaterThan(0);
  const between = await startApart(10, 60);

  began = performance.now();
  await site.helm(['rollback', RELEASE, '1', '--namespace', SYSTEM, '--timeout', '5m']);
  await rolledOut();
  const back = (performance.now() - began) / 1_000;
  await controllersAre('previous');
  expect(await columns()).toBe(wide);
  expect(Math.min(await unfinished(site, before), await unfinished(site, between))).toBeGreaterThan(0);
  const after = await startRuns(site, 5, 5, POOL);

  const all = [...before, ...between, ...after];
  const books = await ended(site, all, 300_000);
  expect(books).toMatchObject({ phases: ['Succeeded'], doubled: 0, lost: 0 });
  const { all: everyone, one } = await longestPause(site, before);
  figure('upgrade from the release before, and back', `${upgrade.toFixed(1)} s and ${back.toFixed(1)} s; longest pause of all runs ${everyone.toFixed(2)} s, of one run ${one.toFixed(2)} s (aim 5 s); nodes tried again: ${books.again}`);
}, 900_000);
