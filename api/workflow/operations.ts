import { Buffer } from 'node:buffer';
import { z } from 'zod';
import { LIMITS } from '../../crds/names.ts';
import type { ProjectWorkflowModel } from '../../prisma/gateway/index.ts';
import { demand } from '../auth/can.ts';
import { ApiError } from '../errors.ts';
import { page } from '../operations/entity.ts';
import type { EntityValue, PageValue } from '../operations/entity.ts';
import { anyJson, id, line, metadata, pageFields, text, TEXT_LIMITS } from '../operations/fields.ts';
import { defineList, defineMutation, defineQuery } from '../operations/operation.ts';
import type { MutationContext, Operation, OperationContext, Reached } from '../operations/operation.ts';
import { byTime, pageInput, rowsPage } from '../operations/paging.ts';
import type { PageInput } from '../operations/paging.ts';
import { InvalidInput, invalidField } from '../operations/problems.ts';
import { jsonIn, objectIn } from '../operations/row-values.ts';
import { changedRow, demandChange, gone, newest, updateKey } from '../operations/rows.ts';
import { definitionProblems } from './definition.ts';
import { nodeOf, ProjectWorkflow, ProjectWorkflowNode, workflowOf, workflowStatus } from './entities.ts';
import { problemsIn } from './imported.ts';
import { writeNodes } from './nodes.ts';
import { objectNameOf } from './object-name.ts';

const definition = anyJson('The spec of a Workflow: an object. One that cannot run is kept as a draft, and `problems` says why.');
const fields = {
  name: line(TEXT_LIMITS.name, 'Name for people.'), description: text(TEXT_LIMITS.description, 'What it is for.').optional(), metadata: metadata('Places on the canvas, and whatever else there is to keep.').optional(),
};
const byId = z.strictObject({ id: id('Which workflow.') });

function reachWorkflow(deleted = false): (context: OperationContext, input: { id: string }) => Promise<Reached<ProjectWorkflowModel> | undefined> {
  return async ({ services }, input) => {
    const row = await services.gateway.read((db) => db.projectWorkflow.findUnique({ where: { id: input.id } }));
    if (row === null || (row.deletedAt !== null) !== deleted) return undefined;
    return { target: { kind: 'project', resource: 'workflows', projectId: row.projectId }, row };
  };
}

/** A definition as an object of a bounded size; what it says may be wrong: that is what drafts are for. Throws BAD_USER_INPUT. */
function draft(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidField('definition', value, 'is no object: give the spec of a Workflow, {"nodes": [...]}');
  if (Buffer.byteLength(JSON.stringify(value)) > LIMITS.specBytes) throw invalidField('definition', '…', `is larger than ${LIMITS.specBytes} bytes of JSON: split it, or use forEach`);
  return { ...value };
}

function note(context: MutationContext, { id: entityId, projectId }: ProjectWorkflowModel, kind: 'CREATED' | 'UPDATED' | 'DELETED' | 'RESTORED'): void {
  context.changed({ projectId, kind, entity: 'ProjectWorkflow', entityId });
}

async function changed(context: MutationContext, row: ProjectWorkflowModel, data: { readonly status: string; readonly objectName?: string; readonly publishedAt?: Date }): Promise<EntityValue<typeof ProjectWorkflow>> {
  const [now] = await context.tx.projectWorkflow.updateManyAndReturn({ where: { id: row.id, deletedAt: null }, data: { ...data, version: { increment: 1 }, updatedAt: new Date(context.services.clock.now()) } });
  if (now === undefined) throw gone(row.id);
  note(context, now, 'UPDATED');
  return workflowOf(now);
}

/** The namespace a project publishes into. Throws CONFLICT where it has none, FORBIDDEN where the caller may not write there. */
async function namespaceOf(context: OperationContext, { projectId }: ProjectWorkflowModel): Promise<string> {
  const { services, principal } = context;
  const namespace = await services.places.byProject(projectId, principal.kind === 'user' ? principal.userId : undefined).then((place) => place?.namespace ?? null);
  if (namespace === null) throw new ApiError('CONFLICT', `project ${projectId} is bound to no namespace: an administrator binds it, then publish again`);
  // A person's right in the project is the right in its namespace; an account of Kubernetes needs both.
  if (principal.kind === 'kubernetes') await demand(services.can, principal, 'patch', { kind: 'namespace', resource: 'workflows', namespace });
  return namespace;
}

