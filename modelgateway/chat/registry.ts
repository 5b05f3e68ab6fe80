import type { TimerHandle } from '../../platform/clock/index.ts';
import { renewReservations } from '../../prisma/store/index.ts';
import { renewMs } from '../parts.ts';
import { makeCall, type Call, type CallParts } from './calls.ts';
import { LiveCall, outcomeOf, type Outcome } from './live-call.ts';

/** For settling what was ended at the very end. */
const GRACE_MS = 2_000;

/** The model calls under way in this process: one per step and purpose of an agent run, however many ask. */
export class CallRegistry {
  readonly #parts: CallParts;
  readonly #live = new Map<string, LiveCall>();
  #renewing: TimerHandle | undefined;
  #idle: (() => void)[] = [];

  constructor(parts: CallParts) {
    this.#parts = parts;
  }

  get size(): number { return this.#live.size; }

  /** Joins the call of this step, or begins it. */
  enter(call: Call): LiveCall {
    const key = `${call.agentRun}/${call.step}/${call.purpose}`;
    const known = this.#live.get(key);
    if (known !== undefined) return known;
    const live = new LiveCall();
    this.#live.set(key, live);
    this.#renewLater();
    void makeCall(this.#parts, call, live).finally(() => {
      this.#live.delete(key);
      if (this.#live.size > 0) return;
      for (const told of this.#idle) told();
      this.#idle = [];
    });
    return live;
  }

  /** Makes a call that nobody joins, one after the other for the same step. */
  async alone(call: Call): Promise<Outcome> {
    const key = `${call.agentRun}/${call.step}/${call.purpose}`;
    for (let before = this.#live.get(key); before !== undefined; before = this.#live.get(key)) {
      await outcomeOf(before);
      await Promise.resolve();
      if (this.#live.get(key) === before) this.#live.delete(key);
    }
    return outcomeOf(this.enter(call));
  }

  /** Ends what is under way for an agent run that ended. */
  stop(agentRun: string): void {
    for (const [key, live] of this.#live) if (key.startsWith(`${agentRun}/`)) live.stop(new Error('the agent run has ended'));
  }

  /** Resolves when nothing is under way. After `ms` what still is is ended, and settled if that can be done soon; the rest is charged by the sweep. */
  async drain(ms: number): Promise<void> {
    if (this.#live.size === 0) return;
    const { clock } = this.#parts;
    const late = clock.after(ms, () => { for (const live of this.#live.values()) live.stop(new Error('the gateway stops')); });
    await new Promise<void>((done) => {
      this.#idle.push(done);
      clock.after(ms + GRACE_MS, done);
    });
    late.cancel();
  }

  close(): void {
    this.#renewing?.cancel();
  }

  #renewLater(): void {
    this.#renewing ??= this.#parts.clock.after(renewMs(this.#parts.leaseMs), () => { void this.#renew(); });
  }

  /** Renews the leases of what is under way. A call whose lease is gone belongs to somebody else. */
  async #renew(): Promise<void> {
    const held = [...this.#live.values()].flatMap((live) => (live.requestId === undefined ? [] : [{ live, id: live.requestId }]));
    try {
      if (held.length > 0) {
        const kept = new Set(await renewReservations(this.#parts.db, held.map(({ id }) => id), this.#parts.holder, this.#parts.clock.now() + this.#parts.leaseMs));
        // One that was settled while we asked is no loss.
        for (const { live } of held.filter(({ id, live: { requestId, settling } }) => !kept.has(id) && requestId === id && !settling)) live.stop(new Error('another gateway took this call over'));
      }
    } catch (error) {
      this.#parts.log.warn({ err: error }, 'leases of model calls could not be renewed');
    } finally {
      this.#renewing = undefined;
      if (this.#live.size > 0) this.#renewLater();
    }
  }
}
