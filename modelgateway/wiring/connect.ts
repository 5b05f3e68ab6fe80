import { systemClock } from '../../platform/clock/index.ts';
import { readDatabaseUrl, readSecretFile } from '../../platform/config/index.ts';
import { serveHealth, type HealthServer } from '../../platform/health/index.ts';
import { Waiting } from '../../platform/health/waiting.ts';
import { KubeClient } from '../../platform/kube/client.ts';
import { loadKubeConfig } from '../../platform/kube/config.ts';
import { ownPod, podWarnings } from '../../platform/kube/pod-event.ts';
import type { Log } from '../../platform/log/index.ts';
import { GATEWAY_INBOX_PREFIX } from '../../platform/messages/subjects.ts';
import { connectBus, type Bus } from '../../platform/nats/bus.ts';
import { openReadyStore, type Db } from '../../prisma/store/index.ts';
import type { GatewayConfig } from './config.ts';
import type { GatewayMetrics } from './metrics.ts';

/** Everything outside that the gateway works with. */
export interface Outside {
  readonly db: Db;
  readonly bus: Bus;
  readonly kube: KubeClient;
  readonly health: HealthServer;
}

const CONNECT_MS = 5_000;
/** Appends are short, and many agent runs append at once. */
const CONNECTIONS = 12;

/**
 * Waits until Postgres with our schema and NATS are there; meanwhile the process is alive and not ready, and says what it waits for.
 * Throws ConfigError or KubeConfig where waiting cannot help, StoppedWaiting at `signal`.
 */
export async function connectOutside(config: GatewayConfig, log: Log, metrics: GatewayMetrics, signal: AbortSignal): Promise<Outside> {
  const kube = new KubeClient(loadKubeConfig(config.RAMBO_KUBECONFIG), (verb, resource, code) => { metrics.kube(verb, resource, code); });
  const waiting = new Waiting({ clock: systemClock, log, signal, missing: podWarnings(kube, ownPod(config), 'rambo-modelgateway', () => systemClock.now()) });
  const health = await serveHealth({
    host: config.RAMBO_LISTEN_HOST, port: config.RAMBO_METRICS_PORT, metrics: () => metrics.waitingPage((name) => waiting.misses(name)), checks: { started: () => waiting.problem() ?? 'still starting' },
  });
  try {
    const [db, bus] = await Promise.all([
      waiting.until('Postgres', () => openReadyStore({ url: readDatabaseUrl(config), max: CONNECTIONS, connectTimeoutMs: CONNECT_MS, applicationName: 'rambo-modelgateway' })),
      waiting.until('NATS', () => connectBus({
        url: config.RAMBO_NATS_URL, name: 'rambo-modelgateway', inboxPrefix: GATEWAY_INBOX_PREFIX, log, onReconnect: () => { metrics.reconnected(); },
        creds: () => readSecretFile('RAMBO_NATS_CREDS_FILE', config.RAMBO_NATS_CREDS_FILE),
      })),
    ]);
    return { db, bus, kube, health };
  } catch (error) {
    await health.close();
    throw error;
  }
}
