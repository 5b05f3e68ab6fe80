import type { Ids } from '../../../platform/ids/index.ts';
import type { GatewayDb } from '../../../prisma/gateway/index.ts';
import { createImportedAgents, updateImportedAgent } from '../../agent/imported.ts';
import type { ImportedAgent } from '../../agent/imported.ts';
import { writeImportedFile } from '../../file/imported.ts';
import type { StoredContent } from '../../file/imported.ts';
import { jsonIn, objectIn } from '../../operations/row-values.ts';
import { createImportedWorkflows, updateImportedWorkflow } from '../../workflow/imported.ts';
import type { ImportedWorkflow } from '../../workflow/imported.ts';
import { assignees } from '../assignees.ts';
import type { Json } from './fields.ts';
import type { AgentRecord, FileRecord, ProjectRecord, Reference, RequirementRecord, RowRecord, SprintRecord, TaskRecord, TicketRecord, WorkflowRecord } from './records.ts';

/* Records become rows: one function per kind, many records of one kind at once. */

/** One record on its way into a row. */
export interface Step<R extends RowRecord = RowRecord> {
  readonly record: R;
  /** Id of the row: of the one that is there, or of the one to be. */
  readonly entityId: string;
  readonly exists: boolean;
  /** Null for projects and global agents. */
  readonly projectId: string | null;
  /** What its references stand for; those that stand for nothing are kept in the metadata. */
  readonly links: Links;
}

/** Rows that a record refers to. */
export interface Links {
  readonly parentId: string | null;
  readonly sprintId: string | null;
  /** Of a task: the tasks it depends on, as far as they are there. */
  readonly dependencyIds: readonly string[];
}

/** What the writes need of the world. */
export interface Writing {
  readonly tx: GatewayDb;
  readonly ids: Pick<Ids, 'uuid'>;
  readonly ownerId: string;
  readonly now: Date;
  /** Content that is stored already, by id of the file. */
  readonly contents: ReadonlyMap<string, StoredContent>;
  /** Told of keys in the object store that no row names any more. */
  readonly orphaned: (key: string) => void;
}

/** Writes rows of one kind, new and changed ones. */
export async function writeRows(writing: Writing, steps: readonly Step[]): Promise<void> {
  await projects(writing, only('project', steps));
  await sprints(writing, only('sprint', steps));
  await agents(writing, only('agent', steps));
  await workflows(writing, only('workflow', steps));
  await files(writing, only('file', steps));
  await requirements(writing, only('requirement', steps));
  await tasks(writing, only('task', steps));
  await tickets(writing, only('ticket', steps));
}

type OfKind<K extends RowRecord['kind']> = Step<Extract<RowRecord, { kind: K }>>;

function only<K extends RowRecord['kind']>(kind: K, steps: readonly Step[]): readonly OfKind<K>[] {
  return steps.filter((step): step is OfKind<K> => step.record.kind === kind);
}

/** New rows in one statement; changed ones keep what RamBo has in their metadata beside. */
async function split<S extends Step, Data>(
  steps: readonly S[], data: (step: S) => Promise<Data> | Data, create: (rows: Data[]) => Promise<unknown>,
  before: (ids: string[]) => Promise<readonly { readonly id: string; readonly metadata: unknown }[]>, update: (step: S, data: Data, metadata: Json) => Promise<unknown>,
): Promise<void> {
  const fresh: Data[] = [];
  const old = steps.filter((step) => step.exists);
  for (const step of steps) if (!step.exists) fresh.push(await data(step));
  if (fresh.length > 0) await create(fresh);
  if (old.length === 0) return;
  const known = new Map((await before(old.map((step) => step.entityId))).map((row) => [row.id, objectIn(row.metadata)] as const));
  for (const step of old) await update(step, await data(step), known.get(step.entityId) ?? {});
}

