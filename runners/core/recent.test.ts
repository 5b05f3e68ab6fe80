import fc from 'fast-check';
import { RecentKeys } from './recent.ts';

test('knows the last ones, and forgets the rest', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 100 }), (atLeast, n) => {
    const recent = new RecentKeys(atLeast);
    const keys = Array.from({ length: n }, (_, i) => `k${i}`);
    for (const key of keys) recent.add(key);
    for (const key of keys.slice(-atLeast)) expect(recent.has(key)).toBe(true);
    for (const key of keys.slice(0, -2 * atLeast)) expect(recent.has(key)).toBe(false);
    expect(recent.has('never')).toBe(false);
  }));
});
