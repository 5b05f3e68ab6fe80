import { z } from 'zod';

/**
 * Payloads of the NATS contract: JSON, parsed with zod at the receiving door. `v` is the version of the shape;
 * an unknown version is dead-lettered, never guessed at.
 */

const version = z.literal(1);
const runId = z.string().min(1).max(64);
const node = z.string().min(1).max(63);
const item = z.int().min(-1).max(100_000);
const attempt = z.int().min(1).max(100_000);
const secret = z.string().min(16).max(64);

/** Which attempt a message speaks of, with the secret that only its dispatch carries. */
export const attemptRefSchema = z.object({ run: runId, node, item, attempt, secret });

/** Work for a runner. `send` numbers the deliveries of one attempt: message id = attempt id + send number. */
export const dispatchSchema = z.object({
  v: version,
  ...attemptRefSchema.shape,
  namespace: z.string().max(63),
  pool: z.string().max(63),
  shard: z.int().min(0),
  send: z.int().min(0),
  runName: z.string().max(253),
  type: z.string().max(32),
  with: z.record(z.string(), z.unknown()),
  env: z.record(z.string(), z.string()),
  idempotencyKey: z.string().max(128),
  timeoutMs: z.number().optional(),
  /** Hosts and CIDRs that http nodes of this pool may reach although they are private. */
  httpAllow: z.array(z.string()).optional(),
  /** Of agents: the model gateway, and the token that opens it for this attempt. Absent where no gateway is installed. */
  agent: z.object({ url: z.string().max(2_048), token: z.string().max(4_096) }).optional(),
  traceparent: z.string().max(64).optional(),
});

/** Error of an attempt as a runner reports it. */
export const reportedErrorSchema = z.object({
  class: z.enum(['User', 'Infra', 'Timeout', 'Cancelled', 'Invalid']),
  reason: z.string().min(1).max(128),
  message: z.string().max(4_096),
});

/** The end of an attempt: `output` is JSON text, so the controller decides when to parse it. */
export const resultSchema = z.object({
  v: version,
  ...attemptRefSchema.shape,
  startedAt: z.number(),
  finishedAt: z.number(),
  /** Name of the runner's pod, so that attempts that are over before their first sign of life name it too. */
  runner: z.string().max(253).optional(),
  outcome: z.discriminatedUnion('ok', [
    z.object({ ok: z.literal(true), output: z.string() }),
    z.object({ ok: z.literal(false), error: reportedErrorSchema }),
    /** An agent waits (`why`: approval, inDoubt, child, input): a later attempt goes on. */
    z.object({ ok: z.literal('parked'), why: z.string().min(1).max(64) }),
  ]),
  traceparent: z.string().max(64).optional(),
});

/**
 * Answer to a result, sent after the commit. `Recorded` and `Ignored` (late, repeated, fenced, unknown) both end the
 * runner's repeating; on `Retry` (not the owner, database away) it goes on.
 */
export const resultReplySchema = z.object({ v: version, status: z.enum(['Recorded', 'Ignored', 'Retry']), message: z.string().optional() });

/** Sign of life of attempts: at once when taken, then every 2 s. A runner batches its attempts per shard. */
export const beatSchema = z.object({
  v: version,
  runner: z.string().max(253),
  attempts: z.array(z.object({ ...attemptRefSchema.shape, startedAt: z.number() })).max(1_024),
  /** Deliveries with count > 1, never run: the controller opens new attempts for them. */
  refused: z.array(attemptRefSchema).max(1_024).optional(),
  /** Attempts handed back unstarted while draining. */
  returned: z.array(attemptRefSchema).max(1_024).optional(),
});

/** A piece of an attempt's log. */
export const logSchema = z.object({ v: version, ...attemptRefSchema.shape, offset: z.int().min(0), text: z.string().max(65_536) });

/** A pod-mode runner asks for its one dispatch. Answer: FetchReply. */
export const fetchSchema = z.object({ v: version, ...attemptRefSchema.shape });
/** The dispatch, or why there is none any more. */
export const fetchReplySchema = z.object({ v: version, dispatch: dispatchSchema.optional(), refused: z.string().optional() });

/** Attempts that no longer count; sent to all runners of the pool. */
export const cancelSchema = z.object({
  v: version,
  attempts: z.array(z.object({ run: runId, node, item, attempt, graceMs: z.number() })).max(1_024),
});

const commandId = z.string().min(1).max(256);
const principal = z.string().min(1).max(512);

