import type { CancelMode, RunPhase } from '../../crds/workflow-run.ts';
import type { NodeStatus } from '../../crds/node.ts';

/*
 * Rows as the store takes and gives them. Times are epoch milliseconds; `Bytes` is JSON (or anything else) that the
 * store never looks into; `null` means SQL NULL. Rows are plain and readonly.
 */

/** Opaque bytes, usually UTF-8 JSON: jsonb would refuse NUL and rewrite numbers. */
export type Bytes = Uint8Array;

/** By which door a run came in. */
export type RunSource = 'cr' | 'api' | 'trigger' | 'retry';

/** A shard held by this owner. Every write names the epoch under which it is made. */
export interface ShardLease {
  readonly id: number;
  readonly epoch: bigint;
}

/** Facts of a run that never change. `id` is a UUID, `shard` is `shardOf(id)`. */
export interface RunFacts {
  readonly id: string;
  readonly shard: number;
  readonly namespace: string;
  readonly name: string;
  /** uid of the WorkflowRun, null for a run without one. Unique. */
  readonly uid: string | null;
  readonly source: RunSource;
  /** Name of the Workflow, null for an inline definition. */
  readonly workflow: string | null;
  /** SHA-256 of the pinned definition's bytes; definitions are stored once per hash. */
  readonly definitionHash: string;
  /** Hash of the WorkflowRun's spec at acceptance, null without a CR. */
  readonly specHash: string | null;
  readonly input: Bytes;
  readonly workflowLabels: Bytes | null;
  readonly priority: number;
  readonly principal: string;
  readonly traceparent: string | null;
  readonly createdAt: number;
}

/** Progress of a run: replaced as a whole by every commit that touches the run. */
export interface RunProgress {
  readonly phase: RunPhase;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly cancel: CancelMode | null;
  readonly suspended: boolean;
  readonly exitPhase: RunPhase | null;
  readonly outputs: Bytes | null;
  readonly error: Bytes | null;
  /** Last sequence number of the run's history. */
  readonly seq: number;
  readonly total: number;
  readonly done: number;
  /** Nodes per status, JSON text (`{"Succeeded":3}`). */
  readonly counts: string | null;
  /** At most 10 failures (node, reason, message), JSON. */
  readonly failures: Bytes | null;
  /** Why the run must not go on before a person decides; null when nothing is in doubt. */
  readonly review: string | null;
}

/** One node (`item` -1) or one item of a forEach; `commitBatch` upserts the whole row. */
export interface NodeRunRow {
  readonly node: string;
  readonly item: number;
  readonly status: NodeStatus;
  readonly attempt: number;
  readonly retries: number;
  readonly infra: number;
  readonly output: Bytes | null;
  readonly error: Bytes | null;
  readonly queuedAt: number | null;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly dueAt: number | null;
  /** Items of a forEach, on the parent's row. null keeps what is stored: items are written once. */
  readonly items: Bytes | null;
  /** How often the current attempt's dispatch was sent. */
  readonly send: number;
  readonly pool: string | null;
  readonly mode: 'inline' | 'warm' | 'pod' | null;
  readonly pod: string | null;
}

/** A node row together with its run. */
export interface NodeRunRowOf extends NodeRunRow {
  readonly runId: string;
}

/** A finished attempt; inserted once, never changed. */
export interface AttemptRow {
  readonly node: string;
  readonly item: number;
  readonly attempt: number;
  readonly status: 'Succeeded' | 'Failed' | 'Cancelled' | 'Parked';
  readonly error: Bytes | null;
  readonly queuedAt: number | null;
  readonly startedAt: number | null;
  readonly finishedAt: number;
  readonly pod: string | null;
  readonly runner: string | null;
}

/** One line of a run's history; (run, seq) is unique. */
export interface EventRow {
  readonly seq: number;
  readonly at: number;
  readonly kind: string;
  readonly node: string | null;
  readonly item: number | null;
  readonly attempt: number | null;
  readonly reason: string | null;
  readonly principal: string | null;
}

/** A dispatch that must be published; the payload is computed again from the run's rows. */
export interface OutboxEntry {
  readonly node: string;
  readonly item: number;
  readonly attempt: number;
  readonly send: number;
}

/** A stored outbox row. `id` is a bigint as text. */
export interface OutboxRow extends OutboxEntry {
  readonly id: string;
  readonly runId: string;
  readonly shard: number;
  readonly createdAt: number;
}

/** A timer of a run. */
export interface TimerEntry {
  readonly timer: string;
  readonly dueAt: number;
}

/** A stored timer. */
export interface TimerRow extends TimerEntry {
  readonly runId: string;
  readonly shard: number;
}

/** What makes a start repeatable: unique per (namespace, principal, key) until it expires. */
export interface IdempotencyEntry {
  readonly key: string;
  readonly bodyHash: string;
  readonly expiresAt: number;
}

