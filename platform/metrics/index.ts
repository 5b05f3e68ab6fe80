import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

const FAST = [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1];
const LATENCY = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** A registry with the metrics every process has: Node's own, event-loop delay included. */
export function createRegistry(process: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ process });
  collectDefaultMetrics({ register: registry, prefix: 'rambo_' });
  return registry;
}

/** Metrics of talking to the API server, NATS and of the work queues. */
export function runtimeMetrics(registry: Registry) {
  const registers = [registry];
  return {
    kubeRequests: new Counter({ name: 'rambo_kube_requests_total', help: 'Requests to the API server; code 0 when it did not answer.', labelNames: ['verb', 'resource', 'code'], registers }),
    kubeWrites: new Counter({ name: 'rambo_kube_writes_total', help: 'Writes to the API server.', labelNames: ['verb', 'resource'], registers }),
    queueDepth: new Gauge({ name: 'rambo_workqueue_depth', help: 'Keys that wait for a worker.', labelNames: ['queue'], registers }),
    queueSeconds: new Histogram({ name: 'rambo_workqueue_seconds', help: 'Duration of one pass.', labelNames: ['queue', 'outcome'], buckets: LATENCY, registers }),
    reflectorEvents: new Counter({ name: 'rambo_reflector_events_total', help: 'Watch events.', labelNames: ['resource'], registers }),
    reflectorRelists: new Counter({ name: 'rambo_reflector_relists_total', help: 'Lists read again.', labelNames: ['resource'], registers }),
    reflectorStalls: new Counter({ name: 'rambo_reflector_stalls_total', help: 'Watches taken for dead.', labelNames: ['resource'], registers }),
    natsReconnects: new Counter({ name: 'rambo_nats_reconnects_total', help: 'Reconnections to NATS.', registers }),
  };
}

/** Metrics of the run loop, the dispatcher and the pools. */
export function runMetrics(registry: Registry) {
  const registers = [registry];
  return {
    advance: new Histogram({ name: 'rambo_run_advance_seconds', help: 'What one event costs in the engine.', buckets: FAST, registers }),
    batch: new Histogram({ name: 'rambo_commit_batch_size', help: 'Events per commit.', buckets: [1, 2, 5, 10, 25, 50, 100, 250, 500], registers }),
    commit: new Histogram({ name: 'rambo_commit_seconds', help: 'Duration of a commit.', buckets: LATENCY, registers }),
    dispatch: new Histogram({ name: 'rambo_dispatch_seconds', help: 'From sent to taken by a runner.', buckets: LATENCY, registers }),
    backlog: new Gauge({ name: 'rambo_run_backlog', help: 'Events that wait for a commit.', registers }),
    outbox: new Gauge({ name: 'rambo_outbox_pending', help: 'Dispatches that have not certainly left.', registers }),
    shards: new Gauge({ name: 'rambo_shards_owned', help: 'Shards this replica owns, of 257.', registers }),
    replicas: new Gauge({ name: 'rambo_replicas', help: 'Controllers that live, as this one sees them.', registers }),
    runs: new Gauge({ name: 'rambo_runs', help: 'Live runs in memory.', labelNames: ['phase'], registers }),
    held: new Gauge({ name: 'rambo_runs_needing_review', help: 'Live runs that wait for a person, because the database was restored.', registers }),
    runsFinished: new Counter({ name: 'rambo_runs_finished_total', help: 'Runs that ended.', labelNames: ['phase'], registers }),
    nodesFinished: new Counter({ name: 'rambo_nodes_finished_total', help: 'Attempts that ended.', labelNames: ['status'], registers }),
    deadLetters: new Counter({ name: 'rambo_messages_dead_lettered_total', help: 'Messages nobody could use.', labelNames: ['verb'], registers }),
    poolRunners: new Gauge({ name: 'rambo_pool_runners', help: 'Runner pods.', labelNames: ['namespace', 'pool', 'state'], registers }),
    poolQueue: new Gauge({ name: 'rambo_pool_queue_depth', help: 'Attempts that wait for room in their pool.', labelNames: ['namespace', 'pool'], registers }),
    poolInFlight: new Gauge({ name: 'rambo_pool_in_flight', help: 'Attempts on their way or running.', labelNames: ['namespace', 'pool'], registers }),
  };
}

/** Metrics of the API process. */
export function apiMetrics(registry: Registry) {
  const registers = [registry];
  return {
    requests: new Counter({ name: 'rambo_api_requests_total', help: 'GraphQL operations by root field.', labelNames: ['field', 'type', 'code'], registers }),
    reviews: new Counter({ name: 'rambo_api_reviews_total', help: 'Token and access reviews by the API server.', labelNames: ['kind', 'result'], registers }),
    seconds: new Histogram({ name: 'rambo_api_request_seconds', help: 'Duration of GraphQL operations.', labelNames: ['type'], buckets: LATENCY, registers }),
    subscriptions: new Gauge({ name: 'rambo_api_subscriptions', help: 'Open subscriptions.', registers }),
  };
}

export type RuntimeMetrics = ReturnType<typeof runtimeMetrics>;
export type RunMetrics = ReturnType<typeof runMetrics>;
export type ApiMetrics = ReturnType<typeof apiMetrics>;
