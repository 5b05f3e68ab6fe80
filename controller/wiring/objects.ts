import { Buffer } from 'node:buffer';
import { z } from 'zod';
import { CONDITIONS, REASONS } from '../../crds/conditions.ts';
import type { Condition } from '../../crds/parts.ts';
import { RUN_PHASES } from '../../crds/workflow-run.ts';
import { parseRunnerPool, parseWorkflow, parseWorkflowRun, type FieldProblem } from '../../crds/parse.ts';
import { workflowStatusSchema } from '../../crds/workflow.ts';
import type { StatusSays } from '../run/ahead.ts';
import type { PodObject } from '../run/pods.ts';
import type { KnownWorkflow } from '../run/commands.ts';
import type { RunCr } from '../run/intake.ts';
import type { RunObject } from '../run/status-writer.ts';
import type { WorkflowObject } from '../workflow/mirror.ts';
import { waitingForImage } from '../run/pod-outcome.ts';
import { MAIN_CONTAINER } from '../run/pod-template.ts';
import type { SeenPolicy } from '../pool/network.ts';
import { RUNNER_CONTAINER, type PoolObject } from '../pool/runner-pod.ts';
import type { RunnerPodObject } from '../pool/pools.ts';
import type { KubeObject } from '../runtime/reflector.ts';

/** Cached objects as the rooms want them: parsed at the door, once per version where it is costly. */

const parsedRuns = new WeakMap<KubeObject, RunCr | undefined>();
const parsedPools = new WeakMap<KubeObject, PoolObject | undefined>();

/** What is wrong with an object, in one line. */
export function problemText(problems: readonly FieldProblem[]): string {
  return problems.slice(0, 5).map((p) => `${p.node === undefined ? '' : `node ${p.node}: `}${p.path}: ${p.message}`).join('; ');
}

/** A WorkflowRun for intake. */
export function toRunCr(object: KubeObject | undefined): RunCr | undefined {
  if (object === undefined) return undefined;
  if (!parsedRuns.has(object)) parsedRuns.set(object, readRunCr(object));
  return parsedRuns.get(object);
}

function readRunCr(object: KubeObject): RunCr | undefined {
  const parsed = parseWorkflowRun(object);
  const metadata = parsed.ok ? parsed.value.metadata : parsed.metadata;
  if (metadata === undefined) return undefined;
  const status = parsed.ok ? parsed.value.status : undefined;
  return {
    namespace: metadata.namespace, name: metadata.name, uid: metadata.uid, generation: metadata.generation ?? 1,
    createdAt: Date.parse(metadata.creationTimestamp ?? '') || 0,
    ...(parsed.ok ? { spec: parsed.value.spec } : { problem: problemText(parsed.problems) }),
    phase: status?.phase, observedGeneration: status?.observedGeneration,
    needsReview: waitsForPerson(status?.conditions),
  };
}

function waitsForPerson(conditions: readonly Condition[] | undefined): boolean {
  return conditions?.some((c) => c.type === CONDITIONS.stalled && c.status === 'True' && c.reason === REASONS.needsReview) ?? false;
}

const saysSchema = z.looseObject({ status: z.looseObject({ phase: z.enum(RUN_PHASES).optional().catch(undefined), progress: z.string().optional().catch(undefined) }).optional().catch(undefined) });

/** What the status of a WorkflowRun says of its run; cheap, because a takeover asks for every live run. */
export function toStatusSays(object: KubeObject | undefined): StatusSays {
  return object === undefined ? {} : saysSchema.parse(object).status ?? {};
}

/** A WorkflowRun for the status writer. */
export function toRunObject(object: KubeObject | undefined): RunObject | undefined {
  if (object === undefined) return undefined;
  const parsed = parseWorkflowRun(object);
  const status = parsed.ok ? parsed.value.status : undefined;
  const generation = z.number().safeParse(z.looseObject({ generation: z.unknown() }).parse(object.metadata).generation);
  return {
    uid: object.metadata.uid, resourceVersion: object.metadata.resourceVersion, generation: generation.success ? generation.data : 1,
    phase: status?.phase, observedGeneration: status?.observedGeneration, needsReview: waitsForPerson(status?.conditions), conditions: status?.conditions ?? [],
  };
}

/** A Workflow for its mirror. */
export function toWorkflow(object: KubeObject | undefined): WorkflowObject | undefined {
  if (object === undefined) return undefined;
  const parsed = parseWorkflow(object);
  const metadata = parsed.ok ? parsed.value.metadata : parsed.metadata;
  if (metadata === undefined) return undefined;
  return {
    namespace: metadata.namespace, name: metadata.name, uid: metadata.uid, generation: metadata.generation ?? 1,
    resourceVersion: metadata.resourceVersion ?? '', labels: metadata.labels ?? {},
    ...(parsed.ok ? { spec: parsed.value.spec } : { problem: problemText(parsed.problems) }),
    // Read apart: a status that seems to be missing would be written again with each look at an unreadable definition.
    status: workflowStatusSchema.safeParse(object['status']).data,
  };
}

