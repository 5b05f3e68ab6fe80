import type { Clock } from '../../platform/clock/index.ts';
import { ApiError } from '../errors.ts';
import { GONE } from './gone.ts';

/** An operation ends after so long, on every surface; the subscription of a run does not, each of its reads does. */
export const OPERATION_TIMEOUT_MS = 10_000;

/** A signal that aborts when the caller is gone or the time of an operation is up, with what the caller is told as its reason. */
export function startDeadline(clock: Pick<Clock, 'after'>, gone: AbortSignal): { readonly signal: AbortSignal; clear(): void } {
  const controller = new AbortController();
  const leave = (): void => { controller.abort(GONE); };
  if (gone.aborted) leave();
  gone.addEventListener('abort', leave, { once: true });
  const timer = clock.after(OPERATION_TIMEOUT_MS, () => { controller.abort(new ApiError('TIMEOUT', 'the operation took too long: ask for less, or try again')); });
  return {
    signal: controller.signal,
    clear: () => {
      timer.cancel();
      gone.removeEventListener('abort', leave);
    },
  };
}

/**
 * What `work` gives, within the time of an operation. Throws TIMEOUT when that is up; what is under way then is told by the signal, and ends by
 * the deadlines of whatever it waits for.
 */
export async function withinDeadline<T>(clock: Pick<Clock, 'after'>, gone: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { signal, clear } = startDeadline(clock, gone);
  const { promise: over, reject } = Promise.withResolvers<never>();
  // What a caller who left had begun goes on to its end: it may be a change, half of which is in another system.
  const abort = (): void => { if (signal.reason instanceof ApiError && signal.reason !== GONE) reject(signal.reason); };
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work(signal), over]);
  } finally {
    clear();
  }
}
