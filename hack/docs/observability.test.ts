import { readdirSync, readFileSync } from 'node:fs';
import { ROOT } from '../verify/files.ts';
import { metricNames } from './metrics.ts';
import { alerts, ALERTS_FILE, alertTests, codeIn, dashboardQueries, dashboards, isPromql, metricsIn, runbooks } from './observability.ts';

const names = metricNames();

describe('alerts', () => {
  const books = runbooks();
  const tests = alertTests();

  test('have unique names, and no page or test is left of one that is gone', () => {
    const known = alerts().map(({ alert }) => alert);
    expect(new Set(known).size).toBe(known.length);
    expect([...books.keys()].filter((name) => name !== 'README').sort()).toEqual([...known].sort());
    expect([...tests.keys()].sort()).toEqual([...known].sort());
  });

  test.each(alerts().map((alert) => [alert.alert, alert] as const))('%s has a runbook with all its parts, a link to it, and a place in the index', (name, { annotations, labels }) => {
    const page = books.get(name) ?? '';
    expect(page.split('\n')[0]).toBe(`# ${name}`);
    expect([...page.matchAll(/^## (.+)$/gm)].map((match) => match[1])).toEqual(['Cause', 'How to see it', 'What to do', 'Over when']);
    for (const part of page.split(/^## .+$/m)) expect(part.trim().length).toBeGreaterThan(15);
    expect(annotations.runbook_url).toBe(`https://github.com/rambo-dev/rambo/blob/main/docs/runbooks/${name}.md`);
    expect(books.get('README')).toContain(`| [${name}](${name}.md) | ${labels.severity} |`);
  });

  test.each([...tests])('%s is tested: silent at first, then firing with its severity', (name, checks) => {
    const { severity } = alerts().find(({ alert }) => alert === name)?.labels ?? {};
    for (const { expr } of checks) expect(expr).toBe(`ALERTS{alertname="${name}", alertstate="firing"}`);
    expect(checks[0]?.exp_samples).toEqual([]);
    expect(checks[1]?.exp_samples[0]?.labels).toContain(`severity="${String(severity)}"`);
  });
});

describe('dashboards', () => {
  const all = dashboards();

  test('are five, with an id each', () => {
    expect([...all.keys()].sort()).toEqual(['agents.json', 'api.json', 'controller.json', 'overview.json', 'pools.json']);
    expect(new Set([...all.values()].map(({ uid }) => uid)).size).toBe(all.size);
  });

  test.each([...all])('%s: panels have ids of their own, do not lie upon each other, and ask something; variables are those that are used', (_, dashboard) => {
    const { panels, templating } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => Array.from({ length: w * h }, (__, i) => `${x + (i % w)},${y + Math.floor(i / w)}`));
    expect(new Set(cells).size).toBe(cells.length);
    for (const { type, targets = [] } of panels) expect(type === 'row' || targets.length > 0).toBe(true);
    const used = new Set([...JSON.stringify(panels).matchAll(/\$\{?([a-zA-Z_]+)/g)].map((match) => match[1] ?? '').filter((name) => name !== '__rate_interval'));
    expect([...used].sort()).toEqual(templating.list.map(({ name }) => name).sort());
    for (const query of dashboardQueries(dashboard)) expect(query).not.toContain('$');
  });
});

test('every metric that dashboards, alerts, their tests, runbooks and the documentation name exists', () => {
  const texts = new Map<string, string>([
    ['alerts.yaml', readFileSync(ALERTS_FILE, 'utf8')], ['tests', JSON.stringify([...alertTests()])],
    ...[...dashboards()].map(([file, dashboard]) => [file, JSON.stringify(dashboard)] as const), ...runbooks(),
    ...readdirSync(`${ROOT}/docs`).filter((file) => file.endsWith('.md')).map((file) => [file, readFileSync(`${ROOT}/docs/${file}`, 'utf8')] as const),
  ]);
  for (const [file, text] of texts) expect([file, metricsIn(text).filter((name) => !names.has(name))]).toEqual([file, []]);
});

test('code in runbooks is told apart: queries of metrics, and the rest', () => {
  const code = [...runbooks().values()].flatMap(codeIn);
  expect(code.filter(isPromql).length).toBeGreaterThan(40);
  expect(code.filter((each) => each.startsWith('select ')).length).toBeGreaterThan(5);
  expect(isPromql('kubectl get x | grep rambo_runs')).toBe(false);
});
