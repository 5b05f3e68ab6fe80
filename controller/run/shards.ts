import { sleep, type Clock, type TimerHandle } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import { spread } from './spread.ts';

/** A shard this replica owns, with the epoch that fences its writes. */
export interface OwnedShard {
  readonly id: number;
  readonly epoch: bigint;
}

/** What a renewal tells: see `prisma/store`. */
export interface Renewal {
  readonly kept: readonly OwnedShard[];
  readonly peers: readonly string[];
  readonly free: number;
  readonly singletonFree: boolean;
  readonly soonestMs: number | undefined;
}

/** The shard table; each call is one statement, timed by Postgres's clock. */
export interface ShardStore {
  /** Renews the owner's leases and its sign of life, and looks around. */
  renew(owner: string, leaseMs: number): Promise<Renewal>;
  /** Takes free and expired shards; each rises by one epoch. Returns what was taken now. */
  acquire(owner: string, leaseMs: number, wish: { readonly runs: number; readonly singleton: boolean }): Promise<readonly OwnedShard[]>;
  /** Gives some back. */
  release(owner: string, shards: readonly number[]): Promise<void>;
  /** Frees what earlier processes of this replica left behind. */
  succeed(owner: string): Promise<void>;
  /** Gives all back and stops being a replica. */
  leave(owner: string): Promise<void>;
}

/** Told when ownership changes. */
export interface ShardListener {
  /** Resolves when the runs of those shards are in memory; called again when it throws. `held`: is this shard still ours, unbroken? */
  gained(shards: readonly OwnedShard[], held: (shard: number) => boolean): Promise<void>;
  /** These are not ours any more, or are about to be given away: from now on nothing is begun for them. */
  lost(shards: readonly number[]): void;
  /** Resolves when what was being written as `lost` was called has ended. */
  settled(): Promise<void>;
  /** Replicas that live have come or gone. */
  peers(names: readonly string[]): void;
}

/** What the keeper is made of. */
export interface ShardParts {
  readonly store: ShardStore;
  readonly listener: ShardListener;
  readonly clock: Clock;
  /** Unique to this process: a name that came back would share its epochs with a predecessor that is only paused. */
  readonly owner: string;
  /** Tells the other replicas to look at the table now; they look once a second anyway. */
  readonly notify: () => void;
  readonly log: { info(facts: object, message: string): void; warn(facts: object, message: string): void };
}

/** How long a lease lasts in Postgres. */
export const SHARD_LEASE_MS = 4_000;
/** How often it is renewed. */
export const SHARD_RENEW_MS = 1_000;
/** After so long without a successful renewal this replica stops by itself, before Postgres lets another one in. */
const SELF_FENCE_MS = 3_500;
/** A lease that ends is looked for this much later. */
const EXPIRY_MARGIN_MS = 20;
/** Between two rounds at least: a table that cannot be used as we want must not make the loop spin. */
const MIN_GAP_MS = 10;
const LOAD_AGAIN_MS = 500;

/**
 * Keeps the leases of this replica's fair share of the shards. The epoch in Postgres is what fences; this class only sees
 * to it that a replica that cannot renew stops early on its own, measured on a clock that never goes back.
 *
 *   round, every second or when a peer says so (rounds never overlap, so the table is never judged by an old answer):
 *     renew -> believe what is kept -> release what was being given up and has settled -> give up a surplus, or take what is free
 *   giving: lost() at once, so nothing is begun; after settled() the next round releases and tells the peers
 */
export class ShardKeeper {
  readonly #p: ShardParts;
  readonly #owned = new Map<number, bigint>();
  /** Shards on their way out; true once nothing is being written for them. Ours in the table until released. */
  readonly #giving = new Map<number, boolean>();
  #peers: readonly string[] = [];
  #renewedAt = Number.NEGATIVE_INFINITY;
  #timer: TimerHandle | undefined;
  #stopped = false;
  #round: Promise<void> | undefined;
  #again = false;
  #soonestMs: number | undefined;
  #loading: Promise<void> = Promise.resolve();

  constructor(parts: ShardParts) {
    this.#p = parts;
  }

