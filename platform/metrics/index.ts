import { ERROR_CLASSES } from '../../crds/node.ts';
import { FINAL_PHASES, RUN_PHASES } from '../../crds/workflow-run.ts';
import type { MetricRegistry } from './registry.ts';

/* The one table of metrics: names, labels and their values are what dashboards, alerts and docs/metrics.md are built on. */

export { createRegistry, MetricRegistry, type MetricsPage } from './registry.ts';

const FAST = [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1];
const LATENCY = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Runs take milliseconds or days. */
const DURATION = [0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200, 43_200, 86_400];

/** What the processes cannot do without. */
export const DEPENDENCIES = ['postgres', 'nats', 'kube'] as const;
/** Answers of the API server, by class where the code itself says nothing more; `none`: there was no answer. */
export const KUBE_CODES = ['2xx', '404', '409', '410', '429', '4xx', '5xx', 'none'] as const;
/** Work queues of the controller. */
export const QUEUES = ['runs', 'workflows', 'pools', 'models', 'toolservers', 'agents'] as const;
/** Why a commit, or a run's part of it, was not written. */
export const COMMIT_FAILURES = ['unavailable', 'fenced', 'conflict', 'poison'] as const;
/** Kinds of message, by the second token of their subject. */
export const MESSAGE_VERBS = ['result', 'beat', 'log', 'fetch', 'cmd', 'logs', 'demand', 'other'] as const;
/** What may be wrong with a pool: the reasons of its condition `Stalled`. */
export const POOL_TROUBLES = ['PodsFailing', 'CreationRefused'] as const;

const NAMESPACE = 'of the pool';
const VERB = 'verb of the request';
const RESOURCE = 'plural of the kind';

/** Metrics of every process that talks to Postgres, NATS and the API server. */
export function connectionMetrics(registry: MetricRegistry) {
  return {
    up: registry.gauge({ name: 'rambo_dependency_up', help: 'Whether the process reaches what it depends on: 1 or 0.', where: 'at each scrape: Postgres is asked, NATS is the state of the connection, the API server is the last request to it', labels: { dependency: DEPENDENCIES } }),
    kubeRequests: registry.counter({ name: 'rambo_kube_requests_total', help: 'Requests to the API server.', where: 'when the answer begins, or fails to', labels: { verb: VERB, resource: RESOURCE, code: KUBE_CODES } }),
    natsReconnects: registry.counter({ name: 'rambo_nats_reconnects_total', help: 'Reconnections to NATS.', where: 'when the connection is back' }),
    postgresConnections: registry.gauge({ name: 'rambo_postgres_connections', help: 'Connections to Postgres.', where: 'at each scrape, from the pool of connections', labels: { state: ['busy', 'idle'] } }),
    postgresWaiting: registry.gauge({ name: 'rambo_postgres_waiting', help: 'Statements that wait for a connection.', where: 'at each scrape, from the pool of connections' }),
    faults: registry.counter({ name: 'rambo_faults_total', help: 'Errors that only a fault of RamBo explains; each has a log line of level error.', where: 'when the line is logged' }),
  };
}

/** What a process knows of its connections. */
export interface Connections {
  readonly postgres: { readonly total: number; readonly idle: number; readonly waiting: number };
  /** Asks Postgres; throws when it does not answer. */
  readonly ask: () => Promise<unknown>;
  readonly nats: boolean;
  readonly kube: boolean;
}

/** Sets the gauges of the connections; called when metrics are scraped. */
export async function publishConnections(metrics: ConnectionMetrics, { postgres, ask, nats, kube }: Connections): Promise<void> {
  metrics.postgresConnections.set({ state: 'busy' }, postgres.total - postgres.idle);
  metrics.postgresConnections.set({ state: 'idle' }, postgres.idle);
  metrics.postgresWaiting.set(postgres.waiting);
  metrics.up.set({ dependency: 'nats' }, nats ? 1 : 0);
  metrics.up.set({ dependency: 'kube' }, kube ? 1 : 0);
  metrics.up.set({ dependency: 'postgres' }, await ask().then(() => 1, () => 0));
}

