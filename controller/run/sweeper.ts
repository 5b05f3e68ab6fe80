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

/** How far the runners of a pool are with its dispatches: see `platform/nats`. */
export interface StreamProgress {
  readonly waiting: number;
  readonly acknowledged: number;
  readonly last: number;
}

/** What the sweep needs. */
export interface SweepParts {
  readonly clock: Clock;
  readonly leases: Leases;
  readonly submit: (work: Work) => void;
  readonly resend: (run: string, node: string, item: number, attempt: number) => void;
  /** How far the runners of a pool are with its dispatches; undefined while it has no consumer. */
  readonly progress: (namespace: string, pool: string) => Promise<StreamProgress | undefined>;
  /** Which stream there is; undefined while that is not known. */
  readonly stream: () => string | undefined;
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

  /** The stream is another one: what an earlier one had is gone, however much the other controllers have in this one. */
  async streamLost(): Promise<void> {
    const current = this.#p.stream();
    const resend = (lease: Lease): void => {
      lease.seen = this.#p.clock.monotonic();
      this.#p.resend(lease.run, lease.node, lease.item, lease.attempt);
    };
    const leases = this.#p.leases.untaken(0).filter((lease) => lease.mode === 'warm');
    for (const lease of leases) if (lease.stream !== undefined && lease.stream !== current) resend(lease);
    // Of those whose sending another owner saw to, only an empty stream tells; a stream without consumers has none yet.
    for (const [ofPool, progress] of await this.#pools(leases.filter((lease) => lease.seq === undefined))) {
      if ((progress?.waiting ?? 0) === 0) for (const lease of ofPool) resend(lease);
    }
  }

  async #tick(): Promise<void> {
    try {
      this.#expire();
      await this.#untaken();
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

  /** Delivered and acknowledged, and then nothing: whoever had it may have begun, so this attempt is not sent again. */
  async #untaken(): Promise<void> {
    const stream = this.#p.stream();
    if (stream === undefined) return;
    for (const [leases, progress] of await this.#pools(this.#p.leases.untaken(UNTAKEN_MS).filter((lease) => lease.mode === 'warm'))) {
      // Without a consumer they wait in the stream for one.
      if (progress === undefined) continue;
      for (const lease of leases) {
        if (gone(lease, progress, stream)) this.#fail(lease, `the dispatch was taken from the stream and nobody has shown a sign of life for ${UNTAKEN_MS / 1_000} s`);
        else lease.seq ??= progress.last;
      }
    }
  }

  async #pools(leases: readonly Lease[]): Promise<readonly (readonly [readonly Lease[], StreamProgress | undefined])[]> {
    const pools = [...Map.groupBy(leases, (lease) => `${lease.namespace}/${lease.pool}`).values()];
    return Promise.all(pools.map(async (ofPool) => {
      const [first] = ofPool;
      return [ofPool, first === undefined ? undefined : await this.#p.progress(first.namespace, first.pool)] as const;
    }));
  }
}

/** Whether a dispatch is not in the stream any more. Those that wait there may be other controllers', so numbers decide. */
function gone(lease: Lease, progress: StreamProgress, stream: string): boolean {
  if (progress.waiting === 0) return true;
  return lease.seq !== undefined && (lease.seq <= progress.acknowledged || (lease.stream !== undefined && lease.stream !== stream));
}
