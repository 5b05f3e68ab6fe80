import fc from 'fast-check';
import { ManualClock } from '../../platform/clock/manual.ts';
import { RUN_SHARDS, SINGLETON_SHARD } from '../../platform/messages/subjects.ts';
import { ShardKeeper, SHARD_LEASE_MS, SHARD_RENEW_MS, type OwnedShard, type ShardStore } from './shards.ts';

interface Row { owner: string | undefined; epoch: bigint; until: number }

/** What the statements of prisma/store do, on one clock. test/integration/prisma/shards.test.ts holds them to it. */
class Table {
  readonly clock: ManualClock;
  readonly rows = new Map<number, Row>(Array.from({ length: RUN_SHARDS + 1 }, (_, id) => [id, { owner: undefined, epoch: 0n, until: 0 }]));
  readonly replicas = new Map<string, number>();

  constructor(clock: ManualClock) {
    this.clock = clock;
  }

  /** The store of one replica, which may be cut off. */
  store(away: () => boolean, calls: string[] = []): ShardStore {
    const guard = async <T>(name: string, work: () => T): Promise<T> => {
      calls.push(name);
      if (away()) throw new Error('away');
      const value = work();
      await Promise.resolve();
      return value;
    };
    const ours = (owner: string): [number, Row][] => [...this.rows].filter(([, row]) => row.owner === owner);
    const leave = (rows: readonly Row[]): void => { for (const row of rows) row.owner = undefined; };
    return {
      renew: (owner, leaseMs) => guard('renew', () => {
        const until = this.clock.now() + leaseMs;
        this.replicas.set(owner, until);
        for (const [, row] of ours(owner)) row.until = until;
        const peers = [...this.replicas].filter(([name, end]) => name !== owner && end >= this.clock.now());
        const ends = peers.map(([, end]) => end - this.clock.now());
        return {
          kept: ours(owner).map(([id, { epoch }]) => ({ id, epoch })), peers: peers.map(([name]) => name).sort(),
          free: this.#free().filter(([id]) => id !== SINGLETON_SHARD).length, singletonFree: this.#free().some(([id]) => id === SINGLETON_SHARD),
          soonestMs: ends.length === 0 ? undefined : Math.min(...ends),
        };
      }),
      acquire: (owner, leaseMs, wish) => guard('acquire', () => {
        const free = this.#free();
        const taken = [...free.filter(([id]) => id !== SINGLETON_SHARD).slice(0, wish.runs), ...free.filter(([id]) => id === SINGLETON_SHARD && wish.singleton)];
        for (const [, row] of taken) Object.assign(row, { owner, epoch: row.epoch + 1n, until: this.clock.now() + leaseMs });
        return taken.map(([id, { epoch }]) => ({ id, epoch }));
      }),
      release: (owner, shards) => guard('release', () => { leave(ours(owner).filter(([id]) => shards.includes(id)).map(([, row]) => row)); }),
      succeed: (owner) => guard('succeed', () => {
        const [name] = owner.split('-');
        const before = (other: string | undefined): boolean => other !== owner && other?.startsWith(`${name ?? ''}-`) === true;
        leave([...this.rows.values()].filter((row) => before(row.owner)));
        for (const other of this.replicas.keys()) if (before(other)) this.replicas.delete(other);
      }),
      leave: (owner) => guard('leave', () => {
        this.replicas.delete(owner);
        leave(ours(owner).map(([, row]) => row));
      }),
    };
  }

  #free(): [number, Row][] {
    return [...this.rows].filter(([, row]) => row.owner === undefined || row.until < this.clock.now());
  }
}

interface Replica {
  readonly keeper: ShardKeeper;
  readonly told: string[];
  readonly calls: string[];
  away: boolean;
  /** Holds back the answer to a renewal. */
  slow?: Promise<undefined> | undefined;
  /** Holds back the end of what is being written. */
  settled: Promise<void>;
  /** What loading does. */
  load: (shards: readonly OwnedShard[]) => Promise<void>;
}

class World {
  readonly clock = new ManualClock();
  readonly table = new Table(this.clock);
  readonly all: Replica[] = [];

  add(name: string): Replica {
    const replica: Replica = {
      away: false, told: [], calls: [], settled: Promise.resolve(), load: () => Promise.resolve(),
      keeper: new ShardKeeper({
        clock: this.clock, owner: name, log: { info: () => undefined, warn: () => undefined },
        store: { renew: async (...a) => {
          const renewal = await store.renew(...a);
          await replica.slow;
          return renewal;
        }, acquire: (...a) => store.acquire(...a), release: (...a) => store.release(...a), succeed: (...a) => store.succeed(...a), leave: (...a) => store.leave(...a) },
        notify: () => { for (const other of this.all) if (other !== replica && !other.away) void other.keeper.look(); },
        listener: {
          gained: async (shards) => {
            await replica.load(shards);
            replica.told.push(`+${shards.length}`);
          },
          lost: (shards) => { replica.told.push(`-${shards.length}`); },
          settled: () => replica.settled, peers: (names) => { replica.told.push(names.join('&')); },
        },
      }),
    };
    const store = this.table.store(() => replica.away, replica.calls);
    this.all.push(replica);
    return replica;
  }