/** Tells of connections that a process still waits for, by the names it waits under. */
export function publishWaiting(metrics: ConnectionMetrics, misses: (name: string) => boolean, kube: boolean): void {
  metrics.up.set({ dependency: 'nats' }, misses('NATS') ? 0 : 1);
  metrics.up.set({ dependency: 'postgres' }, misses('Postgres') ? 0 : 1);
  metrics.up.set({ dependency: 'kube' }, kube ? 1 : 0);
}

/** Metrics of the reflectors and work queues. */
export function runtimeMetrics(registry: MetricRegistry) {
  return {
    kubeWrites: registry.counter({ name: 'rambo_kube_writes_total', help: 'Writes to the API server.', where: 'when the answer begins, or fails to', labels: { verb: VERB, resource: RESOURCE } }),
    queueDepth: registry.gauge({ name: 'rambo_workqueue_depth', help: 'Keys that wait for a worker.', where: 'whenever a key is added or taken', labels: { queue: QUEUES } }),
    queueSeconds: registry.histogram({ name: 'rambo_workqueue_seconds', help: 'Duration of one pass.', where: 'at the end of the pass; error: it threw and is repeated', labels: { queue: QUEUES, outcome: ['done', 'again', 'error'] }, buckets: LATENCY }),
    reflectorEvents: registry.counter({ name: 'rambo_reflector_events_total', help: 'Watch events.', where: 'when one is read', labels: { resource: RESOURCE } }),
    reflectorRelists: registry.counter({ name: 'rambo_reflector_relists_total', help: 'Lists read again.', where: 'when a list begins', labels: { resource: RESOURCE } }),
    reflectorStalls: registry.counter({ name: 'rambo_reflector_stalls_total', help: 'Watches taken for dead.', where: 'when neither event nor bookmark came for 55 s', labels: { resource: RESOURCE } }),
  };
}

/** Metrics of the run loop and the shards. */
export function runMetrics(registry: MetricRegistry) {
  return {
    advance: registry.histogram({ name: 'rambo_run_advance_seconds', help: 'What one event costs in the engine.', where: 'around each call of the engine', buckets: FAST }),
    batch: registry.histogram({ name: 'rambo_commit_batch_size', help: 'Events per commit.', where: 'after each commit', buckets: [1, 2, 5, 10, 25, 50, 100, 250, 500] }),
    commit: registry.histogram({ name: 'rambo_commit_seconds', help: 'Duration of a commit.', where: 'after each commit', buckets: LATENCY }),
    commitFailures: registry.counter({ name: 'rambo_commit_failures_total', help: 'Commits that failed (unavailable), or runs that were left out of one: their shard moved (fenced), their row changed (conflict), they cannot be written (poison).', where: 'after each commit', labels: { reason: COMMIT_FAILURES } }),
    dispatch: registry.histogram({ name: 'rambo_dispatch_seconds', help: 'From sent to taken by a runner.', where: 'at the first sign of life of an attempt', buckets: LATENCY }),
    backlog: registry.gauge({ name: 'rambo_run_backlog', help: 'Events that wait for a commit.', where: 'at each scrape' }),
    outbox: registry.gauge({ name: 'rambo_outbox_pending', help: 'Dispatches that have not certainly left.', where: 'at each scrape' }),
    outboxAge: registry.gauge({ name: 'rambo_outbox_oldest_seconds', help: 'Age of the oldest dispatch that has not certainly left; 0 when all have.', where: 'at each scrape' }),
    shards: registry.gauge({ name: 'rambo_shards_owned', help: 'Shards this replica owns, of 257.', where: 'at each scrape' }),
    shardsMoved: registry.counter({ name: 'rambo_shards_moved_total', help: 'Shards that came to this replica, or left it.', where: 'when the runs of the shards are loaded, or dropped', labels: { direction: ['gained', 'lost'] } }),
    replicas: registry.gauge({ name: 'rambo_replicas', help: 'Controllers that live, as this one sees them.', where: 'at each scrape, as of the last renewal of leases' }),
    runs: registry.gauge({ name: 'rambo_runs', help: 'Live runs in memory.', where: 'at each scrape', labels: { phase: RUN_PHASES.filter((phase) => !FINAL_PHASES.includes(phase)) } }),
    held: registry.gauge({ name: 'rambo_runs_needing_review', help: 'Live runs that wait for a person, because the database was restored.', where: 'at each scrape' }),
    runsFinished: registry.counter({ name: 'rambo_runs_finished_total', help: 'Runs that ended.', where: 'after the commit that ends the run', labels: { phase: FINAL_PHASES } }),
    runSeconds: registry.histogram({ name: 'rambo_run_seconds', help: 'From start to end of a run.', where: 'after the commit that ends the run', labels: { phase: FINAL_PHASES }, buckets: DURATION }),
    nodesFinished: registry.counter({ name: 'rambo_nodes_finished_total', help: 'Attempts that ended.', where: 'after the commit that records the end', labels: { status: ['Succeeded', 'Failed', 'Cancelled', 'Parked'] } }),
    nodeErrors: registry.counter({ name: 'rambo_node_errors_total', help: 'Attempts that ended with an error, by its class.', where: 'after the commit that records the end', labels: { class: ERROR_CLASSES } }),
    deadLetters: registry.counter({ name: 'rambo_messages_dead_lettered_total', help: 'Messages nobody could use.', where: 'when one is put aside', labels: { verb: MESSAGE_VERBS } }),
  };
}

