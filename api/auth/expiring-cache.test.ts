import fc from 'fast-check';
import { ManualClock } from '../../platform/clock/manual.ts';
import { ExpiringCache, SingleFlight } from './expiring-cache.ts';

test('a value is there until its time is up, and undefined is a value', () => {
  const clock = new ManualClock();
  const cache = new ExpiringCache<number | undefined>(clock, 10);
  cache.set('a', 1, 1_000);
  cache.set('b', undefined, 1_000);
  clock.advance(999);
  expect([cache.get('a')?.value, cache.get('b') !== undefined, cache.get('c')]).toEqual([1, true, undefined]);
  clock.advance(1);
  expect([cache.get('a'), cache.get('b')]).toEqual([undefined, undefined]);
});

test('it never holds more than it may, knows only what was set last, and forgets the oldest first', () => {
  const act = fc.oneof(fc.record({ kind: fc.constant('set' as const), key: fc.constantFrom('a', 'b', 'c', 'd', 'e'), ttl: fc.nat(100) }), fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(60) }));
  fc.assert(fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
    const clock = new ManualClock();
    const cache = new ExpiringCache<number>(clock, 3);
    let known: { key: string; value: number; until: number }[] = [];
    for (const [i, one] of acts.entries()) {
      if (one.kind === 'pass') clock.advance(one.ms);
      else {
        cache.set(one.key, i, one.ttl);
        known = [...known.filter(({ key }) => key !== one.key), { key: one.key, value: i, until: clock.monotonic() + one.ttl }].slice(-3);
      }
      expect(cache.size).toBe(known.length);
      for (const key of ['a', 'b', 'c', 'd', 'e']) {
        const mine = known.find((each) => each.key === key);
        const alive = mine !== undefined && mine.until > clock.monotonic();
        expect(cache.get(key)?.value).toBe(alive ? mine.value : undefined);
        if (mine !== undefined && !alive) known = known.filter((each) => each !== mine);
      }
    }
  }));
});

test('a burst asks once; afterwards, and after a failure, it is asked again', async () => {
  const flights = new SingleFlight<number>();
  const asked: string[] = [];
  const work = (name: string, fails = false) => (): Promise<number> => {
    asked.push(name);
    return fails ? Promise.reject(new Error(name)) : Promise.resolve(asked.length);
  };
  expect(await Promise.all([flights.run('k', work('one')), flights.run('k', work('two')), flights.run('other', work('three'))])).toEqual([1, 1, 2]);
  await expect(flights.run('k', work('four', true))).rejects.toThrow('four');
  expect(await flights.run('k', work('five'))).toBe(4);
  expect(asked).toEqual(['one', 'three', 'four', 'five']);
});