/** What the API, or the model gateway, asks of the owner of a run; answered after the commit, safe to repeat. */
export const runCommandSchema = z.discriminatedUnion('verb', [
  z.object({
    v: version, verb: z.literal('start'), runId, namespace: z.string().max(63), name: z.string().max(253), principal,
    idempotencyKey: commandId.optional(), bodyHash: z.string().max(64).optional(),
    workflow: z.string().max(253).optional(),
    /** JSON text of an inline Workflow spec. */
    inline: z.string().optional(),
    /** JSON text of the input. */
    input: z.string(),
    priority: z.int().optional(),
    retryFrom: z.object({ run: z.string().max(253), nodes: z.array(z.string().max(63)).optional() }).optional(),
    traceparent: z.string().max(64).optional(),
  }),
  z.object({ v: version, verb: z.literal('cancel'), runId, mode: z.enum(['Graceful', 'Now']), principal }),
  z.object({ v: version, verb: z.literal('suspend'), runId, principal }),
  z.object({ v: version, verb: z.literal('resume'), runId, principal }),
  /** What a parked agent waits for may have come. `repeated` where it is not parked: it may have been too early, so whoever waits asks again. */
  z.object({ v: version, verb: z.literal('wake'), runId, node, item }),
]);

/** Answer to a command. `code` is one of the documented error codes where `ok` is false. */
export const commandReplySchema = z.object({
  v: version, ok: z.boolean(), runId: z.string().optional(), version: z.int().optional(), repeated: z.boolean().optional(),
  code: z.enum(['NotFound', 'Conflict', 'Invalid', 'Unavailable', 'NotOwner']).optional(), message: z.string().optional(),
});

/** Read a part of an attempt's log. */
export const logsRequestSchema = z.object({ v: version, run: runId, node, item, attempt, offset: z.int().min(0), limit: z.int().min(1).max(262_144) });
/** A part of a log; `next` is the offset to go on from; `end` says that nothing more will come. */
export const logsReplySchema = z.object({ v: version, text: z.string(), next: z.int(), end: z.boolean() });

/** A run changed: re-read it. No data in it. */
export const changedSchema = z.object({ v: version, run: runId, namespace: z.string(), version: z.int(), phase: z.string() });

/** Something changed in a project: look at its events. No data in it. */
export const projectNoticeSchema = z.object({ v: version });

/** Replicas: look at the shard table. No data in it. */
export const replicasSchema = z.object({ v: version });

const count = z.int().min(0);
/**
 * What the runs of one replica want of some pools. Pools that are not named are as they were; `queued` and `inFlight` 0
 * ends one. In mode `pod` the bound is the namespace's and `pool` is empty. `busy`: attempts by name of the runner's pod.
 */
export const demandSchema = z.object({
  v: version, replica: z.string().min(1).max(512),
  pools: z.array(z.object({
    mode: z.enum(['warm', 'pod']), namespace: z.string().max(63), pool: z.string().max(63), queued: count, inFlight: count, runs: count.default(0), busy: z.record(z.string(), count),
  })).max(256),
});

/** The journal of an agent run grew, up to `seq`: read it. No data in it. Sent after the commit. */
export const agentEventNoticeSchema = z.object({ v: version, run: runId, agentRun: runId, seq: z.int().min(0), phase: z.string().max(32) });

/** A piece of an answer while the model gives it, for those who watch; lost without harm. `n` numbers the pieces of one step. */
export const agentDeltaSchema = z.object({
  v: version, step: z.int().min(1), n: z.int().min(0), text: z.string().optional(), reasoning: z.string().optional(),
  toolCall: z.object({ index: z.int().min(0), tool: z.string().optional(), arguments: z.string().optional() }).optional(),
});

export type AgentEventNotice = z.infer<typeof agentEventNoticeSchema>;
export type AgentDelta = z.infer<typeof agentDeltaSchema>;
export type AttemptRef = z.infer<typeof attemptRefSchema>;
export type DispatchMessage = z.infer<typeof dispatchSchema>;
export type ReportedError = z.infer<typeof reportedErrorSchema>;
export type ResultMessage = z.infer<typeof resultSchema>;
export type ResultReply = z.infer<typeof resultReplySchema>;
export type BeatMessage = z.infer<typeof beatSchema>;
export type LogMessage = z.infer<typeof logSchema>;
export type FetchMessage = z.infer<typeof fetchSchema>;
export type FetchReply = z.infer<typeof fetchReplySchema>;
export type CancelMessage = z.infer<typeof cancelSchema>;
export type RunCommand = z.infer<typeof runCommandSchema>;
export type CommandReply = z.infer<typeof commandReplySchema>;
export type LogsRequest = z.infer<typeof logsRequestSchema>;
export type LogsReply = z.infer<typeof logsReplySchema>;
export type ReplicasNotice = z.infer<typeof replicasSchema>;
export type DemandNotice = z.infer<typeof demandSchema>;
export type ChangedNotice = z.infer<typeof changedSchema>;