/** Metrics of the pools. Series appear with a pool and go with it. */
export function poolMetrics(registry: MetricRegistry) {
  const labels = { namespace: NAMESPACE, pool: 'name of the pool' };
  const told = 'at each scrape, by the replica that sizes the pools';
  const own = 'at each scrape, by each replica for its own runs';
  return {
    poolRunners: registry.gauge({ name: 'rambo_pool_runners', help: 'Runner pods.', where: told, labels: { ...labels, state: ['ready', 'starting'] } }),
    poolBusy: registry.gauge({ name: 'rambo_pool_runners_busy', help: 'Ready runner pods that run a node.', where: told, labels }),
    poolMax: registry.gauge({ name: 'rambo_pool_runners_max', help: 'Runner pods the pool may have: spec.max.', where: told, labels }),
    poolTrouble: registry.gauge({ name: 'rambo_pool_trouble', help: 'Whether something keeps a pool from having its pods: 1 or 0; the pool\'s condition Stalled says what.', where: told, labels: { ...labels, reason: POOL_TROUBLES } }),
    poolQueue: registry.gauge({ name: 'rambo_pool_queue_depth', help: 'Attempts that wait for room in their pool.', where: own, labels }),
    poolInFlight: registry.gauge({ name: 'rambo_pool_in_flight', help: 'Attempts on their way or running.', where: own, labels }),
    podsQueue: registry.gauge({ name: 'rambo_pods_queue_depth', help: 'Attempts that wait until they may have a pod of their own.', where: own, labels: { namespace: 'of the run' } }),
    podsInFlight: registry.gauge({ name: 'rambo_pods_in_flight', help: 'Attempts with a pod of their own.', where: own, labels: { namespace: 'of the run' } }),
  };
}

/** Closed sets that the API knows. */
export interface ApiLabels {
  /** Root fields of the schema, by type of operation. */
  readonly fields: Readonly<Record<'query' | 'mutation' | 'subscription', readonly string[]>>;
  /** Documented error codes, without `OK`. */
  readonly codes: readonly string[];
}

