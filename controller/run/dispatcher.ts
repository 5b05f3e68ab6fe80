import { DispatchQueue, type QueuedAttempt } from './dispatch-queue.ts';
import type { Lease, Leases } from './leases.ts';
import type { LiveRun } from './live-run.ts';

/** An attempt with where it has to run. */
export interface PlacedAttempt {
  readonly node: string;
  readonly item: number;
  readonly attempt: number;
  readonly mode: 'warm' | 'pod';
  readonly pool: string;
}

/** How many attempts of a pool may be on their way or running at once; from whoever sizes the pools. */
export type Capacity = (namespace: string, pool: string, mode: 'warm' | 'pod') => number;

interface PoolState {
  readonly namespace: string;
  readonly pool: string;
  readonly mode: 'warm' | 'pod';
  readonly queue: DispatchQueue;
  inFlight: number;
  /** Attempts by run, waiting or in flight. */
  readonly runs: Map<string, number>;
}

/** An attempt whose turn has come. */
export interface Admitted extends PlacedAttempt {
  readonly run: string;
}

/**
 * Holds ready attempts back until their pool has room, in order of priority and fair share, and counts what is in
 * flight. The dispatch stream therefore never holds more than about twice a pool's slots, and the order stays ours.
 */
export class Dispatcher {
  readonly #pools = new Map<string, PoolState>();
  readonly #leases: Leases;
  readonly #capacity: Capacity;
  /** Pools in which something may have become possible since the last admit(). */
  readonly #stirred = new Set<PoolState>();
  readonly #places = new WeakMap<QueuedAttempt, PlacedAttempt>();

  constructor(leases: Leases, capacity: Capacity) {
    this.#leases = leases;
    this.#capacity = capacity;
  }

  /** An attempt is ready. */
  enqueue(live: LiveRun, at: PlacedAttempt): void {
    const pool = this.#pool(live.meta.namespace, at.pool, at.mode);
    const entry = { run: live.id, node: at.node, item: at.item, attempt: at.attempt };
    this.#places.set(entry, { node: at.node, item: at.item, attempt: at.attempt, mode: at.mode, pool: at.pool });
    pool.queue.push(live.meta.priority, entry);
    count(pool, live.id, 1);
    this.#stirred.add(pool);
  }

  /** An attempt that was sent by an earlier owner, or before a restart. */
  reopen(live: LiveRun, at: PlacedAttempt, taken: boolean): void {
    this.#open(live.id, live.meta.namespace, at, taken);
  }

  /** Takes out whatever has room now; each gets its lease. */
  admit(): readonly Admitted[] {
    const out: Admitted[] = [];
    for (const pool of this.#stirred) this.#admitPool(pool, out);
    this.#stirred.clear();
    return out;
  }

  /** An attempt ended, in whatever way: its place in the pool is free again. */
  release(lease: Lease): void {
    const mode = lease.mode;
    const pool = this.#pool(lease.namespace, lease.pool, mode);
    pool.inFlight = Math.max(0, pool.inFlight - 1);
    count(pool, lease.run, -1);
    if (pool.queue.size > 0) this.#stirred.add(pool);
  }

  /** Forgets what a run has waiting. */
  forget(live: LiveRun): void {
    for (const pool of this.#pools.values()) count(pool, live.id, -pool.queue.removeRun(live.id));
  }

  /** Forgets one waiting attempt. */
  cancel(live: LiveRun, at: PlacedAttempt): void {
    const pool = this.#pool(live.meta.namespace, at.pool, at.mode);
    if (pool.queue.remove({ run: live.id, ...at })) count(pool, live.id, -1);
  }

  /** A pool grew: look again at what waits for it. Returns whether anything does. */
  stir(namespace: string, pool: string): boolean {
    const state = this.#pools.get(`warm/${namespace}/${pool}`);
    if (state === undefined || state.queue.size === 0) return false;
    this.#stirred.add(state);
    return true;
  }

  /** The room of pools changed: look again at all that waits. Returns whether anything does. */
  stirAll(): boolean {
    for (const pool of this.#pools.values()) if (pool.queue.size > 0) this.#stirred.add(pool);
    return this.#stirred.size > 0;
  }

  /** Whether admit() would look at anything. */
  get hasStirred(): boolean { return this.#stirred.size > 0; }

  /** Demand of every pool that has any, for sizing and metrics. */
  *demand(): Iterable<{ namespace: string; pool: string; mode: 'warm' | 'pod'; queued: number; inFlight: number; runs: number }> {
    for (const { namespace, pool, mode, queue, inFlight, runs } of this.#pools.values()) {
      yield { namespace, pool, mode, queued: queue.size, inFlight, runs: runs.size };
    }
  }

  #admitPool(pool: PoolState, out: Admitted[]): void {
    const room = this.#capacity(pool.namespace, pool.pool, pool.mode);
    while (pool.inFlight < room) {
      const entry = pool.queue.shift();
      if (entry === undefined) return;
      count(pool, entry.run, -1);
      const at = this.#places.get(entry);
      if (at === undefined) continue;
      this.#open(entry.run, pool.namespace, at, false);
      out.push({ run: entry.run, ...at });
    }
  }

  #open(run: string, namespace: string, at: PlacedAttempt, taken: boolean): void {
    const before = this.#leases.close(run, at.node, at.item);
    if (before !== undefined) this.release(before);
    this.#leases.open({ run, node: at.node, item: at.item, attempt: at.attempt, namespace, pool: at.pool, mode: at.mode, taken });
    const pool = this.#pool(namespace, at.pool, at.mode);
    pool.inFlight++;
    count(pool, run, 1);
  }

  #pool(namespace: string, pool: string, mode: 'warm' | 'pod'): PoolState {
    // Pods of all pools of a namespace share one bound: the API server is what they use up.
    const key = mode === 'pod' ? `pod/${namespace}` : `warm/${namespace}/${pool}`;
    let state = this.#pools.get(key);
    if (state === undefined) {
      state = { namespace, pool, mode, queue: new DispatchQueue(), inFlight: 0, runs: new Map() };
      this.#pools.set(key, state);
    }
    return state;
  }
}

function count(pool: PoolState, run: string, by: number): void {
  const now = (pool.runs.get(run) ?? 0) + by;
  if (now > 0) pool.runs.set(run, now);
  else pool.runs.delete(run);
}
