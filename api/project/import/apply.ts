import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { Ids } from '../../../platform/ids/index.ts';
import type { GatewayDb } from '../../../prisma/gateway/index.ts';
import { mergePreferences } from '../../auth/preferences.ts';
import type { StoredContent } from '../../file/imported.ts';
import { writeChanges } from '../../operations/changes.ts';
import type { Change } from '../../operations/operation.ts';
import type { ItemStatus } from './entities.ts';
import { idOf, knownIds, remember, rowsThere } from './known.ts';
import type { KnownIds } from './known.ts';
import type { ImportRecord, Reference, RowRecord } from './records.ts';
import { escapeLone } from './text.ts';
import { writeRows } from './write-rows.ts';
import type { Links, Step } from './write-rows.ts';

/* One batch of an import, in one transaction: rows, old ids, items, events and how far the import is. Only the transaction that finds the import where the one before left it may write. */

/** Records of one kind that follow one another. */
export interface Batch {
  readonly importId: string;
  readonly ownerId: string;
  /** Place of the first record. */
  readonly from: number;
  readonly records: readonly ImportRecord[];
}

/** What a batch needs of the world. */
export interface Applying {
  readonly tx: GatewayDb;
  readonly ids: Pick<Ids, 'uuid'>;
  readonly now: Date;
  /** Whether the owner of the import may write such rows into a project of somebody else. */
  readonly may: (projectId: string, kind: RowRecord['kind']) => Promise<boolean>;
  /** Content of files, stored before; undefined: there is no object store. */
  readonly contents: ReadonlyMap<string, StoredContent> | undefined;
  readonly orphaned: (key: string) => void;
}

interface Outcome { readonly record: ImportRecord; readonly status: ItemStatus; readonly entityId: string | null; readonly message: string | undefined }

const ENTITIES: Readonly<Record<RowRecord['kind'], string>> = {
  project: 'Project', sprint: 'Sprint', agent: 'ProjectAgent', workflow: 'ProjectWorkflow', file: 'File', requirement: 'Requirement', task: 'Task', ticket: 'Ticket',
};

/** Writes a batch. Returns what changed, or undefined where another process has written it already. */
export async function applyBatch(applying: Applying, batch: Batch): Promise<readonly Change[] | undefined> {
  const { tx, now } = applying;
  const next = batch.from + batch.records.length;
  const { count } = await tx.import.updateMany({ where: { id: batch.importId, status: 'RUNNING', done: batch.from }, data: { done: next } });
  if (count === 0) return undefined;
  const rows = batch.records.flatMap((record, index) => (record.kind === 'raw' || record.kind === 'preference' ? [] : [{ record, position: batch.from + index }]));
  const written = rows.length === 0 ? { outcomes: new Map<ImportRecord, Outcome>(), changes: [] } : await applyRows(applying, batch, rows);
  await mergePreferencesOf(tx, batch, now);
  const outcomes = batch.records.map((record) => written.outcomes.get(record) ?? without(record));
  await tx.importItem.createMany({ data: outcomes.map((outcome, index) => item(batch, outcome, batch.from + index)) });
  await writeChanges(tx, written.changes, `user:${batch.ownerId}`, now.getTime());
  return written.changes;
}

/** The same records, written nowhere: each is kept as it was. */
export async function keepBatch(tx: GatewayDb, batch: Batch, why: string): Promise<boolean> {
  const { count } = await tx.import.updateMany({ where: { id: batch.importId, status: 'RUNNING', done: batch.from }, data: { done: batch.from + batch.records.length } });
  if (count === 0) return false;
  await tx.importItem.createMany({ data: batch.records.map((record, index) => item(batch, { record, status: 'KEPT_RAW', entityId: null, message: why }, batch.from + index)) });
  return true;
}

interface Positioned { readonly record: RowRecord; readonly position: number }