  /** Number of shards held. */
  get size(): number { return this.#owned.size; }

  /** Names of the replicas that live as of the last renewal, this one first. */
  get replicas(): readonly string[] { return [this.#p.owner, ...this.#peers]; }

  /** Whether the last renewal is recent enough to act on: also of a replica for which there is no shard left. */
  get current(): boolean { return this.#p.clock.monotonic() - this.#renewedAt < SELF_FENCE_MS; }

  /** Whether this replica may act for a shard right now. */
  owns(shard: number): boolean {
    return this.#owned.has(shard) && this.current;
  }

  /** Epoch under which writes for a shard are made, or undefined when it is not ours. */
  epoch(shard: number): bigint | undefined {
    return this.owns(shard) ? this.#owned.get(shard) : undefined;
  }

  /** Takes a share of what is free and keeps renewing. Resolves after the first round, its runs in memory. */
  async start(): Promise<void> {
    await this.#p.store.succeed(this.#p.owner).catch((error: unknown) => {
      this.#p.log.warn({ err: errorMessage(error) }, 'could not free the shards of this replica\'s last process; they expire by themselves');
    });
    await this.look();
    this.#p.notify();
    await this.#loading;
  }

  /** Looks at the table now; while a round is under way, once more after it. */
  look(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    if (this.#round !== undefined) {
      this.#again = true;
      return this.#round;
    }
    this.#timer?.cancel();
    const started = this.#p.clock.monotonic();
    this.#round = this.#turn().catch((error: unknown) => {
      this.#p.log.warn({ err: errorMessage(error) }, 'could not renew shard leases');
      this.#soonestMs = undefined;
      this.#fenceSelf();
    }).finally(() => { this.#next(started); });
    return this.#round;
  }

  /** Stops renewing and gives all shards back. Call after every writer has stopped. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#round;
    this.#owned.clear();
    this.#giving.clear();
    await this.#p.store.leave(this.#p.owner).then(this.#p.notify, (error: unknown) => {
      this.#p.log.warn({ err: errorMessage(error) }, 'could not release shards; they expire by themselves');
    });
  }

  /** A commit said that these moved: believe it at once. */
  forget(shards: readonly number[]): void {
    const lost = shards.filter((id) => this.#owned.delete(id));
    if (lost.length === 0) return;
    this.#p.log.warn({ lost: lost.length, owned: this.#owned.size }, 'run shards moved away');
    this.#p.listener.lost(lost);
  }

  #next(started: number): void {
    this.#round = undefined;
    if (this.#stopped) return;
    const elapsed = this.#p.clock.monotonic() - started;
    const expiry = this.#soonestMs === undefined ? Number.POSITIVE_INFINITY : this.#soonestMs + EXPIRY_MARGIN_MS;
    const fence = this.#renewedAt + SELF_FENCE_MS - started;
    const wait = this.#again ? 0 : Math.max(MIN_GAP_MS, Math.min(SHARD_RENEW_MS, expiry, fence > 0 ? fence : Number.POSITIVE_INFINITY) - elapsed);
    this.#again = false;
    this.#timer = this.#p.clock.after(wait, () => { void this.look(); });
  }

  async #turn(): Promise<void> {
    const { store, owner, clock } = this.#p;
    const started = clock.monotonic();
    const renewal = await store.renew(owner, SHARD_LEASE_MS);
    // Whatever came while `owns` said no, be it only since we asked, was passed over, although nobody else may have taken anything.
    if (!this.current) this.forget([...this.#owned.keys()]);
    this.#renewedAt = started;
    this.#soonestMs = renewal.soonestMs;
    this.#believe(renewal.kept);
    this.#meet(renewal.peers);
    if (this.#stopped) return;
    await this.#release();
    const { give, take } = spread({ ...renewal, mine: [...this.#owned.keys()], replicas: renewal.peers.length + 1 });
    this.#give(give);
    if (take.runs === 0 && !take.singleton) return;
    this.#gain(await store.acquire(owner, SHARD_LEASE_MS, take));
  }

  /** What the table says is ours. An epoch that is not the one we know: somebody else was the owner meanwhile. */
  #believe(kept: readonly OwnedShard[]): void {
    const now = new Map(kept.map((shard) => [shard.id, shard.epoch] as const));
    this.forget([...this.#owned].filter(([id, epoch]) => now.get(id) !== epoch).map(([id]) => id));
    for (const id of [...this.#giving.keys()]) if (!now.has(id)) this.#giving.delete(id);
    this.#gain(kept.filter(({ id }) => !this.#owned.has(id) && !this.#giving.has(id)));
  }

  #meet(peers: readonly string[]): void {
    const same = peers.length === this.#peers.length && peers.every((name, i) => name === this.#peers[i]);
    this.#peers = peers;
    if (!same) this.#p.listener.peers(this.replicas);
  }

  #gain(shards: readonly OwnedShard[]): void {
    if (shards.length === 0) return;
    for (const { id, epoch } of shards) this.#owned.set(id, epoch);
    this.#p.log.info({ gained: shards.length, owned: this.#owned.size, replicas: this.#peers.length + 1 }, 'took run shards');
    this.#loading = this.#loading.then(() => this.#load(shards));
  }

  /** Beside the rounds: many runs take longer to read than a lease lasts. */
  async #load(shards: readonly OwnedShard[]): Promise<void> {
    const epochs = new Map(shards.map(({ id, epoch }) => [id, epoch] as const));
    const held = (shard: number): boolean => epochs.has(shard) && this.#owned.get(shard) === epochs.get(shard);
    for (;;) {
      const left = shards.filter(({ id }) => held(id));
      if (left.length === 0 || this.#stopped) return;
      try {
        await this.#p.listener.gained(left, held);
        return;
      } catch (error) {
        this.#p.log.warn({ err: errorMessage(error), shards: left.length }, 'could not load the runs of new shards; trying again');
        await sleep(this.#p.clock, LOAD_AGAIN_MS);
      }
    }
  }

  #give(shards: readonly number[]): void {
    if (shards.length === 0) return;
    for (const id of shards) {
      this.#owned.delete(id);
      this.#giving.set(id, false);
    }
    this.#p.log.info({ given: shards.length, owned: this.#owned.size, replicas: this.#peers.length + 1 }, 'giving run shards to other replicas');
    this.#p.listener.lost(shards);
    void this.#p.listener.settled().then(() => {
      for (const id of shards) if (this.#giving.has(id)) this.#giving.set(id, true);
      void this.look();
    });
  }

  async #release(): Promise<void> {
    const ready = [...this.#giving].filter(([, settled]) => settled).map(([id]) => id);
    if (ready.length === 0) return;
    await this.#p.store.release(this.#p.owner, ready);
    for (const id of ready) this.#giving.delete(id);
    this.#p.notify();
  }

  #fenceSelf(): void {
    if (!this.current) this.forget([...this.#owned.keys()]);
  }
}
