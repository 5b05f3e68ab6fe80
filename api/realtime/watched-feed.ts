import type { Clock, TimerHandle } from '../../platform/clock/index.ts';

/** A quiet stream looks again after so long: finds a permission that is gone and heals a lost notice. */
export const RECHECK_MS = 15_000;

/**
 * Values that come whenever a notice says that there may be some: subscribe, look, give, and look again at every notice, or after
 * 15 s. What is looked at, and who may see it, is said by whoever extends this.
 *
 * Not an async generator: `return()` of one waits for a pending `next()`, and this one may wait for hours.
 */
export abstract class WatchedFeed<T> implements AsyncIterableIterator<T> {
  readonly #clock: Clock;
  readonly #onClose: () => void;
  #watch: { close(): void } | undefined;
  #timer: TimerHandle | undefined;
  #started = false;
  #closed = false;
  /** Something may have changed since the last look began. */
  #dirty = true;
  #wakeUp: (() => void) | undefined;

  constructor(clock: Clock, onClose: () => void) {
    this.#clock = clock;
    this.#onClose = onClose;
  }

  /** Subscribes to notices, each of which calls `wake`. */
  protected abstract subscribe(wake: () => void): Promise<{ close(): void }>;

  /** The next value, or undefined where there is none for now. Throws what ends the feed. Calls `looking` before it reads. */
  protected abstract take(): Promise<T | undefined>;

  /** Whether `take` has a value at hand, so that nothing need be waited for. */
  protected hasMore(): boolean { return false; }

  /** What is read from now on is new: notices until now need no further look. */
  protected looking(): void { this.#dirty = false; }

  /** There may be something: look again. */
  protected wake(): void {
    this.#dirty = true;
    this.#wakeUp?.();
  }

  [Symbol.asyncIterator](): this { return this; }

  /** The next value. Throws what `take` does, NOT_FOUND or UnavailableError, and is done afterwards. */
  async next(): Promise<IteratorResult<T, undefined>> {
    try {
      if (!this.#started) await this.#start();
      for (;;) {
        if (!this.hasMore()) await this.#changed();
        if (this.#closed) return { done: true, value: undefined };
        const value = await this.take();
        if (value !== undefined) return { done: false, value };
      }
    } catch (error) {
      if (this.#closed) return { done: true, value: undefined };
      this.close();
      throw error;
    }
  }

  /** Ends the feed: the client went away. */
  return(): Promise<IteratorResult<T, undefined>> {
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
    const watch = await this.subscribe(() => { this.wake(); });
    if (this.#closed) watch.close();
    else this.#watch = watch;
  }

  async #changed(): Promise<void> {
    while (!this.#dirty && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wakeUp = resolve;
        this.#timer = this.#clock.after(RECHECK_MS, () => { this.wake(); });
      });
      this.#wakeUp = undefined;
      this.#timer?.cancel();
    }
  }
}
