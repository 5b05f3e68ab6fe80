import { nodeRow } from '../../engine/index.ts';
import type { LoadedRun, OutboxRow } from '../../prisma/store/types.ts';
import type { Definitions } from './definitions.ts';
import { rests } from './live-run.ts';
import type { LiveRuns } from './live-runs.ts';
import type { RunLoop } from './loop.ts';
import { restore, type Suspicion } from './persistence.ts';
import type { Relay } from './relay.ts';

/** What a new owner reads. */
export interface TakeoverStore {
  /** Live runs of shards, in pages by id. */
  loadLiveRuns(shards: readonly number[], afterId: string | undefined, limit: number): Promise<readonly LoadedRun[]>;
  loadOutbox(shards: readonly number[]): Promise<readonly OutboxRow[]>;
}

const PAGE = 500;

/** What a takeover is made of. */
export interface TakeoverParts {
  readonly store: TakeoverStore;
  readonly runs: LiveRuns;
  readonly relay: Relay;
  readonly loop: RunLoop;
  readonly definitions: Definitions;
  readonly suspicion: Suspicion;
  readonly log: { info(facts: object, message: string): void; error(facts: object, message: string): void };
}

/** Brings the runs of shards that were just taken into memory, from Postgres alone. */
export class Takeover {
  readonly #p: TakeoverParts;

  constructor(parts: TakeoverParts) {
    this.#p = parts;
  }

  /**
   * Loads runs page by page, then sends again whatever the outbox still holds for them. `held` says whether a shard is
   * still ours under the epoch it was taken with: rows read before it was lost must not come to life after it returned.
   */
  async load(shards: readonly number[], held: (shard: number) => boolean): Promise<void> {
    let after: string | undefined;
    let loaded = 0;
    for (;;) {
      const page = await this.#p.store.loadLiveRuns(shards, after, PAGE);
      for (const run of page) {
        const live = await restore(this.#p, run);
        // What is in memory was read by an event that came before us, and has gone on since.
        if (live !== undefined && held(live.shard) && this.#p.runs.get(live.id) === undefined) this.#p.runs.restore(live);
      }
      loaded += page.length;
      after = page.at(-1)?.run.id;
      if (page.length < PAGE) break;
    }
    const outbox = await this.#p.store.loadOutbox(shards);
    for (const row of outbox) if (held(row.shard)) this.send(row);
    if (loaded > 0 || outbox.length > 0) this.#p.log.info({ runs: loaded, outbox: outbox.length, shards: shards.length }, 'took over live runs');
    this.#p.loop.kick();
  }

  /** Sends what a row of the outbox stands for, once more under its message id. A row whose attempt is over, or whose run waits for a person, is only in the way. */
  send(row: OutboxRow): void {
    const live = this.#p.runs.get(row.runId);
    const current = live === undefined ? undefined : nodeRow(live.state, row.node, row.item);
    const left = (): void => { this.#p.loop.left(row.id); };
    if (live === undefined || rests(live) || current?.attempt !== row.attempt || current.status !== 'Queued') left();
    else this.#p.relay.send({ outboxId: row.id, live, node: row.node, item: row.item, attempt: row.attempt, send: row.send }, left);
  }
}
