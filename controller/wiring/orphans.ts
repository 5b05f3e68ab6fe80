import type { Clock } from '../../platform/clock/index.ts';
import type { CrRef } from '../run/live-run.ts';
import { WorkQueue, type Outcome } from '../runtime/queue.ts';

/** What looking for orphans needs. */
export interface OrphanParts {
  readonly clock: Clock;
  /** Live runs in memory; `cr` where an object started them. */
  readonly runs: { get(id: string): { readonly cr?: CrRef } | undefined; values(): Iterable<{ readonly id: string; readonly cr?: CrRef }> };
  /** Uid of the object in the cache. */
  readonly cached: (cr: CrRef) => string | undefined;
  /** Uid of the object at the API server; throws when it does not answer. */
  readonly actual: (cr: CrRef) => Promise<string | undefined>;
  readonly cancel: (run: string) => void;
  readonly log: { warn(facts: object, message: string): void; error(facts: object, message: string): void };
}

/**
 * Cancels live runs whose object was deleted while nobody watched. A cache that does not have the object is no proof: the
 * run may have been accepted by another replica, whose cache was ahead of ours. So the API server is asked.
 */
export class Orphans {
  readonly #p: OrphanParts;
  readonly #queue: WorkQueue;

  constructor(parts: OrphanParts) {
    this.#p = parts;
    this.#queue = new WorkQueue({ name: 'orphans', concurrency: 4, clock: parts.clock, log: parts.log, worker: (run) => this.#look(run) });
  }

  /** Looks at all live runs; only those that the cache lacks cost a request. */
  check(): void {
    for (const live of this.#p.runs.values()) {
      if (live.cr !== undefined && this.#p.cached(live.cr) !== live.cr.uid) this.#queue.add(live.id);
    }
  }

  stop(): Promise<void> {
    return this.#queue.stop();
  }

  async #look(run: string): Promise<Outcome> {
    const cr = this.#p.runs.get(run)?.cr;
    if (cr === undefined || this.#p.cached(cr) === cr.uid) return 'done';
    if (await this.#p.actual(cr) !== cr.uid) this.#p.cancel(run);
    return 'done';
  }
}
