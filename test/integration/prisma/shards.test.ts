import { acquireShards, commitBatch, leaveShards, listShards, releaseShards, renewShards, succeedShards, type ShardLease } from '../../../prisma/store/index.ts';
import { createWrite } from '../../harness/rows.ts';
import { type Fixture, newRun, openFixture, until } from './fixture.ts';

let fixture: Fixture;
beforeAll(async () => { fixture = await openFixture(); });
afterAll(async () => { await fixture.close(); });
beforeEach(async () => {
  await fixture.db.query({ name: 'reset', text: 'WITH gone AS (DELETE FROM replica) UPDATE shard SET owner = NULL, lease_until = NULL, epoch = 0' }, []);
});

const EXPIRE = { name: 'expire-of', text: `WITH r AS (UPDATE replica SET lease_until = now() - interval '1 ms' WHERE name = $1::text) UPDATE shard SET lease_until = now() - interval '1 ms' WHERE owner = $1::text` };
const WAITING = { name: 'waiting', text: `SELECT 1 AS one FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'` };

test('takes what is free, raises epochs by one, leaves live leases alone', async () => {
  const { db } = fixture;
  const first = await acquireShards(db, 'a', 4_000, { runs: 100, singleton: false });
  expect(first.map((lease) => lease.id)).toEqual([...Array(100).keys()]);
  expect(first.every((lease) => lease.epoch === 1n)).toBe(true);
  const second = await acquireShards(db, 'b', 4_000);
  expect(second.map((lease) => lease.id)).toEqual(Array.from({ length: 157 }, (_, i) => i + 100));
  expect(await acquireShards(db, 'c', 4_000)).toEqual([]);
  expect(await acquireShards(db, 'a', 4_000)).toEqual([]);
});

test('a renewal keeps the epoch and prolongs the lease; one that ran out untaken is still valid', async () => {
  const { db } = fixture;
  const owned = await acquireShards(db, 'a', 4_000);
  await db.query(EXPIRE, ['a']);
  expect((await renewShards(db, 'a', 4_000)).kept).toEqual(owned);
  expect(await acquireShards(db, 'b', 4_000)).toEqual([]);
  const [row] = await listShards(db);
  expect(row).toMatchObject({ id: 0, owner: 'a', epoch: 1n });
  expect(row?.leaseUntil).toBeGreaterThan(Date.now() + 2_000);
});

test('an expired lease is taken over with the next epoch, and its old owner renews nothing', async () => {
  const { db } = fixture;
  await acquireShards(db, 'a', 4_000);
  await db.query(EXPIRE, ['a']);
  const taken = await acquireShards(db, 'b', 4_000);
  expect(taken).toHaveLength(257);
  expect(taken.every((lease) => lease.epoch === 2n)).toBe(true);
  expect((await renewShards(db, 'a', 4_000)).kept).toEqual([]);
});

test('released shards are free at once and keep their epoch; those of others cannot be released', async () => {
  const { db } = fixture;
  await acquireShards(db, 'a', 4_000);
  await releaseShards(db, 'b', [0, 1]);
  expect(await acquireShards(db, 'b', 4_000)).toEqual([]);
  await releaseShards(db, 'a', [0, 7, 256]);
  expect(await acquireShards(db, 'b', 4_000)).toEqual([{ id: 0, epoch: 2n }, { id: 7, epoch: 2n }, { id: 256, epoch: 2n }]);
  expect((await renewShards(db, 'a', 4_000)).kept).toHaveLength(254);
});

test('a renewal tells who else lives and what is free; whoever leaves is no replica any more', async () => {
  const { db } = fixture;
  expect(await renewShards(db, 'a', 4_000)).toEqual({ kept: [], peers: [], free: 256, singletonFree: true, soonestMs: undefined });
  await acquireShards(db, 'a', 4_000, { runs: 200, singleton: true });
  const b = await renewShards(db, 'b', 4_000);
  expect(b).toMatchObject({ kept: [], peers: ['a'], free: 56, singletonFree: false });
  expect(b.soonestMs).toBeGreaterThan(2_000);
  expect(b.soonestMs).toBeLessThanOrEqual(4_000);
  expect((await renewShards(db, 'a', 4_000)).peers).toEqual(['b']);
  await leaveShards(db, 'a');
  expect(await renewShards(db, 'b', 4_000)).toMatchObject({ peers: [], free: 256, singletonFree: true });
  await db.query(EXPIRE, ['b']);
  expect((await renewShards(db, 'c', 4_000)).peers).toEqual([]);
});

test('a replica that is paused is no peer once its lease has ended, and its shards count as free', async () => {
  const { db } = fixture;
  await acquireShards(db, 'a', 150);
  await renewShards(db, 'a', 150);
  expect(await renewShards(db, 'b', 4_000)).toMatchObject({ peers: ['a'], free: 0 });
  await until(async () => (await renewShards(db, 'b', 4_000)).free === 256, 'the lease of a ends by itself');
  expect(await renewShards(db, 'b', 4_000)).toMatchObject({ peers: [], singletonFree: true });
});

