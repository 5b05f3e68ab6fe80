import type { Row } from './numbers.ts';
import type { Report } from './report.ts';
import { trendPage, trends, warnings } from './trend.ts';

const row = (name: string, value: number, unit = 'ms'): Row => ({ scenario: 's', name, unit, n: 1, value });
const report = (commit: string, rows: readonly Row[]): Report => ({
  at: '', commit, rows, baseline: { commitMs: 1, natsRoundTripMs: 0.2 }, machine: { cores: 2, model: 'm', memoryGiB: 8, loadBefore: 0, node: '24' },
});
const last = report('aaa', [row('latency', 10), row('rate', 100, 'nodes/s'), row('zero', 0), row('gone', 1), row('unit', 1, 's')]);
const latest = report('bbb', [row('rate', 300, 'nodes/s'), row('latency', 20), row('zero', 0), row('new', 1), row('unit', 1_000)]);

test('figures of both reports, worst first; other units and single ones are left out', () => {
  expect(trends(last, latest).map(({ row: { name }, ratio }) => [name, ratio])).toEqual([['latency', 0.5], ['zero', 1], ['rate', 3]]);
});

test('only what got much worse is a warning', () => {
  expect(warnings(last, latest)).toEqual(['::warning::s, latency: 20 ms, before 10: 2 times worse']);
  expect(warnings(latest, latest)).toEqual([]);
});

test('the page names both machines', () => {
  expect(trendPage(last, latest)).toMatch(/^Last: aaa, 2 cores .*\n\nNow: bbb.*\n[\s\S]*\| s \| rate \| 300 nodes\/s \| 100 \| 3 \|$/);
});
