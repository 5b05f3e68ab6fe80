import { createHash } from 'node:crypto';
import { API_VERSION, LABELS, MANAGED_BY } from '../../crds/names.ts';
import type { Condition } from '../../crds/parts.ts';
import type { RunnerSpec } from '../../crds/node.ts';
import type { RunnerPoolSpec } from '../../crds/runner-pool.ts';
import { egressLabels } from './network.ts';
import { podMount, podVolume } from '../../platform/kube/pod-parts.ts';

/** A RunnerPool as the room uses it. */
export interface PoolObject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly resourceVersion: string;
  readonly spec: RunnerPoolSpec;
  /** Conditions of its status, as the cache has them. */
  readonly conditions: readonly Condition[];
}

/** What every runner pod is told besides its pool. */
export interface RunnerSettings {
  /** NATS as pods reach it. */
  readonly natsUrl: string;
  /** Image of pools that name none of their own. */
  readonly image: string;
  /** Where runners send spans, as pods reach it; they make none when absent. */
  readonly otlpEndpoint?: string;
}

const CREDS_DIR = '/var/run/rambo/nats';

/** Name of the Secret with a pool's NATS credentials. */
export function credsSecretName(pool: string): string {
  return `rambo-pool-${pool}-nats`;
}

/** Label of a runner pod: hash of the definition it was made from. */
export const TEMPLATE_LABEL = 'rambo.dev/template';

/** Changes whenever a pod made from the pool now would differ from one made before. */
export function templateHash(pool: PoolObject, settings: RunnerSettings): string {
  const { minReady: _m, max: _x, idleTTL: _i, networkPolicy, ...rest } = pool.spec;
  // Of the policy only whether there is one: that is a label of the pod.
  return createHash('sha256').update(JSON.stringify([rest, settings, pool.uid, ...(networkPolicy === undefined ? [] : ['egress'])])).digest('hex').slice(0, 12);
}

/** What one attempt's own pod adds to, or takes instead of, what its pool says; field by field, like everything in a pod of ours. */
export interface AttemptRunner {
  readonly runner: RunnerSpec;
  /** The runner's variables that name the attempt. */
  readonly env: Readonly<Record<string, string>>;
  /** Seconds after which the kubelet ends the pod. */
  readonly activeDeadlineSeconds?: number;
}

/** Name of the runner's container, in warm pods and in pods of one attempt. */
export const RUNNER_CONTAINER = 'runner';

/** The pod of a warm runner: closed template, Pod Security `restricted`, no Kubernetes credential. */
export function runnerPod(pool: PoolObject, settings: RunnerSettings, suffix: string): Readonly<Record<string, unknown>> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${pool.name.slice(0, 50)}-${suffix}`,
      namespace: pool.namespace,
      labels: { [LABELS.managedBy]: MANAGED_BY, [LABELS.pool]: pool.name, [TEMPLATE_LABEL]: templateHash(pool, settings), ...egressLabels(pool) },
      ownerReferences: [{ apiVersion: API_VERSION, kind: 'RunnerPool', name: pool.name, uid: pool.uid, controller: true, blockOwnerDeletion: false }],
    },
    spec: runnerPodSpec(pool, settings),
  };
}

/**
 * Spec of a runner pod: of the pool, or with `attempt` of one attempt that asked for a pod of its own. What the attempt
 * says about resources and placement replaces what the pool says; environment and volumes are added to the pool's.
 */
export function runnerPodSpec(pool: PoolObject, settings: RunnerSettings, attempt?: AttemptRunner): Readonly<Record<string, unknown>> {
  const { spec } = pool;
  const nodeSelector = attempt?.runner.nodeSelector ?? spec.nodeSelector;
  const tolerations = attempt?.runner.tolerations ?? spec.tolerations;
  return {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 45,
    ...(attempt?.activeDeadlineSeconds === undefined ? {} : { activeDeadlineSeconds: attempt.activeDeadlineSeconds }),
    securityContext: { runAsNonRoot: true, runAsUser: 65_532, runAsGroup: 65_532, fsGroup: 65_532, ...spec.securityContext, seccompProfile: { type: 'RuntimeDefault' } },
    ...(spec.serviceAccountName === undefined ? {} : { serviceAccountName: spec.serviceAccountName }),
    ...(nodeSelector === undefined ? {} : { nodeSelector }),
    ...(tolerations === undefined ? {} : { tolerations }),
    ...(spec.imagePullSecrets === undefined ? {} : { imagePullSecrets: spec.imagePullSecrets }),
    volumes: [
      { name: 'rambo-nats', secret: { secretName: credsSecretName(pool.name) } }, { name: 'rambo-tmp', emptyDir: {} },
      ...(attempt?.runner.volumes ?? []).map(podVolume),
    ],
    containers: [runnerContainer(pool, settings, attempt)],
  };
}

function runnerContainer(pool: PoolObject, settings: RunnerSettings, attempt: AttemptRunner | undefined): Readonly<Record<string, unknown>> {
  const { spec } = pool;
  const envFrom = [...(spec.envFrom ?? []), ...(attempt?.runner.envFrom ?? [])];
  const resources = attempt?.runner.resources ?? spec.resources;
  return {
    name: RUNNER_CONTAINER,
    image: spec.image ?? settings.image,
    env: [
      { name: 'RAMBO_NATS_URL', value: settings.natsUrl },
      { name: 'RAMBO_NATS_CREDS_FILE', value: `${CREDS_DIR}/nats.creds` },
      { name: 'RAMBO_NAMESPACE', value: pool.namespace },
      { name: 'RAMBO_POOL', value: pool.name },
      { name: 'RAMBO_SLOTS', value: String(attempt !== undefined || spec.reuse === 'Never' ? 1 : spec.slots) },
      { name: 'RAMBO_REUSE', value: attempt === undefined ? spec.reuse : 'Never' },
      { name: 'RAMBO_RUNNER_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'TMPDIR', value: '/tmp/rambo' },
      ...(settings.otlpEndpoint === undefined ? [] : [{ name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: settings.otlpEndpoint }]),
      ...Object.entries(attempt?.env ?? {}).map(([name, value]) => ({ name, value })),
    ],
    ...(envFrom.length === 0 ? {} : { envFrom }),
    ...(resources === undefined ? {} : { resources }),
    volumeMounts: [
      { name: 'rambo-nats', mountPath: CREDS_DIR, readOnly: true }, { name: 'rambo-tmp', mountPath: '/tmp/rambo' },
      ...(attempt?.runner.volumes ?? []).map(podMount),
    ],
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
  };
}
