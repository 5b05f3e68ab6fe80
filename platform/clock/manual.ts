import type { Clock, TimerHandle } from './index.ts';

interface Pending { at: number; seq: number; fn: () => void }

/** A clock that only moves when told to: for tests. Timers fire in order of their time, then of their creation. */
export class ManualClock implements Clock {
  #now: number;
  #seq = 0;
  readonly #pending = new Set<Pending>();

  constructor(start = 1_700_000_000_000) {
    this.#now = start;
  }

  now(): number { return this.#now; }
  monotonic(): number { return this.#now; }

  after(ms: number, fn: () => void): TimerHandle {
    const entry = { at: this.#now + Math.max(0, ms), seq: this.#seq++, fn };
    this.#pending.add(entry);
    return { cancel: () => { this.#pending.delete(entry); } };
  }

  /** Moves time forward and fires what falls due on the way. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#pending.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.fn();
    }
    this.#now = end;
  }

  /** Time passes while nothing runs, as for a process that is paused: timers that fell due fire with the next `advance`, late. */
  jump(ms: number): void {
    this.#now += ms;
  }

  /** Number of timers that have not fired. */
  get pending(): number { return this.#pending.size; }

  #next(end: number): Pending | undefined {
    let best: Pending | undefined;
    for (const p of this.#pending) {
      if (p.at > end) continue;
      if (best === undefined || p.at < best.at || (p.at === best.at && p.seq < best.seq)) best = p;
    }
    return best;
  }
}