async function publish(context: OperationContext, row: ProjectWorkflowModel): Promise<string> {
  const problems = definitionProblems(row.definition);
  if (problems.length > 0) throw new InvalidInput(problems.map(({ node, field, reason, message }) => ({ field, reason, message: node === undefined ? message : `${message} (node ${node})` })));
  const namespace = await namespaceOf(context, row);
  const name = row.objectName ?? objectNameOf(row);
  await context.services.publisher.publish({ namespace, name, workflowId: row.id, by: context.principal.name, spec: objectIn(row.definition) });
  return name;
}

async function unpublish(context: OperationContext, row: ProjectWorkflowModel): Promise<void> {
  if (row.status !== 'PUBLISHED' || row.objectName === null) return;
  await context.services.publisher.unpublish({ namespace: await namespaceOf(context, row), name: row.objectName, workflowId: row.id });
}

async function bin(context: MutationContext, row: ProjectWorkflowModel, deleted: boolean): Promise<EntityValue<typeof ProjectWorkflow>> {
  const now = new Date(context.services.clock.now());
  const [there] = await context.tx.projectWorkflow.updateManyAndReturn({
    where: { id: row.id, deletedAt: deleted ? null : { not: null } },
    data: { deletedAt: deleted ? now : null, ...(deleted && row.status === 'PUBLISHED' ? { status: 'INACTIVE' } : {}), updatedAt: now, version: { increment: 1 } },
  });
  if (there === undefined) throw gone(row.id);
  note(context, there, deleted ? 'DELETED' : 'RESTORED');
  return workflowOf(there);
}

/** One page of workflows that fit, the newest first. Rights have been checked. */
export async function workflowPage({ services }: OperationContext, filter: { readonly projectId: string; readonly status?: string }, input: PageInput): Promise<PageValue<EntityValue<typeof ProjectWorkflow>>> {
  const place = pageInput('workflows', input);
  const { where, ...order } = newest(place);
  const rows = await services.gateway.read((db) => db.projectWorkflow.findMany({ ...order, where: { ...filter, deletedAt: null, ...where } }));
  return rowsPage('workflows', place, rows, workflowOf, byTime);
}

const reads: readonly Operation[] = [
  defineQuery({
    name: 'projectWorkflow', summary: 'One workflow of a project.', rest: { method: 'GET', path: '/project-workflows/{id}' }, input: byId, output: ProjectWorkflow, right: { verb: 'get', resource: 'workflows', on: 'project' },
    reach: reachWorkflow(), run: async (_, _input, row) => workflowOf(row),
  }),
  defineList({
    name: 'projectWorkflows', summary: 'Workflows of a project, the newest first.', rest: { method: 'GET', path: '/projects/{projectId}/workflows' },
    input: z.strictObject({ projectId: id('The project.'), status: workflowStatus.optional(), ...pageFields }), output: page(ProjectWorkflow), right: { verb: 'list', resource: 'workflows', on: 'project' },
    run: (context, { projectId, status, ...input }) => workflowPage(context, { projectId, ...(status === undefined ? {} : { status }) }, input),
  }),
  defineList({
    name: 'projectWorkflowNodes', summary: 'Nodes of a workflow of a project, in their order.', rest: { method: 'GET', path: '/project-workflows/{id}/nodes' }, input: z.strictObject({ id: id('Which workflow.'), ...pageFields }),
    output: page(ProjectWorkflowNode), right: { verb: 'get', resource: 'workflows', on: 'project' }, reach: (context, input) => reachWorkflow()(context, input),
    run: async ({ services }, { id: workflowId, ...input }) => {
      const place = pageInput('workflow-nodes', input);
      const rows = await services.gateway.read((db) => db.projectWorkflowNode.findMany({
        where: { workflowId, ...(place.after === undefined ? {} : { position: { gt: Number(place.after.value) } }) }, orderBy: { position: 'asc' }, take: place.first + 1,
      }));
      return rowsPage('workflow-nodes', place, rows, nodeOf, (item) => [item.position, item.id]);
    },
  }),
];

