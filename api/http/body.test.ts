import { nestsDeeperThan } from './body.ts';

test.each([
  ['{"a":[{}]}', 3, false], ['{"a":[{}]}', 2, true], ['"[[[[["', 1, false], ['{"a":"\\"[[["}', 1, false], ['{"a":"\\\\"}', 1, false], ['[][][]', 1, false],
])('%s within %d: %p', (text, limit, deeper) => { expect(nestsDeeperThan(text, limit)).toBe(deeper); });

test('100,000 levels are told in no time', () => {
  const begun = performance.now();
  expect(nestsDeeperThan('['.repeat(100_000), 108)).toBe(true);
  expect(performance.now() - begun).toBeLessThan(20);
});
