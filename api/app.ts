import { sleep, systemClock } from '../platform/clock/index.ts';
import { ConfigError, readDatabaseUrl, readObjectsConfig, readSecretFile } from '../platform/config/index.ts';
import { serveHealth } from '../platform/health/index.ts';
import type { HealthServer } from '../platform/health/index.ts';
import { Waiting } from '../platform/health/waiting.ts';
import { systemIds } from '../platform/ids/index.ts';
import { KubeClient } from '../platform/kube/client.ts';
import { loadKubeConfig } from '../platform/kube/config.ts';
import { ownPod, podWarnings } from '../platform/kube/pod-event.ts';
import type { Log } from '../platform/log/index.ts';
import { connectBus } from '../platform/nats/bus.ts';
import type { Bus } from '../platform/nats/bus.ts';
import { openObjects } from '../platform/objects/index.ts';
import type { ObjectStore } from '../platform/objects/index.ts';
import { openGateway, type Gateway } from '../prisma/gateway/index.ts';
import { openReadyStore, ping } from '../prisma/store/index.ts';
import type { Db } from '../prisma/store/index.ts';
import { openIdentity, type Identity } from './auth/identity.ts';
import type { ApiConfig } from './config.ts';
import { NO_DOCUMENTS, readManifest } from './http/trusted-documents.ts';
import type { TrustedDocuments } from './http/trusted-documents.ts';
import type { ApiCounters } from './metrics.ts';
import { startApi } from './server.ts';
import type { ApiServer } from './server.ts';
import { apiTracing } from './tracing.ts';
import { kubePublisher } from './workflow/publisher.ts';
import { busCommands, busLogs, BusAgentNotices, BusNotices, BusProjectNotices, kubeAuthenticator, kubeAuthorizer, storeDefinitions, storePlaces, storeRuns } from './wiring.ts';

/** Operations under way get so long at shutdown: a little more than an operation may take. */
const GRACE_MS = 12_000;
/** Before that, for so long kept connections are ended by answers only: one that is cut while its caller sends is a failed request. */
const LINGER_MS = 2_000;
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

/** A pod that has just begun gets many requests and no connection yet; nobody's lease waits for it, as the controller's does. */
const CONNECT_MS = 5_000;

/**
 * Serves once Postgres with our schema and NATS are there; until then the process is alive and not ready, and says what it
 * waits for. Throws ConfigError or KubeConfig where waiting cannot help, StoppedWaiting at `signal`.
 */
