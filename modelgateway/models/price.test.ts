import { costOf, mostOf, outputFor, priceOf } from './price.ts';

const usage = (input: number, output: number, cached = 0, cacheWrite = 0, reasoning = 0) => ({ input, output, cached, cacheWrite, reasoning });
const full = priceOf({ pricing: { input: 3, cachedInput: 0.3, cacheWrite: 3.75, output: 15, currency: 'USD', version: '2026-11' } });
const plain = priceOf({ pricing: { input: 0.15, output: 0.6, currency: 'USD' } });

test('a model without prices costs nothing, and no money bounds its answer', () => {
  expect(priceOf({})).toBeUndefined();
  expect([costOf(undefined, usage(1_000, 1_000)), mostOf(undefined, 5, 5), outputFor(undefined, 1n, 5)]).toEqual([0n, 0n, Number.POSITIVE_INFINITY]);
});

// Prices per million tokens: 3 USD is 3,000 nano-USD a token.
test.each([
  ['nothing', usage(0, 0), 0n],
  ['fresh input and output', usage(100, 10), 300_000n + 150_000n],
  ['cached input apart', usage(100, 0, 60), 40n * 3_000n + 60n * 300n],
  ['writing to a cache apart', usage(100, 0, 10, 20), 70n * 3_000n + 10n * 300n + 20n * 3_750n],
  ['reasoning is output', usage(0, 50, 0, 0, 40), 750_000n],
  ['more cached than there was', usage(10, 0, 20), 6_000n],
])('%s', (_, used, nano) => {
  expect(costOf(full, used)).toBe(nano);
});

test('one token is never free, and sums do not drift', () => {
  const tiny = priceOf({ pricing: { input: 0.000_000_1, output: 0.000_000_1, currency: 'USD' } });
  expect(costOf(tiny, usage(1, 0))).toBe(1n);
  // Ten million tokens at 0.15 USD are 1.5 USD to the nano.
  expect(costOf(plain, usage(10_000_000, 0))).toBe(1_500_000_000n);
});

test('what is reserved is at least what is charged', () => {
  for (const used of [usage(1_000, 200), usage(1_000, 200, 300), usage(1_000, 200, 0, 1_000), usage(1_000, 200, 500, 500, 100)]) {
    expect(mostOf(full, 1_000, 200)).toBeGreaterThanOrEqual(costOf(full, used));
  }
});

test('how much of an answer money pays for', () => {
  expect(outputFor(plain, null, 10)).toBe(Number.POSITIVE_INFINITY);
  expect(outputFor(plain, 1_000_000n, 0)).toBe(1_666);
  expect(mostOf(plain, 100, outputFor(plain, 1_000_000n, 100))).toBeLessThanOrEqual(1_000_000n);
  expect(outputFor(plain, 10n, 1_000)).toBe(-1);
});
