import { Buffer } from 'node:buffer';
import { sleep } from '../../../platform/clock/index.ts';
import type { Clock } from '../../../platform/clock/index.ts';
import { errorMessage, UnavailableError } from '../../../platform/errors/index.ts';
import type { Ids } from '../../../platform/ids/index.ts';
import type { ObjectStore } from '../../../platform/objects/index.ts';
import type { Gateway } from '../../../prisma/gateway/index.ts';
import type { Can } from '../../auth/can.ts';
import { storeText } from '../../file/imported.ts';
import type { StoredContent } from '../../file/imported.ts';
import type { Change } from '../../operations/operation.ts';
import type { ApiLog, PROJECT_RESOURCES, UserPrincipal } from '../../ports.ts';
import { applyBatch, keepBatch } from './apply.ts';
import type { Batch } from './apply.ts';
import { idOf, knownIds, rowsThere } from './known.ts';
import { parseExport } from './parse.ts';
import type { FileRecord, ImportRecord, RowRecord } from './records.ts';

/* Imports go on in the background of the API, batch after batch, in whichever replica finds one; a crash costs the batch under way. */

/** Records of one batch; files bring their content, so fewer. */
const AT_ONCE = 100;
const FILES_AT_ONCE = 20;
/** Objects stored side by side. */
const STORES_AT_ONCE = 4;
/** How often imports that nobody works on are looked for. */
const LOOK_MS = 15_000;
/** A transaction that has just begun an import may take so long until others see it. */
const VISIBLE_MS = [20, 100, 500, 2_000] as const;

/** What the imports stand on. */
export interface ImportParts {
  readonly gateway: Gateway;
  readonly objects: ObjectStore | undefined;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: ApiLog;
  /** The one decision, made anew for each batch. */
  readonly can: () => Can;
  /** The owner of an import as of now; undefined where the account is gone or disabled. */
  readonly owner: (userId: string) => Promise<UserPrincipal | undefined>;
  /** Told after a commit. */
  readonly changed: (changes: readonly Change[]) => void;
}

/** Begins and goes on with imports. */
export interface Imports {
  /** Goes on with an import that a transaction under way has just begun. */
  wake(importId: string): void;
  /** Ends after the batch under way; the rest is for whoever starts next. */
  stop(): Promise<void>;
}

const RESOURCES: Readonly<Record<RowRecord['kind'], (typeof PROJECT_RESOURCES)[number]>> = {
  project: 'projects', sprint: 'sprints', agent: 'agents', workflow: 'workflows', file: 'files', requirement: 'requirements', task: 'tasks', ticket: 'tickets',
};

/** Starts looking for imports that are not at their end. */
export function startImports(parts: ImportParts): Imports {
  const running = new Map<string, Promise<void>>();
  const stopping = new AbortController();
  const begin = (importId: string): void => {
    if (running.has(importId) || stopping.signal.aborted) return;
    running.set(importId, goOn(parts, importId, stopping.signal).catch((error: unknown) => {
      parts.log.warn({ import: importId, err: error }, 'an import is interrupted and goes on later');
    }).finally(() => { running.delete(importId); }));
  };
  const look = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const rows = await parts.gateway.read((db) => db.import.findMany({ where: { status: 'RUNNING' }, select: { id: true }, orderBy: { createdAt: 'asc' }, take: 10 })).catch(() => []);
      for (const { id } of rows) begin(id);
      // Not all replicas at once.
      await sleep(parts.clock, LOOK_MS * (0.75 + parts.ids.random() / 2), stopping.signal);
    }
  };
  const looking = look();
  return {
    wake: (importId) => { void untilVisible(parts, importId, stopping.signal).then((there) => { if (there) begin(importId); }); },
    stop: async () => {
      stopping.abort();
      await Promise.all([looking, ...running.values()]);
    },
  };
}

async function untilVisible({ gateway, clock }: ImportParts, importId: string, stopping: AbortSignal): Promise<boolean> {
  for (const ms of VISIBLE_MS) {
    await sleep(clock, ms, stopping);
    const row = await gateway.read((db) => db.import.findUnique({ where: { id: importId }, select: { id: true } })).catch(() => null);
    if (row !== null) return true;
  }
  return false;
}

/** Writes batch after batch from where the import stands. Throws UnavailableError where something is away. */
async function goOn(parts: ImportParts, importId: string, stopping: AbortSignal): Promise<void> {
  const row = await parts.gateway.read((db) => db.import.findUnique({ where: { id: importId } }));
  if (row === null || row.status !== 'RUNNING') return;
  const records = parseExport(Buffer.from(row.source ?? []).toString('utf8'));
  for (let from = row.done; from < records.length;) {
    if (stopping.aborted) return;
    const owner = await parts.owner(row.ownerId);
    if (owner === undefined || !await parts.can()(owner, 'create', { kind: 'user', resource: 'imports', userId: row.ownerId })) return finish(parts, importId, 'FAILED');
    const batch = { importId, ownerId: row.ownerId, from, records: batchAt(records, from) };
    if (!await write(parts, owner, batch)) return;
    from += batch.records.length;
  }
  await finish(parts, importId, 'DONE');
}

