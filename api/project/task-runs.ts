import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { ListCursor, Page, ProjectRow, TaskRow, TaskRunRow } from '../../prisma/store/index.ts';
import { ApiError } from '../errors.ts';
import { batched } from '../graphql/context.ts';
import type { Batch } from '../graphql/context.ts';
import { page } from '../operations/entity.ts';
import type { PageValue } from '../operations/entity.ts';
import { id, pageFields } from '../operations/fields.ts';
import { defineList, defineMutation } from '../operations/operation.ts';
import type { Operation, OperationContext, Reached } from '../operations/operation.ts';
import { pageInput, pageValue } from '../operations/paging.ts';
import type { PageInput } from '../operations/paging.ts';
import { Run, runOf } from '../workflow/run-entity.ts';
import { requestOf, runAfter, startFields, startIn } from '../workflow/run-operations.ts';
import { childRow, reachChild } from './children.ts';
import { projectRow } from './projects.ts';
import { taskKind } from './tasks.ts';

const ORDER = 'task-run';
const which = id('Which task.');

/** Pages read one after the other, where nothing on one may be shown: a caller with no right at all must not make us read for ever. */
const MOST_HIDDEN = 20;

/** What of a page may be shown, and the last row that was read: further reading begins there, and only we know it. */
interface Seen extends Page<TaskRunRow> { readonly last: TaskRunRow | undefined }

/**
 * Runs of a task that the caller may see: each is looked at in its own namespace, which may not be the project's any more. Runs that
 * retention has taken are left out. A page has an entry, unless there is none further on.
 */
export async function taskRunPage(context: OperationContext, taskId: string, input: PageInput): Promise<PageValue<TaskRunRow>> {
  const { first, after } = pageInput(ORDER, input);
  let from = after;
  for (let pages = 1; ; pages++) {
    const { rows, hasMore, last } = await batched(context, batchAt(first, from), taskId);
    const through = rows.length > 0 || !hasMore || last === undefined || pages === MOST_HIDDEN;
    if (through) return pageValue(ORDER, { items: rows, hasMore: hasMore && rows.length > 0 }, after !== undefined, ({ linkedAt, id: runId }) => [linkedAt, runId]);
    from = { value: last.linkedAt, id: last.id };
  }
}

function batchAt(first: number, after: ListCursor | undefined): Batch<string, Seen> {
  return { name: `task-runs-${first}-${after?.id ?? ''}`, read: async (of, ids) => seen(of, await of.services.runs.ofTasks(ids, after, first)) };
}

/** What of many pages the caller may see: the right is asked for once per namespace. */
async function seen({ services, principal }: OperationContext, pages: readonly Page<TaskRunRow>[]): Promise<readonly Seen[]> {
  const namespaces = [...new Set(pages.flatMap(({ rows }) => rows.map(({ namespace }) => namespace)))];
  const rights = await Promise.all(namespaces.map((namespace) => services.can(principal, 'get', { kind: 'namespace', resource: 'workflowruns', namespace })));
  const open = new Set(namespaces.filter((_, index) => rights[index] === true));
  return pages.map(({ rows, hasMore }) => ({ hasMore, rows: rows.filter(({ namespace }) => open.has(namespace)), last: rows.at(-1) }));
}

interface TaskPlace { readonly task: TaskRow; readonly project: ProjectRow }

/** A task that the caller may see, and the namespace that its runs are in. */
async function reachNamespace(context: OperationContext, input: { id: string }): Promise<Reached<TaskPlace> | undefined> {
  const task = await childRow(context, 'task', input.id);
  if (task === undefined || task.deletedAt !== null) return undefined;
  const { services, principal } = context;
  if (!await services.can(principal, 'get', { kind: 'project', resource: 'tasks', projectId: task.projectId })) return undefined;
  const project = await projectRow(context, task.projectId);
  if (project === undefined) return undefined;
  const { namespace } = project;
  if (namespace === null) throw new ApiError('CONFLICT', `project ${project.id} is bound to no namespace, so there is nowhere to run: an administrator binds it`);
  return { target: { kind: 'namespace', resource: 'workflowruns', namespace }, row: { task, project } };
}

/** Operations on the runs of a task. */
export const taskRunOperations: readonly Operation[] = [
  defineList({
    name: 'taskRuns', graphql: false, summary: 'Runs that were started for a task, the newest first.', rest: { method: 'GET', path: '/tasks/{id}/runs' }, input: z.strictObject({ id: which, ...pageFields }), output: page(Run),
    right: { verb: 'get', resource: 'tasks', on: 'project' }, covered: true, reach: reachChild(taskKind),
    run: async (context, input) => {
      const { items, cursorOf, ...rest } = await taskRunPage(context, input.id, input);
      const places = new Map(items.map((row) => [row.id, cursorOf(row)]));
      return { ...rest, items: items.map((row) => runOf(row)), cursorOf: ({ id: runId }) => places.get(runId) ?? '' };
    },
  }),
  defineMutation({
    name: 'startTaskRun', summary: 'Starts a run for a task, in the namespace of its project.', rest: { method: 'POST', path: '/tasks/{id}/runs', status: 201 },
    input: z.strictObject({ id: which, ...startFields }), output: Run, right: { verb: 'create', resource: 'workflowruns', on: 'namespace' }, reach: reachNamespace,
    audit: ({ id: taskId }) => ({ taskId }),
    // The run is made before it is linked: a crash in between leaves a run without a link, and the same key gives the same run again.
    effect: (context, { id: taskId, ...input }, { project }, key) => startIn(context, {
      ...requestOf(input), namespace: project.namespace ?? '', idempotencyKey: key === undefined ? undefined : createHash('sha256').update(JSON.stringify([taskId, key])).digest('hex'),
    }),
    run: async (context, input, { task }, runId) => {
      await context.tx.taskRun.createMany({ data: [{ taskId: task.id, runId, createdAt: new Date(context.services.clock.now()) }], skipDuplicates: true });
      context.changed({ projectId: task.projectId, kind: 'UPDATED', entity: 'Task', entityId: input.id });
      return runAfter(context, runId);
    },
  }),
];
