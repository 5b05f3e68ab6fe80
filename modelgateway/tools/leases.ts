import type { Clock, TimerHandle } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import { renewMs } from '../parts.ts';
import { callsOver, renewAgentCalls, type CallRef, type Db } from '../../prisma/store/index.ts';

/** A lease with less than this part of it left is not relied on: sending takes a moment. */
const MARGIN = 1 / 6;

/** What keeping leases needs. */
export interface LeaseParts {
  readonly db: Db;
  readonly clock: Clock;
  readonly holder: string;
  /** A call whose holder has not been heard of for so long is nobody's. Milliseconds. */
  readonly leaseMs: number;
  readonly log: { warn(facts: object, message: string): void };
}

/** A call, and when (monotonic) its lease was last known to be this process's. */
interface Held {
  readonly ref: CallRef;
  at: number;
  /** Aborts once its agent run has ended. */
  readonly over: AbortController;
}

/**
 * Keeps the leases of the calls this process makes. A lease that is lost after the call was sent loses nothing: whoever comes second finds the
 * call completed. One that is lost before, as by a process that was stopped for a while, must not be sent on: whoever took the call over may have
 * sent it, or have asked a person who says that it did not happen. So senders ask whether it is `fresh`. Calls of ended runs are given up.
 */
export class Leases {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #holder: string;
  readonly #leaseMs: number;
  readonly #log: LeaseParts['log'];
  readonly #calls = new Map<string, Held>();
  #timer: TimerHandle | undefined;

  constructor({ db, clock, holder, leaseMs, log }: LeaseParts) {
    this.#db = db;
    this.#clock = clock;
    this.#holder = holder;
    this.#leaseMs = leaseMs;
    this.#log = log;
  }

  /** Number of calls this process makes. */
  get size(): number { return this.#calls.size; }

  /** Does something while the lease of a call, which was taken at `since` (monotonic) or later, is kept. The signal aborts once the agent run has ended. */
  async during<T>(ref: CallRef, since: number, work: (over: AbortSignal) => Promise<T>): Promise<T> {
    const key = keyOf(ref);
    const over = new AbortController();
    this.#calls.set(key, { ref: { agentRun: ref.agentRun, callId: ref.callId }, at: since, over });
    this.#timer ??= this.#clock.after(renewMs(this.#leaseMs), () => { void this.#renew(); });
    try {
      return await work(over.signal);
    } finally {
      this.#calls.delete(key);
    }
  }

  /** Whether nobody can have taken a call over by now. False: look, and take the lease anew under the lock of its run. */
  fresh(ref: CallRef): boolean {
    const held = this.#calls.get(keyOf(ref));
    return held !== undefined && this.#isFresh(held, this.#clock.monotonic());
  }

  /** The lease of a call was taken anew at `since` (monotonic) or later. */
  taken(ref: CallRef, since: number): void {
    const held = this.#calls.get(keyOf(ref));
    if (held !== undefined) held.at = since;
  }

  #isFresh(held: Held, now: number): boolean {
    return now - held.at < this.#leaseMs * (1 - MARGIN);
  }

  /** No lease is kept any more. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#calls.clear();
  }

  async #renew(): Promise<void> {
    const asked = this.#clock.monotonic();
    try {
      const kept = await renewAgentCalls(this.#db, [...this.#calls.values()].map(({ ref }) => ref), this.#holder, this.#leaseMs);
      for (const ref of kept) {
        const held = this.#calls.get(keyOf(ref));
        // A lease that may have run out meanwhile is kept for those who look, but not relied on: somebody may be deciding about it just now.
        if (held !== undefined && this.#isFresh(held, this.#clock.monotonic())) held.at = asked;
      }
      for (const ref of await callsOver(this.#db, [...this.#calls.values()].map((held) => held.ref))) this.#calls.get(keyOf(ref))?.over.abort();
    } catch (error) {
      this.#log.warn({ err: errorMessage(error) }, 'leases of tool calls could not be renewed');
    }
    this.#timer = this.#calls.size === 0 ? undefined : this.#clock.after(renewMs(this.#leaseMs), () => { void this.#renew(); });
  }
}

function keyOf({ agentRun, callId }: CallRef): string {
  return `${agentRun}/${callId}`;
}
