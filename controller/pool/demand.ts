import type { Clock, TimerHandle } from '../../platform/clock/index.ts';

/** What the runs of one replica want of one pool. In mode `pod` the bound is the namespace's and `pool` is empty. */
export interface PoolDemand {
  readonly mode: 'warm' | 'pod';
  readonly namespace: string;
  readonly pool: string;
  readonly queued: number;
  readonly inFlight: number;
  /** Runs these attempts belong to. */
  readonly runs: number;
  /** Attempts by name of the runner's pod. */
  readonly busy: Readonly<Record<string, number>>;
}

/** What a warm pool is asked for by all replicas. */
export interface Wanted {
  readonly attempts: number;
  readonly runs: number;
}

/** Not more often than this. */
const TELL_MS = 1_000;
/** What has not changed is said again so often: core NATS may lose a message. */
const REFRESH_MS = 10_000;
/** What was not said again for so long is over. */
const STALE_MS = 30_000;
/** Pools in one notice; the receiver refuses more. */
const POOLS_PER_NOTICE = 256;

/** What the other replicas want of the pools, as they last said. */
export class DemandBook {
  readonly #clock: Clock;
  readonly #byPool = new Map<string, Map<string, { readonly demand: PoolDemand; readonly at: number }>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A notice of another replica: pools that it does not name are as they were. */
  take(replica: string, pools: readonly PoolDemand[]): void {
    for (const demand of pools) {
      const key = keyOf(demand);
      const ofPool = this.#byPool.get(key) ?? new Map<string, { readonly demand: PoolDemand; readonly at: number }>();
      if (demand.queued + demand.inFlight === 0) ofPool.delete(replica);
      else ofPool.set(replica, { demand, at: this.#clock.monotonic() });
      if (ofPool.size === 0) this.#byPool.delete(key);
      else this.#byPool.set(key, ofPool);
    }
  }

  /** Forgets replicas that are gone: what they had is in the hands of others now, who say so themselves. */
  keep(replicas: readonly string[]): void {
    for (const [key, ofPool] of this.#byPool) {
      for (const replica of ofPool.keys()) if (!replicas.includes(replica)) ofPool.delete(replica);
      if (ofPool.size === 0) this.#byPool.delete(key);
    }
  }

  /** What others want of a warm pool: attempts that wait or are in flight there, and their runs. */
  demand(namespace: string, pool: string): Wanted {
    return this.#of('warm', namespace, pool).reduce(({ attempts, runs }, d) => ({ attempts: attempts + need(d), runs: runs + d.runs }), { attempts: 0, runs: 0 });
  }

  /** Attempts of others that a runner holds. */
  busy(namespace: string, pool: string, pod: string): number {
    return this.#of('warm', namespace, pool).reduce((sum, d) => sum + (d.busy[pod] ?? 0), 0);
  }

  /** Warm pools that others want something of. */
  *wanted(): Iterable<{ readonly namespace: string; readonly pool: string }> {
    for (const ofPool of this.#byPool.values()) {
      const [first] = ofPool.values();
      if (first?.demand.mode === 'warm') yield first.demand;
    }
  }

  /**
   * How much of a pool's room is ours: an equal part, and an equal part of what those leave who want less; at least 1.
   * Everybody computes the same, so the sum is over by no more than the rounding, and for a second after a change.
   */
  room(total: number, mode: 'warm' | 'pod', namespace: string, pool: string): number {
    const needs = this.#of(mode, namespace, pool).map(need).sort((a, b) => a - b);
    let [left, sharers] = [total, needs.length + 1];
    for (const wanted of needs) {
      if (wanted > left / sharers) break;
      left -= wanted;
      sharers--;
    }
    return Math.max(1, Math.ceil(left / sharers));
  }

  #of(mode: 'warm' | 'pod', namespace: string, pool: string): readonly PoolDemand[] {
    const ofPool = this.#byPool.get(keyOf({ mode, namespace, pool }));
    if (ofPool === undefined) return [];
    const oldest = this.#clock.monotonic() - STALE_MS;
    return [...ofPool.values()].filter(({ at }) => at > oldest).map(({ demand }) => demand);
  }
}

/** What telling needs. */
export interface TellerParts {
  readonly clock: Clock;
  /** What this replica wants now; pools without demand may be left out. */
  readonly local: () => readonly PoolDemand[];
  readonly send: (pools: readonly PoolDemand[]) => void;
  /** Whether there is nobody to tell. */
  readonly alone: () => boolean;
}

/** Tells the other replicas what this one wants: at once when it changes, then at most once a second; nothing when idle. */
export class DemandTeller {
  readonly #p: TellerParts;
  /** What was said last, of pools with demand. */
  readonly #told = new Map<string, { readonly text: string; readonly demand: PoolDemand }>();
  #timer: TimerHandle | undefined;
  #last = Number.NEGATIVE_INFINITY;
  #lastAll = Number.NEGATIVE_INFINITY;
  #all = false;

  constructor(parts: TellerParts) {
    this.#p = parts;
  }

  /** Something may have changed. Cheap: called with every commit. */
  changed(): void {
    if (this.#timer !== undefined || this.#p.alone()) return;
    const wait = Math.max(0, this.#last + TELL_MS - this.#p.clock.monotonic());
    this.#timer = this.#p.clock.after(wait, () => {
      this.#timer = undefined;
      this.#tell();
    });
  }

  /** A replica came: it knows nothing yet. */
  everything(): void {
    this.#all = true;
    this.changed();
  }

  /** Called now and then: says again what still holds. */
  refresh(): void {
    if (this.#told.size > 0 && this.#p.clock.monotonic() - this.#lastAll >= REFRESH_MS) this.everything();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #tell(): void {
    const now = new Map(this.#p.local().filter((d) => need(d) > 0).map((demand) => [keyOf(demand), { demand, text: JSON.stringify(demand) }] as const));
    const news = [...now].filter(([key, { text }]) => this.#all || this.#told.get(key)?.text !== text).map(([, { demand }]) => demand);
    const over = [...this.#told].filter(([key]) => !now.has(key)).map(([, { demand }]) => ({ ...demand, queued: 0, inFlight: 0, runs: 0, busy: {} }));
    this.#last = this.#p.clock.monotonic();
    if (this.#all) this.#lastAll = this.#last;
    this.#all = false;
    this.#told.clear();
    for (const [key, value] of now) this.#told.set(key, value);
    const pools = [...news, ...over];
    for (let i = 0; i < pools.length; i += POOLS_PER_NOTICE) this.#p.send(pools.slice(i, i + POOLS_PER_NOTICE));
  }
}

function keyOf(d: Pick<PoolDemand, 'mode' | 'namespace' | 'pool'>): string {
  return d.mode === 'pod' ? `pod/${d.namespace}` : `warm/${d.namespace}/${d.pool}`;
}

function need(d: PoolDemand): number {
  return d.queued + d.inFlight;
}
