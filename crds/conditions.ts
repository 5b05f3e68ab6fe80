import type { Condition } from './parts.ts';

/**
 * Condition types. `Reconciling` and `Stalled` follow kstatus: present and True while the controller works on the object, or
 * cannot go on without a person; tools such as Flux and `kubectl wait` read them.
 */
export const CONDITIONS = {
  /** Workflow: valid and may be run. RunnerPool: at least `minReady` pods are ready. Agent, Model, ToolServer: a run can use it. */
  ready: 'Ready',
  /** WorkflowRun: the controller has pinned its definition and stored the run. False: it never will. Agent, Model, ToolServer: the spec itself is right. */
  accepted: 'Accepted',
  /** Agent, Model, ToolServer: everything the spec names is there and may be used. */
  resolvedRefs: 'ResolvedRefs',
  /** Model: it answered the last time it was asked. */
  reachable: 'Reachable',
  /** The controller is not done with this generation. */
  reconciling: 'Reconciling',
  /** The controller cannot go on unless a person changes something. */
  stalled: 'Stalled',
  /** WorkflowRun: the run has ended; the reason says how. `kubectl wait --for=condition=Completed`. */
  completed: 'Completed',
} as const;
/** One of the condition types. */
export type ConditionType = (typeof CONDITIONS)[keyof typeof CONDITIONS];

/** Reasons of conditions, stable: alerts match them. */
export const REASONS = {
  /** Workflow: the definition is valid. */
  valid: 'Valid',
  /** The definition or the input is wrong; the message names node, field and value. */
  invalid: 'Invalid',
  /** The definition uses a node type, or a field, that this release cannot run. */
  unsupportedType: 'UnsupportedType',
  /** The run names a Workflow that does not exist (it waits 60 s for it). */
  workflowNotFound: 'WorkflowNotFound',
  /** The Workflow is suspended: it takes no new runs. */
  workflowSuspended: 'WorkflowSuspended',
  /** `retryFrom` names a run that does not exist in this namespace. */
  runNotFound: 'RunNotFound',
  /** The spec stored by the API server is no longer the one that was accepted. */
  specChanged: 'SpecChanged',
  /** The run was accepted and its definition pinned. */
  accepted: 'Accepted',
  /** The run waits: for its Workflow, a lock or its concurrency key. */
  pending: 'Pending',
  /** Nodes run, or wait for a runner. */
  running: 'Running',
  /** The run starts no further node until `spec.suspend` is false. */
  suspended: 'Suspended',
  /** The run is being cancelled. */
  cancelling: 'Cancelling',
  /** The run ended well. */
  succeeded: 'Succeeded',
  /** A node failed for good, or the run as a whole did. */
  failed: 'Failed',
  /** The run was cancelled. */
  cancelled: 'Cancelled',
  /** The run's own `timeout` passed. */
  timeout: 'Timeout',
  /** The database was restored and may be older than what the run has done: resume or cancel the run. */
  needsReview: 'NeedsReview',
  /** RunnerPool: enough pods are ready. */
  poolReady: 'PoolReady',
  /** RunnerPool: pods are starting. */
  scalingUp: 'ScalingUp',
  /** RunnerPool: its pods do not become ready; the message says what the last one ran into. */
  podsFailing: 'PodsFailing',
  /** The API server refuses what the controller has to create (quota, admission). */
  creationRefused: 'CreationRefused',
  /** Agent: everything it names is there; runs get this version. */
  resolved: 'Resolved',
  /** Model: it answers. */
  answers: 'Answers',
  /** ToolServer: its tools are known and accepted. */
  toolsKnown: 'ToolsKnown',
  /** ToolServer: its tools are known, and some break a rule; the message names them. No agent gets those. */
  someToolsRefused: 'SomeToolsRefused',
  /** A field is part of the design and not run by this release. */
  unsupportedField: 'UnsupportedField',
  /** Agent: no such Model. Model: no such fallback. */
  modelNotFound: 'ModelNotFound',
  /** Agent: it has tools, and its Model cannot call any. */
  modelLacksTools: 'ModelLacksTools',
  /** Agent: a budget in USD needs a price of each of its models. */
  modelHasNoPrice: 'ModelHasNoPrice',
  /** Agent: Degrade needs a fallback. */
  noFallback: 'NoFallback',
  /** Agent: no such ToolServer. */
  toolServerNotFound: 'ToolServerNotFound',
  /** Agent: the tools of a ToolServer are not known yet. ToolServer: no discovery has ended. */
  toolServerNotReady: 'ToolServerNotReady',
  /** Agent: what it names is not ready; the message says what and why. */
  modelNotReady: 'ModelNotReady',
  /** A tool that is named does not exist. */
  toolNotFound: 'ToolNotFound',
  /** A tool no longer says what was accepted. It stops until the discovery is accepted. */
  toolChanged: 'ToolChanged',
  /** A tool breaks a rule: its name, its schema. */
  toolRefused: 'ToolRefused',
  /** Two tools have one name. */
  nameCollision: 'NameCollision',
  /** An agent, or a server, has more tools than are allowed. */
  tooManyTools: 'TooManyTools',
  /** A preset argument is none of the tool. */
  bindUnknown: 'BindUnknown',
  /** No such Workflow, or one that cannot be a tool. */
  workflowInvalid: 'WorkflowInvalid',
  /** Agent: no such Agent. */
  agentNotFound: 'AgentNotFound',
  /** Agents as tools lead back to where they began. */
  agentCycle: 'AgentCycle',
  /** No such ConfigMap, or no such key in it. */
  configMapNotFound: 'ConfigMapNotFound',
  /** No such Secret. */
  secretNotFound: 'SecretNotFound',
  /** The Secret lacks the label rambo.dev/credentials: "true". */
  secretNotLabelled: 'SecretNotLabelled',
  /** The Secret lacks the key. */
  secretKeyMissing: 'SecretKeyMissing',
  /** The other side refuses the credentials. */
  authFailed: 'AuthFailed',
  /** Nobody answers at the address. */
  unreachable: 'Unreachable',
  /** The address may not be reached: private, and neither of this namespace nor allowed. */
  addressRefused: 'AddressRefused',
  /** The other side does not speak the protocol, or lies in it. */
  protocolError: 'ProtocolError',
  /** The answer is too large. */
  answerTooLarge: 'AnswerTooLarge',
  /** The model gateway does not answer, so nothing is known; it is asked again. */
  gatewayUnavailable: 'GatewayUnavailable',
} as const;
/** One of the reasons. */
export type Reason = (typeof REASONS)[keyof typeof REASONS];

