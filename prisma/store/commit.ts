import { RamboError } from '../../platform/errors/index.ts';
import { encodeCommit, encodeIds } from './commit-params.ts';
import { commitStatement, PUBLISHED } from './commit-sql.ts';
import type { Executor } from './db.ts';
import { RowError } from './errors.ts';
import type { CommitBatch, CommitResult, HalvedResult, RunWrite } from './types.ts';

const NOTHING: CommitResult = { shardLost: [], applied: [], conflicts: [], outboxIds: new Map() };

interface CommitAnswer {
  /** Shards not held, `1,2`; null for none. */
  readonly lost: string | null;
  /** Positions (from 1) of runs not written; null for none. */
  readonly refused: string | null;
  /** Ids of new outbox rows in order; null for none. */
  readonly sends: string | null;
}

/**
 * Writes many runs in one statement, one round trip, one commit. Nothing is written when a shard of the batch is no
 * longer held under its epoch; a run that stands at another version, exists already or lost its idempotency key
 * writes nothing and is reported. Throws RowError when a row of the batch is refused (the whole batch with it: see
 * `commitHalving`), UnavailableError when Postgres is away; what was committed then shows as a conflict on repetition.
 */
export async function commitBatch(db: Executor, batch: CommitBatch): Promise<CommitResult> {
  if (batch.writes.length === 0) return deletePublished(db, batch.published);
  const { parts, values } = encodeCommit(batch);
  const [answer] = await db.query<CommitAnswer>(commitStatement(parts), values);
  if (answer === undefined) throw new RamboError('Bug', 'the commit statement returned no row');
  if (answer.lost !== null) return { ...NOTHING, shardLost: split(answer.lost).map(Number) };
  const refused = new Set(answer.refused === null ? [] : split(answer.refused).map(Number));
  const written = refused.size === 0 ? batch.writes : batch.writes.filter((_, i) => !refused.has(i + 1));
  return {
    shardLost: [],
    applied: written.map((write) => write.id),
    conflicts: refused.size === 0 ? [] : batch.writes.filter((_, i) => refused.has(i + 1)).map((write) => write.id),
    outboxIds: outboxIds(written, answer.sends === null ? [] : split(answer.sends)),
  };
}

async function deletePublished(db: Executor, published: readonly string[]): Promise<CommitResult> {
  if (published.length > 0) await db.query(PUBLISHED, [encodeIds(published)]);
  return NOTHING;
}

/**
 * As `commitBatch`, but a batch that is refused is halved until the guilty runs stand alone; they are reported with the
 * error and the others are written. Errors that pass are thrown; what was written before then shows as a conflict.
 */
export async function commitHalving(batch: CommitBatch, commit: (batch: CommitBatch) => Promise<CommitResult>): Promise<HalvedResult> {
  try {
    return { ...await commit(batch), poisoned: new Map() };
  } catch (error) {
    if (!(error instanceof RowError) || batch.writes.length === 0) throw error;
    const [only] = batch.writes;
    if (batch.writes.length === 1 && only !== undefined) return afterPoison(batch, only, error, commit);
  }
  const middle = batch.writes.length >> 1;
  const first = await commitHalving({ ...batch, writes: batch.writes.slice(0, middle) }, commit);
  const second = await commitHalving({ ...batch, writes: batch.writes.slice(middle), published: [] }, commit);
  return merge(first, second);
}

/** The poisoned run is left out; the published ids of its batch are deleted all the same. */
async function afterPoison(batch: CommitBatch, run: RunWrite, error: RowError, commit: (batch: CommitBatch) => Promise<CommitResult>): Promise<HalvedResult> {
  const rest = await commit({ ...batch, writes: [] });
  return { ...rest, poisoned: new Map([[run.id, error.message]]) };
}

function merge(a: HalvedResult, b: HalvedResult): HalvedResult {
  return {
    shardLost: [...new Set([...a.shardLost, ...b.shardLost])],
    applied: [...a.applied, ...b.applied],
    conflicts: [...a.conflicts, ...b.conflicts],
    outboxIds: new Map([...a.outboxIds, ...b.outboxIds]),
    poisoned: new Map([...a.poisoned, ...b.poisoned]),
  };
}

/** Ids rise in the order of insertion, which is the order of the writes and of their entries. */
function outboxIds(written: readonly RunWrite[], ids: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const byRun = new Map<string, readonly string[]>();
  let at = 0;
  for (const write of written) {
    if (write.outbox.length === 0) continue;
    byRun.set(write.id, ids.slice(at, at + write.outbox.length));
    at += write.outbox.length;
  }
  if (at !== ids.length) throw new RamboError('Bug', `${ids.length} outbox rows were written where ${at} were asked for`);
  return byRun;
}

function split(list: string): string[] {
  return list.split(',');
}
