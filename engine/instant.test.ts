import fc from 'fast-check';
import { formatInstant, parseInstant } from './instant.ts';

describe('instants', () => {
  test.each([
    ['1970-01-01T00:00:00Z', 0], ['2026-01-02T03:04:05Z', Date.UTC(2026, 0, 2, 3, 4, 5)], ['2024-02-29T12:00:00.5Z', Date.UTC(2024, 1, 29, 12, 0, 0, 500)],
    ['2026-01-02T03:04:05+02:00', Date.UTC(2026, 0, 2, 1, 4, 5)], ['2026-01-01T00:00:00-05:30', Date.UTC(2026, 0, 1, 5, 30)], ['1969-12-31T23:59:59.999Z', -1], ['2026-01-02t03:04:05z', Date.UTC(2026, 0, 2, 3, 4, 5)],
    ['2026-01-02T03:04:05.123456789Z', Date.UTC(2026, 0, 2, 3, 4, 5, 123)],
  ])('%s is %d', (text, ms) => {
    expect(parseInstant(text)).toBe(ms);
  });

  test.each(['', '2026-01-02', '2026-01-02T03:04:05', '2026-13-02T03:04:05Z', '2026-02-30T00:00:00Z', '2025-02-29T00:00:00Z', '2026-01-02T24:00:00Z', '2026-01-02T03:60:00Z', 'tomorrow', '2026-01-02T03:04:05+25:00', '2026-00-01T00:00:00Z', '2026-01-00T00:00:00Z'])('%j is none', (text) => {
    expect(parseInstant(text)).toBeUndefined();
  });

  test('agrees with the platform over the centuries, and reads what it writes', () => {
    fc.assert(fc.property(fc.integer({ min: -62135596800000, max: 253402300799999 }), (ms) => {
      expect(formatInstant(ms)).toBe(new Date(ms).toISOString());
      expect(parseInstant(formatInstant(ms))).toBe(ms);
    }));
  });
});
