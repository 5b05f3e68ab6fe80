import { FINAL_PHASES } from '../../crds/workflow-run.ts';
import type { Clock, TimerHandle } from '../../platform/clock/index.ts';
import type { RunRecord } from '../../prisma/store/index.ts';
import { ApiError } from '../errors.ts';
import type { Notices, RunReader } from '../ports.ts';

/** A quiet stream looks again after so long: finds a permission that is gone and heals a lost notice. */
export const RECHECK_MS = 15_000;

/** What a feed needs. */
export interface FeedParts {
  readonly clock: Clock;
  readonly runs: Pick<RunReader, 'run'>;
  readonly notices: Notices;
  /** Whether the caller may (still) watch the row. Asked before every emission. */
  readonly mayWatch: (run: RunRecord) => Promise<boolean>;
}

/**
 * The states of one run, newest only: subscribe to notices, read the row, emit it, and again whenever a notice says so.
 * Notices that arrive while a row is read or sent fall together into one read, so a slow client costs nothing.
 * Ends after a final phase. A run that is not there and one that may not be watched end alike, with NOT_FOUND.
 *
 * Not an async generator: `return()` of one waits for a pending `next()`, and this one may wait for hours.
 */
export class RunFeed implements AsyncIterableIterator<RunRecord> {
  readonly #parts: FeedParts;
  readonly #id: string;
  readonly #onClose: () => void;
  #watch: { close(): void } | undefined;
  #timer: TimerHandle | undefined;
  #started = false;
  #closed = false;
  /** Something may have changed since the last read began. */
  #dirty = true;
  #wakeUp: (() => void) | undefined;
  #lastVersion = -1;

  constructor(parts: FeedParts, id: string, onClose: () => void = () => undefined) {
    this.#parts = parts;
    this.#id = id;
    this.#onClose = onClose;
  }

  [Symbol.asyncIterator](): this { return this; }

  /** The next state that was not emitted yet. Throws NOT_FOUND or UnavailableError, and is done afterwards. */
  async next(): Promise<IteratorResult<RunRecord, undefined>> {
    try {
      if (!this.#started) await this.#start();
      for (;;) {
        await this.#changed();
        if (this.#closed) return { done: true, value: undefined };
        this.#dirty = false;
        const run = await this.#read();
        if (run === undefined) continue;
        if (FINAL_PHASES.includes(run.phase)) this.close();
        return { done: false, value: run };
      }
    } catch (error) {
      if (this.#closed) return { done: true, value: undefined };
      this.close();
      throw error;
    }
  }

  /** Ends the feed: the client went away. */
  return(): Promise<IteratorResult<RunRecord, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Ends the feed; a pending `next()` resolves as done. May be called again. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch?.close();
    this.#timer?.cancel();
    this.#wakeUp?.();
    this.#onClose();
  }

  async #start(): Promise<void> {
    this.#started = true;
    if (this.#closed) return;
    const watch = await this.#parts.notices.watch(this.#id, () => { this.#wake(); });
    if (this.#closed) watch.close();
    else this.#watch = watch;
  }

  #wake(): void {
    this.#dirty = true;
    this.#wakeUp?.();
  }

  async #changed(): Promise<void> {
    while (!this.#dirty && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wakeUp = resolve;
        this.#timer = this.#parts.clock.after(RECHECK_MS, () => { this.#wake(); });
      });
      this.#wakeUp = undefined;
      this.#timer?.cancel();
    }
  }

  /** The row if it is newer than what was emitted. */
  async #read(): Promise<RunRecord | undefined> {
    const run = await this.#parts.runs.run(this.#id);
    if (run === undefined || !await this.#parts.mayWatch(run)) throw new ApiError('NOT_FOUND', `run ${this.#id} does not exist or is not yours to watch`);
    if (run.version <= this.#lastVersion) return undefined;
    this.#lastVersion = run.version;
    return run;
  }
}
