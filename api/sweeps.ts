import { sleep } from '../platform/clock/index.ts';
import type { Clock } from '../platform/clock/index.ts';
import { UnavailableError } from '../platform/errors/index.ts';
import type { Ids } from '../platform/ids/index.ts';
import type { ApiLog, ApiMetrics, SweptKind } from './ports.ts';

/** A sweep of one kind. Takes away what nobody can want any more, in bounded batches, and says how much that was. */
export interface Sweep {
  readonly what: SweptKind;
  run(signal: AbortSignal): Promise<number>;
}

const EVERY_MS = 3_600_000;

/** What sweeps stand on. */
export interface SweepWorld {
  readonly clock: Clock;
  readonly ids: Pick<Ids, 'random'>;
  readonly log: ApiLog;
  readonly metrics: Pick<ApiMetrics, 'swept'>;
}

/**
 * Sweeps about once an hour until it is stopped. Every replica does: rows go in statements that skip what another one has locked, so each is
 * swept once.
 */
export function startSweeps(world: SweepWorld, sweeps: readonly Sweep[]): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const run = async (): Promise<void> => {
    for (;;) {
      await sleep(world.clock, EVERY_MS * (0.5 + world.ids.random()), stopping.signal);
      for (const sweep of sweeps) {
        if (stopping.signal.aborted) return;
        await once(world, sweep, stopping.signal);
      }
    }
  };
  const running = run();
  return {
    stop: () => {
      stopping.abort();
      return running;
    },
  };
}

/** One sweep that fails does not keep the others from theirs. */
async function once({ log, metrics }: SweepWorld, { what, run }: Sweep, signal: AbortSignal): Promise<void> {
  try {
    const removed = await run(signal);
    if (removed === 0) return;
    metrics.swept(what, removed);
    log.info({ resource: what, removed }, 'what nobody can want any more is gone');
  } catch (error) {
    if (error instanceof UnavailableError) log.warn({ resource: what, err: error }, 'nothing could be swept');
    else log.error({ resource: what, err: error }, 'a sweep failed');
  }
}
