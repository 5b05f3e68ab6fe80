import { acquireShards, commitBatch, listShards, releaseShards, renewShards, type ShardLease } from '../../../prisma/store/index.ts';
import { createWrite } from '../../harness/rows.ts';
import { type Fixture, newRun, openFixture, until } from './fixture.ts';

let fixture: Fixture;
beforeAll(async () => { fixture = await openFixture(); });
afterAll(async () => { await fixture.close(); });
beforeEach(async () => {
  await fixture.db.query({ name: 'reset', text: 'UPDATE shard SET owner = NULL, lease_until = NULL, epoch = 0' }, []);
});

const EXPIRE = { name: 'expire-of', text: `UPDATE shard SET lease_until = now() - interval '1 ms' WHERE owner = $1::text` };
const WAITING = { name: 'waiting', text: `SELECT 1 AS one FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'` };

test('takes what is free, raises epochs by one, leaves live leases alone', async () => {
  const { db } = fixture;
  const first = await acquireShards(db, 'a', 4_000, 100);
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
  expect(await renewShards(db, 'a', 4_000)).toEqual(owned);
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
  expect(await renewShards(db, 'a', 4_000)).toEqual([]);
});

test('released shards are free at once and keep their epoch', async () => {
  const { db } = fixture;
  await acquireShards(db, 'a', 4_000);
  await releaseShards(db, 'a');
  expect((await acquireShards(db, 'b', 4_000))[0]).toEqual({ id: 0, epoch: 2n });
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
    expect(await renewShards(db, 'a', 4_000)).toHaveLength(257); // not blocked by the lock of the open commit
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
