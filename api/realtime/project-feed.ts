import type { Clock, TimerHandle } from '../../platform/clock/index.ts';
import type { ProjectEventRow } from '../../prisma/store/index.ts';
import { ApiError } from '../errors.ts';
import type { ProjectNotices } from '../ports.ts';
import { RECHECK_MS } from './run-feed.ts';

/** Changes read at once. */
const AT_ONCE = 100;

/** What a feed needs. */
export interface ProjectFeedParts {
  readonly clock: Clock;
  readonly notices: ProjectNotices;
  /** Changes above a number, the oldest first. */
  readonly changes: (projectId: string, afterSeq: number, first: number) => Promise<readonly ProjectEventRow[]>;
  /** Number of the last change; undefined for a project that is not there. */
  readonly lastSeq: (projectId: string) => Promise<number | undefined>;
  /** Whether the caller may (still) watch it. Asked before every emission. */
  readonly mayWatch: (projectId: string) => Promise<boolean>;
}

/**
 * The changes of one project from a number on, every one of them once and in order: subscribe to notices, read what is above the last
 * number emitted, and again whenever a notice says so, or after 15 s, which heals a lost notice and finds a right that is gone.
 * A project that is not there and one that may not be watched end alike, with NOT_FOUND.
 *
 * Not an async generator: `return()` of one waits for a pending `next()`, and this one may wait for hours.
 */
export class ProjectFeed implements AsyncIterableIterator<ProjectEventRow> {
  readonly #parts: ProjectFeedParts;
  readonly #id: string;
  readonly #onClose: () => void;
  readonly #ready: ProjectEventRow[] = [];
  #after: number | undefined;
  #watch: { close(): void } | undefined;
  #timer: TimerHandle | undefined;
  #started = false;
  #closed = false;
  #dirty = true;
  #wakeUp: (() => void) | undefined;

  /** `after`: the last number the caller knows; undefined: only what happens from now on. */
  constructor(parts: ProjectFeedParts, id: string, after: number | undefined, onClose: () => void = () => undefined) {
    this.#parts = parts;
    this.#id = id;
    this.#after = after;
    this.#onClose = onClose;
  }

  [Symbol.asyncIterator](): this { return this; }

  /** The next change. Throws NOT_FOUND or UnavailableError, and is done afterwards. */
  async next(): Promise<IteratorResult<ProjectEventRow, undefined>> {
    try {
      if (!this.#started) await this.#start();
      for (;;) {
        if (this.#ready.length === 0) await this.#changed();
        if (this.#closed) return { done: true, value: undefined };
        if (!await this.#parts.mayWatch(this.#id)) throw this.#missing();
        if (this.#ready.length === 0) await this.#read();
        const change = this.#ready.shift();
        if (change === undefined) continue;
        this.#after = change.seq;
        return { done: false, value: change };
      }
    } catch (error) {
      if (this.#closed) return { done: true, value: undefined };
      this.close();
      throw error;
    }
  }

  /** Ends the feed: the client went away. */
  return(): Promise<IteratorResult<ProjectEventRow, undefined>> {
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

  #missing(): ApiError {
    return new ApiError('NOT_FOUND', `project ${this.#id} does not exist or is not yours`);
  }

  /** Notices first, then where to begin: nothing that happens in between can be missed. */
  async #start(): Promise<void> {
    this.#started = true;
    if (this.#closed) return;
    if (!await this.#parts.mayWatch(this.#id)) throw this.#missing();
    const watch = await this.#parts.notices.watch(this.#id, () => { this.#wake(); });
    if (this.#closed) watch.close();
    else this.#watch = watch;
    if (this.#after !== undefined) return;
    this.#after = await this.#parts.lastSeq(this.#id);
    if (this.#after === undefined) throw this.#missing();
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

  async #read(): Promise<void> {
    this.#dirty = false;
    const rows = await this.#parts.changes(this.#id, this.#after ?? 0, AT_ONCE);
    this.#ready.push(...rows);
    // A full page: there may be more, and nobody will say so again.
    if (rows.length === AT_ONCE) this.#dirty = true;
  }
}