/** Metrics of the API process. */
export function apiMetrics(registry: MetricRegistry, { fields, codes }: ApiLabels) {
  const types = ['query', 'mutation', 'subscription'] as const;
  const requests = registry.counter({ name: 'rambo_api_requests_total', help: 'GraphQL operations by root field; of field and type none: requests that were refused before they became one.', where: 'when the answer is complete or its caller gone', labels: { field: 'root field of the schema, multiple or none', type: [...types, 'none'], code: ['OK', ...codes] } });
  // What alerts divide stands at zero; the rest of the 400 series comes when it comes.
  for (const type of types) for (const field of fields[type]) for (const code of ['OK', 'INTERNAL', 'UNAVAILABLE', 'TIMEOUT']) requests.inc({ field, type, code }, 0);
  for (const code of codes) requests.inc({ field: 'none', type: 'none', code }, 0);
  return {
    requests,
    reviews: registry.counter({ name: 'rambo_api_reviews_total', help: 'Token and access reviews by the API server.', where: 'when one is answered, from memory (cached) or by the API server', labels: { kind: ['token', 'access'], result: ['allowed', 'denied', 'cached', 'unavailable'] } }),
    signIns: registry.counter({ name: 'rambo_api_sign_ins_total', help: 'Tokens looked at, by who made them.', where: 'when one is looked at, not from memory; refused ones are forged, run out, revoked, or of somebody shut out', labels: { kind: ['kubernetes', 'firebase', 'accessToken'], result: ['accepted', 'refused', 'unavailable'] } }),
    seconds: registry.histogram({ name: 'rambo_api_request_seconds', help: 'Duration of GraphQL operations.', where: 'when the answer is complete; subscriptions are left out', labels: { type: ['query', 'mutation'] }, buckets: LATENCY }),
    answers: registry.counter({ name: 'rambo_api_answers_total', help: 'Reads by whether an earlier answer was given again.', where: 'when the memory of answers is asked: hit, miss (made), stale (what it rested on had changed)', labels: { result: ['hit', 'miss', 'stale'] } }),
    swept: registry.counter({ name: 'rambo_api_swept_total', help: 'Rows and objects removed because nobody can want them any more.', where: 'when a sweep has removed some', labels: { what: ['files', 'projectEvents', 'idempotentAnswers', 'objects'] } }),
    subscriptions: registry.gauge({ name: 'rambo_api_subscriptions', help: 'Open subscriptions.', where: 'whenever one opens or ends' }),
  };
}

/** Providers of Models. */
export const PROVIDERS = ['openai-compatible', 'openai', 'anthropic'] as const;
/** Why a call of a model brought no answer; Lost: the gateway that made it is gone. */
export const MODEL_FAILURES = ['RateLimited', 'ProviderError', 'Unreachable', 'Timeout', 'Cut', 'Malformed', 'Refused', 'Credentials', 'Aborted', 'Lost'] as const;
/** Kinds of tools that requests go to. */
export const TOOL_KINDS = ['mcp', 'http'] as const;
/** Paths of the model gateway. */
export const GATEWAY_ROUTES = ['/v1/agent/open', '/v1/agent/tool', '/v1/agent/finish', '/v1/agent/parked', '/v1/chat/completions', 'other'] as const;
/** Model calls take longer than requests of ours. */
const MODEL_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640];

