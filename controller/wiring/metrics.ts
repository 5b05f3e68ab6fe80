import { SINGLETON_SHARD } from '../../platform/messages/subjects.ts';
import {
  connectionMetrics, createRegistry, kubeCounter, poolMetrics, publishConnections, publishWaiting, runMetrics, runtimeMetrics, verbOf, type ConnectionMetrics, type MetricsPage, type PoolMetrics, type QUEUES, type RunMetrics, type RuntimeMetrics,
} from '../../platform/metrics/index.ts';
import type { AttemptRecord } from '../../engine/types.ts';
import { ping, type Db } from '../../prisma/store/index.ts';
import { runRow } from '../../engine/index.ts';
import { FINAL_PHASES } from '../../crds/workflow-run.ts';
import type { Bus } from '../../platform/nats/bus.ts';
import type { LiveRun } from '../run/live-run.ts';
import type { LoopMetrics } from '../run/loop.ts';
import type { RunRoom } from '../run/room.ts';
import type { QueueParts } from '../runtime/queue.ts';
import type { ReflectorParts } from '../runtime/reflector.ts';
import { publishPools, publishRoom, type PoolsView } from './gauges.ts';

/** What is looked at when metrics are scraped. */
export interface Scraped {
  readonly room: RunRoom;
  readonly pools: PoolsView;
  /** `namespace/name` of every pool there is. */
  readonly poolKeys: () => readonly string[];
  readonly db: Db;
  readonly bus: Pick<Bus, 'connected'>;
}

/** All that the controller counts, as the observers its parts ask for. */
export class ControllerMetrics {
  readonly #registry = createRegistry('controller');
  readonly #m: ConnectionMetrics & RuntimeMetrics & RunMetrics & PoolMetrics;
  readonly #kube: ReturnType<typeof kubeCounter>;
  /** The run loop's observer. */
  readonly loop: LoopMetrics;

  constructor() {
    const registry = this.#registry;
    this.#m = { ...connectionMetrics(registry), ...runtimeMetrics(registry), ...runMetrics(registry), ...poolMetrics(registry) };
    this.#kube = kubeCounter(this.#m);
    this.loop = {
      advance: (seconds) => { this.#m.advance.observe(seconds); },
      batch: (events, _runs, seconds) => { this.#m.batch.observe(events); this.#m.commit.observe(seconds); },
      failed: (reason) => { this.#m.commitFailures.inc({ reason }); },
    };
  }

  queue(queue: (typeof QUEUES)[number]): NonNullable<QueueParts['observe']> {
    return {
      depth: (depth) => { this.#m.queueDepth.set({ queue }, depth); },
      done: (seconds, outcome) => { this.#m.queueSeconds.observe({ queue, outcome }, seconds); },
    };
  }

  reflector(resource: string): NonNullable<ReflectorParts['observe']> {
    for (const counter of [this.#m.reflectorEvents, this.#m.reflectorRelists, this.#m.reflectorStalls]) counter.inc({ resource }, 0);
    return {
      event: () => { this.#m.reflectorEvents.inc({ resource }); },
      relist: () => { this.#m.reflectorRelists.inc({ resource }); },
      stall: () => { this.#m.reflectorStalls.inc({ resource }); },
    };
  }

  /** A request to the API server ended; code 0 without an answer. */
  request(verb: string, resource: string, code: number): void {
    this.#kube.observe(verb, resource, code);
    if (verb !== 'get' && verb !== 'list' && verb !== 'watch') this.#m.kubeWrites.inc({ verb, resource });
  }

  dispatched(seconds: number): void { this.#m.dispatch.observe(seconds); }

  reconnected(): void { this.#m.natsReconnects.inc(); }

  /** A line of level error was logged. */
  fault(): void { this.#m.faults.inc(); }

  deadLetter(subject: string): void { this.#m.deadLetters.inc({ verb: verbOf(subject) }); }

  shardsMoved(direction: 'gained' | 'lost', shards: number): void { this.#m.shardsMoved.inc({ direction }, shards); }

  /** A change of a run is durable. */
  changed(live: LiveRun, attempts: readonly Pick<AttemptRecord, 'status' | 'error'>[], finished: boolean): void {
    for (const { status, error } of attempts) {
      this.#m.nodesFinished.inc({ status });
      if (error !== undefined) this.#m.nodeErrors.inc({ class: error.class });
    }
    const { phase, startedAt, finishedAt } = runRow(live.state);
    if (!finished || !FINAL_PHASES.includes(phase)) return;
    this.#m.runsFinished.inc({ phase });
    if (startedAt !== undefined && finishedAt !== undefined) this.#m.runSeconds.observe({ phase }, (finishedAt - startedAt) / 1_000);
  }

  /** The page of /metrics. */
  async page({ room, pools, poolKeys, db, bus }: Scraped): Promise<MetricsPage> {
    publishRoom(this.#m, room);
    // Pods are everybody's: told once, by whoever sizes the pools.
    publishPools(this.#m, pools, room.shards.owns(SINGLETON_SHARD) ? poolKeys() : []);
    await publishConnections(this.#m, { postgres: db.stats(), ask: () => ping(db), nats: bus.connected, kube: this.#kube.answered });
    return this.#registry.page();
  }

  /** The page while the process still waits for what it cannot do without. */
  async waiting(misses: (name: string) => boolean): Promise<MetricsPage> {
    publishWaiting(this.#m, misses, this.#kube.answered);
    return this.#registry.page();
  }
}