export async function startApp(config: ApiConfig, log: Log, counters: ApiCounters, signal: AbortSignal): Promise<ApiApp> {
  const kube = new KubeClient(loadKubeConfig(config.RAMBO_KUBECONFIG), (verb, resource, code) => { counters.request(verb, resource, code); });
  const waiting = new Waiting({ clock: systemClock, log, signal, missing: podWarnings(kube, ownPod(config), 'rambo-api', () => systemClock.now()) });
  const health = await serveHealth({
    host: config.RAMBO_LISTEN_HOST, port: config.RAMBO_METRICS_PORT, metrics: () => counters.waiting((name) => waiting.misses(name)), checks: { started: () => waiting.problem() ?? 'still starting' },
  });
  const back = { reconnected: (): void => undefined };
  const [db, bus] = await Promise.all([
    waiting.until('Postgres', () => openReadyStore({ url: readDatabaseUrl(config), connectTimeoutMs: CONNECT_MS, applicationName: 'rambo-api' })),
    waiting.until('NATS', () => connectBus({
      url: config.RAMBO_NATS_URL, name: 'rambo-api', inboxPrefix: INBOX, log, onReconnect: () => { back.reconnected(); },
      creds: () => readSecretFile('RAMBO_NATS_CREDS_FILE', config.RAMBO_NATS_CREDS_FILE),
    })),
  ]);
  const notices = new BusNotices(bus);
  const projectNotices = new BusProjectNotices(bus);
  const agentNotices = new BusAgentNotices(bus);
  back.reconnected = () => {
    counters.reconnected();
    notices.reconnected();
    projectNotices.reconnected();
    agentNotices.reconnected();
  };
  const store = readObjectsConfig(config);
  const objects = store === undefined ? undefined : openObjects(store);
  const gateway = openGateway(readDatabaseUrl(config));
  const identity = await openIdentity({ config, kubernetes: kubeAuthenticator(kube, config.RAMBO_TOKEN_AUDIENCE, log), db, gateway, clock: systemClock, ids: systemIds, log, metrics: counters.api });
  const server = await startApi({
    clock: systemClock, ids: systemIds, log, metrics: counters.api, tracing: apiTracing(),
    ports: {
      authenticator: identity.authenticator, standing: identity.standing, identities: identity.identities, authorizer: kubeAuthorizer(kube, log), gateway, places: storePlaces(db),
      runs: storeRuns(db), definitions: storeDefinitions(db), commands: busCommands(bus), logs: busLogs(bus), notices, projectNotices, agentNotices, db,
      objects, publisher: kubePublisher(kube, log),
    },
    settings: {
      introspection: config.RAMBO_GRAPHQL_INTROSPECTION, corsOrigins: config.RAMBO_CORS_ORIGINS, documents: documentsOf(config),
      answers: { maxAgeMs: config.RAMBO_ANSWER_MAX_AGE_MS, maxBytes: config.RAMBO_ANSWER_MEMORY_MIB * 1_048_576 },
      rate: { principal: config.RAMBO_RATE_LIMIT_PRINCIPAL, address: config.RAMBO_RATE_LIMIT_ADDRESS, hops: config.RAMBO_PROXY_HOPS },
    },
  }, config.RAMBO_LISTEN_HOST, config.RAMBO_LISTEN_PORT);
  return running({ config, health, server, db, gateway, identity, bus, kube, objects }, () => counters.page(db, bus));
}

/** Throws ConfigError. */
function documentsOf({ RAMBO_GRAPHQL_DOCUMENTS_FILE: file, RAMBO_GRAPHQL_DOCUMENTS_ONLY: only }: ApiConfig): TrustedDocuments {
  if (file !== undefined) return readManifest(readSecretFile('RAMBO_GRAPHQL_DOCUMENTS_FILE', file), only);
  if (only) throw new ConfigError('Config', 'RAMBO_GRAPHQL_DOCUMENTS_ONLY is true and RAMBO_GRAPHQL_DOCUMENTS_FILE is not set: nothing at all would be served');
  return NO_DOCUMENTS;
}

interface Running { readonly config: ApiConfig; readonly health: HealthServer; readonly server: ApiServer; readonly db: Db; readonly gateway: Gateway; readonly identity: Identity; readonly bus: Bus; readonly kube: KubeClient; readonly objects: ObjectStore | undefined }

function running(parts: Running, metrics: () => Promise<{ readonly type: string; readonly text: string }>): ApiApp {
  const { config, health, server, db, bus } = parts;
  let stopping = false;
  health.tell({
    metrics,
    checks: {
      shutdown: () => (stopping ? 'the process is stopping' : undefined),
      nats: () => (bus.connected ? undefined : `not connected to ${config.RAMBO_NATS_URL}; trying again and again`),
      postgres: () => ping(db),
    },
  });
  return {
    port: server.port,
    healthPort: health.port,
    stop: () => {
      stopping = true;
      return stopAll(parts);
    },
  };
}

async function stopAll({ health, server, bus, db, gateway, identity, kube, objects }: Running): Promise<void> {
  server.linger();
  await sleep(systemClock, LINGER_MS);
  await server.stop(GRACE_MS);
  await bus.close();
  await identity.close();
  await gateway.close();
  await db.close();
  kube.close();
  objects?.close();
  await health.close();
}