const knownWorkflows = new WeakMap<KubeObject, KnownWorkflow>();

/** A Workflow as the commands of the API start it; parsed once per version of the object. Undefined when it cannot be read. */
export function toKnownWorkflow(object: KubeObject | undefined): KnownWorkflow | undefined {
  if (object === undefined) return undefined;
  const before = knownWorkflows.get(object);
  if (before !== undefined) return before;
  const workflow = toWorkflow(object);
  if (workflow?.spec === undefined) return undefined;
  const known = { spec: Buffer.from(JSON.stringify(workflow.spec)), labels: workflow.labels, priority: workflow.spec.priority ?? 0 };
  knownWorkflows.set(object, known);
  return known;
}

/** A RunnerPool for sizing; undefined when it cannot be read. */
export function toPool(object: KubeObject | undefined): PoolObject | undefined {
  if (object === undefined) return undefined;
  if (!parsedPools.has(object)) {
    const parsed = parseRunnerPool(object);
    parsedPools.set(object, parsed.ok ? {
      namespace: parsed.value.metadata.namespace, name: parsed.value.metadata.name, uid: parsed.value.metadata.uid,
      generation: parsed.value.metadata.generation ?? 1, resourceVersion: parsed.value.metadata.resourceVersion ?? '',
      labels: parsed.value.metadata.labels ?? {}, spec: parsed.value.spec, conditions: parsed.value.status?.conditions ?? [],
    } : undefined);
  }
  return parsedPools.get(object);
}

/** A NetworkPolicy of ours. */
export function toPolicy(object: KubeObject | undefined): SeenPolicy | undefined {
  return object === undefined ? undefined : { uid: object.metadata.uid, resourceVersion: object.metadata.resourceVersion, spec: object['spec'] };
}

const stateSchema = z.looseObject({
  waiting: z.looseObject({ reason: z.string().optional(), message: z.string().optional() }).optional(),
  running: z.looseObject({ startedAt: z.string().optional() }).optional(),
  terminated: z.looseObject({
    exitCode: z.number(), reason: z.string().optional(), message: z.string().optional(), startedAt: z.string().optional(),
  }).optional(),
});
const podSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(), namespace: z.string(), uid: z.string(), labels: z.record(z.string(), z.string()).optional(),
    creationTimestamp: z.string().optional(), deletionTimestamp: z.string().optional(),
  }),
  status: z.looseObject({
    phase: z.string().optional(), reason: z.string().optional(), message: z.string().optional(),
    conditions: z.array(z.looseObject({ type: z.string(), status: z.string(), message: z.string().optional() })).optional(),
    containerStatuses: z.array(z.looseObject({ name: z.string(), state: stateSchema.optional() })).optional(),
  }).optional(),
});

/** A pod of an attempt. */
export function toAttemptPod(object: unknown): PodObject | undefined {
  const parsed = podSchema.safeParse(object);
  if (!parsed.success) return undefined;
  const { metadata, status } = parsed.data;
  const container = status?.containerStatuses?.find((c) => c.name === MAIN_CONTAINER || c.name === RUNNER_CONTAINER);
  return {
    namespace: metadata.namespace, name: metadata.name, uid: metadata.uid, labels: metadata.labels ?? {},
    view: {
      phase: status?.phase, reason: status?.reason, message: status?.message, deletionTimestamp: metadata.deletionTimestamp,
      unschedulable: status?.conditions?.find((c) => c.type === 'PodScheduled' && c.status === 'False')?.message,
      runner: container?.name === RUNNER_CONTAINER, main: container?.state,
    },
  };
}

/** Why a pod failed or cannot start, in the words of whoever runs it; undefined while nothing is wrong. */
function problemOf(message: string | undefined, state: z.infer<typeof stateSchema> | undefined): string | undefined {
  if (state?.terminated !== undefined && state.terminated.exitCode !== 0) {
    const { reason, exitCode, message: said } = state.terminated;
    return `${reason ?? 'Error'} (exit code ${exitCode})${said === undefined || said === '' ? '' : `: ${said.slice(-400)}`}`;
  }
  const reason = waitingForImage({ main: state });
  return reason === undefined ? message : `${reason}${state?.waiting?.message === undefined ? '' : `: ${state.waiting.message}`}`;
}

/** A runner pod. */
export function toRunnerPod(object: unknown): RunnerPodObject | undefined {
  const parsed = podSchema.safeParse(object);
  if (!parsed.success) return undefined;
  const { metadata, status } = parsed.data;
  // By name: others may have put containers beside ours (a service mesh), and the list is in order of names.
  const state = status?.containerStatuses?.find((container) => container.name === RUNNER_CONTAINER)?.state;
  return {
    namespace: metadata.namespace, name: metadata.name, uid: metadata.uid, labels: metadata.labels ?? {}, problem: problemOf(status?.message, state),
    phase: status?.phase ?? 'Pending', deleting: metadata.deletionTimestamp !== undefined,
    ready: status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false,
    createdAt: Date.parse(metadata.creationTimestamp ?? '') || 0,
  };
}
