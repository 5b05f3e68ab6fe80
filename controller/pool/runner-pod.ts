import { createHash } from 'node:crypto';
import { API_VERSION, LABELS, MANAGED_BY } from '../../crds/names.ts';
import type { RunnerPoolSpec } from '../../crds/runner-pool.ts';

/** A RunnerPool as the room uses it. */
export interface PoolObject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly spec: RunnerPoolSpec;
}

/** What every runner pod is told besides its pool. */
export interface RunnerSettings {
  /** NATS as pods reach it. */
  readonly natsUrl: string;
  /** Image of pools that name none of their own. */
  readonly image: string;
}

const CREDS_DIR = '/var/run/rambo/nats';

/** Name of the Secret with a pool's NATS credentials. */
export function credsSecretName(pool: string): string {
  return `rambo-pool-${pool}-nats`;
}

/** Changes whenever a pod made from the pool now would differ from one made before. */
export function templateHash(pool: PoolObject, settings: RunnerSettings): string {
  const { minReady: _m, max: _x, idleTTL: _i, networkPolicy: _n, ...rest } = pool.spec;
  return createHash('sha256').update(JSON.stringify([rest, settings, pool.uid])).digest('hex').slice(0, 12);
}

/** The pod of a warm runner: closed template, Pod Security `restricted`, no Kubernetes credential. */
export function runnerPod(pool: PoolObject, settings: RunnerSettings, suffix: string): Readonly<Record<string, unknown>> {
  const { spec } = pool;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${pool.name.slice(0, 50)}-${suffix}`,
      namespace: pool.namespace,
      labels: { [LABELS.managedBy]: MANAGED_BY, [LABELS.pool]: pool.name, 'rambo.dev/template': templateHash(pool, settings) },
      ownerReferences: [{ apiVersion: API_VERSION, kind: 'RunnerPool', name: pool.name, uid: pool.uid, controller: true, blockOwnerDeletion: false }],
    },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 45,
      securityContext: { runAsNonRoot: true, runAsUser: 65_532, runAsGroup: 65_532, fsGroup: 65_532, ...spec.securityContext, seccompProfile: { type: 'RuntimeDefault' } },
      ...(spec.serviceAccountName === undefined ? {} : { serviceAccountName: spec.serviceAccountName }),
      ...(spec.nodeSelector === undefined ? {} : { nodeSelector: spec.nodeSelector }),
      ...(spec.tolerations === undefined ? {} : { tolerations: spec.tolerations }),
      ...(spec.imagePullSecrets === undefined ? {} : { imagePullSecrets: spec.imagePullSecrets }),
      volumes: [{ name: 'nats', secret: { secretName: credsSecretName(pool.name) } }, { name: 'tmp', emptyDir: {} }],
      containers: [runnerContainer(pool, settings)],
    },
  };
}

function runnerContainer(pool: PoolObject, settings: RunnerSettings): Readonly<Record<string, unknown>> {
  const { spec } = pool;
  return {
    name: 'runner',
    image: spec.image === '' ? settings.image : spec.image,
    env: [
      { name: 'RAMBO_NATS_URL', value: settings.natsUrl },
      { name: 'RAMBO_NATS_CREDS_FILE', value: `${CREDS_DIR}/nats.creds` },
      { name: 'RAMBO_NAMESPACE', value: pool.namespace },
      { name: 'RAMBO_POOL', value: pool.name },
      { name: 'RAMBO_SLOTS', value: String(spec.reuse === 'Never' ? 1 : spec.slots) },
      { name: 'RAMBO_REUSE', value: spec.reuse },
      { name: 'RAMBO_RUNNER_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'TMPDIR', value: '/tmp/rambo' },
    ],
    ...(spec.envFrom === undefined ? {} : { envFrom: spec.envFrom }),
    ...(spec.resources === undefined ? {} : { resources: spec.resources }),
    volumeMounts: [{ name: 'nats', mountPath: CREDS_DIR, readOnly: true }, { name: 'tmp', mountPath: '/tmp/rambo' }],
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
  };
}