test('one that wakes after its shards were taken writes nothing, although its batch has other shards that are its own', async () => {
  const { db } = fixture;
  const owned = await acquireShards(db, 'a', 4_000);
  const mine = newRun();
  let gone = newRun();
  while (gone.shard === mine.shard) gone = newRun();
  await releaseShards(db, 'a', [gone.shard]);
  const [heir] = await acquireShards(db, 'b', 4_000);
  expect(heir).toEqual({ id: gone.shard, epoch: 2n });
  const batch = { owner: 'a', shards: owned.filter(({ id }) => id === mine.shard || id === gone.shard), writes: [createWrite(mine.id, mine.shard), createWrite(gone.id, gone.shard)], published: [] };
  expect(await commitBatch(db, batch)).toMatchObject({ shardLost: [gone.shard], applied: [] });
  expect(await db.query({ name: 'both', text: 'SELECT id FROM run WHERE id = ANY ($1::uuid[])' }, [[mine.id, gone.id]])).toEqual([]);
  // Back under the same name it is still refused: the epoch fences, not the owner's name.
  await releaseShards(db, 'b', [gone.shard]);
  await acquireShards(db, 'a', 4_000);
  expect(await commitBatch(db, batch)).toMatchObject({ shardLost: [gone.shard] });
});

test('renewals, takeovers, releases and commits of several replicas at once never wait for each other in a ring', async () => {
  const { db } = fixture;
  const names = ['a', 'b', 'c'];
  const errors: unknown[] = [];
  const one = async (name: string, i: number): Promise<void> => {
    const taken = await acquireShards(db, name, 40 + i, { runs: 60, singleton: i % 2 === 0 });
    const { kept } = await renewShards(db, name, 40);
    const run = newRun();
    await commitBatch(db, { owner: name, shards: kept.filter(({ id }) => id === run.shard), writes: kept.some(({ id }) => id === run.shard) ? [createWrite(run.id, run.shard)] : [], published: [] });
    await releaseShards(db, name, taken.slice(0, 20).map(({ id }) => id));
  };
  await Promise.all(names.map(async (name) => { for (let i = 0; i < 60; i++) await one(name, i).catch((error: unknown) => { errors.push(error); }); }));
  expect(errors).toEqual([]);
});

test('many replicas that start at once share out every shard exactly once', async () => {
  const { db } = fixture;
  const taken = await Promise.all(['a', 'b', 'c', 'd'].map((owner) => acquireShards(db, owner, 4_000)));
  const ids = taken.flat().map((lease) => lease.id);
  expect(new Set(ids).size).toBe(ids.length);
  const rest = await acquireShards(db, 'e', 4_000);
  expect(ids.length + rest.length).toBe(257);
});

test('a takeover waits for a commit in flight; a renewal passes beside it', async () => {
  const { db } = fixture;
  const owned = await acquireShards(db, 'a', 4_000);
  const run = newRun();
  const order: string[] = [];
  let takeover: Promise<readonly ShardLease[]> = Promise.resolve([]);
  await db.transaction(async (tx) => {
    const result = await commitBatch(tx, { owner: 'a', shards: owned.filter((lease) => lease.id === run.shard), writes: [createWrite(run.id, run.shard)], published: [] });
    expect(result.applied).toEqual([run.id]);
    expect((await renewShards(db, 'a', 4_000)).kept).toHaveLength(257); // not blocked by the lock of the open commit
    await db.query(EXPIRE, ['a']);
    takeover = acquireShards(db, 'b', 4_000).then((taken) => {
      order.push('taken');
      return taken;
    });
    await until(async () => (await db.query(WAITING, [])).length > 0, 'the takeover waits for a lock');
    order.push('committing');
  });
  expect((await takeover).length).toBe(257);
  expect(order).toEqual(['committing', 'taken']);
});

test('a commit that meets a takeover in flight waits for it and then writes nothing', async () => {
  const { db } = fixture;
  const owned = await acquireShards(db, 'a', 4_000);
  const run = newRun();
  await db.query(EXPIRE, ['a']);
  let late: ReturnType<typeof commitBatch> | undefined;
  await db.transaction(async (tx) => {
    await acquireShards(tx, 'b', 4_000);
    late = commitBatch(db, { owner: 'a', shards: owned.filter((lease) => lease.id === run.shard), writes: [createWrite(run.id, run.shard)], published: [] });
    await until(async () => (await db.query(WAITING, [])).length > 0, 'the commit waits for the takeover');
  });
  expect(await late).toMatchObject({ shardLost: [run.shard], applied: [] });
});

test('a process started again frees what its predecessors held, and nothing of others', async () => {
  const { db } = fixture;
  await acquireShards(db, 'pod-1-aaaaaaaa', 4_000, { runs: 100, singleton: true });
  await acquireShards(db, 'pod-1-b-aaaaaaaa', 4_000, { runs: 50, singleton: false });
  await acquireShards(db, 'pod-12-aaaaaaaa', 4_000, { runs: 50, singleton: false });
  await succeedShards(db, 'pod-1-bbbbbbbb', 'pod-1');
  const taken = await acquireShards(db, 'pod-1-bbbbbbbb', 4_000);
  expect(taken.map((lease) => lease.epoch)).toEqual([...Array(100).fill(2n), ...Array(56).fill(1n), 2n]);
  const owners = Map.groupBy(await listShards(db), (row) => row.owner);
  expect([...owners].map(([owner, rows]) => [owner, rows.length])).toEqual(expect.arrayContaining([['pod-1-bbbbbbbb', 157], ['pod-1-b-aaaaaaaa', 50], ['pod-12-aaaaaaaa', 50]]));
});
