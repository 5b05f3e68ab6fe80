/** A timer that can be taken back. */
export interface TimerHandle {
  cancel(): void;
}

/** Time as the rest of the code sees it, so that waiting is tested without sleeping. */
export interface Clock {
  /** Wall clock, epoch milliseconds. */
  now(): number;
  /** Never goes back; for leases and durations. Milliseconds from an arbitrary start. */
  monotonic(): number;
  /** Calls `fn` once after `ms`. Does not keep the process alive on its own. */
  after(ms: number, fn: () => void): TimerHandle;
}

/** The machine's clock. The only place, tests apart, that reads it. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, fn) => {
    const timer = setTimeout(fn, Math.min(Math.max(0, ms), 2_147_483_647));
    timer.unref();
    return { cancel: () => { clearTimeout(timer); } };
  },
};

/** Keeps the process alive until it is cancelled: a program that only waits would end in the middle of it, with code 0. */
export function stayAlive(): TimerHandle {
  const timer = setInterval(() => undefined, 2_147_483_647);
  return { cancel: () => { clearInterval(timer); } };
}

/** Resolves after `ms`, or at once when `signal` aborts (it does not throw: the caller looks at the signal). */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      signal?.removeEventListener('abort', done);
      timer.cancel();
      resolve();
    };
    const timer = clock.after(ms, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** What to wait before try number `tries` + 1: `first` ms, then twice as long each time, `most` at last. */
export function doubling(first: number, most: number, tries: number): number {
  return Math.min(most, first * 2 ** tries);
}

/** Resolves after whatever I/O is ready now has been handled: lets a burst of messages gather into one batch. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => { setImmediate(resolve); });
}