function moments(record: { readonly createdAt?: number | undefined; readonly updatedAt?: number | undefined }, now: Date): { createdAt: Date; updatedAt: Date } {
  const created = record.createdAt ?? record.updatedAt;
  // A row is never younger than its last change, and nothing changes in the future.
  const createdAt = created === undefined || created > now.getTime() ? now : new Date(created);
  const updated = record.updatedAt;
  return { createdAt, updatedAt: updated === undefined || updated > now.getTime() || updated < createdAt.getTime() ? now : new Date(updated) };
}

async function projects({ tx, ownerId, now }: Writing, steps: readonly Step<ProjectRecord>[]): Promise<void> {
  const columns = ({ name, description, status, thumbnailUrl, metadata }: ProjectRecord) => ({ name, description, status, thumbnailUrl: thumbnailUrl ?? null, metadata: jsonIn(metadata) });
  await split(steps, ({ record }) => columns(record),
    () => tx.project.createMany({ data: steps.filter((step) => !step.exists).map(({ record, entityId }) => ({ id: entityId, ownerId, ...columns(record), ...moments(record, now) })) }),
    (ids) => tx.project.findMany({ where: { id: { in: ids } }, select: { id: true, metadata: true } }),
    ({ record, entityId }, data, metadata) => tx.project.update({ where: { id: entityId }, data: { ...data, metadata: jsonIn({ ...metadata, ...record.metadata }), version: { increment: 1 }, updatedAt: now } }));
}

async function sprints({ tx, now }: Writing, steps: readonly Step<SprintRecord>[]): Promise<void> {
  const columns = ({ name, goal, status, startDate, endDate, metadata }: SprintRecord) => ({ name, goal, status, startDate: dayIn(startDate), endDate: dayIn(endDate), metadata: jsonIn(metadata) });
  await split(steps, ({ record, entityId, projectId }) => ({ id: entityId, projectId: inProject(projectId), ...columns(record), createdAt: now, updatedAt: now }),
    (data) => tx.sprint.createMany({ data }), (ids) => tx.sprint.findMany({ where: { id: { in: ids } }, select: { id: true, metadata: true } }),
    ({ record, entityId }, _, metadata) => tx.sprint.update({ where: { id: entityId }, data: { ...columns(record), metadata: jsonIn({ ...metadata, ...record.metadata }), version: { increment: 1 }, updatedAt: now } }));
}

async function agents({ tx, ownerId, now }: Writing, steps: readonly Step<AgentRecord>[]): Promise<void> {
  const imported = ({ record, entityId, projectId }: Step<AgentRecord>): ImportedAgent => {
    const { name, type, status, capabilities, configuration, metadata } = record;
    return { id: entityId, projectId, ownerId, name, type, status, capabilities, configuration, metadata };
  };
  await createImportedAgents(tx, steps.filter((step) => !step.exists).map((step) => ({ ...imported(step), ...moments(step.record, now) })));
  for (const step of steps.filter(({ exists }) => exists)) await updateImportedAgent(tx, imported(step), now);
}

async function workflows({ tx, ids, ownerId, now }: Writing, steps: readonly Step<WorkflowRecord>[]): Promise<void> {
  const imported = ({ record, entityId, projectId }: Step<WorkflowRecord>): ImportedWorkflow => {
    const { name, description, definition, problems, metadata } = record;
    return { id: entityId, projectId: inProject(projectId), ownerId, name, description, definition, problems, metadata };
  };
  await createImportedWorkflows(tx, ids, steps.filter((step) => !step.exists).map((step) => ({ ...imported(step), ...moments(step.record, now) })));
  for (const step of steps.filter(({ exists }) => exists)) await updateImportedWorkflow(tx, ids, imported(step), now);
}

async function files({ tx, now, contents, orphaned }: Writing, steps: readonly Step<FileRecord>[]): Promise<void> {
  for (const { record, entityId, projectId, exists, links } of steps) {
    const { area, name, metadata } = record;
    const content = contents.get(entityId);
    const key = await writeImportedFile(tx, { id: entityId, projectId: inProject(projectId), parentId: links.parentId, area, name, content, metadata }, exists, moments(record, now));
    if (key !== undefined) orphaned(key);
  }
}

