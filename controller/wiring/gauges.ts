import { FINAL_PHASES, RUN_PHASES } from '../../crds/workflow-run.ts';
import { POOL_TROUBLES, type PoolMetrics, type RunMetrics } from '../../platform/metrics/index.ts';
import type { RunRoom } from '../run/room.ts';

/* Gauges that are read rather than counted; called when metrics are scraped. */

/** Pools as metrics look at them. Keys are `namespace/name`. */
export interface PoolsView {
  counts(namespace: string, pool: string): { readonly ready: number; readonly starting: number };
  /** Ready runner pods that have work. */
  busy(namespace: string, pool: string): number;
  /** Most pods the pool may have. */
  max(namespace: string, pool: string): number;
  /** Why the pool does not get its pods; undefined when nothing is wrong. */
  trouble(namespace: string, pool: string): string | undefined;
}

/** Runs, shards, and what the runs of this replica want of pools. */
export function publishRoom(metrics: RunMetrics & PoolMetrics, room: RunRoom): void {
  const phases = room.phases();
  for (const phase of RUN_PHASES) if (!FINAL_PHASES.includes(phase)) metrics.runs.set({ phase }, phases.get(phase) ?? 0);
  metrics.shards.set(room.shards.size);
  metrics.held.set(room.held);
  metrics.replicas.set(room.shards.replicas.length);
  metrics.backlog.set(room.loop.backlog);
  metrics.outbox.set(room.relay.pending);
  metrics.outboxAge.set(room.relay.oldestMs / 1_000);
  for (const gauge of [metrics.poolQueue, metrics.poolInFlight, metrics.podsQueue, metrics.podsInFlight]) gauge.reset();
  for (const { mode, namespace, pool, queued, inFlight } of room.dispatcher.demand()) {
    if (mode === 'warm') {
      metrics.poolQueue.set({ namespace, pool }, queued);
      metrics.poolInFlight.set({ namespace, pool }, inFlight);
    } else {
      metrics.podsQueue.set({ namespace }, queued);
      metrics.podsInFlight.set({ namespace }, inFlight);
    }
  }
}

/** Pods of pools; a pool that is gone takes its series along. */
export function publishPools(metrics: PoolMetrics, pools: PoolsView, keys: readonly string[]): void {
  for (const gauge of [metrics.poolRunners, metrics.poolBusy, metrics.poolMax, metrics.poolTrouble]) gauge.reset();
  for (const key of keys) {
    const [namespace = '', pool = ''] = key.split('/');
    const { ready, starting } = pools.counts(namespace, pool);
    metrics.poolRunners.set({ namespace, pool, state: 'ready' }, ready);
    metrics.poolRunners.set({ namespace, pool, state: 'starting' }, starting);
    metrics.poolBusy.set({ namespace, pool }, pools.busy(namespace, pool));
    metrics.poolMax.set({ namespace, pool }, pools.max(namespace, pool));
    const trouble = pools.trouble(namespace, pool);
    for (const reason of POOL_TROUBLES) metrics.poolTrouble.set({ namespace, pool, reason }, trouble === reason ? 1 : 0);
  }
}