/** A condition before it is stored. */
export interface NewCondition {
  readonly type: ConditionType;
  readonly status: Condition['status'];
  readonly reason: Reason;
  /** One plain sentence; no clock, no counter, no conflict errors. Cut at 32,768 characters. */
  readonly message: string;
  readonly observedGeneration?: number;
}

const MESSAGE_LENGTH = 32_768;

/**
 * `list` with `condition` in the place of the one of its type. `lastTransitionTime` (from `now`, epoch milliseconds) changes
 * only with the status. The very same list comes back when nothing differs, so that callers can skip the patch.
 */
export function setCondition(list: readonly Condition[], condition: NewCondition, now: number): readonly Condition[] {
  const old = list.find((entry) => entry.type === condition.type);
  const next: Condition = {
    ...condition,
    message: condition.message.slice(0, MESSAGE_LENGTH),
    lastTransitionTime: old?.status === condition.status ? old.lastTransitionTime : timestamp(now),
  };
  if (old === undefined) return [...list, next];
  if (same(old, next)) return list;
  return list.map((entry) => (entry.type === condition.type ? next : entry));
}

/** `list` without the condition of that type; the very same list when there was none. */
export function removeCondition(list: readonly Condition[], type: ConditionType): readonly Condition[] {
  return list.some((entry) => entry.type === type) ? list.filter((entry) => entry.type !== type) : list;
}

/** The condition of that type. */
export function findCondition(list: readonly Condition[], type: ConditionType): Condition | undefined {
  return list.find((entry) => entry.type === type);
}

/** RFC 3339 in whole seconds, as the API server writes times. */
export function timestamp(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19)}Z`;
}

function same(a: Condition, b: Condition): boolean {
  return a.status === b.status && a.reason === b.reason && a.message === b.message && a.observedGeneration === b.observedGeneration;
}
