import { doubling, sleep, type Clock } from '../clock/index.ts';
import { errorMessage, RamboError } from '../errors/index.ts';

/** What waiting needs. */
export interface WaitingParts {
  readonly clock: Clock;
  readonly log: { info(facts: object, message: string): void; warn(facts: object, message: string): void };
  /** Ends the waiting: the process is asked to stop. */
  readonly signal: AbortSignal;
  /** Told once of each thing that is missing, in the words of the log: for an event of the pod. */
  readonly missing?: (message: string) => void;
}

/** The process was asked to stop while it waited. */
export class StoppedWaiting extends RamboError {
  constructor() {
    super('Stopped', 'asked to stop while waiting');
  }
}

const FIRST_MS = 250;
const MOST_MS = 3_000;
/** What is still missing is said again so often. */
const AGAIN_MS = 30_000;

/**
 * What a process cannot work without, at its start: it waits, not ready, and says what is missing and what to do. Ending
 * instead would show as CrashLoopBackOff, whose pauses grow to minutes after the cause is gone.
 */
export class Waiting {
  readonly #p: WaitingParts;
  readonly #missing = new Map<string, string>();
  readonly #told = new Set<string>();

  constructor(parts: WaitingParts) {
    this.#p = parts;
  }

  /** The check of readiness: what is missing, by name. */
  problem(): string | undefined {
    return this.#missing.size === 0 ? undefined : [...this.#missing].map(([name, message]) => `waiting for ${name}: ${message}`).join('; ');
  }

  /** Whether something is missing right now. */
  misses(name: string): boolean { return this.#missing.has(name); }

  /** Tries until it succeeds. Throws StoppedWaiting when the process is to stop meanwhile. */
  async until<T>(name: string, attempt: () => T | Promise<T>): Promise<T> {
    for (let tries = 0, saidAt = -AGAIN_MS; ; tries++) {
      if (this.#p.signal.aborted) throw new StoppedWaiting();
      try {
        const value = await attempt();
        if (this.#missing.delete(name)) this.#p.log.info({ name }, 'found what was missing');
        return value;
      } catch (error) {
        const message = reasons(error);
        if (this.#missing.get(name) !== message || this.#p.clock.monotonic() - saidAt >= AGAIN_MS) {
          saidAt = this.#p.clock.monotonic();
          this.#say(name, message);
        }
      }
      await sleep(this.#p.clock, doubling(FIRST_MS, MOST_MS, tries), this.#p.signal);
    }
  }

  #say(name: string, message: string): void {
    this.#missing.set(name, message);
    this.#p.log.warn({ name, err: message }, 'waiting for what is missing');
    const told = `waiting for ${name}: ${message}`;
    if (this.#told.has(told)) return;
    this.#told.add(told);
    this.#p.missing?.(told);
  }
}

/** An error and what caused it, in one line. */
function reasons(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? errorMessage(error.cause) : '';
  const message = errorMessage(error);
  return cause === '' || message.includes(cause) ? message : `${message} (${cause})`;
}
