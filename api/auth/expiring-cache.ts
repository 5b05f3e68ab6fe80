import type { Clock } from '../../platform/clock/index.ts';

interface Entry<V> { readonly value: V; readonly until: number }

/** Values that are forgotten after their time. Holds at most `max`; the oldest goes first. */
export class ExpiringCache<V> {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #entries = new Map<string, Entry<V>>();

  constructor(clock: Clock, max: number) {
    this.#clock = clock;
    this.#max = max;
  }

  /** The value, wrapped so that a stored `undefined` differs from none. */
  get(key: string): { readonly value: V } | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.until > this.#clock.monotonic()) return entry;
    this.#entries.delete(key);
    return undefined;
  }

  /** Keeps `value` for `ttlMs`. */
  set(key: string, value: V, ttlMs: number): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, until: this.#clock.monotonic() + ttlMs });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#max) return;
      this.#entries.delete(oldest);
    }
  }

  /** Entries held, expired ones included. */
  get size(): number { return this.#entries.size; }
}

/** Joins calls for the same key that are under way, so that a burst asks once. */
export class SingleFlight<V> {
  readonly #flights = new Map<string, Promise<V>>();

  /** The result of the call under way for `key`, or of `work`. */
  run(key: string, work: () => Promise<V>): Promise<V> {
    const running = this.#flights.get(key);
    if (running !== undefined) return running;
    const flight = work().finally(() => { this.#flights.delete(key); });
    this.#flights.set(key, flight);
    return flight;
  }
}
