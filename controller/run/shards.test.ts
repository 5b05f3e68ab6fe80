import { ManualClock } from '../../platform/clock/manual.ts';
import { ShardKeeper, SHARD_RENEW_MS, type OwnedShard } from './shards.ts';

interface World {
  clock: ManualClock;
  keeper: ShardKeeper;
  told: string[];
  store: { owned: OwnedShard[]; free: OwnedShard[]; fail: boolean; released: string[] };
  settle(): Promise<void>;
}

function world(): World {
  const clock = new ManualClock();
  const told: string[] = [];
  const store = { owned: [] as OwnedShard[], free: [{ id: 1, epoch: 1n }, { id: 2, epoch: 1n }], fail: false, released: [] as string[] };
  const guard = <T>(value: T): Promise<T> => (store.fail ? Promise.reject(new Error('away')) : Promise.resolve(value));
  const keeper = new ShardKeeper({
    clock, owner: 'me', log: { info: () => undefined, warn: () => undefined },
    store: {
      acquire: async () => {
        const taken = await guard(store.free);
        store.owned.push(...taken);
        store.free = [];
        return taken;
      },
      renew: () => guard([...store.owned]),
      release: (owner) => { store.released.push(owner); return Promise.resolve(); },
    },
    listener: {
      gained: (shards) => { told.push(`+${shards.map((s) => s.id).join(',')}`); return Promise.resolve(); },
      lost: (shards) => { told.push(`-${shards.join(',')}`); },
    },
  });
  const settle = async (): Promise<void> => { for (let i = 0; i < 20; i++) await Promise.resolve(); };
  return { clock, keeper, told, store, settle };
}

test('takes what is free and keeps it', async () => {
  const w = world();
  await w.keeper.start();
  expect(w.told).toEqual(['+1,2']);
  expect([w.keeper.owns(1), w.keeper.owns(3), w.keeper.epoch(2)]).toEqual([true, false, 1n]);
  w.clock.advance(SHARD_RENEW_MS);
  await w.settle();
  expect(w.told).toEqual(['+1,2']);
  await w.keeper.stop();
  expect(w.store.released).toEqual(['me']);
});

test('a replica that cannot renew stops by itself before the lease ends', async () => {
  const w = world();
  await w.keeper.start();
  w.store.fail = true;
  for (let i = 0; i < 3; i++) { w.clock.advance(SHARD_RENEW_MS); await w.settle(); }
  expect(w.keeper.owns(1)).toBe(true);
  w.clock.advance(SHARD_RENEW_MS);
  expect(w.keeper.owns(1)).toBe(false);
  await w.settle();
  expect(w.told).toEqual(['+1,2', '-1,2']);
  await w.keeper.stop();
});

test('a shard that came back under a higher epoch is lost and gained', async () => {
  const w = world();
  await w.keeper.start();
  w.store.owned = [{ id: 1, epoch: 5n }];
  w.clock.advance(SHARD_RENEW_MS);
  await w.settle();
  expect(w.told).toEqual(['+1,2', '-1,2', '+1']);
  expect(w.keeper.epoch(1)).toBe(5n);
  await w.keeper.stop();
});
