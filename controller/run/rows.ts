import { Buffer } from 'node:buffer';
import { lastSeq, nodeSpecOf, placementOf, restoreRun } from '../../engine/index.ts';
import type { Compiled } from '../../engine/index.ts';
import type { AttemptRecord, HistoryEntry, Json, NodeError, NodeRow, RunMeta, RunRow } from '../../engine/types.ts';
import type { AttemptRow, EventRow, LoadedRun, NodeRunRow, RunCreate, RunProgress, RunWrite, TimerEntry } from '../../prisma/store/types.ts';
import type { Draft, NewRunRecord } from './draft.ts';
import { placeKey } from './leases.ts';
import { attemptPodName } from './pod-name.ts';
import type { LiveRun } from './live-run.ts';
import { shownOf } from './shown.ts';

/** How long an idempotency key stands for its run. */
const IDEMPOTENCY_MS = 7 * 86_400_000;

/** A draft as the store writes it. */
export function toWrite(draft: Draft, now: number): RunWrite {
  const { live } = draft;
  return {
    id: live.id,
    shard: live.shard,
    ...(draft.created === undefined ? {} : { create: toCreate(live, draft.created, now) }),
    expectVersion: live.version,
    progress: toProgress(live),
    nodes: [...draft.nodes.values()].map((row) => toNodeRow(live, row)),
    attempts: draft.attempts.map((attempt) => toAttempt(draft, attempt)),
    events: draft.history.map((entry, i) => toEvent(entry, i === 0 ? draft.created?.principal : undefined)),
    outbox: draft.outbox,
    ...toTimers(draft),
  };
}

const KEPT_TIMER = /^(wait|retry):/;

/**
 * Only waits become timer rows: timeouts follow from the times in the node rows, and most are cleared within
 * milliseconds. A takeover rebuilds all timers from the node rows; the table is for whoever looks from outside.
 */
function toTimers(draft: Draft): { timers: readonly TimerEntry[]; clearTimers: readonly string[] } {
  const timers = draft.commands.flatMap((c) => (c.type === 'SetTimer' && KEPT_TIMER.test(c.timer) ? [{ timer: c.timer, dueAt: c.at }] : []));
  const over = [...draft.nodes.values()].filter((row) => row.status !== 'Waiting' && row.attempt > 0).flatMap((row) =>
    [`wait:${row.node}:${row.item}:${row.attempt}`, ...(row.attempt > 1 ? [`retry:${row.node}:${row.item}:${row.attempt - 1}`] : [])]);
  const waits = placesThatWait(draft);
  const cleared = draft.commands.flatMap((c) => (c.type === 'ClearTimer' && KEPT_TIMER.test(c.timer) ? [c.timer] : []));
  return { timers, clearTimers: [...cleared, ...over.filter((timer) => timer.startsWith('retry:') || waits(timer))] };
}

/** Whether a `wait:` timer belongs to a node of type wait: the others never had one. */
function placesThatWait(draft: Draft): (timer: string) => boolean {
  return (timer) => nodeSpecOf(draft.live.state, timer.split(':')[1] ?? '')?.type === 'wait';
}

function toCreate(live: LiveRun, record: NewRunRecord, now: number): RunCreate {
  const { meta } = live;
  return {
    id: live.id, shard: live.shard, namespace: meta.namespace, name: meta.name, uid: live.cr?.uid ?? null, source: live.source,
    workflow: meta.workflowName ?? null, definitionHash: record.definitionHash, specHash: record.specHash,
    definition: record.definition, input: record.input,
    workflowLabels: meta.workflowLabels === undefined ? null : encode(meta.workflowLabels),
    priority: meta.priority, principal: record.principal, traceparent: live.traceparent ?? null, createdAt: now,
    ...(record.idempotency === undefined ? {} : { idempotency: { ...record.idempotency, expiresAt: now + IDEMPOTENCY_MS } }),
  };
}

function toProgress(live: LiveRun): RunProgress {
  const { row, counts: n, failures: failed } = shownOf(live.state);
  return {
    phase: row.phase, startedAt: row.startedAt ?? null, finishedAt: row.finishedAt ?? null, cancel: row.cancel ?? null,
    suspended: row.suspended, exitPhase: row.exitPhase ?? null,
    outputs: row.outputs === undefined ? null : encode(row.outputs), error: row.error === undefined ? null : encode(row.error),
    seq: lastSeq(live.state), total: n.total, done: n.done, counts: JSON.stringify(n.byStatus),
    failures: failed.length === 0 ? null : encode(failed), review: row.review ?? null,
  };
}

