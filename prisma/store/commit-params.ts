import { bools, byteas, int2s, int4s, int8s, texts, times, uuids } from './binary.ts';
import type { CommitParts } from './commit-sql.ts';
import { RowError } from './errors.ts';
import type { AttemptRow, CommitBatch, EventRow, IdempotencyEntry, NodeRunRow, OutboxEntry, RunCreate, RunProgress, RunWrite, TimerEntry } from './types.ts';

/** A row and the position (from 1) of its run in the batch. */
type Of<Row> = Row & { readonly ri: number };
type Created = RunCreate & RunProgress;
type Moved = RunProgress & { readonly id: string; readonly expectVersion: number };
type Keyed = IdempotencyEntry & { readonly namespace: string; readonly principal: string; readonly runId: string };

/** Rows of a batch by table, each key once. */
interface Tables {
  readonly created: Created[];
  readonly moved: Moved[];
  readonly keyed: Map<string, Keyed>;
  readonly definitions: Map<string, Uint8Array>;
  readonly nodes: Of<NodeRunRow>[];
  readonly attempts: Of<AttemptRow>[];
  readonly events: Of<EventRow>[];
  readonly outbox: Of<OutboxEntry & { readonly shard: number }>[];
  readonly timers: Of<TimerEntry & { readonly shard: number }>[];
  readonly cleared: Of<{ readonly timer: string }>[];
  readonly ended: number[];
}

/** A batch as the commit statement takes it: which parts, and their parameters in order. */
export interface EncodedCommit {
  readonly parts: CommitParts;
  readonly values: readonly unknown[];
}

/** Encodes a batch with at least one run. Throws RowError for a value that cannot be encoded. */
export function encodeCommit(batch: CommitBatch): EncodedCommit {
  const tables = collect(batch.writes);
  const parts = partsOf(tables, batch.published.length > 0);
  const values: unknown[] = [
    uuids(batch.writes, (write) => write.id),
    batch.owner,
    int2s(batch.shards, (shard) => shard.id),
    int8s(batch.shards, (shard) => shard.epoch),
  ];
  if (parts.gone) values.push(encodeIds(batch.published));
  if (parts.keyed) values.push(...idempotency([...tables.keyed.values()]));
  if (parts.created) values.push(...definitions([...tables.definitions].sort(([a], [b]) => a < b ? -1 : 1)), ...created(tables));
  if (parts.moved) values.push(...moved(tables.moved));
  if (parts.nodes) values.push(...nodes(tables.nodes));
  if (parts.attempts) values.push(...attempts(tables.attempts));
  if (parts.events) values.push(...events(tables.events));
  if (parts.sends) values.push(...outbox(tables.outbox));
  if (parts.timers) values.push(...timers(tables));
  return { parts, values };
}

/** int8[] of ids as text, each once and in order, so that two deletions cannot wait for each other. */
export function encodeIds(ids: readonly string[]): Buffer {
  return int8s([...new Set(ids)].map(BigInt).sort(ascending), (id) => id);
}

function partsOf(tables: Tables, gone: boolean): CommitParts {
  return {
    gone,
    keyed: tables.keyed.size > 0,
    created: tables.created.length > 0,
    moved: tables.moved.length > 0,
    nodes: tables.nodes.length > 0,
    attempts: tables.attempts.length > 0,
    events: tables.events.length > 0,
    sends: tables.outbox.length > 0,
    timers: tables.timers.length > 0 || tables.cleared.length > 0 || tables.ended.length > 0,
  };
}

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Sorts the writes into tables. Two runs with one idempotency key: the first has it, the other is refused by the statement. */
function collect(writes: readonly RunWrite[]): Tables {
  const tables: Tables = {
    created: [], moved: [], keyed: new Map(), definitions: new Map(), nodes: [], attempts: [], events: [], outbox: [], timers: [], cleared: [], ended: [],
  };
  const seen = new Set<string>();
  for (const [i, write] of writes.entries()) {
    if (seen.has(write.id)) throw new RowError(`run ${write.id} stands twice in one batch`);
    seen.add(write.id);
    addRun(tables, write);
    addRows(tables, write, i + 1);
  }
  return tables;
}

function addRun(tables: Tables, write: RunWrite): void {
  const { create, progress } = write;
  if (create === undefined) {
    tables.moved.push({ ...progress, id: write.id, expectVersion: write.expectVersion });
    return;
  }
  tables.created.push({ ...create, ...progress });
  tables.definitions.set(create.definitionHash, create.definition);
  const { idempotency: key, namespace, principal } = create;
  if (key === undefined) return;
  const place = JSON.stringify([namespace, principal, key.key]);
  if (!tables.keyed.has(place)) tables.keyed.set(place, { ...key, namespace, principal, runId: create.id });
}

/** Rows are keyed by hand: one statement cannot touch a row twice. */
function addRows(tables: Tables, write: RunWrite, ri: number): void {
  const { shard } = write;
  for (const row of lastOf(write.nodes, (r) => `${r.item}/${r.node}`)) tables.nodes.push({ ...row, ri });
  for (const row of lastOf(write.attempts, (r) => `${r.attempt}/${r.item}/${r.node}`)) tables.attempts.push({ ...row, ri });
  for (const row of lastOf(write.events, (r) => r.seq)) tables.events.push({ ...row, ri });
  for (const row of write.outbox) tables.outbox.push({ ...row, shard, ri });
  if (write.progress.finishedAt !== null) {
    tables.ended.push(ri);
    return;
  }
  const set = lastOf(write.timers, (r) => r.timer);
  const kept = new Set(set.map((r) => r.timer));
  for (const row of set) tables.timers.push({ ...row, shard, ri });
  for (const timer of new Set(write.clearTimers)) if (!kept.has(timer)) tables.cleared.push({ timer, ri });
}

