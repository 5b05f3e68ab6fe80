import { RUN_SHARDS, SINGLETON_SHARD } from '../../platform/messages/subjects.ts';

/** What one replica sees of the shard table. */
export interface SpreadView {
  /** Shards it owns, that of the singletons among them. */
  readonly mine: readonly number[];
  /** Replicas that live, itself included. */
  readonly replicas: number;
  /** Run shards that nobody holds. */
  readonly free: number;
  readonly singletonFree: boolean;
}

/** What it does about it. */
export interface SpreadPlan {
  readonly give: readonly number[];
  readonly take: { readonly runs: number; readonly singleton: boolean };
}

/**
 * The fair share of a replica is ceil(256 / replicas). Each looks only at itself: who has more gives the rest back, who
 * has less takes what is free. Nobody is told what to take, so two replicas with different views cannot fight over a
 * shard, and no shard moves but what is over a share or has lost its owner. The singletons stay where they are.
 */
export function spread(view: SpreadView): SpreadPlan {
  const share = fairShare(view.replicas);
  const runs = view.mine.filter((id) => id !== SINGLETON_SHARD);
  return {
    give: runs.slice(share),
    take: { runs: Math.max(0, Math.min(view.free, share - runs.length)), singleton: view.singletonFree },
  };
}

/** Run shards of one replica at most. */
export function fairShare(replicas: number): number {
  return Math.ceil(RUN_SHARDS / Math.max(1, replicas));
}