const writes: readonly Operation[] = [
  defineMutation({
    name: 'createProjectWorkflow', summary: 'Makes a workflow of a project, as a draft.', rest: { method: 'POST', path: '/projects/{projectId}/workflows', status: 201 },
    input: z.strictObject({ projectId: id('The project.'), ...fields, definition }), output: ProjectWorkflow, right: { verb: 'create', resource: 'workflows', on: 'project' },
    run: async (context, input) => {
      if (context.principal.kind !== 'user') throw new ApiError('FORBIDDEN', 'a workflow of a project needs an owner: sign in as a user');
      const [spec, now] = [draft(input.definition), new Date(context.services.clock.now())];
      const row = await context.tx.projectWorkflow.create({ data: {
        id: context.services.ids.uuid(), projectId: input.projectId, ownerId: context.principal.userId, name: input.name, description: input.description ?? '', definition: jsonIn(spec), status: 'DRAFT',
        problems: problemsIn(definitionProblems(spec)), metadata: jsonIn(input.metadata ?? {}), createdAt: now, updatedAt: now,
      } });
      await writeNodes(context.tx, context.services.ids, row.id, spec);
      note(context, row, 'CREATED');
      return workflowOf(row);
    },
  }),
  defineMutation({
    name: 'updateProjectWorkflow', summary: 'Changes the draft of a workflow. What is published stays as it is until it is published again.', rest: { method: 'PATCH', path: '/project-workflows/{id}' },
    input: z.strictObject({ ...updateKey, ...fields, name: fields.name.optional(), definition: definition.optional() }), output: ProjectWorkflow, right: { verb: 'patch', resource: 'workflows', on: 'project' },
    reach: (context, input) => reachWorkflow()(context, input),
    run: async (context, input) => {
      demandChange(input);
      const { id: workflowId, version, name, description, metadata: more } = input;
      const spec = input.definition === undefined ? undefined : draft(input.definition);
      const rows = await context.tx.projectWorkflow.updateManyAndReturn({
        where: { id: workflowId, version, deletedAt: null },
        data: {
          ...(name === undefined ? {} : { name }), ...(description === undefined ? {} : { description }), ...(more === undefined ? {} : { metadata: jsonIn(more) }),
          ...(spec === undefined ? {} : { definition: jsonIn(spec), problems: problemsIn(definitionProblems(spec)) }), version: { increment: 1 }, updatedAt: new Date(context.services.clock.now()),
        },
      });
      const row = await changedRow('ProjectWorkflow', input, rows, () => context.tx.projectWorkflow.findUnique({ where: { id: workflowId }, select: { version: true, deletedAt: true } }));
      if (spec !== undefined) await writeNodes(context.tx, context.services.ids, row.id, spec);
      note(context, row, 'UPDATED');
      return workflowOf(row);
    },
  }),
  defineMutation({
    name: 'publishWorkflow', summary: 'Writes the Workflow object of a workflow into the namespace of its project.',
    description: 'Refused while it has problems, and where something else manages an object of its name. Safe to repeat.', rest: { method: 'POST', path: '/project-workflows/{id}/publish' }, input: byId, output: ProjectWorkflow,
    right: { verb: 'patch', resource: 'workflows', on: 'project' }, reach: reachWorkflow(), effect: (context, _, row) => publish(context, row),
    run: (context, _, row, objectName) => changed(context, row, { status: 'PUBLISHED', objectName, publishedAt: new Date(context.services.clock.now()) }),
  }),
  defineMutation({
    name: 'unpublishWorkflow', summary: 'Deletes the Workflow object of a workflow; runs that are under way go on.', rest: { method: 'POST', path: '/project-workflows/{id}/unpublish' }, input: byId, output: ProjectWorkflow,
    right: { verb: 'patch', resource: 'workflows', on: 'project' }, reach: reachWorkflow(), effect: (context, _, row) => unpublish(context, row),
    run: async (context, _, row) => (row.status === 'PUBLISHED' ? changed(context, row, { status: 'INACTIVE' }) : workflowOf(row)),
  }),
  defineMutation({
    name: 'deleteProjectWorkflow', summary: 'Deletes a workflow and its Workflow object. It can be restored, unpublished.', rest: { method: 'DELETE', path: '/project-workflows/{id}' }, input: byId, output: ProjectWorkflow,
    right: { verb: 'delete', resource: 'workflows', on: 'project' }, reach: reachWorkflow(), effect: (context, _, row) => unpublish(context, row), run: (context, _, row) => bin(context, row, true),
  }),
  defineMutation({
    name: 'restoreProjectWorkflow', summary: 'Takes a workflow back out of the bin.', rest: { method: 'POST', path: '/project-workflows/{id}/restore' }, input: byId, output: ProjectWorkflow,
    right: { verb: 'delete', resource: 'workflows', on: 'project' }, reach: reachWorkflow(true), run: (context, _, row) => bin(context, row, false),
  }),
];

/** Operations on workflows of projects. */
export const workflowOperations: readonly Operation[] = [...reads, ...writes];