async function requirements({ tx, now }: Writing, steps: readonly Step<RequirementRecord>[]): Promise<void> {
  const columns = ({ title, description, status, priority, revision, metadata }: RequirementRecord) => ({ title, description, status, priority, revision, metadata: jsonIn(metadata) });
  await split(steps, ({ record, entityId, projectId }) => ({ id: entityId, projectId: inProject(projectId), ...columns(record), ...moments(record, now) }),
    (data) => tx.requirement.createMany({ data }), (ids) => tx.requirement.findMany({ where: { id: { in: ids } }, select: { id: true, metadata: true } }),
    ({ record, entityId }, _, metadata) => tx.requirement.update({ where: { id: entityId }, data: { ...columns(record), metadata: jsonIn({ ...metadata, ...record.metadata }), version: { increment: 1 }, updatedAt: now } }));
}

async function tasks({ tx, now }: Writing, steps: readonly Step<TaskRecord>[]): Promise<void> {
  const columns = async ({ record, projectId, links }: Step<TaskRecord>) => {
    const { title, description, status, assignedTo, sprint, parent } = record;
    return {
      title, description, status, sprintId: links.sprintId, parentId: links.parentId, ...await assignees(tx, inProject(projectId), assignedTo ?? null),
      metadata: { ...record.metadata, ...kept('sprintId', sprint, links.sprintId), ...kept('parentId', parent, links.parentId), ...(links.dependencyIds.length > 0 ? { dependencyIds: links.dependencyIds } : {}) },
    };
  };
  await split(steps, columns,
    (data) => tx.task.createMany({ data: steps.filter((step) => !step.exists).flatMap(({ record, entityId, projectId }, index) => {
      const fields = data[index];
      return fields === undefined ? [] : [{ id: entityId, projectId: inProject(projectId), ...fields, metadata: jsonIn(fields.metadata), ...moments(record, now) }];
    }) }),
    (ids) => tx.task.findMany({ where: { id: { in: ids } }, select: { id: true, metadata: true } }),
    ({ entityId }, fields, metadata) => tx.task.update({ where: { id: entityId }, data: { ...fields, metadata: jsonIn({ ...metadata, ...fields.metadata }), version: { increment: 1 }, updatedAt: now } }));
}

async function tickets({ tx, now }: Writing, steps: readonly Step<TicketRecord>[]): Promise<void> {
  const columns = ({ record, links }: Step<TicketRecord>) => {
    const { title, description, status, priority, type, assignee, sprint } = record;
    return { title, description, status, priority, type, assignee: assignee ?? null, sprintId: links.sprintId, metadata: jsonIn({ ...record.metadata, ...kept('sprintId', sprint, links.sprintId) }) };
  };
  await split(steps, (step) => ({ id: step.entityId, projectId: inProject(step.projectId), ...columns(step), ...moments(step.record, now) }),
    (data) => tx.ticket.createMany({ data }), (ids) => tx.ticket.findMany({ where: { id: { in: ids } }, select: { id: true, metadata: true } }),
    (step, _, metadata) => {
      const data = columns(step);
      return tx.ticket.update({ where: { id: step.entityId }, data: { ...data, metadata: jsonIn({ ...metadata, ...objectIn(data.metadata) }), version: { increment: 1 }, updatedAt: now } });
    });
}

/** A reference that stands for nothing stays as it was written. */
function kept(name: string, reference: Reference | undefined, found: string | null): Json {
  return reference === undefined || found !== null ? {} : { [name]: reference.oldId };
}

function dayIn(day: string | undefined): Date | null {
  return day === undefined ? null : new Date(`${day}T00:00:00Z`);
}

/** Records of a project come only after it was found. */
function inProject(projectId: string | null): string {
  if (projectId === null) throw new TypeError('a record of a project has none');
  return projectId;
}
