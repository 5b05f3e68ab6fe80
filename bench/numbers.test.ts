import fc from 'fast-check';
import { latencies, medians, percentile, short, timesBetter, verdict, type Row } from './numbers.ts';

const row = (over: Partial<Row>): Row => ({ scenario: 's', name: 'n', unit: 'ms', n: 1, value: 10, ...over });

test.each([[[1], 0.5, 1], [[3, 1, 2], 0.5, 2], [[4, 3, 2, 1], 0.5, 2], [[1, 2, 3, 4], 0.99, 4], [[1, 2], 0, 1]])('percentile of %j at %d is %d', (samples, share, expected) => {
  expect(percentile(samples, share)).toBe(expected);
});

test('a percentile is one of the samples, and rises with the share', () => {
  fc.assert(fc.property(fc.array(fc.integer(), { minLength: 1 }), fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (samples, a, b) => {
    const [low, high] = [percentile(samples, Math.min(a, b)), percentile(samples, Math.max(a, b))];
    return samples.includes(low) && low <= high;
  }));
  expect(percentile([], 0.5)).toBeNaN();
});

test('latencies show their median', () => {
  expect(latencies('s', 'n', [5, 1, 9])).toMatchObject({ value: 5, median: 5, p99: 9, n: 3, unit: 'ms' });
});

test('of several rounds the median of the later ones counts, of memory the most; the first is shown beside it and judged by nobody', () => {
  const rounds = [9, 4, 2, 3].map((value) => [row({ value, target: { value: 5, better: 'lower' } }), row({ name: 'memory', unit: 'MiB', value })]);
  expect(medians(rounds).map(({ name, value, target }) => [name, value, target?.value])).toEqual([
    ['n', 3, 5], ['memory', 4, undefined], ['first round: n', 9, undefined], ['first round: memory', 9, undefined],
  ]);
  expect(medians(rounds.slice(0, 1))).toEqual(rounds[0]);
});

test.each<[Row['target'], string]>([
  [undefined, ''], [{ value: 10, better: 'lower' }, 'reached'], [{ value: 9, better: 'lower' }, 'missed'],
  [{ value: 10, better: 'higher' }, 'reached'], [{ value: 11, better: 'higher' }, 'missed'],
])('10 against %j is %j', (target, expected) => {
  expect(verdict(target === undefined ? row({}) : row({ target }))).toBe(expected);
});

test('times better goes by the unit', () => {
  expect(timesBetter(row({ unit: 'ms', value: 10 }), 100)).toBe(10);
  expect(timesBetter(row({ unit: 'nodes/s', value: 100 }), 10)).toBe(10);
});

test.each([[1_234_567, '1,234,567'], [12.345, '12.3'], [0.012_345, '0.0123'], [0, '0'], [Number.NaN, '-']])('%d is shown as %s', (value, text) => {
  expect(short(value)).toBe(text);
});
