import type { Clock } from '../../platform/clock/index.ts';

/** One attempt that was sent out: where it is and when it last gave a sign of life. */
export interface Lease {
  readonly run: string;
  readonly node: string;
  readonly item: number;
  readonly attempt: number;
  readonly namespace: string;
  readonly pool: string;
  readonly mode: 'warm' | 'pod';
  /** Name of the runner's pod once it was taken. */
  runner?: string;
  /** Whether a runner took it; until then only the stream and `pendingTimeout` count. */
  taken: boolean;
  /** Wall clock of the sending, to compare with what runners report. */
  readonly openedAt: number;
  /** Monotonic time of the last sign of life, or of the sending. */
  seen: number;
  /** Number of its dispatch in the stream, or one that is not below it; absent until the stream has acknowledged it to us. */
  seq?: number;
  /** Which stream that is; absent where it was acknowledged while we did not know. */
  stream?: string | undefined;
  /** The attempt's secret, kept from its sending so that its result needs no second computation. */
  secret?: string;
  /** Monotonic time of the last sign of life of a runner; absent for users' containers, whose pods speak for them. */
  beaten?: number;
}

/** Takes an attempt by its first sign of life. Seconds from its sending to its start; undefined when it was taken before. */
export function firstSign(lease: Lease, startedAt: number): number | undefined {
  if (lease.taken) return undefined;
  lease.taken = true;
  return Math.max(0, startedAt - lease.openedAt) / 1_000;
}

/** Key of an attempt's place: one attempt at a time holds it. */
export function placeKey(run: string, node: string, item: number): string {
  return `${run}/${node}/${item}`;
}

/**
 * Attempts in flight, in memory only: leases are counted afresh by whoever takes over a shard, so that nodes that were
 * running while a controller was away survive it.
 */
export class Leases {
  readonly #clock: Clock;
  readonly #byPlace = new Map<string, Lease>();
  readonly #byRun = new Map<string, Set<Lease>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number { return this.#byPlace.size; }

  /** Starts watching an attempt; an older one of the same place is forgotten. */
  open(at: Omit<Lease, 'seen' | 'openedAt' | 'taken'> & { taken?: boolean }): Lease {
    this.close(at.run, at.node, at.item);
    const now = this.#clock.monotonic();
    const lease: Lease = { ...at, taken: at.taken ?? false, openedAt: this.#clock.now(), seen: now };
    this.#byPlace.set(placeKey(at.run, at.node, at.item), lease);
    let ofRun = this.#byRun.get(at.run);
    if (ofRun === undefined) {
      ofRun = new Set();
      this.#byRun.set(at.run, ofRun);
    }
    ofRun.add(lease);
    return lease;
  }

  get(run: string, node: string, item: number): Lease | undefined {
    return this.#byPlace.get(placeKey(run, node, item));
  }

  /** A sign of life of exactly this attempt. Returns the lease, or undefined when it no longer counts. */
  beat(run: string, node: string, item: number, attempt: number, runner: string): Lease | undefined {
    const lease = this.get(run, node, item);
    if (lease?.attempt !== attempt) return undefined;
    lease.seen = this.#clock.monotonic();
    lease.runner = runner;
    return lease;
  }

  /** Ends the lease of a place, or only of the given attempt. Returns it when there was one. */
  close(run: string, node: string, item: number, attempt?: number): Lease | undefined {
    const key = placeKey(run, node, item);
    const lease = this.#byPlace.get(key);
    if (lease === undefined || (attempt !== undefined && lease.attempt !== attempt)) return undefined;
    this.#byPlace.delete(key);
    const ofRun = this.#byRun.get(run);
    ofRun?.delete(lease);
    if (ofRun?.size === 0) this.#byRun.delete(run);
    return lease;
  }

  /** Ends all leases of a run and returns them. */
  closeRun(run: string): readonly Lease[] {
    const leases = [...(this.#byRun.get(run) ?? [])];
    for (const lease of leases) this.close(run, lease.node, lease.item);
    return leases;
  }

  /** Attempts a runner took and that it said nothing of for `ttlMs`. A pod counts only once a runner spoke from within it. */
  expired(ttlMs: number): readonly Lease[] {
    const oldest = this.#clock.monotonic() - ttlMs;
    return [...this.#byPlace.values()].filter((lease) => lease.taken && (lease.mode === 'pod' ? lease.beaten ?? Infinity : lease.seen) <= oldest);
  }

  /** Attempts sent at least `ageMs` ago that nobody took yet. */
  untaken(ageMs: number): readonly Lease[] {
    const oldest = this.#clock.monotonic() - ageMs;
    return [...this.#byPlace.values()].filter((lease) => !lease.taken && lease.seen <= oldest);
  }

  /** All attempts in flight. */
  all(): readonly Lease[] {
    return [...this.#byPlace.values()];
  }

  /** Attempts held by one runner pod. */
  ofRunner(namespace: string, runner: string): readonly Lease[] {
    return [...this.#byPlace.values()].filter((lease) => lease.runner === runner && lease.namespace === namespace);
  }
}
