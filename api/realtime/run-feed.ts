import { FINAL_PHASES } from '../../crds/workflow-run.ts';
import type { Clock } from '../../platform/clock/index.ts';
import type { RunRecord } from '../../prisma/store/index.ts';
import { ApiError } from '../errors.ts';
import type { Notices, RunReader } from '../ports.ts';
import { WatchedFeed } from './watched-feed.ts';

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
 */
export class RunFeed extends WatchedFeed<RunRecord> {
  readonly #parts: FeedParts;
  readonly #id: string;
  #lastVersion = -1;

  constructor(parts: FeedParts, id: string, onClose: () => void = () => undefined) {
    super(parts.clock, onClose);
    this.#parts = parts;
    this.#id = id;
  }

  protected subscribe(wake: () => void): Promise<{ close(): void }> {
    return this.#parts.notices.watch(this.#id, wake);
  }

  /** The row if it is newer than what was emitted. */
  protected async take(): Promise<RunRecord | undefined> {
    this.looking();
    const run = await this.#parts.runs.run(this.#id);
    if (run === undefined || !await this.#parts.mayWatch(run)) throw new ApiError('NOT_FOUND', `run ${this.#id} does not exist or is not yours to watch`);
    if (run.version <= this.#lastVersion) return undefined;
    this.#lastVersion = run.version;
    if (FINAL_PHASES.includes(run.phase)) this.close();
    return run;
  }
}
