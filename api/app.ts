import { systemClock } from '../platform/clock/index.ts';
import { readSecretFile } from '../platform/config/index.ts';
import { serveHealth } from '../platform/health/index.ts';
import type { HealthServer } from '../platform/health/index.ts';
import { systemIds } from '../platform/ids/index.ts';
import { KubeClient } from '../platform/kube/client.ts';
import { loadKubeConfig } from '../platform/kube/config.ts';
import type { Log } from '../platform/log/index.ts';
import { apiMetrics, createRegistry } from '../platform/metrics/index.ts';
import { connectBus } from '../platform/nats/bus.ts';
import type { Bus } from '../platform/nats/bus.ts';
import { openStore, ping } from '../prisma/store/index.ts';
import type { Db } from '../prisma/store/index.ts';
import type { ApiConfig } from './config.ts';
import type { ApiMetrics } from './ports.ts';
import { startApi } from './server.ts';
import type { ApiServer } from './server.ts';
import { apiTracing } from './tracing.ts';
import { busCommands, busLogs, BusNotices, kubeAuthenticator, kubeAuthorizer, storeDefinitions, storeRuns } from './wiring.ts';

/** Operations under way get so long at shutdown: a little more than an operation may take. */
const GRACE_MS = 12_000;
/** Prefix of the inboxes of the API's NATS user. */
const INBOX = '_INBOX_api';

/** The running process. */
export interface ApiApp {
  /** Port of /graphql. */
  readonly port: number;
  /** Port of /healthz, /readyz, /metrics. */
  readonly healthPort: number;
  /** Unready, then no more connections, subscriptions completed, operations ended, NATS drained, database closed. */
  stop(): Promise<void>;
}

/** Connects to everything and serves. Throws UnavailableError, ConfigError or KubeConfig naming what is missing. */
export async function startApp(config: ApiConfig, log: Log): Promise<ApiApp> {
  const kube = new KubeClient(loadKubeConfig(config.RAMBO_KUBECONFIG));
  const db = openStore({ url: config.RAMBO_DATABASE_URL, applicationName: 'rambo-api' });
  const registry = createRegistry('api');
  const waiting = { reconnected: (): void => undefined };
  const bus = await connectBus({
    url: config.RAMBO_NATS_URL, name: 'rambo-api', inboxPrefix: INBOX, log,
    creds: () => readSecretFile('RAMBO_NATS_CREDS_FILE', config.RAMBO_NATS_CREDS_FILE),
    onReconnect: () => { waiting.reconnected(); },
  });
  const notices = new BusNotices(bus);
  waiting.reconnected = () => { notices.reconnected(); };
  const server = await startApi({
    clock: systemClock, ids: systemIds, log, metrics: countersOf(apiMetrics(registry)), tracing: apiTracing(),
    ports: {
      authenticator: kubeAuthenticator(kube, config.RAMBO_TOKEN_AUDIENCE, log), authorizer: kubeAuthorizer(kube, log),
      runs: storeRuns(db), definitions: storeDefinitions(db), commands: busCommands(bus), logs: busLogs(bus), notices,
    },
    settings: { introspection: config.RAMBO_GRAPHQL_INTROSPECTION, corsOrigins: config.RAMBO_CORS_ORIGINS },
  }, config.RAMBO_LISTEN_HOST, config.RAMBO_LISTEN_PORT);
  return withHealth({ config, server, db, bus, kube }, async () => ({ type: registry.contentType, text: await registry.metrics() }));
}

interface Running { readonly config: ApiConfig; readonly server: ApiServer; readonly db: Db; readonly bus: Bus; readonly kube: KubeClient }

async function withHealth(running: Running, metrics: () => Promise<{ readonly type: string; readonly text: string }>): Promise<ApiApp> {
  const { config, server, db, bus } = running;
  let stopping = false;
  const health = await serveHealth({
    host: config.RAMBO_LISTEN_HOST, port: config.RAMBO_METRICS_PORT, metrics,
    checks: {
      shutdown: () => (stopping ? 'the process is stopping' : undefined),
      nats: () => (bus.connected ? undefined : 'not connected'),
      postgres: () => ping(db),
    },
  });
  return {
    port: server.port,
    healthPort: health.port,
    stop: () => {
      stopping = true;
      return stopAll(running, health);
    },
  };
}

async function stopAll({ server, bus, db, kube }: Running, health: HealthServer): Promise<void> {
  await server.stop(GRACE_MS);
  await bus.close();
  await db.close();
  kube.close();
  await health.close();
}

function countersOf(counters: ReturnType<typeof apiMetrics>): ApiMetrics {
  return {
    operation: (field, type, code, seconds) => {
      counters.requests.inc({ field, type, code });
      if (type !== 'subscription') counters.seconds.observe({ type }, seconds);
    },
    refused: (code) => { counters.requests.inc({ field: 'none', type: 'none', code }); },
    review: (kind, result) => { counters.reviews.inc({ kind, result }); },
    streams: (open) => { counters.subscriptions.set(open); },
  };
}
