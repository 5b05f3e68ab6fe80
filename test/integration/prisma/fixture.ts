import { systemIds } from '../../../platform/ids/index.ts';
import { shardOf } from '../../../platform/messages/subjects.ts';
import {
  acquireShards, type CommitResult, commitBatch, type Db, openStore, type RunWrite, type ShardLease, type StoreOptions,
} from '../../../prisma/store/index.ts';
import { type TestServer, testPostgres } from '../../harness/postgres.ts';

/** A database of one test file, with all shards owned by `me`. */
export interface Fixture {
  readonly server: TestServer;
  readonly url: string;
  readonly db: Db;
  readonly shards: readonly ShardLease[];
  /** Commits under the shards' epochs as `me`. */
  commit(writes: readonly RunWrite[], published?: readonly string[]): Promise<CommitResult>;
  close(): Promise<void>;
}

/** Opens a new database; `own` gives it a server of its own. */
export async function openFixture(options: { readonly own?: boolean; readonly store?: Partial<StoreOptions> } = {}): Promise<Fixture> {
  const server = await testPostgres(options.own === undefined ? {} : { own: options.own });
  const url = await server.createDatabase();
  const db = openStore({ url, max: 4, ...options.store });
  const shards = await acquireShards(db, 'me', 600_000);
  return {
    server, url, db, shards,
    commit: (writes, published = []) => commitBatch(db, { owner: 'me', shards: leasesOf(shards, writes), writes, published }),
    close: async () => {
      await db.close();
      await server.stop();
    },
  };
}

/** The leases that a batch needs. */
export function leasesOf(shards: readonly ShardLease[], writes: readonly RunWrite[]): readonly ShardLease[] {
  const used = new Set(writes.map((write) => write.shard));
  return shards.filter((shard) => used.has(shard.id));
}

/** A new run id and its shard. */
export function newRun(): { readonly id: string; readonly shard: number } {
  const id = systemIds.uuid();
  return { id, shard: shardOf(id) };
}

/** Resolves once `probe` is true; throws after 10 s. For conditions of a real server only. */
export async function until(probe: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!await probe()) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
}
