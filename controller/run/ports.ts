import type { RunEvent } from '../../engine/types.ts';
import type { OutboxRow } from '../../prisma/store/types.ts';
import type { Draft, NewRunRecord, Settled } from './draft.ts';
import type { LiveRun } from './live-run.ts';

/** What became of a batch. Ids that stand in no list were applied. */
export interface PersistResult {
  /** Shards this replica no longer owns: nothing of the batch was written. */
  readonly lostShards: readonly number[];
  /** Runs whose row was not at the expected version, or existed already: nothing of theirs was written. */
  readonly conflicts: readonly string[];
  /** Runs that make the commit fail by themselves; the others were written. */
  readonly poisoned: ReadonlyMap<string, string>;
  /** Rows of the outbox by run, in the order of the draft's entries. */
  readonly outboxIds: ReadonlyMap<string, readonly string[]>;
}

/** Writes many runs in one transaction, fenced by shard epochs. Throws UnavailableError when the database is away. */
export interface RunPersistence {
  persist(drafts: readonly Draft[], published: readonly string[]): Promise<PersistResult>;
  /** Live runs by id; runs that ended or never were are absent. */
  load(ids: readonly string[]): Promise<readonly LiveRun[]>;
  /** Dispatches of some runs that may not have left. */
  outbox(ids: readonly string[]): Promise<readonly OutboxRow[]>;
}

/** Work for the run loop: one event of one run. */
export interface Work {
  readonly run: string;
  readonly event: RunEvent;
  /** The first work of a new run brings it along. */
  readonly create?: { readonly live: LiveRun; readonly record: NewRunRecord };
  /** Told after the commit that carries the event. */
  readonly settle?: (settled: Settled) => void;
}

/** A dispatch that is durable and has to leave. */
export interface Outgoing {
  readonly outboxId: string;
  readonly live: LiveRun;
  readonly node: string;
  readonly item: number;
  readonly attempt: number;
  readonly send: number;
}

/** What follows a commit. Every effect may be repeated after a crash and must not mind. */
export interface AfterCommit {
  /** Publishes or creates; calls `done` once it is certain. */
  send(outgoing: Outgoing, done: () => void): void;
  /** Stops an attempt that no longer counts. */
  cancel(live: LiveRun, node: string, item: number, attempt: number, graceMs: number): void;
  /** The run changed: notices, status projection, metrics. `finished` when it has just ended. */
  changed(draft: Draft, finished: boolean): void;
  /** A commit whose answer was lost may have changed the run, and nobody was told. `live`: as it was read again, or, where it has ended, as memory had it. */
  reread(live: LiveRun): void;
}
