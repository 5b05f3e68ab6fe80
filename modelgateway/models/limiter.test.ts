import { nextTurn } from '../../platform/clock/index.ts';
import { ManualClock } from '../../platform/clock/manual.ts';
import { Limiter, type Leave, type LimitRows } from './limiter.ts';
import type { Limits } from './shares.ts';

const never = new AbortController().signal;

/** Rows as Postgres has them, on a manual clock. `writes` counts statements. */
class Rows implements LimitRows {
  readonly clock: ManualClock;
  readonly #rows = new Map<string, { version: number; state: Uint8Array }>();
  writes = 0;
  away = false;

  constructor(clock: ManualClock) { this.clock = clock; }

  read: LimitRows['read'] = async (namespace, model) => {
    if (this.away) throw new Error('away');
    const row = this.#rows.get(`${namespace}/${model}`);
    return { version: row?.version ?? 0, state: row?.state, now: this.clock.now() };
  };

  write: LimitRows['write'] = async (namespace, model, version, state) => {
    if (this.away) throw new Error('away');
    await Promise.resolve();
    if ((this.#rows.get(`${namespace}/${model}`)?.version ?? 0) !== version) return undefined;
    this.writes += 1;
    this.#rows.set(`${namespace}/${model}`, { version: version + 1, state });
    return this.clock.now();
  };
}

const clock = (): ManualClock => new ManualClock();
const limiter = (rows: Rows, holder = 'a'): Limiter => new Limiter({ rows, clock: rows.clock, holder, log: { warn: () => undefined } });

async function pass(at: ManualClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 50) {
    at.advance(Math.min(50, left));
    for (let i = 0; i < 4; i++) await nextTurn();
  }
}

function enter(one: Limiter, limits: Limits, tokens: number, order: number[], n: number, signal = never): Promise<Leave | undefined> {
  return one.enter('ns', 'm', limits, tokens, signal).then((leave) => { if (leave !== undefined) order.push(n); return leave; });
}

test('without limits nobody waits, and nothing is asked', async () => {
  const rows = new Rows(clock());
  const one = limiter(rows);
  expect(await one.enter('ns', 'm', undefined, 1e9, never)).toBeDefined();
  expect(await one.enter('ns', 'm', {}, 1e9, never)).toBeDefined();
  expect([one.waiting, rows.writes]).toEqual([0, 0]);
});

test('so many at once over two gateways, in the order they came', async () => {
  const rows = new Rows(clock());
  const [one, two] = [limiter(rows, 'a'), limiter(rows, 'b')];
  const order: number[] = [];
  const first = await enter(one, { concurrency: 2 }, 1, order, 1);
  await enter(two, { concurrency: 2 }, 1, order, 2);
  void enter(one, { concurrency: 2 }, 1, order, 3);
  await pass(rows.clock, 50);
  void enter(two, { concurrency: 2 }, 1, order, 4);
  await pass(rows.clock, 1_000);
  expect([order, one.waiting, two.waiting]).toEqual([[1, 2], 1, 1]);
  first?.done(1);
  first?.done(1);
  await pass(rows.clock, 500);
  expect([order, two.waiting]).toEqual([[1, 2, 3], 1]);
});

test('an idle gateway holds nothing back', async () => {
  const rows = new Rows(clock());
  const [one, two] = [limiter(rows, 'a'), limiter(rows, 'b')];
  const order: number[] = [];
  const leaves = await Promise.all([1, 2, 3, 4].map((n) => enter(one, { concurrency: 4 }, 1, order, n)));
  for (const leave of leaves) leave?.done(0);
  await pass(rows.clock, 50);
  await Promise.all([5, 6, 7, 8].map((n) => enter(two, { concurrency: 4 }, 1, order, n)));
  expect(order).toHaveLength(8);
});

test('a gateway that is gone holds nothing back for long; one that lives keeps what it has', async () => {
  const rows = new Rows(clock());
  // The dead one has a clock that stands still: nothing of it happens any more.
  const dead = new Limiter({ rows, clock: new ManualClock(rows.clock.now()), holder: 'dead', log: { warn: () => undefined } });
  const [live, two] = [limiter(rows, 'live'), limiter(rows, 'two')];
  const order: number[] = [];
  await enter(dead, { concurrency: 2 }, 1, order, 1);
  await enter(live, { concurrency: 2 }, 1, order, 2);
  void enter(two, { concurrency: 2 }, 1, order, 3);
  void enter(two, { concurrency: 2 }, 1, order, 4);
  await pass(rows.clock, 5_500);
  expect(order).toEqual([1, 2]);
  await pass(rows.clock, 1_500);
  expect(order).toEqual([1, 2, 3]);
  await pass(rows.clock, 20_000);
  expect(order).toEqual([1, 2, 3]);
});

test('all that wait ask in one statement', async () => {
  const rows = new Rows(clock());
  const order: number[] = [];
  const one = limiter(rows);
  await Promise.all(Array.from({ length: 50 }, (_, n) => enter(one, { rpm: 1_000 }, 1, order, n)));
  expect([order.length, rows.writes]).toEqual([50, 1]);
});

test('a minute for what is too much; tokens count by what was used', async () => {
  const rows = new Rows(clock());
  const one = limiter(rows);
  const order: number[] = [];
  const big = await enter(one, { tpm: 1_000 }, 5_000, order, 1);
  void enter(one, { tpm: 1_000 }, 500, order, 2);
  await pass(rows.clock, 200);
  expect(order).toEqual([1]);
  big?.done(100);
  await pass(rows.clock, 200);
  expect(order).toEqual([1, 2]);
  void enter(one, { tpm: 1_000 }, 500, order, 3);
  await pass(rows.clock, 59_000);
  expect(order).toEqual([1, 2]);
  await pass(rows.clock, 4_000);
  expect(order).toEqual([1, 2, 3]);
});

test('whoever goes away makes room for the next', async () => {
  const rows = new Rows(clock());
  const one = limiter(rows);
  const order: number[] = [];
  const gone = new AbortController();
  const first = await enter(one, { concurrency: 1 }, 1, order, 1);
  const left = enter(one, { concurrency: 1 }, 1, order, 2, gone.signal);
  void enter(one, { concurrency: 1 }, 1, order, 3);
  await pass(rows.clock, 50);
  gone.abort();
  expect(await left).toBeUndefined();
  first?.done(1);
  await pass(rows.clock, 100);
  expect(order).toEqual([1, 3]);
  expect(await one.enter('ns', 'm', { concurrency: 1 }, 1, gone.signal)).toBeUndefined();
});

test('while Postgres is away calls wait; when it is back they go', async () => {
  const rows = new Rows(clock());
  const one = limiter(rows);
  const order: number[] = [];
  rows.away = true;
  void enter(one, { rpm: 10 }, 1, order, 1);
  await pass(rows.clock, 1_000);
  expect([order, one.waiting]).toEqual([[], 1]);
  rows.away = false;
  await pass(rows.clock, 400);
  expect(order).toEqual([1]);
});

test('what is held is given back when the gateway closes', async () => {
  const rows = new Rows(clock());
  const [one, two] = [limiter(rows, 'a'), limiter(rows, 'b')];
  const order: number[] = [];
  const first = await enter(one, { concurrency: 1 }, 1, order, 1);
  first?.done(1);
  await one.close();
  await enter(two, { concurrency: 1 }, 1, order, 2);
  expect(order).toEqual([1, 2]);
});
