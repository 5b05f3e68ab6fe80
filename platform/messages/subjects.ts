/**
 * Every subject, stream and consumer name, and who may use it: the one table of the NATS contract.
 *
 * | subject                               | from -> to            | kind                | payload             |
 * |---------------------------------------|-----------------------|---------------------|---------------------|
 * | rambo.dispatch.<ns>.<pool>            | controller -> runner  | JetStream workqueue | DispatchMessage     |
 * | rambo.result.<ns>.<pool>.<shard>      | runner -> owner       | request             | ResultMessage       |
 * | rambo.beat.<ns>.<pool>.<shard>        | runner -> owner       | publish             | BeatMessage         |
 * | rambo.log.<ns>.<pool>.<shard>         | runner -> owner       | publish             | LogMessage          |
 * | rambo.fetch.<ns>.<pool>.<shard>       | pod runner -> owner   | request             | FetchRequest        |
 * | rambo.cancel.<ns>.<pool>              | controller -> runners | publish             | CancelMessage       |
 * | rambo.cmd.<shard>                     | api, gateway -> owner | request             | RunCommand          |
 * | rambo.logs.read.<shard>               | api -> owner          | request             | LogsRequest         |
 * | rambo.changed.<ns>.<runId>            | controller -> api, gw | publish             | ChangedNotice       |
 * | rambo.project.changed.<projectId>     | api -> api            | publish             | ProjectNotice       |
 * | rambo.replicas                        | controllers           | publish             | ReplicasNotice      |
 * | rambo.demand                          | controllers           | publish             | DemandNotice        |
 * | rambo.agent.ask                       | controller -> gateway | request, queue      | AgentAsk            |
 * | rambo.agent.event.<ns>.<agentRun>     | gateway, api -> api   | publish             | AgentEventNotice    |
 * | rambo.agent.delta.<ns>.<agentRun>     | gateway -> api        | publish             | AgentDelta          |
 *
 * A namespace and a pool name are DNS labels, so they are single tokens; anything else never reaches a subject.
 */

/** Number of run shards; fixed, whatever the number of replicas. */
export const RUN_SHARDS = 256;
/** Shard of singletons: pools, retention. */
export const SINGLETON_SHARD = 256;

/** Name of the dispatch stream. */
export const DISPATCH_STREAM = 'RAMBO_DISPATCH';
/** Subjects of the dispatch stream. */
export const DISPATCH_SUBJECTS = 'rambo.dispatch.>';

/** Shard of a run: FNV-1a over its id, so that every process computes the same. */
export function shardOf(runId: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < runId.length; i++) hash = Math.imul(hash ^ runId.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % RUN_SHARDS;
}