/** Records of one kind from a place on. */
function batchAt(records: readonly ImportRecord[], from: number): readonly ImportRecord[] {
  const kind = records[from]?.kind;
  const most = records.slice(from, from + (kind === 'file' ? FILES_AT_ONCE : AT_ONCE));
  const end = most.findIndex((record) => record.kind !== kind);
  return end === -1 ? most : most.slice(0, end);
}

/** Writes a batch; one that Postgres refuses is taken apart, and the guilty record is kept as it is. False: another process is at it. */
async function write(parts: ImportParts, owner: UserPrincipal, batch: Batch): Promise<boolean> {
  try {
    return await attempt(parts, owner, batch);
  } catch (error) {
    if (error instanceof UnavailableError) throw error;
    if (batch.records.length === 1) {
      parts.log.warn({ import: batch.importId, position: batch.from, err: error }, 'a record of an import cannot be written and is kept');
      return parts.gateway.transaction((tx) => keepBatch(tx, batch, `it could not be written: ${errorMessage(error).slice(0, 200)}`));
    }
    const half = Math.ceil(batch.records.length / 2);
    return await write(parts, owner, { ...batch, records: batch.records.slice(0, half) }) && write(parts, owner, { ...batch, from: batch.from + half, records: batch.records.slice(half) });
  }
}

async function attempt(parts: ImportParts, owner: UserPrincipal, batch: Batch): Promise<boolean> {
  const { gateway, objects, ids, clock } = parts;
  const can = parts.can();
  const orphans: string[] = [];
  const contents = objects === undefined ? undefined : await storeContents(parts, objects, batch);
  const changes = await gateway.transaction((tx) => applyBatch({
    tx, ids, now: new Date(clock.now()), contents, orphaned: (key) => { orphans.push(key); },
    may: (projectId, kind) => can(owner, 'patch', { kind: 'project', resource: RESOURCES[kind], projectId }),
  }, batch));
  if (changes === undefined) return false;
  parts.changed(changes);
  // What is left behind here costs space, not truth.
  await objects?.remove(orphans).catch(() => undefined);
  return true;
}

/** Content goes into the store before the row that names it; the key is the same however often this is repeated. */
async function storeContents({ gateway }: ImportParts, objects: ObjectStore, { ownerId, importId, from, records }: Batch): Promise<ReadonlyMap<string, StoredContent>> {
  const files = records.flatMap((record, index) => (record.kind === 'file' && !record.folder ? [{ record, position: from + index }] : []));
  const stored = new Map<string, StoredContent>();
  if (files.length === 0) return stored;
  const places = await gateway.read((db) => whereTo(db, ownerId, importId, files));
  for (let i = 0; i < places.length; i += STORES_AT_ONCE) {
    await Promise.all(places.slice(i, i + STORES_AT_ONCE).map(async ({ record, projectId, fileId }) => {
      stored.set(fileId, await storeText(objects, projectId, fileId, record.content, record.contentType));
    }));
  }
  return stored;
}

async function whereTo(db: Parameters<typeof knownIds>[0], ownerId: string, importId: string, files: readonly { readonly record: FileRecord; readonly position: number }[]): Promise<readonly { readonly record: FileRecord; readonly projectId: string; readonly fileId: string }[]> {
  const known = await knownIds(db, ownerId, files.map((file) => file.record));
  const there = await rowsThere(db, 'file', files.flatMap(({ record }) => known.of('file', record.identity)?.entityId ?? []));
  return files.flatMap(({ record, position }) => {
    const before = known.of('file', record.identity)?.entityId;
    const projectId = known.of('project', record.project)?.entityId;
    return projectId === undefined ? [] : [{ record, projectId, fileId: before !== undefined && there.has(before) ? before : idOf(importId, position) }];
  });
}

async function finish({ gateway, clock, log }: ImportParts, importId: string, status: 'DONE' | 'FAILED'): Promise<void> {
  // A failed one keeps its export: what is not in the items yet is still the person's.
  const { count } = await gateway.transaction((tx) => tx.import.updateMany({
    where: { id: importId, status: 'RUNNING' }, data: { status, finishedAt: new Date(clock.now()), ...(status === 'DONE' ? { source: null } : {}) },
  }));
  if (count > 0) log.info({ import: importId, ended: status }, 'import ended');
}
