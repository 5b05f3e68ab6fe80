import type { Executor, Statement } from './db.ts';
import type { ShardLease } from './types.ts';

/*
 * Ownership. A takeover locks the row FOR UPDATE, so it waits for commits that hold it FOR KEY SHARE; a renewal changes
 * no key column and passes beside them. All times are Postgres's. The epoch fences: the lease only says when to take over.
 */

/** Order by id everywhere: two owners cannot wait for each other. */
const ACQUIRE: Statement = {
  name: 'shards-acquire',
  text: `WITH free AS (
    SELECT id FROM shard WHERE owner IS NULL OR lease_until IS NULL OR lease_until < clock_timestamp() ORDER BY id LIMIT $3::int4 FOR UPDATE)
  UPDATE shard SET owner = $1::text, epoch = epoch + 1, lease_until = clock_timestamp() + $2::int4 * interval '1 millisecond'
  FROM free WHERE shard.id = free.id RETURNING shard.id, shard.epoch`,
};

const RENEW: Statement = {
  name: 'shards-renew',
  text: `UPDATE shard SET lease_until = clock_timestamp() + $2::int4 * interval '1 millisecond' WHERE owner = $1::text RETURNING id, epoch`,
};

const RELEASE: Statement = {
  name: 'shards-release',
  text: 'UPDATE shard SET owner = NULL, lease_until = NULL WHERE owner = $1::text',
};

const LIST: Statement = { name: 'shards-list', text: 'SELECT id, owner, epoch, lease_until AS "leaseUntil" FROM shard ORDER BY id' };

interface Stored { readonly id: number; readonly epoch: string }

/** All shards there are, the singletons' included. */
const ALL = 1_000;

/**
 * Takes free and expired shards, at most `max`; each rises by one epoch. Waits for commits in flight on them, and is
 * UnavailableError when they take longer than the lock timeout. Returns what was taken now.
 */
export async function acquireShards(db: Executor, owner: string, leaseMs: number, max: number = ALL): Promise<readonly ShardLease[]> {
  return leases(await db.query<Stored>(ACQUIRE, [owner, leaseMs, max]));
}

/** Renews all leases of an owner and returns what it still owns. A lease that ran out but was not taken stays valid. */
export async function renewShards(db: Executor, owner: string, leaseMs: number): Promise<readonly ShardLease[]> {
  return leases(await db.query<Stored>(RENEW, [owner, leaseMs]));
}

/** Gives all shards back at once. Call after every writer has stopped. */
export async function releaseShards(db: Executor, owner: string): Promise<void> {
  await db.query(RELEASE, [owner]);
}

/** Who owns what. */
export interface ShardRow extends ShardLease {
  readonly owner: string | null;
  readonly leaseUntil: number | null;
}

/** All shards in order of their id. */
export async function listShards(db: Executor): Promise<readonly ShardRow[]> {
  const rows = await db.query<Stored & { readonly owner: string | null; readonly leaseUntil: number | null }>(LIST, []);
  return rows.map((row) => ({ ...row, epoch: BigInt(row.epoch) }));
}

function leases(rows: readonly Stored[]): readonly ShardLease[] {
  return rows.map((row) => ({ id: row.id, epoch: BigInt(row.epoch) })).sort((a, b) => a.id - b.id);
}