/** Subject of a pool's dispatches. */
export function dispatchSubject(namespace: string, pool: string): string {
  return `rambo.dispatch.${namespace}.${pool}`;
}
/** Durable consumer of a pool. Consumer names allow no dots; `__` cannot stand in a DNS label. */
export function dispatchConsumer(namespace: string, pool: string): string {
  return `${namespace}__${pool}`;
}
/** Kinds of message a runner sends to the owner of a shard. */
export type RunnerVerb = 'result' | 'beat' | 'log' | 'fetch';
/** Subject of a runner's message about a run in `shard`. */
export function runnerSubject(verb: RunnerVerb, namespace: string, pool: string, shard: number): string {
  return `rambo.${verb}.${namespace}.${pool}.${shard}`;
}
/** What the owner of `shard` subscribes to for one verb: every namespace and pool. */
export function ownerSubject(verb: RunnerVerb, shard: number | '*'): string {
  return `rambo.${verb}.*.*.${shard}`;
}
/** Subject on which a pool's runners hear of cancelled attempts. */
export function cancelSubject(namespace: string, pool: string): string {
  return `rambo.cancel.${namespace}.${pool}`;
}
/** Subject of commands to the owner of a shard. */
export function commandSubject(shard: number | '*'): string {
  return `rambo.cmd.${shard}`;
}
/** Subject of log reads to the owner of a shard. */
export function logsSubject(shard: number | '*'): string {
  return `rambo.logs.read.${shard}`;
}
/** Subject of change notices of a run; `*` for all of a namespace. */
export function changedSubject(namespace: string, runId: string): string {
  return `rambo.changed.${namespace}.${runId}`;
}
/** Subject of change notices of a project (a UUID), among API processes. */
export function projectChangedSubject(projectId: string): string {
  return `rambo.project.changed.${projectId}`;
}
/** On which replicas tell each other to look at the shard table now: one has joined, left, or gives shards away. */
export const REPLICAS_SUBJECT = 'rambo.replicas';
/** On which replicas tell each other what their runs want of the pools, at most once a second and only when it changed. */
export const DEMAND_SUBJECT = 'rambo.demand';
/** On which controllers ask any model gateway. */
export const AGENT_ASK_SUBJECT = 'rambo.agent.ask';
/** Queue group of the gateways on it: one of them answers. */
export const AGENT_ASK_QUEUE = 'modelgateway';
/** Subject of notices that the journal of an agent run grew; `*` for all of a namespace. */
export function agentEventSubject(namespace: string, agentRun: string): string {
  return `rambo.agent.event.${namespace}.${agentRun}`;
}
/** Subject of the pieces of answers of an agent run while they come. */
export function agentDeltaSubject(namespace: string, agentRun: string): string {
  return `rambo.agent.delta.${namespace}.${agentRun}`;
}
/** Prefix of the inboxes of the model gateway. */
export const GATEWAY_INBOX_PREFIX = '_INBOX_modelgateway';
/** Prefix of the inboxes of a pool's runners: private to the pool. */
export function poolInboxPrefix(namespace: string, pool: string): string {
  return `_INBOX_pool.${namespace}.${pool}`;
}

/** Publish and subscribe permissions of one NATS user. */
export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** Whether it may answer what reaches it, wherever that asks for the answer: once, within two minutes. */
  readonly respond?: true;
}

/** What a runner of one pool may do, and nothing else (threat T4 of the reliability page). */
export function poolPermissions(namespace: string, pool: string): Permissions {
  const consumer = dispatchConsumer(namespace, pool);
  const verbs: readonly RunnerVerb[] = ['result', 'beat', 'log', 'fetch'];
  return {
    publish: [
      ...verbs.map((verb) => `rambo.${verb}.${namespace}.${pool}.*`),
      `$JS.API.CONSUMER.MSG.NEXT.${DISPATCH_STREAM}.${consumer}`,
      `$JS.API.CONSUMER.INFO.${DISPATCH_STREAM}.${consumer}`,
      `$JS.ACK.${DISPATCH_STREAM}.${consumer}.>`,
    ],
    subscribe: [`${poolInboxPrefix(namespace, pool)}.>`, cancelSubject(namespace, pool)],
  };
}

/** What the API process may do: ask the controller, hear of changes, and tell of decisions that it wrote into the journal of an agent. */
export function apiPermissions(): Permissions {
  return {
    publish: ['rambo.cmd.*', 'rambo.logs.read.*', 'rambo.project.changed.*', 'rambo.agent.event.*.*'],
    subscribe: ['_INBOX_api.>', 'rambo.changed.>', 'rambo.project.changed.*', 'rambo.agent.event.>', 'rambo.agent.delta.>'],
  };
}

/** What the model gateway may do: wake nodes and start children, tell of the journal, answer controllers. */
export function gatewayPermissions(): Permissions {
  return {
    publish: ['rambo.cmd.*', 'rambo.agent.event.*.*', 'rambo.agent.delta.*.*'],
    subscribe: [`${GATEWAY_INBOX_PREFIX}.>`, 'rambo.changed.>', 'rambo.agent.event.>', AGENT_ASK_SUBJECT, `${AGENT_ASK_SUBJECT} ${AGENT_ASK_QUEUE}`],
    respond: true,
  };
}
