import { nextTurn } from '../../platform/clock/index.ts';
import { ManualClock } from '../../platform/clock/manual.ts';
import { Limiter, type Leave } from './limiter.ts';

const never = new AbortController().signal;

async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 250) { clock.advance(Math.min(250, left)); await nextTurn(); }
}

function enter(limiter: Limiter, limits: object, tokens: number, order: number[], n: number, signal = never): Promise<Leave | undefined> {
  return limiter.enter('ns/m', limits, tokens, signal).then((leave) => { order.push(n); return leave; });
}

test('without limits nobody waits', async () => {
  const limiter = new Limiter(new ManualClock(), 1);
  expect(await limiter.enter('ns/m', undefined, 1e9, never)).toBeDefined();
  expect(await limiter.enter('ns/m', {}, 1e9, never)).toBeDefined();
  expect(limiter.waiting).toBe(0);
});

test('so many at once, in the order they came', async () => {
  const limiter = new Limiter(new ManualClock(), 1);
  const order: number[] = [];
  const first = await enter(limiter, { concurrency: 2 }, 1, order, 1);
  await enter(limiter, { concurrency: 2 }, 1, order, 2);
  void enter(limiter, { concurrency: 2 }, 1, order, 3);
  void enter(limiter, { concurrency: 2 }, 1, order, 4);
  await nextTurn();
  expect([order, limiter.waiting]).toEqual([[1, 2], 2]);
  first?.done(1);
  first?.done(1);
  await nextTurn();
  expect([order, limiter.waiting]).toEqual([[1, 2, 3], 1]);
});

test('so many requests a minute: the rest come as the bucket fills', async () => {
  const clock = new ManualClock();
  const limiter = new Limiter(clock, 1);
  const order: number[] = [];
  for (let n = 1; n <= 4; n++) void enter(limiter, { rpm: 2 }, 1, order, n);
  await nextTurn();
  expect(order).toEqual([1, 2]);
  await pass(clock, 29_500);
  expect(order).toEqual([1, 2]);
  await pass(clock, 1_000);
  expect(order).toEqual([1, 2, 3]);
  await pass(clock, 30_000);
  expect(order).toEqual([1, 2, 3, 4]);
});

test('tokens a minute count by what was used, and a request larger than the bucket gets all of it', async () => {
  const clock = new ManualClock();
  const limiter = new Limiter(clock, 1);
  const order: number[] = [];
  const big = await enter(limiter, { tpm: 1_000 }, 5_000, order, 1);
  void enter(limiter, { tpm: 1_000 }, 500, order, 2);
  await nextTurn();
  expect(order).toEqual([1]);
  big?.done(100);
  await nextTurn();
  expect(order).toEqual([1, 2]);
});

test('gateways share the limits', async () => {
  const order: number[] = [];
  const limiter = new Limiter(new ManualClock(), 2);
  for (let n = 1; n <= 3; n++) void enter(limiter, { rpm: 4, concurrency: 100 }, 1, order, n);
  await nextTurn();
  expect(order).toEqual([1, 2]);
});

test('whoever goes away makes room for the next', async () => {
  const limiter = new Limiter(new ManualClock(), 1);
  const order: number[] = [];
  const gone = new AbortController();
  const first = await enter(limiter, { concurrency: 1 }, 1, order, 1);
  const left = enter(limiter, { concurrency: 1 }, 1, order, 2, gone.signal);
  void enter(limiter, { concurrency: 1 }, 1, order, 3);
  gone.abort();
  expect(await left).toBeUndefined();
  first?.done(1);
  await nextTurn();
  expect(order).toEqual([1, 2, 3]);
  expect(await limiter.enter('ns/m', { concurrency: 1 }, 1, gone.signal)).toBeUndefined();
});
