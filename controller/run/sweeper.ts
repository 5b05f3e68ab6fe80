import type { Clock, TimerHandle } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import type { Lease, Leases } from './leases.ts';
import type { Work } from './ports.ts';

/** A runner that says nothing for so long has lost its attempts. */
export const LEASE_MS = 10_000;
/** How often leases are looked at while any is open. */
const SWEEP_MS = 1_000;
/** After so long a dispatch that nobody has shown to have is looked for in the stream. */
const UNTAKEN_MS = 10_000;

/** What the sweep needs. */
export interface SweepParts {
  readonly clock: Clock;
  readonly leases: Leases;
  readonly submit: (work: Work) => void;
  readonly resend: (run: string, node: string, item: number, attempt: number) => void;
  /** Messages of a pool that are in the stream or delivered and unacknowledged; undefined while it has no consumer. */
  readonly waiting: (namespace: string, pool: string) => Promise<number | undefined>;
  readonly log: { warn(facts: object, message: string): void };
}

/**
 * Finds what no message will ever tell: attempts whose runner died, and dispatches that the stream lost. Runs only
 * while attempts are in flight; an idle controller does nothing here.
 */
export class Sweeper {
  readonly #p: SweepParts;
  #timer: TimerHandle | undefined;
  #stopped = false;

  constructor(parts: SweepParts) {
    this.#p = parts;
  }

  /** Starts sweeping. */
  start(): void {
    this.#timer = this.#p.clock.after(SWEEP_MS, () => { void this.#tick(); });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** The stream was made anew: whatever was in it is gone. */
  streamLost(): Promise<void> {
    // A stream that is new has nothing, whether its consumers are there again or not.
    return this.#gone(this.#p.leases.untaken(0), (lease) => { this.#p.resend(lease.run, lease.node, lease.item, lease.attempt); }, [0, undefined]);
  }

  async #tick(): Promise<void> {
    try {
      this.#expire();
      await this.#gone(this.#p.leases.untaken(UNTAKEN_MS), (lease) => {
        // Delivered and acknowledged, and then nothing: whoever had it may have begun, so this attempt is not sent again.
        this.#fail(lease, `the dispatch was taken from the stream and nobody has shown a sign of life for ${UNTAKEN_MS / 1_000} s`);
      });
    } catch (error) {
      this.#p.log.warn({ err: errorMessage(error) }, 'sweep failed; it runs again');
    }
    if (!this.#stopped) this.start();
  }

  #expire(): void {
    for (const lease of this.#p.leases.expired(LEASE_MS)) {
      this.#fail(lease, `runner ${lease.runner ?? 'unknown'} gave no sign of life for ${LEASE_MS / 1_000} s`);
    }
  }

  #fail(lease: Lease, message: string): void {
    this.#p.submit({ run: lease.run, event: {
      type: 'Failed', node: lease.node, item: lease.item, attempt: lease.attempt, error: { class: 'Infra', reason: 'RunnerLost', message },
    } });
    // Seen as of now: the event may take a while to commit, and one of it is enough.
    lease.seen = this.#p.clock.monotonic();
    if (lease.beaten !== undefined) lease.beaten = lease.seen;
  }

  /** Warm dispatches that are not in the stream any more, as `means` tells it. Without a consumer they wait there for one. */
  async #gone(leases: readonly Lease[], then: (lease: Lease) => void, means: readonly (number | undefined)[] = [0]): Promise<void> {
    const pools = Map.groupBy(leases.filter((lease) => lease.mode === 'warm'), (lease) => `${lease.namespace}/${lease.pool}`);
    for (const ofPool of pools.values()) {
      const [first] = ofPool;
      if (first === undefined || !means.includes(await this.#p.waiting(first.namespace, first.pool))) continue;
      for (const lease of ofPool) {
        lease.seen = this.#p.clock.monotonic();
        then(lease);
      }
    }
  }
}