async function applyRows(applying: Applying, batch: Batch, rows: readonly Positioned[]): Promise<{ readonly outcomes: ReadonlyMap<ImportRecord, Outcome>; readonly changes: readonly Change[] }> {
  const { tx } = applying;
  const kind = rows[0]?.record.kind ?? 'task';
  const known = await knownIds(tx, batch.ownerId, rows.map((row) => row.record));
  const there = await rowsThere(tx, kind, rows.flatMap(({ record }) => known.of(kind, record.identity)?.entityId ?? []));
  const planned = await plan(applying, batch, rows, known, there);
  const steps = planned.flatMap(({ step, outcome }) => (step === undefined || outcome.status === 'UNCHANGED' ? [] : [step]));
  await writeRows({ tx, ids: applying.ids, ownerId: batch.ownerId, now: applying.now, contents: applying.contents ?? new Map(), orphaned: applying.orphaned }, steps);
  await remember(tx, batch.ownerId, kind, planned.flatMap(({ step, outcome, digest }) => (step === undefined || outcome.status === 'UNCHANGED' ? [] : [{ identity: step.record.identity, entityId: step.entityId, digest }])));
  const changes = steps.flatMap((step): readonly Change[] => {
    const projectId = step.record.kind === 'project' ? step.entityId : step.projectId;
    return projectId === null ? [] : [{ projectId, kind: step.exists ? 'UPDATED' : 'CREATED', entity: ENTITIES[kind], entityId: step.entityId }];
  });
  return { outcomes: new Map(planned.map(({ outcome }) => [outcome.record, outcome])), changes };
}

interface Planned { readonly step: Step | undefined; readonly outcome: Outcome; readonly digest: string }

async function plan(applying: Applying, batch: Batch, rows: readonly Positioned[], known: KnownIds, there: ReadonlyMap<string, { readonly deleted: boolean }>): Promise<readonly Planned[]> {
  const kind = rows[0]?.record.kind ?? 'task';
  // A row that is gone for good is made anew.
  const idFor = new Map(rows.map(({ record, position }) => {
    const before = known.of(kind, record.identity)?.entityId;
    return [record.identity, before !== undefined && there.has(before) ? before : idOf(batch.importId, position)] as const;
  }));
  const linksOf = await linker(applying.tx, rows, known, idFor);
  const places = await placesOf(applying, batch.ownerId, rows, known, idFor);
  return rows.map(({ record }): Planned => {
    const entityId = idFor.get(record.identity) ?? '';
    const links = linksOf(record);
    const digest = createHash('sha256').update(JSON.stringify([record.raw, links, record.kind === 'file' && record.folder])).digest('hex');
    const refused = places.refused(record, entityId);
    if (refused !== undefined) return { step: undefined, outcome: { record, status: 'KEPT_RAW', entityId: null, message: refused }, digest };
    const before = there.get(entityId);
    const step = { record, entityId, exists: before !== undefined, projectId: places.projectOf(record), links };
    const unchanged = before !== undefined && (known.of(kind, record.identity)?.digest === digest || (record.kind === 'project' && record.placeholder));
    const notes = [...record.notes, ...(before?.deleted === true ? ['it is deleted here, and stays so'] : [])];
    return { step, outcome: { record, status: statusOf(record, before !== undefined, unchanged), entityId, message: notes.length === 0 ? undefined : notes.join('; ') }, digest };
  });
}

function statusOf(record: RowRecord, exists: boolean, unchanged: boolean): ItemStatus {
  if (exists) return unchanged ? 'UNCHANGED' : 'UPDATED';
  return record.kind === 'workflow' && record.problems.length > 0 ? 'DRAFT' : 'CREATED';
}

