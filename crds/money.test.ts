import { nanoOfUsd, usdOfNano } from './money.ts';

test.each<[number, string, string]>([
  [1, '1000000000', '1'], [0.1, '100000000', '0.1'], [0.05, '50000000', '0.05'], [1e9, '1000000000000000000', '1000000000'], [12.3456789, '12345678900', '12.3456789'], [0.000000001, '1', '0.000000001'],
])('%d USD are %s nano-USD, and back', (usd, nano, text) => {
  expect(nanoOfUsd(usd)).toBe(nano);
  expect(usdOfNano(nano)).toBe(text);
});

test('no limit vanishes by rounding, and nothing spent reads as nothing', () => {
  expect(nanoOfUsd(1e-12)).toBe('1');
  expect([usdOfNano('0'), usdOfNano(0n)]).toEqual(['0', '0']);
});
