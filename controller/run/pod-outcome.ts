import type { Json, NodeError } from '../../engine/types.ts';
import { LIMITS } from '../../crds/names.ts';

/** The part of a pod's status that decides about its attempt; parsed loosely, because a node agent wrote it. */
export interface PodView {
  readonly phase?: string | undefined;
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  readonly deletionTimestamp?: string | undefined;
  /** Why no node takes the pod. */
  readonly unschedulable?: string | undefined;
  /** The container is a runner of ours: it reports its result itself, its exit code says nothing about the node. */
  readonly runner?: boolean | undefined;
  /** State of the one container. */
  readonly main?: {
    readonly waiting?: { readonly reason?: string | undefined; readonly message?: string | undefined } | undefined;
    readonly running?: { readonly startedAt?: string | undefined } | undefined;
    readonly terminated?: {
      readonly exitCode: number;
      readonly reason?: string | undefined;
      readonly message?: string | undefined;
      readonly startedAt?: string | undefined;
    } | undefined;
  } | undefined;
}

/** What a pod says about its attempt. */
export type PodOutcome =
  | { readonly kind: 'Pending' }
  | { readonly kind: 'Running'; readonly startedAt?: number }
  | { readonly kind: 'Succeeded'; readonly output: Json; readonly startedAt?: number }
  | { readonly kind: 'Failed'; readonly error: NodeError; readonly startedAt?: number };

const PULL_REASONS = new Set(['ErrImagePull', 'ImagePullBackOff', 'InvalidImageName', 'ErrImageNeverPull', 'RegistryUnavailable']);

/** Image pulls repeat by themselves until `pendingTimeout`: this says why a pending pod waits, for people. */
export function waitingForImage(pod: PodView): string | undefined {
  const reason = pod.main?.waiting?.reason;
  return reason !== undefined && PULL_REASONS.has(reason) ? reason : undefined;
}

/** Decides what a pod's status means for its attempt. */
export function podOutcome(pod: PodView): PodOutcome {
  const terminated = pod.main?.terminated;
  if (terminated !== undefined) return fromTerminated(pod, terminated);
  if (pod.phase === 'Failed') return failed('Infra', pod.reason ?? 'PodFailed', pod.message ?? 'the pod failed before its container ended');
  if (pod.phase === 'Unknown') return failed('Infra', 'NodeLost', 'the state of the pod is unknown: its node is gone');
  const running = pod.main?.running;
  if (running !== undefined) return { kind: 'Running', ...started(running.startedAt) };
  return { kind: 'Pending' };
}

/** What an attempt ends with whose pod vanished before its end was read. */
export function podGone(name: string): PodOutcome {
  return failed('Infra', 'PodGone', `pod ${name} was deleted before its result was read`);
}

function fromTerminated(pod: PodView, t: NonNullable<NonNullable<PodView['main']>['terminated']>): PodOutcome {
  const at = started(t.startedAt);
  if (pod.reason === 'Evicted' || pod.reason === 'NodeLost' || pod.reason === 'Preempting' || pod.reason === 'Shutdown') {
    return { ...failed('Infra', pod.reason, pod.message ?? 'the pod was evicted'), ...at };
  }
  if (pod.reason === 'DeadlineExceeded') return { ...failed('Timeout', 'DeadlineExceeded', 'the pod ran into its deadline'), ...at };
  if (t.reason === 'OOMKilled') return { ...failed('Infra', 'OOMKilled', 'the container used more memory than its limit'), ...at };
  if (t.reason === 'ContainerStatusUnknown') return { ...failed('Infra', 'ContainerStatusUnknown', 'the node lost the container'), ...at };
  // A pod on its way out that was killed by the signal of its deletion did not end by itself.
  if (pod.deletionTimestamp !== undefined && (t.exitCode === 143 || t.exitCode === 137)) {
    return { ...failed('Infra', 'PodDeleted', 'the pod was deleted while it ran'), ...at };
  }
  if (pod.runner === true) {
    return { ...failed('Infra', 'RunnerEnded', `the runner ended with exit code ${t.exitCode} before its result was recorded`), ...at };
  }
  if (t.exitCode !== 0) return { ...failed('User', t.reason === 'Error' || t.reason === undefined ? 'ExitCode' : t.reason, exitMessage(t.exitCode, t.message)), ...at };
  return { ...fromMessage(t.message ?? ''), ...at };
}

function fromMessage(message: string): PodOutcome {
  if (message === '') return { kind: 'Succeeded', output: null };
  if (Buffer.byteLength(message) > LIMITS.terminationMessageBytes) {
    return failed('User', 'OutputTooLarge', `the output is over ${LIMITS.terminationMessageBytes} bytes, the limit of a container node`);
  }
  try {
    const output: Json = JSON.parse(message);
    return { kind: 'Succeeded', output };
  } catch {
    const cut = Buffer.byteLength(message) >= LIMITS.terminationMessageBytes;
    return failed('User', cut ? 'OutputTooLarge' : 'OutputInvalid', cut
      ? `the output was cut at ${LIMITS.terminationMessageBytes} bytes, the limit of a container node`
      : `$RAMBO_OUTPUT_FILE does not hold JSON: ${message.slice(0, 120)}`);
  }
}

function exitMessage(code: number, message: string | undefined): string {
  const said = message === undefined || message === '' ? '' : `: ${message.slice(-400)}`;
  return `the container ended with exit code ${code}${said}`;
}

function failed(errorClass: NodeError['class'], reason: string, message: string): PodOutcome {
  return { kind: 'Failed', error: { class: errorClass, reason, message } };
}

function started(at: string | undefined): { startedAt?: number } {
  const ms = at === undefined ? Number.NaN : Date.parse(at);
  return Number.isNaN(ms) ? {} : { startedAt: ms };
}