/** Looks references up: those of this batch, and those of batches and imports before whose rows are still there. */
async function linker(tx: GatewayDb, rows: readonly Positioned[], known: KnownIds, idFor: ReadonlyMap<string, string>): Promise<(record: RowRecord) => Links> {
  const records = rows.map((row) => row.record);
  const idsOf = (kind: 'sprint' | 'task' | 'file', identities: readonly (string | undefined)[]): readonly string[] => identities.flatMap((identity) => known.of(kind, identity)?.entityId ?? []);
  const sprints = await rowsThere(tx, 'sprint', idsOf('sprint', records.map((record) => ('sprint' in record ? record.sprint?.identity : undefined))));
  const tasks = await rowsThere(tx, 'task', idsOf('task', records.flatMap((record) => (record.kind === 'task' ? [record.parent, ...record.dependencies].map((other) => other?.identity) : []))));
  const folders = await rowsThere(tx, 'file', idsOf('file', records.map((record) => (record.kind === 'file' ? record.parent : undefined))));
  const found = (kind: 'sprint' | 'task' | 'file', identity: string | undefined, present: ReadonlyMap<string, unknown>): string | null => {
    const own = kind === records[0]?.kind && identity !== undefined ? idFor.get(identity) : undefined;
    const before = known.of(kind, identity)?.entityId;
    return own ?? (before !== undefined && present.has(before) ? before : null);
  };
  const task = (reference: Reference | undefined): string | null => found('task', reference?.identity, tasks);
  return (record) => ({
    sprintId: 'sprint' in record ? found('sprint', record.sprint?.identity, sprints) : null,
    parentId: record.kind === 'task' ? task(record.parent) : record.kind === 'file' ? found('file', record.parent, folders) : null,
    dependencyIds: record.kind === 'task' ? record.dependencies.flatMap((reference) => task(reference) ?? []) : [],
  });
}

interface Places { projectOf(record: RowRecord): string | null; refused(record: RowRecord, entityId: string): string | undefined }

/** Which project each record goes into, and whether its owner may write there. */
async function placesOf({ tx, may, contents }: Applying, ownerId: string, rows: readonly Positioned[], known: KnownIds, idFor: ReadonlyMap<string, string>): Promise<Places> {
  const kind = rows[0]?.record.kind ?? 'task';
  const projectOf = (record: RowRecord): string | null => ('project' in record ? known.of('project', record.project)?.entityId ?? null : null);
  const wanted = new Set(rows.flatMap(({ record }) => (record.kind === 'project' ? idFor.get(record.identity) : projectOf(record)) ?? []));
  const projects = await tx.project.findMany({ where: { id: { in: [...wanted] } }, select: { id: true, ownerId: true } });
  const mine = new Set<string>();
  for (const project of projects) if (project.ownerId === ownerId || await may(project.id, kind)) mine.add(project.id);
  const present = new Set(projects.map((project) => project.id));
  return {
    projectOf,
    refused: (record, entityId) => {
      if (record.kind === 'file' && !record.folder && contents === undefined) return 'this installation has no object store: import again once it has one';
      if (record.kind === 'agent' && record.project === undefined) return undefined;
      const projectId = record.kind === 'project' ? entityId : projectOf(record);
      if (record.kind === 'project' && !present.has(entityId)) return undefined;
      if (projectId !== null && mine.has(projectId)) return undefined;
      return projectId === null || !present.has(projectId) ? 'its project could not be imported' : 'its project is not yours any more, and you may not write into it';
    },
  };
}

async function mergePreferencesOf(tx: GatewayDb, { ownerId, records }: Batch, now: Date): Promise<void> {
  const entries = records.flatMap((record) => (record.kind === 'preference' ? [[record.key, record.value] as const] : []));
  if (entries.length > 0) await mergePreferences(tx, ownerId, entries, now);
}

function without(record: ImportRecord): Outcome {
  const message = record.notes.length === 0 ? undefined : record.notes.join('; ');
  return { record, status: record.kind === 'preference' ? 'PREFERENCE' : 'KEPT_RAW', entityId: null, message };
}

function item({ importId }: Batch, { record, status, entityId, message }: Outcome, position: number) {
  const oldId = 'oldId' in record && record.oldId !== undefined ? escapeLone(record.oldId).replaceAll('\0', '\\u0000') : null;
  return { importId, position, key: record.key, kind: record.kind, oldId, status, entityId, message: message?.toWellFormed().replaceAll('\0', '') ?? null, raw: Uint8Array.from(Buffer.from(escapeLone(record.raw))) };
}