/** Metrics of the model gateway. Who spent what to the last nano is in the budgets and in the agent runs. */
export function gatewayMetrics(registry: MetricRegistry) {
  const provider = { provider: PROVIDERS };
  const settled = 'after the commit that settles the call';
  return {
    tokens: registry.counter({ name: 'rambo_agent_tokens_total', help: 'Tokens of model calls (gen_ai.client.token.usage). input: not from a cache; output: without reasoning.', where: settled, labels: { kind: ['input', 'cached', 'output', 'reasoning'], ...provider } }),
    cost: registry.counter({ name: 'rambo_agent_cost_usd_total', help: 'What model calls cost by the prices of their Models, in USD.', where: settled, labels: provider }),
    spenderCost: registry.counter({ name: 'rambo_agent_spend_usd_total', help: 'What model calls of an agent cost, in USD. A project is its namespace. At most 300 agents and 300 namespaces have series of their own.', where: settled, labels: { namespace: 'of the agent run, or other', agent: 'name of the Agent; inline, or other' } }),
    spenderTokens: registry.counter({ name: 'rambo_agent_spend_tokens_total', help: 'Tokens of model calls of an agent, cached and reasoning ones included.', where: settled, labels: { namespace: 'of the agent run, or other', agent: 'name of the Agent; inline, or other', kind: ['input', 'output'] } }),
    toolSeconds: registry.histogram({ name: 'rambo_agent_tool_seconds', help: 'Duration of requests to tools (gen_ai.client.operation.duration of execute_tool). error: the tool said so; asks: it asks a person first; notSent: nothing left; unknown: no answer.', where: 'when the request is over', labels: { kind: TOOL_KINDS, outcome: ['answered', 'error', 'asks', 'notSent', 'unknown'] }, buckets: MODEL_SECONDS }),
    estimated: registry.counter({ name: 'rambo_agent_usage_estimated_total', help: 'Answers without a count of tokens, charged at an estimate.', where: settled }),
    calls: registry.counter({ name: 'rambo_model_calls_total', help: 'Model calls.', where: settled, labels: { ...provider, outcome: ['answered', 'failed'] } }),
    failures: registry.counter({ name: 'rambo_model_failures_total', help: 'Model calls without an answer.', where: settled, labels: { code: MODEL_FAILURES } }),
    again: registry.counter({ name: 'rambo_model_calls_again_total', help: 'Model calls that are asked again: of the same model, of the next, or of a cheaper one because of a budget.', where: 'when it is decided', labels: { how: ['retry', 'fallback', 'degraded'] } }),
    callSeconds: registry.histogram({ name: 'rambo_model_call_seconds', help: 'Duration of model calls that were answered (gen_ai.client.operation.duration).', where: settled, labels: provider, buckets: MODEL_SECONDS }),
    firstSeconds: registry.histogram({ name: 'rambo_model_first_piece_seconds', help: 'From a model call to the first piece of its answer.', where: settled, labels: provider, buckets: MODEL_SECONDS }),
    inFlight: registry.gauge({ name: 'rambo_model_calls_in_flight', help: 'Model calls under way, those that wait for their turn included.', where: 'whenever one begins or ends' }),
    waiting: registry.gauge({ name: 'rambo_model_calls_waiting', help: 'Model calls that wait because of the limits of their Model.', where: 'at each scrape' }),
    budgetRefusals: registry.counter({ name: 'rambo_agent_budget_exceeded_total', help: 'Model calls that a budget did not pay for, by what followed.', where: 'after the commit that says so', labels: { action: ['Stop', 'Pause', 'Degrade'] } }),
    ended: registry.counter({ name: 'rambo_agent_runs_finished_total', help: 'Agent runs that this gateway ended.', where: 'after the commit that ends one', labels: { phase: ['Succeeded', 'Failed', 'BudgetExhausted', 'Cancelled'] } }),
    requests: registry.counter({ name: 'rambo_modelgateway_requests_total', help: 'Requests of runners.', where: 'when the answer is complete or its caller gone', labels: { route: GATEWAY_ROUTES, status: ['2xx', '4xx', '5xx'] } }),
    requestSeconds: registry.histogram({ name: 'rambo_modelgateway_request_seconds', help: 'Duration of requests of runners, the model\'s and the tool\'s time included.', where: 'when the answer is complete or its caller gone', labels: { route: GATEWAY_ROUTES }, buckets: [0.005, 0.01, 0.025, ...MODEL_SECONDS] }),
  };
}

export type GatewayMetricsSet = ReturnType<typeof gatewayMetrics>;
export type ConnectionMetrics = ReturnType<typeof connectionMetrics>;
export type RuntimeMetrics = ReturnType<typeof runtimeMetrics>;
export type RunMetrics = ReturnType<typeof runMetrics>;
export type PoolMetrics = ReturnType<typeof poolMetrics>;
export type ApiMetrics = ReturnType<typeof apiMetrics>;

/** Counts requests to the API server and tells whether it answered the last one. */
export function kubeCounter(metrics: Pick<ConnectionMetrics, 'kubeRequests'>): { observe(verb: string, resource: string, code: number): void; readonly answered: boolean } {
  const seen = new Set<string>();
  let answered = true;
  return {
    get answered() { return answered; },
    observe: (verb, resource, code) => {
      answered = code !== 0;
      if (!seen.has(`${verb}/${resource}`)) {
        seen.add(`${verb}/${resource}`);
        for (const each of KUBE_CODES) metrics.kubeRequests.inc({ verb, resource, code: each }, 0);
      }
      metrics.kubeRequests.inc({ verb, resource, code: kubeCode(code) });
    },
  };
}

/** The label for an HTTP status; 0 for no answer. */
export function kubeCode(status: number): (typeof KUBE_CODES)[number] {
  if (status === 0) return 'none';
  const exact = KUBE_CODES.find((code) => code === String(status));
  if (exact !== undefined) return exact;
  if (status >= 500) return '5xx';
  return status >= 400 ? '4xx' : '2xx';
}

/** The label for a subject's kind of message. */
export function verbOf(subject: string): (typeof MESSAGE_VERBS)[number] {
  const verb = subject.split('.')[1];
  return MESSAGE_VERBS.find((known) => known === verb) ?? 'other';
}