  async start(name: string): Promise<Replica> {
    const replica = this.add(name);
    await Promise.all([replica.keeper.start(), this.run(0)]);
    return replica;
  }

  async run(ms: number, stepMs = 50): Promise<void> {
    for (let passed = 0; passed <= ms; passed += stepMs) {
      this.clock.advance(passed === 0 ? 0 : stepMs);
      for (let i = 0; i < 60; i++) await Promise.resolve();
      this.check();
    }
  }

  /** Nobody ever acts for a shard together with somebody else. */
  check(): void {
    const twice = [...this.table.rows.keys()].filter((id) => this.all.filter((replica) => replica.keeper.owns(id)).length > 1);
    if (twice.length > 0) throw new Error(`owned by two: ${twice.join(', ')}`);
  }

  sizes(): number[] { return this.all.map((replica) => replica.keeper.size); }
}

test('a lone replica takes all; a second one that joins has half of them at once, and the singletons stay', async () => {
  const world = new World();
  const a = await world.start('a');
  expect(a.keeper.size).toBe(257);
  const b = await world.start('b');
  await world.run(50);
  expect(world.sizes()).toEqual([129, 128]);
  expect(a.keeper.owns(SINGLETON_SHARD)).toBe(true);
  expect(a.told).toEqual(['+257', 'a&b', '-128']);
  expect(b.told).toEqual(['b&a', '+128']);
});

test('an idle second costs one statement', async () => {
  const world = new World();
  const a = await world.start('a');
  const b = await world.start('b');
  await world.run(3_000);
  for (const replica of [a, b]) replica.calls.length = 0;
  await world.run(10 * SHARD_RENEW_MS);
  for (const { calls } of [a, b]) {
    expect(new Set(calls)).toEqual(new Set(['renew']));
    expect(calls.length).toBeGreaterThanOrEqual(9);
    expect(calls.length).toBeLessThanOrEqual(11);
  }
});

test('what is given away is released only after what was being written for it has ended', async () => {
  const world = new World();
  const a = await world.start('a');
  const writing = Promise.withResolvers<undefined>();
  a.settled = writing.promise.then(() => undefined);
  await world.start('b');
  await world.run(2_000);
  expect(world.sizes()).toEqual([129, 0]);
  expect(a.calls).not.toContain('release');
  writing.resolve(undefined);
  await world.run(100);
  expect(world.sizes()).toEqual([129, 128]);
});

test('one that stops: the others have its shards at once', async () => {
  const world = new World();
  const a = await world.start('a');
  const b = await world.start('b');
  await world.run(50);
  await a.keeper.stop();
  await world.run(50);
  expect(b.keeper.size).toBe(257);
  expect(b.told.at(-1)).toBe('+129');
});

test('one that is cut off stops before its lease ends; then the others take over, and it gets its share back later', async () => {
  const world = new World();
  const [a, b, c] = [await world.start('a'), await world.start('b'), await world.start('c')];
  await world.run(100);
  expect(world.sizes().sort((x, y) => y - x)).toEqual([87, 86, 84]);
  a.away = true;
  await world.run(SHARD_LEASE_MS - 500);
  expect([a.keeper.size, a.keeper.owns(1)]).toEqual([0, false]);
  expect([...Array(257).keys()].filter((id) => [b, c].some(({ keeper }) => keeper.owns(id)))).toHaveLength(170);
  await world.run(600);
  expect(world.sizes()).toEqual([0, 128, 128].map((n, i) => n + Number(world.all[i]?.keeper.owns(SINGLETON_SHARD))));
  a.away = false;
  await world.run(1_200);
  expect([84, 85, 86]).toContain(a.keeper.size);
});

test('a commit that finds shards gone is believed at once', async () => {
  const world = new World();
  const a = await world.start('a');
  a.keeper.forget([3, 4, 999]);
  expect([a.keeper.owns(3), a.keeper.owns(5), a.keeper.epoch(3), a.keeper.epoch(5)]).toEqual([false, true, undefined, 1n]);
  expect(a.told.at(-1)).toBe('-2');
});

test('one that was paused past its own fence takes its shards anew, though nobody had them meanwhile', async () => {
  const world = new World();
  const a = await world.start('a');
  world.clock.jump(5_500);
  expect(a.keeper.owns(7)).toBe(false);
  await world.run(50);
  expect(a.told.slice(-2)).toEqual(['-257', '+257']);
  expect(a.keeper.owns(7)).toBe(true);
});

