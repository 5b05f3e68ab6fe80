import { doubling, sleep, type Clock } from '../../platform/clock/index.ts';
import { UnavailableError } from '../../platform/errors/index.ts';

const FIRST_MS = 100;
const MOST_MS = 2_000;

/** What came of insisting; `repeated`: an earlier try may have been written although it did not say so. */
export interface Insisted<T> {
  readonly value: T;
  readonly repeated: boolean;
}

/**
 * Writes what was paid for already, also where Postgres is away or busy for a while: an answer that is lost is paid for twice. Gives up, and
 * throws what the last try did, after `ms`.
 */
export async function insist<T>(clock: Clock, ms: number, write: () => Promise<T>): Promise<Insisted<T>> {
  const until = clock.monotonic() + ms;
  for (let tries = 0; ; tries++) {
    try {
      return { value: await write(), repeated: tries > 0 };
    } catch (error) {
      if (!(error instanceof UnavailableError) || clock.monotonic() >= until) throw error;
      await sleep(clock, doubling(FIRST_MS, MOST_MS, tries));
    }
  }
}
