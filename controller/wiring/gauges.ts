import type { RunMetrics } from '../../platform/metrics/index.ts';
import { RUN_PHASES } from '../../crds/workflow-run.ts';
import type { RunRoom } from '../run/room.ts';

/** Sets the gauges that are read rather than counted; called when metrics are scraped. */
export function publishGauges(metrics: RunMetrics, room: RunRoom, pods: (namespace: string, pool: string) => { ready: number; starting: number }, pools: readonly string[]): void {
  const phases = room.phases();
  for (const phase of RUN_PHASES) metrics.runs.set({ phase }, phases.get(phase) ?? 0);
  metrics.shards.set(room.shards.size);
  metrics.held.set(room.held);
  metrics.replicas.set(room.shards.replicas.length);
  metrics.backlog.set(room.loop.backlog);
  metrics.outbox.set(room.relay.pending);
  metrics.poolRunners.reset();
  for (const key of pools) {
    const [namespace = '', pool = ''] = key.split('/');
    const { ready, starting } = pods(namespace, pool);
    metrics.poolRunners.set({ namespace, pool, state: 'ready' }, ready);
    metrics.poolRunners.set({ namespace, pool, state: 'starting' }, starting);
  }
  for (const d of room.dispatcher.demand()) {
    if (d.mode !== 'warm') continue;
    metrics.poolQueue.set({ namespace: d.namespace, pool: d.pool }, d.queued);
    metrics.poolInFlight.set({ namespace: d.namespace, pool: d.pool }, d.inFlight);
  }
}
