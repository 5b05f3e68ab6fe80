import { connectionMetrics, createRegistry, kubeCode, kubeCounter, MetricRegistry, runMetrics, verbOf } from './index.ts';

/** Lines of a page that have a value. */
async function page(registry: MetricRegistry): Promise<readonly string[]> {
  return (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('series of closed labels stand at zero before anything happened: a first failure is a rise, not a beginning', async () => {
  const registry = new MetricRegistry();
  registry.counter({ name: 'rambo_a_total', help: 'a', where: 'here', labels: { kind: ['x', 'y'], result: ['good', 'bad'] } });
  registry.histogram({ name: 'rambo_b_seconds', help: 'b', where: 'here', labels: { kind: ['x'] }, buckets: [1] });
  expect(await page(registry)).toEqual([
    'rambo_a_total{kind="x",result="good"} 0', 'rambo_a_total{kind="x",result="bad"} 0', 'rambo_a_total{kind="y",result="good"} 0', 'rambo_a_total{kind="y",result="bad"} 0',
    'rambo_b_seconds_bucket{le="1",kind="x"} 0', 'rambo_b_seconds_bucket{le="+Inf",kind="x"} 0', 'rambo_b_seconds_sum{kind="x"} 0', 'rambo_b_seconds_count{kind="x"} 0',
  ]);
});

test('a label that names objects has no series before there is an object; a metric without labels has its zero', async () => {
  const registry = new MetricRegistry();
  registry.counter({ name: 'rambo_a_total', help: 'a', where: 'here', labels: { namespace: 'of something', result: ['good'] } });
  registry.gauge({ name: 'rambo_b', help: 'b', where: 'here' });
  expect(await page(registry)).toEqual(['rambo_b 0']);
});

test('every metric of ours says where it is measured', () => {
  const registry = createRegistry('test');
  runMetrics(registry);
  expect(registry.known.length).toBeGreaterThan(10);
  for (const { name, help, where } of registry.known) expect([name, help.endsWith('.'), where.length > 5]).toEqual([name, true, true]);
});

test('answers of the API server are counted by class, and all classes of a request appear with its first answer', async () => {
  const registry = new MetricRegistry();
  const counter = kubeCounter(connectionMetrics(registry));
  expect(counter.answered).toBe(true);
  counter.observe('list', 'pods', 0);
  expect(counter.answered).toBe(false);
  counter.observe('list', 'pods', 503);
  expect(counter.answered).toBe(true);
  const lines = (await page(registry)).filter((line) => line.startsWith('rambo_kube_requests_total'));
  expect(lines).toHaveLength(8);
  expect(lines.filter((line) => !line.endsWith(' 0'))).toEqual([expect.stringContaining('code="5xx"} 1'), expect.stringContaining('code="none"} 1')]);
});

test.each([[200, '2xx'], [101, '2xx'], [404, '404'], [403, '4xx'], [409, '409'], [410, '410'], [429, '429'], [500, '5xx'], [504, '5xx'], [0, 'none']])('status %d counts as %s', (status, code) => {
  expect(kubeCode(status)).toBe(code);
});

test.each([['rambo.result.a.b.3', 'result'], ['rambo.logs.read.3', 'logs'], ['rambo.demand', 'demand'], ['rambo', 'other'], ['rambo.sold', 'other']])('%s is of verb %s', (subject, verb) => {
  expect(verbOf(subject)).toBe(verb);
});
