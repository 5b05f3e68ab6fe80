import type { z } from 'zod';
import type { GatewayDb } from '../../prisma/gateway/index.ts';
import { ApiError } from '../errors.ts';
import { id, line, metadata, text, TEXT_LIMITS } from '../operations/fields.ts';
import type { MutationContext, Operation } from '../operations/operation.ts';
import { defined } from '../operations/paging.ts';
import { jsonIn } from '../operations/row-values.ts';
import { assignees } from './assignees.ts';
import { commonOperations, ownOperations } from './children.ts';
import type { ChildKind, ChildWrites } from './children.ts';
import { Task, taskOf, taskStatus } from './entities.ts';

/** Tasks, as the operations of all kinds see them. */
export const taskKind: ChildKind<'task', typeof Task> = { table: 'task', entity: Task, plural: 'tasks', resource: 'tasks', toEntity: taskOf };

/** Levels of parts of parts. */
const MOST_LEVELS = 10;

const assignedTo = line(TEXT_LIMITS.label, 'Who or what does it: the name of an agent, a workflow or a team; null for nobody.').nullable().optional();
const create = {
  title: line(TEXT_LIMITS.title, 'What is to be done.'), description: text(TEXT_LIMITS.description, 'The details.').optional(), status: taskStatus.optional(),
  assignedTo, sprintId: id('The sprint it is in; null for none.').nullable().optional(), parentId: id('The task it is a part of; null for none.').nullable().optional(),
  metadata: metadata('Whatever else there is to keep, an object.').optional(),
};
const update = { ...create, title: create.title.optional() };
const filters = {
  status: taskStatus.optional(), assignedTo: line(TEXT_LIMITS.label, 'Only those assigned to this name.').optional(),
  sprintId: id('Only those in this sprint.').optional(), parentId: id('Only the parts of this task.').optional(),
};

type Create = z.output<z.ZodObject<typeof create>>;
type Update = z.output<z.ZodObject<typeof update>>;

const writes: ChildWrites<'task', Create, Update> = {
  create: async (context, input, times) => {
    const { projectId, title, description, status, metadata: more, sprintId = null, parentId = null } = input;
    await demandPlaces(context.tx, projectId, undefined, { sprintId, parentId });
    return context.tx.task.create({ data: {
      id: context.services.ids.uuid(), projectId, title, description: description ?? '', status: status ?? 'TO_DO', sprintId, parentId, metadata: jsonIn(more ?? {}),
      ...await assignees(context.tx, projectId, input.assignedTo ?? null), ...times,
    } });
  },
  update: async (context, input, row, updatedAt) => {
    const { id: taskId, version, metadata: more, assignedTo: name, ...rest } = input;
    await demandPlaces(context.tx, row.projectId, taskId, rest);
    return context.tx.task.updateManyAndReturn({
      where: { id: taskId, version, deletedAt: null },
      data: {
        ...defined(rest), ...(more === undefined ? {} : { metadata: jsonIn(more) }), ...(name === undefined ? {} : await assignees(context.tx, row.projectId, name)),
        version: { increment: 1 }, updatedAt,
      },
    });
  },
  current: (tx, taskId) => tx.task.findUnique({ where: { id: taskId }, select: { version: true, deletedAt: true } }),
  bin: (tx, taskId, deletedAt, updatedAt) => tx.task.updateManyAndReturn({
    where: { id: taskId, deletedAt: deletedAt === null ? { not: null } : null }, data: { deletedAt, updatedAt, version: { increment: 1 } },
  }),
};

/** A sprint or a task that is named must be of the same project: nobody reaches into another one through a field. */
async function demandPlaces(tx: GatewayDb, projectId: string, taskId: string | undefined, { sprintId, parentId }: { sprintId?: string | null | undefined; parentId?: string | null | undefined }): Promise<void> {
  if (sprintId != null) await demandSprint(tx, projectId, sprintId);
  if (parentId == null) return;
  let above: string | null = parentId;
  for (let level = 0; above !== null; level++) {
    if (above === taskId) throw new ApiError('CONFLICT', `parentId ${parentId} is the task itself or a part of it: a task cannot be a part of itself`);
    if (level >= MOST_LEVELS) throw new ApiError('CONFLICT', `parentId ${parentId} lies too deep: at most ${MOST_LEVELS} levels of parts`);
    const task: { parentId: string | null } | null = await tx.task.findFirst({ where: { id: above, projectId, ...(level === 0 ? { deletedAt: null } : {}) }, select: { parentId: true } });
    if (task === null) throw new ApiError('NOT_FOUND', `parentId ${parentId} is no task of this project`);
    above = task.parentId;
  }
}

/** Throws NOT_FOUND unless the sprint is one of the project. */
export async function demandSprint(tx: GatewayDb, projectId: string, sprintId: string): Promise<void> {
  const sprint = await tx.sprint.findFirst({ where: { id: sprintId, projectId, deletedAt: null }, select: { id: true } });
  if (sprint === null) throw new ApiError('NOT_FOUND', `sprintId ${sprintId} is no sprint of this project`);
}

/** Operations on tasks. */
export const taskOperations: readonly Operation[] = [
  ...ownOperations(taskKind, {
    filters, create, update,
    by: ({ sprintId, parentId, ...rest }, projectId) => {
      const narrowed = defined(rest);
      if (parentId !== undefined) return { by: 'parentId', parent: parentId, filters: { ...narrowed, projectId, ...(sprintId === undefined ? {} : { sprintId }) } };
      if (sprintId !== undefined) return { by: 'sprintId', parent: sprintId, filters: { ...narrowed, projectId } };
      return { by: 'projectId', parent: projectId, filters: narrowed };
    },
  }, writes),
  ...commonOperations(taskKind, writes),
];

/** Makes a task within somebody else's transaction: for imports. The caller's right has been checked. */
export async function createTask(context: MutationContext, input: Create & { projectId: string }): Promise<{ readonly id: string }> {
  const now = new Date(context.services.clock.now());
  return writes.create(context, input, { createdAt: now, updatedAt: now });
}