/** A stored idempotency key. */
export interface IdempotencyRow extends IdempotencyEntry {
  readonly runId: string;
}

/** What is written once when a run is created. */
export interface RunCreate extends RunFacts {
  /** The pinned Workflow spec, JSON; its key is `definitionHash`. */
  readonly definition: Bytes;
  readonly idempotency?: IdempotencyEntry;
}

/**
 * Everything one run writes in one commit. `create` inserts the run at version 1; otherwise the row must stand at
 * `expectVersion` and moves to `expectVersion + 1`. A run that does not pass writes nothing at all.
 * Lists may hold a key twice (the last wins); `clearTimers` is applied before `timers`.
 * A run whose phase becomes final loses all its timers.
 */
export interface RunWrite {
  readonly id: string;
  readonly shard: number;
  readonly create?: RunCreate;
  /** Version the row must have; 0 (ignored) with `create`. */
  readonly expectVersion: number;
  readonly progress: RunProgress;
  readonly nodes: readonly NodeRunRow[];
  readonly attempts: readonly AttemptRow[];
  readonly events: readonly EventRow[];
  readonly outbox: readonly OutboxEntry[];
  readonly timers: readonly TimerEntry[];
  readonly clearTimers: readonly string[];
}

/** Many runs, written in one transaction under one owner's shard epochs. Each run at most once. */
export interface CommitBatch {
  readonly owner: string;
  /** Epochs of (at least) every shard that occurs in `writes`. */
  readonly shards: readonly ShardLease[];
  readonly writes: readonly RunWrite[];
  /** Outbox rows to delete: JetStream has acknowledged them. Deleted whatever becomes of the runs. */
  readonly published: readonly string[];
}

/** What became of a batch. */
export interface CommitResult {
  /** Shards no longer held under the given epoch. Not empty: no run of the batch was written. */
  readonly shardLost: readonly number[];
  /** Runs that were written, in the order of the batch. */
  readonly applied: readonly string[];
  /** Runs that were not: another version, an existing id or uid, or an idempotency key in use. */
  readonly conflicts: readonly string[];
  /** Ids of the new outbox rows by run, in the order of the write's `outbox`. */
  readonly outboxIds: ReadonlyMap<string, readonly string[]>;
}

/** As CommitResult, for a batch that may hold runs that cannot be written. */
export interface HalvedResult extends CommitResult {
  /** Runs that make a commit fail by themselves, with the error's message; the others were written. */
  readonly poisoned: ReadonlyMap<string, string>;
}

/** A run in full, payloads included. */
export interface RunRecord extends RunFacts, RunProgress {
  readonly version: number;
  /** Version last patched into the CR's status; null before the first patch or without a CR. */
  readonly projectedVersion: number | null;
}

/** A live run as its owner loads it. Runs of one definition share one `definition` buffer. */
export interface LoadedRun {
  readonly run: RunRecord;
  readonly definition: Bytes;
  readonly nodes: readonly NodeRunRow[];
}

/** A run in a list: no payloads. */
export type RunSummary = Omit<RunRecord, 'input' | 'outputs' | 'workflowLabels'>;

/** Position in a list of runs, newest first. */
export interface RunCursor {
  readonly createdAt: number;
  readonly id: string;
}

/** Filter and window of `listRuns`. With `before` the page ends just above it, else it starts just below `after`. */
export interface RunQuery {
  readonly namespaces: readonly string[];
  readonly workflow?: string;
  readonly phase?: RunPhase;
  readonly after?: RunCursor;
  readonly before?: RunCursor;
  /** 1 to 500; clamped. */
  readonly first: number;
}

/** One page; `hasMore` in the direction of paging. Rows always newest first. */
export interface Page<T> {
  readonly rows: readonly T[];
  readonly hasMore: boolean;
}

/** A message nobody could use. */
export interface DeadLetterEntry {
  readonly subject: string;
  readonly reason: string;
  /** Cut at 64 KiB. */
  readonly payload: Bytes;
}

/** A stored dead letter. */
export interface DeadLetterRow extends DeadLetterEntry {
  readonly id: string;
  readonly at: number;
}

/** One node of a mirrored Workflow. */
export interface WorkflowNodeRow {
  readonly name: string;
  readonly type: string;
  readonly config: Bytes;
}

/** Mirror of a Workflow CR. */
export interface WorkflowRow {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly resourceVersion: string;
  readonly spec: Bytes;
  readonly hash: string;
  readonly phase: 'Ready' | 'Invalid';
  readonly nodeCount: number;
  /** JSON. */
  readonly labels: Bytes | null;
  /** JSON list of what is wrong with it, null when Ready. */
  readonly problems: Bytes | null;
  readonly updatedAt: number;
}

/** Mirror of a RunnerPool CR. */
export interface RunnerPoolRow {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly resourceVersion: string;
  readonly spec: Bytes;
  /** JSON. */
  readonly labels: Bytes | null;
  readonly updatedAt: number;
}
