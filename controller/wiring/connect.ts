import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { KINDS } from '../../crds/kinds.ts';
import { GROUP } from '../../crds/names.ts';
import { runnerPoolSpecSchema } from '../../crds/runner-pool.ts';
import { systemClock } from '../../platform/clock/index.ts';
import { ConfigError, readDatabaseUrl, readSecretFile } from '../../platform/config/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import { serveHealth, type HealthServer } from '../../platform/health/index.ts';
import { Waiting } from '../../platform/health/waiting.ts';
import { systemIds } from '../../platform/ids/index.ts';
import { KubeClient, type KubeObserver } from '../../platform/kube/client.ts';
import { loadKubeConfig } from '../../platform/kube/config.ts';
import { checkDefinitions } from '../../platform/kube/definitions.ts';
import { ownPod, podWarnings } from '../../platform/kube/pod-event.ts';
import type { Log } from '../../platform/log/index.ts';
import type { MetricsPage } from '../../platform/metrics/index.ts';
import { connectBus, type Bus } from '../../platform/nats/bus.ts';
import { agentKeyOf, type AgentKey } from '../../platform/agent-token/index.ts';
import { keepAgentKey, openReadyStore, type Db } from '../../prisma/store/index.ts';
import type { EgressRule } from '../pool/network.ts';
import type { ControllerConfig } from './config.ts';

/** Everything outside that the controller works with. */
export interface Outside {
  readonly db: Db;
  readonly bus: Bus;
  readonly client: KubeClient;
  readonly health: HealthServer;
  /** Name of this replica in the shard table. */
  readonly owner: string;
  /** Seed of the NATS account. */
  readonly seed: string;
  /** Signs the tokens of agents; its public half is in the store. */
  readonly agentKey: AgentKey;
  /** Spec of pools that the controller makes itself. */
  readonly defaultPool: Readonly<Record<string, unknown>>;
  /** What runners of every pool have to reach, as rules of a NetworkPolicy. */
  readonly egress: readonly EgressRule[];
}

/** Told of what happens outside, once somebody works with it. */
export interface OutsideEvents {
  reconnected(): void;
  readonly kube: KubeObserver;
  /** The page of /metrics while there is nothing to work with yet. */
  metrics(misses: (name: string) => boolean): Promise<MetricsPage>;
}

/**
 * Waits until Postgres with our schema, NATS and the custom resources are there; meanwhile the process is alive and not
 * ready, and says what it waits for. Throws ConfigError or KubeConfig where waiting cannot help, StoppedWaiting at `signal`.
 */
export async function connectOutside(config: ControllerConfig, log: Log, signal: AbortSignal, events: OutsideEvents): Promise<Outside> {
  const client = new KubeClient(loadKubeConfig(config.RAMBO_KUBECONFIG), events.kube);
  const defaultPool = readDefaultPool(config.RAMBO_DEFAULT_POOL_FILE);
  const egress = readEgress(config.RAMBO_RUNNER_EGRESS_FILE, config.RAMBO_RUNNER_NATS_URL, config.RAMBO_MODELGATEWAY_URL);
  const owner = `${config.RAMBO_REPLICA ?? 'controller'}-${systemIds.secret().slice(0, 8)}`;
  const warn = podWarnings(client, ownPod(config), 'rambo-controller', () => systemClock.now());
  const waiting = new Waiting({ clock: systemClock, log, signal, missing: warn });
  const health = await serveHealth({
    host: config.RAMBO_LISTEN_HOST, port: config.RAMBO_LISTEN_PORT,
    checks: { started: () => waiting.problem() ?? 'still starting' }, metrics: () => events.metrics((name) => waiting.misses(name)),
  });
  try {
    const [db, bus, seed] = await Promise.all([
      waiting.until('Postgres', () => openReadyStore({ url: readDatabaseUrl(config), max: 6, applicationName: `rambo-controller ${owner}` })),
      waiting.until('NATS', () => connectBus({
        url: config.RAMBO_NATS_URL, name: 'rambo-controller', log, onReconnect: () => { events.reconnected(); },
        creds: () => readSecretFile('RAMBO_NATS_CREDS_FILE', config.RAMBO_NATS_CREDS_FILE),
      })),
      waiting.until('the seed of the NATS account', () => readSecretFile('RAMBO_NATS_ACCOUNT_SEED_FILE', config.RAMBO_NATS_ACCOUNT_SEED_FILE)),
      waiting.until('the custom resource definitions', () => checkDefinitions(client, KINDS.map((kind) => `${kind.plural}.${GROUP}`), log)),
    ]);
    const agentKey = agentKeyOf(seed);
    await waiting.until('the table of agent keys', () => keepAgentKey(db, agentKey.kid, JSON.stringify(agentKey.publicKey)));
    return { db, bus, client, health, owner, seed, agentKey, defaultPool, egress };
  } catch (error) {
    await health.close();
    throw error;
  }
}

/** Spec of the pools that the controller makes itself, from a file or the kind's own defaults: with `minReady: 0`, because nobody asked for it by name. Throws ConfigError naming file and field. */
export function readDefaultPool(file: string | undefined): Readonly<Record<string, unknown>> {
  if (file === undefined) return { minReady: 0 };
  try {
    const spec: unknown = { ...JSON.parse(readFileSync(file, 'utf8')) as object, minReady: 0 };
    const parsed = runnerPoolSpecSchema.safeParse(spec);
    if (parsed.success) return spec as Readonly<Record<string, unknown>>;
    const [issue] = parsed.error.issues;
    throw new ConfigError('Config', `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`);
  } catch (error) {
    throw new ConfigError('Config', `RAMBO_DEFAULT_POOL_FILE: ${file} holds no spec of a RunnerPool: ${errorMessage(error)}`, { cause: error });
  }
}

/** Rules for what every runner has to reach, from a file or made of the addresses of NATS and the model gateway: DNS and their ports, anywhere. Throws ConfigError naming the file. */
export function readEgress(file: string | undefined, natsUrl: string, gatewayUrl: string | undefined): readonly EgressRule[] {
  if (file === undefined) {
    const port = Number(new URL(natsUrl.split(',')[0] ?? '').port) || 4_222;
    const gateway = gatewayUrl === undefined ? undefined : new URL(gatewayUrl);
    const ports = gateway === undefined ? [port] : [port, Number(gateway.port) || (gateway.protocol === 'https:' ? 443 : 80)];
    return [{ ports: [{ port: 53, protocol: 'UDP' }, { port: 53, protocol: 'TCP' }] }, ...ports.map((one) => ({ ports: [{ port: one, protocol: 'TCP' }] }))];
  }
  try {
    return z.array(z.record(z.string(), z.unknown())).parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new ConfigError('Config', `RAMBO_RUNNER_EGRESS_FILE: ${file} holds no list of rules of a NetworkPolicy: ${errorMessage(error)}`, { cause: error });
  }
}
