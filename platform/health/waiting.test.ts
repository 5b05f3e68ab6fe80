import { nextTurn } from '../clock/index.ts';
import { ManualClock } from '../clock/manual.ts';
import { StoppedWaiting, Waiting } from './waiting.ts';

class World {
  readonly clock = new ManualClock();
  readonly stop = new AbortController();
  readonly said: string[] = [];
  readonly events: string[] = [];
  readonly waiting = new Waiting({
    clock: this.clock, signal: this.stop.signal, missing: (message) => { this.events.push(message); },
    log: { info: (_facts, message) => { this.said.push(message); }, warn: (facts) => { this.said.push((facts as { err: string }).err); } },
  });

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 250) {
      this.clock.advance(Math.min(250, left));
      await nextTurn();
    }
  }
}

test('what is there is given at once, without a word', async () => {
  const world = new World();
  expect(await world.waiting.until('NATS', () => 42)).toBe(42);
  expect([world.said, world.waiting.problem()]).toEqual([[], undefined]);
});

test('what is missing is named until it is there: once in an event, every 30 s in the log', async () => {
  const world = new World();
  let there = false;
  const found = world.waiting.until('NATS', async () => {
    if (!there) throw new Error('NATS at x is not available', { cause: new Error('refused') });
    return 'bus';
  });
  await world.pass(20_000);
  expect([world.said, world.events]).toEqual([['NATS at x is not available (refused)'], ['waiting for NATS: NATS at x is not available (refused)']]);
  expect(world.waiting.problem()).toBe('waiting for NATS: NATS at x is not available (refused)');
  await world.pass(15_000);
  expect([world.said.length, world.events.length]).toEqual([2, 1]);
  there = true;
  await world.pass(3_000);
  expect(await found).toBe('bus');
  expect([world.said.at(-1), world.waiting.problem()]).toEqual(['found what was missing', undefined]);
});

test('several things are waited for side by side, and each is named', async () => {
  const world = new World();
  const missing = new Set(['a', 'b']);
  const all = Promise.all(['a', 'b', 'c'].map((name) => world.waiting.until(name, () => { if (missing.has(name)) throw new Error(`no ${name}`); return name; })));
  await nextTurn();
  expect(world.waiting.problem()).toBe('waiting for a: no a; waiting for b: no b');
  missing.delete('a');
  await world.pass(3_000);
  expect(world.waiting.problem()).toBe('waiting for b: no b');
  missing.clear();
  await world.pass(6_000);
  expect(await all).toEqual(['a', 'b', 'c']);
});

test('another reason is said at once', async () => {
  const world = new World();
  let reason = 'first';
  const waiting = world.waiting.until('a', () => { throw new Error(reason); });
  waiting.catch(() => undefined);
  await nextTurn();
  reason = 'second';
  await world.pass(3_000);
  expect(world.said).toEqual(['first', 'second']);
  world.stop.abort();
  await expect(waiting).rejects.toBeInstanceOf(StoppedWaiting);
});
