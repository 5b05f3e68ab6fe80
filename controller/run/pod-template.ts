import type { NodeSpec } from '../../crds/node.ts';
import { LABELS, LIMITS, MANAGED_BY } from '../../crds/names.ts';
import type { Dispatch, Json } from '../../engine/types.ts';
import { podMount, podVolume } from '../../platform/kube/pod-parts.ts';
import { attemptPodName } from './pod-name.ts';
import { idempotencyKey } from './secrets.ts';

/** Owner of a pod: the WorkflowRun where there is one, else the RunnerPool. */
export interface PodOwner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** What the pod of one attempt is built from. */
export interface PodRequest {
  readonly run: { readonly id: string; readonly name: string; readonly namespace: string; readonly traceparent?: string };
  readonly workflow?: string;
  readonly node: NodeSpec;
  readonly dispatch: Dispatch;
  readonly owner?: PodOwner;
  /** Labels that the pool gives its pods. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** Path of the output file in the user's container: the pod's termination-message path. */
export const OUTPUT_FILE = '/dev/rambo-output';
/** Name of the one container of a container node. */
export const MAIN_CONTAINER = 'main';

/** A Kubernetes manifest as plain JSON. */
export type Manifest = Readonly<Record<string, unknown>>;

/**
 * The pod of a container node. The template is closed: what a node may say is copied field by field, everything else is
 * fixed to Pod Security `restricted`; there is no way to pass a piece of pod spec through.
 */
export function containerPod(request: PodRequest): Manifest {
  return attemptPod(request, podSpec(request));
}

/** The pod of one attempt: its name, labels and owner are functions of the attempt, whatever is in it. */
export function attemptPod(request: PodRequest, spec: Manifest): Manifest {
  const { run, dispatch, owner } = request;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: attemptPodName(run.id, dispatch.node, dispatch.item, dispatch.attempt),
      namespace: run.namespace,
      labels: podLabels(request),
      ...(owner === undefined ? {} : { ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: false }] }),
    },
    spec,
  };
}

function podLabels({ run, workflow, dispatch, labels }: PodRequest): Record<string, string> {
  return {
    [LABELS.managedBy]: MANAGED_BY,
    [LABELS.runId]: run.id,
    [LABELS.node]: dispatch.node,
    [LABELS.attempt]: `${dispatch.item < 0 ? 'x' : dispatch.item}.${dispatch.attempt}`,
    ...(workflow === undefined ? {} : { [LABELS.workflow]: workflow }),
    ...labels,
  };
}

function podSpec(request: PodRequest): Manifest {
  const runner = request.node.runner ?? {};
  const volumes = runner.volumes ?? [];
  const deadline = deadlineSeconds(request.dispatch);
  return {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 30,
    ...(deadline === undefined ? {} : { activeDeadlineSeconds: deadline }),
    securityContext: { runAsNonRoot: true, runAsUser: 65_532, runAsGroup: 65_532, fsGroup: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
    ...(runner.nodeSelector === undefined ? {} : { nodeSelector: runner.nodeSelector }),
    ...(runner.tolerations === undefined ? {} : { tolerations: runner.tolerations }),
    ...(volumes.length === 0 ? {} : { volumes: volumes.map(podVolume) }),
    containers: [mainContainer(request)],
  };
}

/** When the kubelet ends a pod. The engine's own timeout acts first; this one only catches a controller that is away for long. */
export function deadlineSeconds({ timeoutMs }: Dispatch): number | undefined {
  return timeoutMs === undefined ? undefined : Math.ceil(timeoutMs / 1_000) + 60;
}

function mainContainer(request: PodRequest): Manifest {
  const spec = request.dispatch.with;
  const runner = request.node.runner ?? {};
  const volumes = runner.volumes ?? [];
  return {
    name: MAIN_CONTAINER,
    image: text(spec['image']),
    ...(Array.isArray(spec['command']) ? { command: spec['command'].map(text) } : {}),
    ...(Array.isArray(spec['args']) ? { args: spec['args'].map(text) } : {}),
    env: containerEnv(request),
    ...(runner.envFrom === undefined ? {} : { envFrom: runner.envFrom }),
    ...(runner.resources === undefined ? {} : { resources: runner.resources }),
    ...(volumes.length === 0 ? {} : {
      volumeMounts: volumes.map(podMount),
    }),
    terminationMessagePath: OUTPUT_FILE,
    terminationMessagePolicy: 'File',
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  };
}

/** The node's own variables first: ours come last and cannot be overridden. */
function containerEnv({ run, dispatch }: PodRequest): readonly Manifest[] {
  const input = JSON.stringify(dispatch.with['input'] ?? null);
  const ours = {
    ...(run.traceparent === undefined ? {} : { TRACEPARENT: run.traceparent }),
    ...(input.length <= LIMITS.inputEnvBytes ? { RAMBO_INPUT: input } : {}),
    RAMBO_OUTPUT_FILE: OUTPUT_FILE,
    RAMBO_IDEMPOTENCY_KEY: idempotencyKey(run.id, dispatch.node, dispatch.item),
    RAMBO_RUN_ID: run.id,
    RAMBO_RUN_NAME: run.name,
    RAMBO_NAMESPACE: run.namespace,
    RAMBO_NODE: dispatch.node,
    RAMBO_ATTEMPT: String(dispatch.attempt),
  };
  return Object.entries({ ...dispatch.env, ...ours }).map(([name, value]) => ({ name, value: literal(value) }));
}

/** The kubelet would expand `$(NAME)` in a value: inputs are data, so the dollar is doubled. */
function literal(value: string): string {
  return value.replaceAll('$(', () => '$$(');
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? '');
}
