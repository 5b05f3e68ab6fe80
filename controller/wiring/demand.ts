import { Buffer } from 'node:buffer';
import type { Clock } from '../../platform/clock/index.ts';
import { demandSchema, type DemandNotice } from '../../platform/messages/payloads.ts';
import { DEMAND_SUBJECT } from '../../platform/messages/subjects.ts';
import { DemandBook, DemandTeller, type PoolDemand, type Wanted } from '../pool/demand.ts';
import { openMessage, type DeadLetters } from '../run/door.ts';
import type { RunRoom } from '../run/room.ts';

/** NATS, as far as notices between replicas go. */
export interface NoticeBus {
  publish(subject: string, payload: Uint8Array): void;
  listen(subject: string, handler: (subject: string, payload: Uint8Array) => void): { stop(): void };
}

/** What sharing pools with other replicas needs. */
export interface SharedPoolsParts {
  readonly clock: Clock;
  readonly bus: NoticeBus;
  readonly room: () => Pick<RunRoom, 'dispatcher' | 'leases' | 'loop' | 'shards'>;
  readonly dead: DeadLetters;
  /** Others want something else than before: whoever sizes pools looks. */
  readonly heard: () => void;
}

/** Pools are shared by the runs of all replicas: what this one wants, what the others want, and what its part is. */
export class SharedPools {
  readonly #p: SharedPoolsParts;
  readonly #book: DemandBook;
  readonly #teller: DemandTeller;
  #listening: { stop(): void } | undefined;

  constructor(parts: SharedPoolsParts) {
    this.#p = parts;
    this.#book = new DemandBook(parts.clock);
    this.#teller = new DemandTeller({
      clock: parts.clock, local: () => localDemand(parts.room()), alone: () => parts.room().shards.replicas.length < 2,
      send: (pools) => { this.#send(pools); },
    });
  }

  /** Listens; before the first lease, so that nothing said to a newcomer is missed. */
  start(): void {
    this.#listening = this.#p.bus.listen(DEMAND_SUBJECT, (subject, payload) => {
      const notice = openMessage(demandSchema, subject, payload, this.#p.dead);
      if (notice === undefined) return;
      this.#book.take(notice.replica, notice.pools);
      this.#changed();
    });
  }

  stop(): void {
    this.#listening?.stop();
    this.#teller.stop();
  }

  /** Replicas came or went. */
  peers(names: readonly string[]): void {
    this.#book.keep(names);
    this.#teller.everything();
    this.#changed();
  }

  /** What runs of this replica want may have changed. */
  changed(): void { this.#teller.changed(); }

  /** Called now and then. */
  refresh(): void { this.#teller.refresh(); }

  /** What all replicas want of a warm pool: attempts that wait or are in flight there, and their runs. */
  demand(namespace: string, pool: string): Wanted {
    let { attempts, runs } = this.#book.demand(namespace, pool);
    for (const d of this.#p.room().dispatcher.demand()) {
      if (d.mode !== 'warm' || d.namespace !== namespace || d.pool !== pool) continue;
      attempts += d.queued + d.inFlight;
      runs += d.runs;
    }
    return { attempts, runs };
  }

  /** Attempts of all replicas that a runner holds. */
  busy(namespace: string, pool: string, pod: string): number {
    return this.#p.room().leases.ofRunner(namespace, pod).length + this.#book.busy(namespace, pool, pod);
  }

  /** Warm pools that any replica wants something of; some may be named twice. */
  *wanted(): Iterable<{ readonly namespace: string; readonly pool: string }> {
    for (const d of this.#p.room().dispatcher.demand()) if (d.mode === 'warm' && d.queued + d.inFlight > 0) yield d;
    yield* this.#book.wanted();
  }

  /** This replica's part of a pool's room. */
  room(total: number, mode: 'warm' | 'pod', namespace: string, pool: string): number {
    return this.#book.room(total, mode, namespace, pool);
  }

  /** What others need no more is ours. */
  #changed(): void {
    const { dispatcher, loop } = this.#p.room();
    if (dispatcher.stirAll()) loop.kick();
    this.#p.heard();
  }

  #send(pools: readonly PoolDemand[]): void {
    const notice: DemandNotice = { v: 1, replica: this.#p.room().shards.replicas[0] ?? '', pools: pools.map((pool) => ({ ...pool, busy: { ...pool.busy } })) };
    this.#p.bus.publish(DEMAND_SUBJECT, Buffer.from(JSON.stringify(notice)));
  }
}

function localDemand(room: Pick<RunRoom, 'dispatcher' | 'leases'>): readonly PoolDemand[] {
  const busy = new Map<string, Record<string, number>>();
  for (const { mode, namespace, pool, runner } of room.leases.all()) {
    if (mode !== 'warm' || runner === undefined) continue;
    const ofPool = busy.get(`${namespace}/${pool}`) ?? {};
    ofPool[runner] = (ofPool[runner] ?? 0) + 1;
    busy.set(`${namespace}/${pool}`, ofPool);
  }
  return [...room.dispatcher.demand()].map(({ mode, namespace, pool, queued, inFlight, runs }) => ({
    mode, namespace, pool: mode === 'pod' ? '' : pool, queued, inFlight, runs, busy: mode === 'pod' ? {} : busy.get(`${namespace}/${pool}`) ?? {},
  }));
}