function lastOf<Row>(rows: readonly Row[], key: (row: Row) => string | number): readonly Row[] {
  if (rows.length < 2) return rows;
  const byKey = new Map(rows.map((row) => [key(row), row] as const));
  return byKey.size === rows.length ? rows : [...byKey.values()];
}

function idempotency(rows: readonly Keyed[]): Buffer[] {
  return [
    texts(rows, (r) => r.namespace), texts(rows, (r) => r.principal), texts(rows, (r) => r.key), uuids(rows, (r) => r.runId),
    texts(rows, (r) => r.bodyHash), times(rows, (r) => r.expiresAt),
  ];
}

function definitions(rows: readonly (readonly [string, Uint8Array])[]): Buffer[] {
  return [texts(rows, ([hash]) => hash), byteas(rows, ([, spec]) => spec)];
}

function created({ created: rows }: Tables): Buffer[] {
  return [
    bools(rows, (r) => r.idempotency !== undefined), uuids(rows, (r) => r.id), int2s(rows, (r) => r.shard), texts(rows, (r) => r.namespace),
    texts(rows, (r) => r.name), texts(rows, (r) => r.uid), texts(rows, (r) => r.source), texts(rows, (r) => r.workflow),
    texts(rows, (r) => r.definitionHash), texts(rows, (r) => r.specHash), byteas(rows, (r) => r.input), byteas(rows, (r) => r.workflowLabels),
    int4s(rows, (r) => r.priority), texts(rows, (r) => r.principal), texts(rows, (r) => r.traceparent), times(rows, (r) => r.createdAt),
    ...progress(rows),
  ];
}

function moved(rows: readonly Moved[]): Buffer[] {
  return [uuids(rows, (r) => r.id), int4s(rows, (r) => r.expectVersion), ...progress(rows)];
}

function progress(rows: readonly RunProgress[]): Buffer[] {
  return [
    texts(rows, (r) => r.phase), times(rows, (r) => r.startedAt), times(rows, (r) => r.finishedAt), texts(rows, (r) => r.cancel),
    bools(rows, (r) => r.suspended), texts(rows, (r) => r.exitPhase), byteas(rows, (r) => r.outputs), byteas(rows, (r) => r.error),
    int4s(rows, (r) => r.seq), int4s(rows, (r) => r.total), int4s(rows, (r) => r.done), texts(rows, (r) => r.counts), byteas(rows, (r) => r.failures),
    texts(rows, (r) => r.review),
  ];
}

function nodes(rows: readonly Of<NodeRunRow>[]): Buffer[] {
  return [
    int4s(rows, (r) => r.ri), texts(rows, (r) => r.node), int4s(rows, (r) => r.item), texts(rows, (r) => r.status), int4s(rows, (r) => r.attempt),
    int4s(rows, (r) => r.retries), int4s(rows, (r) => r.infra), byteas(rows, (r) => r.output), byteas(rows, (r) => r.error),
    times(rows, (r) => r.queuedAt), times(rows, (r) => r.startedAt), times(rows, (r) => r.finishedAt), times(rows, (r) => r.dueAt),
    byteas(rows, (r) => r.items), int4s(rows, (r) => r.send), texts(rows, (r) => r.pool),
    texts(rows, (r) => r.mode), texts(rows, (r) => r.pod),
  ];
}

function attempts(rows: readonly Of<AttemptRow>[]): Buffer[] {
  return [
    int4s(rows, (r) => r.ri), texts(rows, (r) => r.node), int4s(rows, (r) => r.item), int4s(rows, (r) => r.attempt), texts(rows, (r) => r.status),
    byteas(rows, (r) => r.error), times(rows, (r) => r.queuedAt), times(rows, (r) => r.startedAt), times(rows, (r) => r.finishedAt),
    texts(rows, (r) => r.pod), texts(rows, (r) => r.runner),
  ];
}

function events(rows: readonly Of<EventRow>[]): Buffer[] {
  return [
    int4s(rows, (r) => r.ri), int4s(rows, (r) => r.seq), times(rows, (r) => r.at), texts(rows, (r) => r.kind), texts(rows, (r) => r.node),
    int4s(rows, (r) => r.item), int4s(rows, (r) => r.attempt), texts(rows, (r) => r.reason), texts(rows, (r) => r.principal),
  ];
}

function outbox(rows: Tables['outbox']): Buffer[] {
  return [
    int4s(rows, (r) => r.ri), int2s(rows, (r) => r.shard), texts(rows, (r) => r.node), int4s(rows, (r) => r.item),
    int4s(rows, (r) => r.attempt), int4s(rows, (r) => r.send),
  ];
}

function timers(tables: Tables): Buffer[] {
  return [
    int4s(tables.timers, (t) => t.ri), texts(tables.timers, (t) => t.timer), int2s(tables.timers, (t) => t.shard), times(tables.timers, (t) => t.dueAt),
    int4s(tables.cleared, (t) => t.ri), texts(tables.cleared, (t) => t.timer),
    int4s(tables.ended, (ri) => ri),
  ];
}
