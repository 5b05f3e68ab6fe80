import { Spenders } from './spenders.ts';

test('agents have names on the metrics until there are too many, then they are counted together', () => {
  const spenders = new Spenders();
  expect(spenders.labels('a', '')).toEqual({ namespace: 'a', agent: 'inline' });
  const series = new Set<string>();
  for (let n = 0; n < 2_000; n++) for (const agent of ['x', `y${n}`]) series.add(JSON.stringify(spenders.labels(`ns-${n % 500}`, agent)));
  expect(series.size).toBeLessThanOrEqual(300 + 300 + 1);
  expect(spenders.labels('ns-0', 'x')).toEqual({ namespace: 'ns-0', agent: 'x' });
  expect(spenders.labels('ns-499', 'x')).toEqual({ namespace: 'other', agent: 'other' });
});
