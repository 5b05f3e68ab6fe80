import type { Clock } from '../../platform/clock/index.ts';
import type { CommitBatch, HalvedResult, LoadedRun, OutboxRow } from '../../prisma/store/types.ts';
import { shardOf } from '../../platform/messages/subjects.ts';
import type { Definitions } from './definitions.ts';
import type { Draft } from './draft.ts';
import type { LiveRun } from './live-run.ts';
import type { PersistResult, RunPersistence } from './ports.ts';
import { fromRows, toWrite } from './rows.ts';
import type { OwnedShard } from './shards.ts';
import { FINAL_PHASES } from '../../crds/workflow-run.ts';

/** The store functions the run loop uses. */
export interface StoreFunctions {
  commit(batch: CommitBatch): Promise<HalvedResult>;
  loadRuns(ids: readonly string[]): Promise<readonly LoadedRun[]>;
  loadOutbox(shards: readonly number[]): Promise<readonly OutboxRow[]>;
}

/** Why a run that was read must not go on by itself, because its object says more than its row; undefined when it may. */
export type Suspicion = (run: LoadedRun['run']) => string | undefined;

/** Writes and reads runs through `prisma/store`, fenced by the epochs of this replica's shards. */
export function runPersistence(parts: {
  readonly store: StoreFunctions;
  readonly owner: string;
  readonly epoch: (shard: number) => bigint | undefined;
  readonly clock: Clock;
  readonly definitions: Definitions;
  readonly suspicion: Suspicion;
  readonly log: { error(facts: object, message: string): void };
}): RunPersistence {
  return {
    persist: (drafts, published) => persist(parts, drafts, published),
    outbox: async (ids) => {
      const wanted = new Set(ids);
      const rows = await parts.store.loadOutbox([...new Set(ids.map(shardOf))]);
      return rows.filter((row) => wanted.has(row.runId));
    },
    load: async (ids) => {
      const loaded = await parts.store.loadRuns(ids);
      return (await Promise.all(loaded.map((run) => restore(parts, run)))).filter((live) => live !== undefined);
    },
  };
}

type Parts = Parameters<typeof runPersistence>[0];

async function persist(parts: Parts, drafts: readonly Draft[], published: readonly string[]): Promise<PersistResult> {
  const shards = new Map<number, OwnedShard>();
  const lost: number[] = [];
  for (const { live } of drafts) {
    const epoch = parts.epoch(live.shard);
    if (epoch === undefined) lost.push(live.shard);
    else shards.set(live.shard, { id: live.shard, epoch });
  }
  if (lost.length > 0) return { lostShards: lost, conflicts: [], poisoned: new Map(), outboxIds: new Map() };
  const now = parts.clock.now();
  const result = await parts.store.commit({
    owner: parts.owner, shards: [...shards.values()], writes: drafts.map((draft) => toWrite(draft, now)), published,
  });
  return { lostShards: result.shardLost, conflicts: result.conflicts, poisoned: result.poisoned, outboxIds: result.outboxIds };
}

/** A run whose stored definition no longer compiles stays where it is and says so: it is ours to mend, not the user's to lose. */
export async function restore(parts: Pick<Parts, 'definitions' | 'suspicion' | 'log'>, loaded: LoadedRun): Promise<LiveRun | undefined> {
  if (FINAL_PHASES.includes(loaded.run.phase)) return undefined;
  const definition = await parts.definitions.get(loaded.definition);
  if (definition.ok) {
    const live = fromRows(loaded, definition.compiled);
    const suspect = loaded.run.review === null ? parts.suspicion(loaded.run) : undefined;
    return suspect === undefined ? live : Object.assign(live, { suspect });
  }
  parts.log.error({ run: loaded.run.id, problems: definition.problems.slice(0, 3) }, 'the stored definition of a live run does not compile');
  return undefined;
}
