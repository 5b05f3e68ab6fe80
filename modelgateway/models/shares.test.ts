import fc from 'fast-check';
import { EMPTY, grant, HOLDER_MS, type Ask, type Limits, type LimitState } from './shares.ts';

const T = 1_700_000_000_000;
const ask = (holder: string, more: Partial<Ask> = {}): Ask => ({ holder, running: 0, queue: [], corrections: [], ...more });
const waits = (...since: readonly number[]) => since.map((at) => ({ since: T + at, tokens: 100 }));

test('so many at once over all, and the rest when one has ended', () => {
  const first = grant(EMPTY, { concurrency: 3 }, ask('a', { queue: waits(0, 1) }), T);
  const second = grant(first.state, { concurrency: 3 }, ask('b', { queue: waits(2, 3) }), T + 1);
  expect([first.granted, second.granted]).toEqual([2, 1]);
  expect(second.againMs).toBeGreaterThan(0);
  const ended = grant(second.state, { concurrency: 3 }, ask('a', { running: 1 }), T + 2);
  expect(grant(ended.state, { concurrency: 3 }, ask('b', { running: 1, queue: waits(3) }), T + 3).granted).toBe(1);
});

test('who waits longest goes first, in whichever gateway; one that says no more that it waits loses its turn', () => {
  const full = grant(EMPTY, { concurrency: 1 }, ask('a', { queue: waits(0) }), T);
  const old = grant(full.state, { concurrency: 1 }, ask('b', { queue: waits(1) }), T + 10);
  const ended = grant(old.state, { concurrency: 1 }, ask('a', { queue: waits(5) }), T + 20);
  expect(ended.granted).toBe(0);
  expect(grant(ended.state, { concurrency: 1 }, ask('b', { queue: waits(1) }), T + 30).granted).toBe(1);
  expect(grant(ended.state, { concurrency: 1 }, ask('a', { queue: waits(5) }), T + 2_500).granted).toBe(1);
});

test('what a gateway held that is gone is free again', () => {
  const full = grant(EMPTY, { concurrency: 1 }, ask('a', { queue: waits(0) }), T);
  expect(grant(full.state, { concurrency: 1 }, ask('b', { queue: waits(1) }), T + HOLDER_MS - 1).granted).toBe(0);
  expect(grant(full.state, { concurrency: 1 }, ask('b', { queue: waits(1) }), T + HOLDER_MS).granted).toBe(1);
});

test('a minute later there is room again, and it is said when', () => {
  const first = grant(EMPTY, { rpm: 2 }, ask('a', { queue: waits(0, 0, 0) }), T);
  expect([first.granted, first.againMs]).toEqual([2, 1_000]);
  expect(grant(first.state, { rpm: 2 }, ask('a', { queue: waits(0) }), T + 60_000).granted).toBe(0);
  expect(grant(first.state, { rpm: 2 }, ask('a', { queue: waits(0) }), T + 62_000).granted).toBe(1);
});

test('tokens count by what was used, and more than the limit counts as the limit', () => {
  const big = grant(EMPTY, { tpm: 1_000 }, ask('a', { queue: [{ since: T, tokens: 5_000 }] }), T);
  expect([big.granted, big.state.seconds.at(-1)?.[2]]).toEqual([1, 1_000]);
  const less = grant(big.state, { tpm: 1_000 }, ask('a', { corrections: [[big.second, -900]] }), T + 500);
  expect(grant(less.state, { tpm: 1_000 }, ask('b', { queue: [{ since: T, tokens: 900 }] }), T + 600).granted).toBe(1);
});

test('nothing is kept of a gateway that does nothing, nor of what is long over', () => {
  const used = grant(EMPTY, { rpm: 5 }, ask('a', { queue: waits(0) }), T);
  expect(grant(used.state, { rpm: 5 }, ask('a'), T + 70_000).state).toEqual(EMPTY);
});

interface World { state: LimitState; now: number; readonly begun: { readonly at: number; readonly tokens: number }[]; readonly running: Map<string, number>; readonly queues: Map<string, { since: number; tokens: number }[]> }
const GATEWAYS = ['a', 'b', 'c'];
const step = fc.oneof(
  fc.record({ kind: fc.constant('enter' as const), who: fc.constantFrom(...GATEWAYS), tokens: fc.integer({ min: 1, max: 900 }) }),
  fc.record({ kind: fc.constant('ask' as const), who: fc.constantFrom(...GATEWAYS), ms: fc.integer({ min: 0, max: 3_000 }) }),
  fc.record({ kind: fc.constant('end' as const), who: fc.constantFrom(...GATEWAYS) }),
);

test('whatever gateways do and whenever: never more at once, never more in any minute', () => {
  fc.assert(fc.property(fc.array(step, { minLength: 20, maxLength: 200 }), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 10 }), (steps, concurrency, rpm) => {
    const limits: Limits = { concurrency, rpm, tpm: 1_000 };
    const world: World = { state: EMPTY, now: T, begun: [], running: new Map(), queues: new Map() };
    for (const one of steps) {
      const queue = world.queues.get(one.who) ?? [];
      world.queues.set(one.who, queue);
      if (one.kind === 'enter') queue.push({ since: world.now, tokens: one.tokens });
      if (one.kind === 'end') world.running.set(one.who, Math.max(0, (world.running.get(one.who) ?? 0) - 1));
      if (one.kind !== 'ask') continue;
      world.now += one.ms;
      // All that live say so in time, as their timers see to it.
      for (const who of GATEWAYS) {
        const mine = world.queues.get(who) ?? [];
        const { state, granted } = grant(world.state, limits, ask(who, { running: world.running.get(who) ?? 0, queue: who === one.who ? mine : [] }), world.now);
        world.state = state;
        world.running.set(who, (world.running.get(who) ?? 0) + granted);
        for (const { tokens } of mine.splice(0, granted)) world.begun.push({ at: world.now, tokens });
      }
      expect([...world.running.values()].reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(concurrency);
      const lately = world.begun.filter(({ at }) => at > world.now - 60_000);
      expect(lately.length).toBeLessThanOrEqual(rpm);
      expect(lately.reduce((sum, { tokens }) => sum + tokens, 0)).toBeLessThanOrEqual(1_000);
    }
  }), { numRuns: 300 });
});

test('whenever gateways ask: no window of a minute has more requests or tokens than the limit', () => {
  const asks = fc.array(fc.record({ who: fc.constantFrom(...GATEWAYS), ms: fc.integer({ min: 0, max: 15_000 }), tokens: fc.array(fc.integer({ min: 1, max: 500 }), { maxLength: 4 }) }), { minLength: 10, maxLength: 60 });
  fc.assert(fc.property(asks, fc.integer({ min: 1, max: 10 }), fc.integer({ min: 0, max: 999 }), (all, rpm, offset) => {
    const begun: { at: number; tokens: number }[] = [];
    let state = EMPTY;
    let now = T + offset;
    for (const { who, ms, tokens } of all) {
      now += ms;
      const queue = tokens.map((one) => ({ since: now, tokens: one }));
      const given = grant(state, { rpm, tpm: 1_000 }, ask(who, { queue }), now);
      state = given.state;
      for (const one of queue.slice(0, given.granted)) begun.push({ at: now, tokens: one.tokens });
    }
    for (const { at } of begun) {
      const window = begun.filter((other) => other.at >= at && other.at < at + 60_000);
      expect(window.length).toBeLessThanOrEqual(rpm);
      expect(window.reduce((sum, one) => sum + one.tokens, 0)).toBeLessThanOrEqual(1_000);
    }
  }), { numRuns: 300 });
});
