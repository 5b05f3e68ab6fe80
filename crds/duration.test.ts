import { parseDuration } from './duration.ts';

describe('parseDuration', () => {
  test.each([
    ['500ms', 500], ['10s', 10_000], ['5m', 300_000], ['1h30m', 5_400_000], ['2d', 172_800_000], ['0s', 0],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each(['', '10', 's', '1.5s', '-1s', '10 s', '1h 30m', '1w', '1s'.repeat(6), '9999999999s', '10S'])('refuses %j', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});
