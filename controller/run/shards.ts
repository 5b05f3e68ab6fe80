import type { Clock, TimerHandle } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';

/** A shard this replica owns, with the epoch that fences its writes. */
export interface OwnedShard {
  readonly id: number;
  readonly epoch: bigint;
}

/** The shard table; each call is one statement, timed by Postgres's clock. */
export interface ShardStore {
  /** Takes free and expired shards; each rises by one epoch. Returns what was taken now. */
  acquire(owner: string, leaseMs: number): Promise<readonly OwnedShard[]>;
  /** Renews all of the owner's leases and returns what it still owns. */
  renew(owner: string, leaseMs: number): Promise<readonly OwnedShard[]>;
  /** Gives all back. */
  release(owner: string): Promise<void>;
}

/** Told when ownership changes. `gained` resolves when the runs of those shards are in memory. */
export interface ShardListener {
  gained(shards: readonly OwnedShard[]): Promise<void>;
  lost(shards: readonly number[]): void;
}

/** How long a lease lasts in Postgres. */
export const SHARD_LEASE_MS = 4_000;
/** How often it is renewed. */
export const SHARD_RENEW_MS = 1_000;
/** After so long without a successful renewal this replica stops by itself, before Postgres lets another one in. */
const SELF_FENCE_MS = 3_500;

/**
 * Keeps the leases of this replica's shards. The epoch in Postgres is what fences; this class only sees to it that a
 * replica that cannot renew stops early on its own, measured on a clock that never goes back.
 */
export class ShardKeeper {
  readonly #store: ShardStore;
  readonly #listener: ShardListener;
  readonly #clock: Clock;
  readonly #owner: string;
  readonly #log: { info(facts: object, message: string): void; warn(facts: object, message: string): void };
  readonly #owned = new Map<number, bigint>();
  #renewedAt = Number.NEGATIVE_INFINITY;
  #timer: TimerHandle | undefined;
  #stopped = false;
  #round: Promise<void> = Promise.resolve();

  constructor(parts: {
    store: ShardStore; listener: ShardListener; clock: Clock; owner: string;
    log: { info(facts: object, message: string): void; warn(facts: object, message: string): void };
  }) {
    this.#store = parts.store;
    this.#listener = parts.listener;
    this.#clock = parts.clock;
    this.#owner = parts.owner;
    this.#log = parts.log;
  }

  /** Number of shards held. */
  get size(): number { return this.#owned.size; }

  /** Whether this replica may act for a shard right now. */
  owns(shard: number): boolean {
    return this.#owned.has(shard) && this.#clock.monotonic() - this.#renewedAt < SELF_FENCE_MS;
  }

  /** Epoch under which writes for a shard are made, or undefined when it is not ours. */
  epoch(shard: number): bigint | undefined {
    return this.owns(shard) ? this.#owned.get(shard) : undefined;
  }

  /** Takes what is free and keeps renewing. Resolves after the first round. */
  async start(): Promise<void> {
    await this.#tick();
  }

  /** Stops renewing and gives all shards back. Call after every writer has stopped. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#round;
    this.#owned.clear();
    await this.#store.release(this.#owner).catch((error: unknown) => {
      this.#log.warn({ err: errorMessage(error) }, 'could not release shards; they expire by themselves');
    });
  }

  /** A commit said that these moved: believe it at once. */
  forget(shards: readonly number[]): void {
    const lost = shards.filter((id) => this.#owned.delete(id));
    if (lost.length > 0) this.#listener.lost(lost);
  }

  #tick(): Promise<void> {
    this.#round = this.#renew().catch((error: unknown) => {
      this.#log.warn({ err: errorMessage(error) }, 'could not renew shard leases');
      this.#fenceSelf();
    }).finally(() => {
      if (!this.#stopped) this.#timer = this.#clock.after(SHARD_RENEW_MS, () => { void this.#tick(); });
    });
    return this.#round;
  }

  async #renew(): Promise<void> {
    const started = this.#clock.monotonic();
    const kept = this.#owned.size === 0 ? [] : await this.#store.renew(this.#owner, SHARD_LEASE_MS);
    const taken = await this.#store.acquire(this.#owner, SHARD_LEASE_MS);
    this.#renewedAt = started;
    const now = new Map([...kept, ...taken].map((shard) => [shard.id, shard.epoch] as const));
    this.forget([...this.#owned].filter(([id, epoch]) => now.get(id) !== epoch).map(([id]) => id));
    const gained = [...now].filter(([id]) => !this.#owned.has(id)).map(([id, epoch]) => ({ id, epoch }));
    for (const { id, epoch } of gained) this.#owned.set(id, epoch);
    if (gained.length === 0) return;
    this.#log.info({ gained: gained.length, owned: this.#owned.size }, 'took run shards');
    await this.#listener.gained(gained);
  }

  #fenceSelf(): void {
    if (this.#clock.monotonic() - this.#renewedAt < SELF_FENCE_MS) return;
    this.forget([...this.#owned.keys()]);
  }
}
