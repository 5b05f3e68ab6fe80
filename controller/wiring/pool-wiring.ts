import { LABELS } from '../../crds/names.ts';
import type { Clock } from '../../platform/clock/index.ts';
import { systemIds } from '../../platform/ids/index.ts';
import type { KubeClient } from '../../platform/kube/client.ts';
import type { Log } from '../../platform/log/index.ts';
import { poolPermissions } from '../../platform/messages/subjects.ts';
import type { Bus } from '../../platform/nats/bus.ts';
import { signUser } from '../../platform/nats/identity.ts';
import type { Db } from '../../prisma/store/index.ts';
import { PoolNetworks, type EgressRule } from '../pool/network.ts';
import { Pools, type RunnerPodObject } from '../pool/pools.ts';
import type { RunnerSettings } from '../pool/runner-pod.ts';
import type { Watched } from '../runtime/watched.ts';
import type { ControllerConfig } from './config.ts';
import type { SharedPools } from './demand.ts';
import { networkPort, poolPort } from './kube-ports.ts';
import { toPolicy, toPool, toRunnerPod } from './objects.ts';
import { poolMirrors } from './store-ports.ts';

/** What the pools are wired to. */
export interface PoolWiring {
  readonly config: ControllerConfig;
  readonly clock: Clock;
  readonly client: KubeClient;
  readonly db: Db;
  readonly bus: Pick<Bus, 'ensureConsumer' | 'removeConsumer'>;
  readonly reflectors: { readonly pools: Watched; readonly runners: Watched; readonly policies: Watched };
  readonly shared: SharedPools;
  readonly grown: (namespace: string, pool: string) => void;
  readonly restoredAt: () => Promise<number | undefined>;
  /** Seed of the NATS account. */
  readonly seed: string;
  /** Spec of pools that the controller makes itself. */
  readonly defaultPool: Readonly<Record<string, unknown>>;
  readonly egress: readonly EgressRule[];
  readonly log: Log;
}

function runnerSettings({ config }: PoolWiring): RunnerSettings {
  const endpoint = config.RAMBO_RUNNER_OTLP_ENDPOINT ?? config.OTEL_EXPORTER_OTLP_ENDPOINT;
  return { natsUrl: config.RAMBO_RUNNER_NATS_URL, image: config.RAMBO_RUNNER_IMAGE, ...(endpoint === undefined ? {} : { otlpEndpoint: endpoint }) };
}

/** The pools, with Kubernetes, NATS and Postgres behind their ports. */
export function wirePools(w: PoolWiring): Pools {
  const signPoolUser = (namespace: string, pool: string, seconds: number): Promise<string> =>
    signUser({ name: `${namespace}/${pool}`, accountSeed: w.seed, permissions: poolPermissions(namespace, pool), expiresInSeconds: seconds, now: w.clock.now() });
  const networks = new PoolNetworks({ clock: w.clock, base: w.egress, seen: (namespace, name) => toPolicy(w.reflectors.policies.get(`${namespace}/${name}`)), ...networkPort(w.client) });
  return new Pools({
    isolate: (pool) => networks.reconcile(pool),
    clock: w.clock, log: w.log, grown: w.grown, restoredAt: w.restoredAt, suffix: () => systemIds.secret().slice(0, 6),
    settings: runnerSettings(w),
    pool: (key) => toPool(w.reflectors.pools.get(key)),
    pods: (namespace, pool) => runnerPods(w.reflectors.runners, namespace, pool),
    busy: (namespace, pool, pod) => w.shared.busy(namespace, pool, pod),
    demand: (namespace, pool) => w.shared.demand(namespace, pool),
    port: poolPort(w.client, w.defaultPool, {
      ...poolMirrors(w.db, w.clock), signPoolUser,
      ensureConsumer: (namespace, pool, max) => w.bus.ensureConsumer(namespace, pool, max),
      removeConsumer: (namespace, pool) => w.bus.removeConsumer(namespace, pool),
    }),
  });
}

function runnerPods(runners: Watched, namespace: string, pool: string): readonly RunnerPodObject[] {
  const pods = [...runners.values()].map(toRunnerPod).filter((pod) => pod !== undefined);
  return pods.filter((pod) => pod.namespace === namespace && pod.labels[LABELS.pool] === pool);
}
