import type { Clock, TimerHandle } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import { callsOver, renewAgentCalls, type CallRef, type Db } from '../../prisma/store/index.ts';

/** A call whose holder has not been heard of for so long is nobody's. Milliseconds. */
export const LEASE_MS = 6_000;
/** How often a holder is heard of. */
const RENEW_MS = 2_000;

/** Keeps the leases of the calls this process makes, and gives up those of ended runs. A lease that is lost loses nothing: whoever comes second finds the call completed. */
export class Leases {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #holder: string;
  readonly #log: { warn(facts: object, message: string): void };
  readonly #calls = new Map<string, CallRef & { readonly over: AbortController }>();
  #timer: TimerHandle | undefined;

  constructor(db: Db, clock: Clock, holder: string, log: { warn(facts: object, message: string): void }) {
    this.#db = db;
    this.#clock = clock;
    this.#holder = holder;
    this.#log = log;
  }

  /** Number of calls this process makes. */
  get size(): number { return this.#calls.size; }

  /** Does something while the lease of a call, which was just taken, is kept. The signal aborts once the agent run has ended. */
  async during<T>({ agentRun, callId }: CallRef, work: (over: AbortSignal) => Promise<T>): Promise<T> {
    const key = `${agentRun}/${callId}`;
    const over = new AbortController();
    this.#calls.set(key, { agentRun, callId, over });
    this.#timer ??= this.#clock.after(RENEW_MS, () => { void this.#renew(); });
    try {
      return await work(over.signal);
    } finally {
      this.#calls.delete(key);
    }
  }

  /** No lease is kept any more. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#calls.clear();
  }

  async #renew(): Promise<void> {
    try {
      await renewAgentCalls(this.#db, [...this.#calls.values()], this.#holder, LEASE_MS);
      for (const { agentRun, callId } of await callsOver(this.#db, [...this.#calls.values()])) this.#calls.get(`${agentRun}/${callId}`)?.over.abort();
    } catch (error) {
      this.#log.warn({ err: errorMessage(error) }, 'leases of tool calls could not be renewed');
    }
    this.#timer = this.#calls.size === 0 ? undefined : this.#clock.after(RENEW_MS, () => { void this.#renew(); });
  }
}
