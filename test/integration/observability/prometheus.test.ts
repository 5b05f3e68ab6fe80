import { alerts, ALERTS_FILE, ALERT_TESTS_FILE, codeIn, dashboardQueries, dashboards, isPromql, metricsIn, runbooks } from '../../../hack/docs/observability.ts';
import { chain, TestStack } from '../../harness/test-stack.ts';
import { PrometheusServer, promtool } from './prometheus-server.ts';

/** Rules, dashboards and runbooks against a real Prometheus that scrapes the real processes. */

let t: TestStack;
let prometheus: PrometheusServer;
const books = [...runbooks()].filter(([name]) => name !== 'README');

beforeAll(async () => {
  t = await TestStack.start({ api: true, modelgateway: true });
  await t.pool({ minReady: 1, max: 1 });
  const target = (url: string): string => url.replace('http://', '');
  prometheus = await PrometheusServer.start({ controller: target(t.stack.controllerUrl()), api: target(t.stack.apiHealthUrl()), modelgateway: target(t.stack.gatewayHealthUrl()) }, ALERTS_FILE);
}, 900_000);
afterAll(async () => {
  await prometheus.stop();
  await t.stop();
});

test('promtool takes the rules, and every alert passes its test', async () => {
  expect(await promtool(['check', 'rules', ALERTS_FILE])).toMatchObject({ code: 0, output: expect.stringContaining(`SUCCESS: ${alerts().length} rules found`) });
  expect(await promtool(['test', 'rules', ALERT_TESTS_FILE])).toMatchObject({ code: 0, output: expect.stringContaining('SUCCESS') });
}, 120_000);

test('promtool takes what the processes serve', async () => {
  for (const url of [t.stack.controllerUrl(), t.stack.apiHealthUrl(), t.stack.gatewayHealthUrl()]) {
    const page = await (await fetch(`${url}/metrics`)).text();
    // Names of Node's own are not ours to choose: some of them say _total of a gauge.
    const ours = page.split('\n').filter((line) => !/rambo_nodejs_active_/.test(line)).join('\n');
    expect(await promtool(['check', 'metrics'], ours)).toEqual({ code: 0, output: '' });
  }
});

test('Prometheus loads the rules and evaluates each of them; with everything well none is about to fire', async () => {
  const rules = await t.until('all rules to be evaluated', async () => {
    const all = await prometheus.rules();
    return all.length > 0 && all.every(({ health }) => health !== 'unknown') ? all : undefined;
  });
  expect(rules.map(({ name }) => name).sort()).toEqual(alerts().map(({ alert }) => alert).sort());
  expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
  await t.until('all processes to be scraped', async () => (await prometheus.query('rambo_dependency_up == 1')).length === 9);
  await t.until('no alert that is about to fire', async () => (await prometheus.rules()).every(({ state }) => state === 'inactive'));
});

test('every query of every dashboard and of every runbook is one that Prometheus takes, and those of what always is have an answer', async () => {
  const { metadata } = await t.startInline(chain(3, true));
  expect((await t.finished(metadata.name)).status?.phase).toBe('Succeeded');
  await t.until('the run to be scraped', async () => (await prometheus.query('sum(rambo_runs_finished_total{phase="Succeeded"})'))[0]?.value === 1);
  const queries = [...dashboards()].flatMap(([file, dashboard]) => dashboardQueries(dashboard).map((query) => [file, query] as const));
  expect(queries.length).toBeGreaterThan(50);
  for (const [file, query] of queries) {
    const series = await prometheus.query(query);
    // Trouble of pools is shown where there is some, pods of their own where a run asked for one.
    if (!/ > 0$|rambo_pods_/.test(query)) expect([file, query, series.length > 0]).toEqual([file, query, true]);
  }
  for (const [name, page] of books) for (const query of codeIn(page).filter(isPromql)) await expect(prometheus.query(query).then(() => 'taken', (error: unknown) => `${name}: ${String(error)}`)).resolves.toBe('taken');
});

test('every query of Postgres in a runbook is one that Postgres takes', async () => {
  const queries = books.flatMap(([name, page]) => codeIn(page).filter((code) => code.startsWith('select ')).map((code) => [name, code] as const));
  expect(queries.length).toBeGreaterThan(5);
  for (const [name, query] of queries) await expect(t.sql(query).then(() => 'taken', (error: unknown) => `${name}: ${String(error)}`)).resolves.toBe('taken');
});

test('metrics of ours that alerts are built on are served from the first scrape, before anything went wrong', async () => {
  const known = new Set<string>();
  for (const url of [t.stack.controllerUrl(), t.stack.apiHealthUrl(), t.stack.gatewayHealthUrl()]) {
    for (const line of (await (await fetch(`${url}/metrics`)).text()).split('\n')) known.add(/^rambo_[a-z0-9_]+/.exec(line)?.[0] ?? '');
  }
  const named = alerts().flatMap(({ expr }) => metricsIn(expr));
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

test('Postgres goes away: its alert is pending at all processes, and inactive again when it is back', async () => {
  const state = async (): Promise<string | undefined> => (await prometheus.rules()).find(({ name }) => name === 'RamboPostgresUnreachable')?.state;
  await t.stack.postgres.kill();
  await t.until('the alert to be pending', async () => await state() === 'pending' && (await prometheus.query('ALERTS{alertname="RamboPostgresUnreachable"}')).length === 3);
  await t.stack.postgres.restart();
  await t.until('the alert to be inactive', async () => await state() === 'inactive', 60_000);
});