test('a process started again takes over from its predecessor at once', async () => {
  const world = new World();
  const before = await world.start('a-1');
  before.away = true;
  world.all.length = 0; // it is dead, and nobody asks it what it owns
  const after = await world.start('a-2');
  expect(after.keeper.size).toBe(257);
  expect(after.keeper.epoch(7)).toBe(2n);
});

test('so does one whose renewal was answered only after its fence', async () => {
  const world = new World();
  const a = await world.start('a');
  await world.run(SHARD_RENEW_MS - 100);
  const answer = Promise.withResolvers<undefined>();
  a.slow = answer.promise;
  await world.run(3_000);
  expect([a.keeper.size, a.keeper.owns(7)]).toEqual([257, false]);
  a.slow = undefined;
  answer.resolve(undefined);
  await world.run(50);
  expect(a.told.slice(-2)).toEqual(['-257', '+257']);
});

test('a pause within the fence moves nothing', async () => {
  const world = new World();
  const a = await world.start('a');
  world.clock.jump(3_000);
  const before = a.told.length;
  await world.run(50);
  expect(a.told).toHaveLength(before);
});

test('a shard that came back under a higher epoch is lost and gained', async () => {
  const world = new World();
  const a = await world.start('a');
  Object.assign(world.table.rows.get(1) ?? {}, { epoch: 5n });
  await world.run(SHARD_RENEW_MS);
  expect(a.told.slice(-2)).toEqual(['-1', '+1']);
  expect(a.keeper.epoch(1)).toBe(5n);
});

test('loading that fails is repeated; loading that takes longer than a lease costs no lease', async () => {
  const world = new World();
  const a = world.add('a');
  let tries = 0;
  const slow = Promise.withResolvers<undefined>();
  a.load = async () => {
    if (++tries === 1) throw new Error('a hiccup');
    await slow.promise;
  };
  const starting = a.keeper.start();
  await world.run(3 * SHARD_LEASE_MS);
  expect([tries, a.keeper.size]).toEqual([2, 257]);
  slow.resolve(undefined);
  await starting;
  expect(a.told).toEqual(['+257']);
});

test('runs that were read before a shard was lost must not be used after it returned', async () => {
  const world = new World();
  const a = world.add('a');
  const first = Promise.withResolvers<undefined>();
  const seen: boolean[] = [];
  const keeper = new ShardKeeper({
    clock: world.clock, owner: 'x', log: { info: () => undefined, warn: () => undefined }, notify: () => undefined, store: world.table.store(() => false),
    listener: {
      gained: async (shards, held) => {
        if (shards.length > 1) await first.promise;
        seen.push(held(1));
      },
      lost: () => undefined, settled: () => Promise.resolve(), peers: () => undefined,
    },
  });
  world.all.splice(world.all.indexOf(a), 1);
  void keeper.start();
  await world.run(100);
  Object.assign(world.table.rows.get(1) ?? {}, { epoch: 7n });
  await world.run(SHARD_RENEW_MS);
  expect(keeper.epoch(1)).toBe(7n);
  first.resolve(undefined);
  await world.run(50);
  expect(seen).toEqual([false, true]);
});

test('current says whether leases are renewed, also where no shard is left', async () => {
  const world = new World();
  const a = await world.start('a');
  expect(a.keeper.current).toBe(true);
  a.away = true;
  await world.run(SHARD_LEASE_MS - 500);
  expect(a.keeper.current).toBe(false);
});

const fault = fc.record({ who: fc.nat(4), what: fc.constantFrom('cut', 'mend', 'stop', 'start'), forMs: fc.integer({ min: 0, max: 6_000 }) });

test('whatever is cut off, stops or joins: never two for one shard, and at the end every shard is owned by a fair share', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fault, { minLength: 1, maxLength: 8 }), async (faults) => {
    const world = new World();
    let names = 0;
    await world.start('r0');
    for (const { who, what, forMs } of faults) {
      const replica = world.all[who % Math.max(1, world.all.length)];
      if (what === 'start' || replica === undefined) void world.add(`r${++names}`).keeper.start();
      else if (what === 'stop') {
        world.all.splice(world.all.indexOf(replica), 1);
        void replica.keeper.stop();
      } else replica.away = what === 'cut';
      await world.run(forMs, 100);
    }
    for (const replica of world.all) replica.away = false;
    if (world.all.length === 0) await world.start('last');
    await world.run(2 * SHARD_LEASE_MS, 100);
    const sizes = world.sizes();
    expect(sizes.reduce((sum, n) => sum + n, 0)).toBe(257);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(Math.ceil(256 / sizes.length) + 1);
  }), { numRuns: 50 });
}, 60_000);