function toNodeRow(live: LiveRun, row: NodeRow): NodeRunRow {
  const at = placementOf(live.state, row.node);
  return {
    node: row.node, item: row.item, status: row.status, attempt: row.attempt, retries: row.retries, infra: row.infra,
    output: row.output === undefined ? null : encode(row.output), error: row.error === undefined ? null : encode(row.error),
    queuedAt: row.queuedAt ?? null, startedAt: row.startedAt ?? null, finishedAt: row.finishedAt ?? null, dueAt: row.dueAt ?? null,
    items: row.items === undefined ? null : encode(row.items),
    send: live.sends.get(placeKey('', row.node, row.item)) ?? 0, pool: at.pool ?? null, mode: at.mode,
    pod: at.mode === 'pod' && row.attempt > 0 ? attemptPodName(live.id, row.node, row.item, row.attempt) : null,
  };
}

function toAttempt({ live, runners }: Draft, a: AttemptRecord): AttemptRow {
  return {
    node: a.node, item: a.item, attempt: a.attempt, status: a.status, error: a.error === undefined ? null : encode(a.error),
    queuedAt: a.queuedAt ?? null, startedAt: a.startedAt ?? null, finishedAt: a.finishedAt,
    pod: placementOf(live.state, a.node).mode === 'pod' ? attemptPodName(live.id, a.node, a.item, a.attempt) : null,
    runner: runners.get(placeKey(String(a.attempt), a.node, a.item)) ?? null,
  };
}

function toEvent(e: HistoryEntry, principal: string | undefined): EventRow {
  return {
    seq: e.seq, at: e.at, kind: e.kind, node: e.node ?? null, item: e.item ?? null, attempt: e.attempt ?? null,
    reason: e.reason ?? null, principal: principal ?? null,
  };
}

/** A live run out of its rows. */
export function fromRows(loaded: LoadedRun, compiled: Compiled): LiveRun {
  const { run } = loaded;
  const labels = decode<Readonly<Record<string, string>>>(run.workflowLabels);
  const meta: RunMeta = {
    id: run.id, name: run.name, namespace: run.namespace, input: decode<Json>(run.input) ?? null, priority: run.priority,
    ...(run.workflow === null ? {} : { workflowName: run.workflow }),
    ...(labels === undefined ? {} : { workflowLabels: labels }),
  };
  const state = restoreRun(compiled, meta, fromProgress(run), loaded.nodes.map(fromNodeRow), run.seq);
  return {
    id: run.id, shard: run.shard, meta, compiled, state, source: run.source === 'cr' ? 'cr' : 'api', version: run.version,
    sends: new Map(loaded.nodes.filter((n) => n.send > 0 && (n.status === 'Queued' || n.status === 'Running')).map((n) => [placeKey('', n.node, n.item), n.send])),
    ...(run.uid === null ? {} : { cr: { namespace: run.namespace, name: run.name, uid: run.uid } }),
    ...(run.traceparent === null ? {} : { traceparent: run.traceparent }),
  };
}

/** The run's own progress as the engine has it. */
export function fromProgress(p: RunProgress): RunRow {
  return {
    phase: p.phase, suspended: p.suspended,
    ...optional('startedAt', p.startedAt ?? undefined), ...optional('finishedAt', p.finishedAt ?? undefined), ...optional('cancel', p.cancel ?? undefined),
    ...optional('exitPhase', p.exitPhase ?? undefined),
    ...optional('outputs', decode<Readonly<Record<string, Json>>>(p.outputs)), ...optional('error', decode<NodeError>(p.error)),
    ...optional('review', p.review ?? undefined),
  };
}

function fromNodeRow(n: NodeRunRow): NodeRow {
  return {
    node: n.node, item: n.item, status: n.status, attempt: n.attempt, retries: n.retries, infra: n.infra,
    ...optional('output', decode<Json>(n.output)), ...optional('error', decode<NodeError>(n.error)),
    ...optional('queuedAt', n.queuedAt ?? undefined), ...optional('startedAt', n.startedAt ?? undefined), ...optional('finishedAt', n.finishedAt ?? undefined),
    ...optional('dueAt', n.dueAt ?? undefined), ...optional('items', decode<readonly Json[]>(n.items)),
  };
}

/** `{ [key]: value }`, or nothing where there is no value. null is a value: of a JSON column it was stored as one. */
function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  const out: { [P in K]?: V } = {};
  if (value !== undefined) out[key] = value;
  return out;
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

/** Our own bytes, written by `encode`: the type is what was put in. Only SQL NULL is undefined. */
function decode<T>(bytes: Uint8Array | null): T | undefined {
  if (bytes === null) return undefined;
  const value: T = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  return value;
}
