import type { Executor, Statement } from './db.ts';
import type { ShardLease } from './types.ts';

/*
 * Ownership. A takeover locks the row FOR UPDATE, so it waits for commits that hold it FOR KEY SHARE; a renewal changes
 * no key column and passes beside them. All times are Postgres's. The epoch fences: the lease only says when to take over.
 * Every statement locks shards in order of their id, so two owners cannot wait for each other.
 */

/** The shard of singletons: it does not count as one of the shares. */
const SINGLETON = 256;

const FREE = 'owner IS NULL OR lease_until IS NULL OR lease_until < clock_timestamp()';
const LEASE = "clock_timestamp() + $2::int4 * interval '1 millisecond'";

/** Rows of replicas that ended long ago go on this occasion. */
const ACQUIRE: Statement = {
  name: 'shards-acquire',
  text: `WITH runs AS (SELECT id FROM shard WHERE id < ${SINGLETON} AND (${FREE}) ORDER BY id LIMIT $3::int4 FOR UPDATE),
  singleton AS (SELECT id FROM shard WHERE id = ${SINGLETON} AND $4::bool AND (${FREE}) FOR UPDATE),
  free AS (SELECT id FROM runs UNION ALL SELECT id FROM singleton),
  dead AS (DELETE FROM replica WHERE lease_until < clock_timestamp() - interval '1 minute')
  UPDATE shard SET owner = $1::text, epoch = epoch + 1, lease_until = ${LEASE}
  FROM free WHERE shard.id = free.id RETURNING shard.id, shard.epoch`,
};

/** One row: what is still ours, who else lives, what is free, and when the next lease of others may end. */
const RENEW: Statement = {
  name: 'shards-renew',
  text: `WITH me AS (INSERT INTO replica (name, lease_until) VALUES ($1::text, ${LEASE}) ON CONFLICT (name) DO UPDATE SET lease_until = excluded.lease_until),
  mine AS MATERIALIZED (SELECT id FROM shard WHERE owner = $1::text ORDER BY id FOR NO KEY UPDATE),
  kept AS (UPDATE shard SET lease_until = ${LEASE} FROM mine WHERE shard.id = mine.id RETURNING shard.id, shard.epoch),
  others AS MATERIALIZED (SELECT name, lease_until FROM replica WHERE name <> $1::text AND lease_until >= clock_timestamp()),
  free AS MATERIALIZED (SELECT id FROM shard WHERE owner IS DISTINCT FROM $1::text AND (${FREE}))
  SELECT (SELECT string_agg(id || ':' || epoch, ',' ORDER BY id) FROM kept) AS "kept",
    (SELECT array_agg(name ORDER BY name) FROM others) AS "peers",
    (SELECT count(*)::int4 FROM free WHERE id < ${SINGLETON}) AS "free",
    EXISTS (SELECT 1 FROM free WHERE id = ${SINGLETON}) AS "singletonFree",
    (SELECT ceil(extract(epoch FROM min(lease_until) - clock_timestamp()) * 1000)::int4 FROM others) AS "soonestMs"`,
};

const RELEASE: Statement = {
  name: 'shards-release',
  text: `WITH mine AS (SELECT id FROM shard WHERE owner = $1::text AND id = ANY ($2::int2[]) ORDER BY id FOR UPDATE)
  UPDATE shard SET owner = NULL, lease_until = NULL FROM mine WHERE shard.id = mine.id`,
};

const LEAVE: Statement = {
  name: 'shards-leave',
  text: `WITH me AS (DELETE FROM replica WHERE name = $1::text),
  mine AS (SELECT id FROM shard WHERE owner = $1::text ORDER BY id FOR UPDATE)
  UPDATE shard SET owner = NULL, lease_until = NULL FROM mine WHERE shard.id = mine.id`,
};

/** A process is its name and eight random digits: all others of that name are predecessors. */
const OF_NAME = "starts_with(%, $2::text || '-') AND length(%) = length($2::text) + 9 AND % <> $1::text";
const SUCCEED: Statement = {
  name: 'shards-succeed',
  text: `WITH gone AS (DELETE FROM replica WHERE ${OF_NAME.replaceAll('%', 'name')}),
  theirs AS (SELECT id FROM shard WHERE ${OF_NAME.replaceAll('%', 'owner')} ORDER BY id FOR UPDATE)
  UPDATE shard SET owner = NULL, lease_until = NULL FROM theirs WHERE shard.id = theirs.id`,
};

const LIST: Statement = { name: 'shards-list', text: 'SELECT id, owner, epoch, lease_until AS "leaseUntil" FROM shard ORDER BY id' };

interface Stored { readonly id: number; readonly epoch: string }

/** How many shards to take: of the 256 of runs, and whether that of the singletons too. */
export interface ShardWish {
  readonly runs: number;
  readonly singleton: boolean;
}

/** What a renewal tells. */
export interface ShardRenewal {
  /** What the owner still owns; a lease that ran out but was not taken stays valid. */
  readonly kept: readonly ShardLease[];
  /** Names of the other replicas that live. */
  readonly peers: readonly string[];
  /** Run shards nobody holds a lease of. */
  readonly free: number;
  readonly singletonFree: boolean;
  /** Milliseconds until the first lease of another replica ends, unless it is renewed; undefined without others. */
  readonly soonestMs: number | undefined;
}

const ALL: ShardWish = { runs: SINGLETON, singleton: true };

/**
 * Takes free and expired shards, at most what was wished for; each rises by one epoch. Waits for commits in flight on
 * them, and is UnavailableError when they take longer than the lock timeout. Returns what was taken now.
 */
export async function acquireShards(db: Executor, owner: string, leaseMs: number, wish: ShardWish = ALL): Promise<readonly ShardLease[]> {
  return leases(await db.query<Stored>(ACQUIRE, [owner, leaseMs, wish.runs, wish.singleton]));
}

interface StoredRenewal {
  /** `id:epoch,id:epoch`; null for none. */
  readonly kept: string | null;
  readonly peers: readonly string[] | null;
  readonly free: number;
  readonly singletonFree: boolean;
  readonly soonestMs: number | null;
}

/** Renews all leases of an owner and its own sign of life, and looks around: the one statement of an idle second. */
export async function renewShards(db: Executor, owner: string, leaseMs: number): Promise<ShardRenewal> {
  const [row] = await db.query<StoredRenewal>(RENEW, [owner, leaseMs]);
  const kept = row?.kept?.split(',').map((pair) => {
    const [id = '', epoch = ''] = pair.split(':');
    return { id: Number(id), epoch: BigInt(epoch) };
  });
  return {
    kept: kept ?? [], peers: row?.peers ?? [], free: row?.free ?? 0, singletonFree: row?.singletonFree ?? false, soonestMs: row?.soonestMs ?? undefined,
  };
}

/** Gives some shards back at once. Call after what was being written for them has ended. */
export async function releaseShards(db: Executor, owner: string, shards: readonly number[]): Promise<void> {
  await db.query(RELEASE, [owner, shards]);
}

/** Gives everything back and is no replica any more. Call after every writer has stopped. */
export async function leaveShards(db: Executor, owner: string): Promise<void> {
  await db.query(LEAVE, [owner]);
}

/**
 * Frees what earlier processes of the same replica held: their container has been started again, so they are dead, and
 * nobody has to wait for their leases. Should one live after all, its writes are refused: every taking raises the epoch.
 */
export async function succeedShards(db: Executor, owner: string, replica: string): Promise<void> {
  await db.query(SUCCEED, [owner, replica]);
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
