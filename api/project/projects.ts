import { z } from 'zod';
import { objectNameSchema } from '../../crds/parts.ts';
import { listProjects, projectsByIds } from '../../prisma/store/index.ts';
import type { ProjectRow } from '../../prisma/store/index.ts';
import { ApiError } from '../errors.ts';
import { batched } from '../graphql/context.ts';
import type { Batch } from '../graphql/context.ts';
import { together } from '../graphql/together.ts';
import { page } from '../operations/entity.ts';
import type { EntityValue, PageValue } from '../operations/entity.ts';
import { id, line, metadata, oneOf, pageFields, text, TEXT_LIMITS, webAddress } from '../operations/fields.ts';
import { defineList, defineMutation, defineQuery } from '../operations/operation.ts';
import type { MutationContext, Operation, OperationContext, Reached } from '../operations/operation.ts';
import { defined, pageInput, pageValue } from '../operations/paging.ts';
import { jsonIn } from '../operations/row-values.ts';
import { changedRow, demandChange, gone, updateKey } from '../operations/rows.ts';
import { direction } from './children.ts';
import { Project, projectOf, projectStatus } from './entities.ts';

const projectRows: Batch<string, ProjectRow | undefined> = {
  name: 'project-rows',
  read: ({ services: { db } }, ids) => Promise.all(ids.map((each) => together(db, 'project', (all) => projectsByIds(db, all), each))),
};

/** A project by its id, whoever asks; deleted ones too. */
export function projectRow(context: OperationContext, projectId: string): Promise<ProjectRow | undefined> {
  return batched(context, projectRows, projectId);
}

type Reach = (context: OperationContext, input: { id: string }) => Promise<Reached<ProjectRow> | undefined>;
const reachIn = (deleted: boolean): Reach => async (context, input) => {
  const row = await projectRow(context, input.id);
  return row === undefined || (row.deletedAt !== null) !== deleted ? undefined : { target: { kind: 'project', resource: 'projects', projectId: row.id }, row };
};
/** Loads a project that is there. */
export const reachProject: Reach = reachIn(false);

const byId = z.strictObject({ id: id('Which project.') });
const projectOrder = oneOf('ProjectOrder', 'What projects are ordered by.', { CREATED_AT: 'When they were made.', NAME: 'Their name.' });
const fields = {
  name: line(TEXT_LIMITS.name, 'Its name.'), description: text(TEXT_LIMITS.description, 'What it is about.').optional(), status: projectStatus.optional(),
  thumbnailUrl: webAddress('Its picture; null for none.').nullable().optional(), metadata: metadata('Whatever else there is to keep, an object.').optional(),
};
const listInput = z.strictObject({
  status: projectStatus.optional(), namespace: z.string().max(63).optional().describe('Only the one bound to this namespace.'), orderBy: projectOrder.optional(), direction: direction.optional(), ...pageFields,
});

const projects = defineList({
  name: 'projects', summary: 'Projects within your reach, the newest first where nothing else is said.',
  description: 'A Kubernetes account without the right in the whole cluster names a namespace.',
  rest: { method: 'GET', path: '/projects' }, input: listInput, output: page(Project), right: { verb: 'list', resource: 'projects', on: 'self' },
  run: (context, input) => listReachable(context, input),
});

/** A list holds what is within reach: a user's own and those of others they work on, all for who may list the installation. */
async function listReachable(context: OperationContext, input: z.output<typeof listInput>): Promise<PageValue<EntityValue<typeof Project>>> {
  const { services, principal } = context;
  const { status, namespace, orderBy, direction: way, ...rest } = input;
  const order = orderBy === 'NAME' ? 'name' : 'createdAt';
  const ascending = (way ?? (order === 'name' ? 'ASC' : 'DESC')) === 'ASC';
  const made = `project-${order}-${ascending ? 'asc' : 'desc'}`;
  const place = pageInput(made, rest);
  if (order === 'name' && status !== undefined) throw new ApiError('BAD_USER_INPUT', 'orderBy NAME goes with no filter by status: leave the filter out, or order by CREATED_AT');
  const rows = await listProjects(services.db, {
    ...await whose(context, namespace), ...defined({ status, namespace }), order, ascending, ...place,
  });
  const items = rows.rows.map(projectOf);
  if (principal.kind === 'kubernetes' && namespace !== undefined && items[0] !== undefined && !await services.can(principal, 'get', { kind: 'project', resource: 'projects', projectId: items[0].id })) {
    return pageValue<EntityValue<typeof Project>>(made, { items: [], hasMore: false }, false, (item) => ['', item.id]);
  }
  return pageValue(made, { items, hasMore: rows.hasMore }, place.after !== undefined, (item) => [order === 'name' ? item.name : Date.parse(item.createdAt), item.id]);
}

async function whose({ services, principal }: OperationContext, namespace: string | undefined): Promise<{ userId?: string }> {
  const everything = principal.kind === 'kubernetes' ? await services.can(principal, 'list', { kind: 'installation', resource: 'projects' }) : principal.role === 'ADMIN';
  if (everything) return {};
  if (principal.kind === 'user') return { userId: principal.userId };
  if (namespace !== undefined) return {};
  throw new ApiError('FORBIDDEN', `${principal.name} may not list projects.rambo.dev in this installation: name a namespace, or ask for a role that allows it`);
}

const createProject = defineMutation({
  name: 'createProject', summary: 'Makes a project, which belongs to you.', rest: { method: 'POST', path: '/projects', status: 201 },
  input: z.strictObject(fields), output: Project, right: { verb: 'create', resource: 'projects', on: 'installation' },
  run: async (context, input) => insertProject(context, input),
});

/** Makes a project of the caller within a transaction: also for imports. Throws FORBIDDEN for who is no user. */
export async function insertProject(context: MutationContext, input: z.output<z.ZodObject<typeof fields>>): Promise<EntityValue<typeof Project>> {
  const { tx, services, principal } = context;
  if (principal.kind !== 'user') throw new ApiError('FORBIDDEN', 'a project belongs to a person: sign in as a user to make one');
  const { name, description, status, thumbnailUrl = null, metadata: more } = input;
  const now = new Date(services.clock.now());
  const row = await tx.project.create({ data: {
    id: services.ids.uuid(), name, description: description ?? '', status: status ?? 'ACTIVE', ownerId: principal.userId, thumbnailUrl, metadata: jsonIn(more ?? {}), createdAt: now, updatedAt: now,
  } });
  context.changed({ projectId: row.id, kind: 'CREATED', entity: 'Project', entityId: row.id });
  return projectOf({ ...row, seq: row.seq + 1 });
}

const updateProject = defineMutation({
  name: 'updateProject', summary: 'Changes a project. What is left out stays as it is.', rest: { method: 'PATCH', path: '/projects/{id}' },
  input: z.strictObject({ ...updateKey, ...fields, name: fields.name.optional() }), output: Project, right: { verb: 'patch', resource: 'projects', on: 'project' }, reach: reachProject,
  run: async (context, input) => {
    demandChange(input);
    const { id: _id, version: _version, metadata: more, ...rest } = input;
    return changeProject(context, input, { ...defined(rest), ...(more === undefined ? {} : { metadata: jsonIn(more) }) });
  },
});

type Data = Parameters<MutationContext['tx']['project']['updateManyAndReturn']>[0]['data'];

/** Compare-and-set of a project. */
async function changeProject(context: MutationContext, input: { id: string; version: number }, data: Data): Promise<EntityValue<typeof Project>> {
  const { tx, services } = context;
  const rows = await tx.project.updateManyAndReturn({
    where: { id: input.id, version: input.version, deletedAt: null }, data: { ...data, version: { increment: 1 }, updatedAt: new Date(services.clock.now()) },
  });
  const row = await changedRow('project', input, rows, () => tx.project.findUnique({ where: { id: input.id }, select: { version: true, deletedAt: true } }));
  context.changed({ projectId: row.id, kind: 'UPDATED', entity: 'Project', entityId: row.id });
  return projectOf({ ...row, seq: row.seq + 1 });
}

function bin(deleted: boolean): (context: MutationContext, input: { id: string }) => Promise<EntityValue<typeof Project>> {
  return async (context, input) => {
    const { tx, services } = context;
    const now = new Date(services.clock.now());
    const [row] = await tx.project.updateManyAndReturn({
      where: { id: input.id, deletedAt: deleted ? null : { not: null } }, data: { deletedAt: deleted ? now : null, updatedAt: now, version: { increment: 1 } },
    });
    if (row === undefined) throw gone(input.id);
    context.changed({ projectId: row.id, kind: deleted ? 'DELETED' : 'RESTORED', entity: 'Project', entityId: row.id });
    return projectOf({ ...row, seq: row.seq + 1 });
  };
}

const transferProject = defineMutation({
  name: 'transferProject', summary: 'Hands a project over to one of its members.', description: 'The old owner stays as a manager.', rest: { method: 'POST', path: '/projects/{id}/transfer' },
  input: z.strictObject({ ...updateKey, ownerId: id('The member it goes to.') }), output: Project, right: { verb: 'delete', resource: 'projects', on: 'project' }, reach: reachProject,
  audit: ({ ownerId }) => ({ ownerId }),
  run: async (context, input, row) => {
    const { tx, services } = context;
    const { ownerId } = input;
    if (ownerId === row.ownerId) throw new ApiError('CONFLICT', `ownerId ${ownerId} owns the project already`);
    const member = await tx.projectMember.findFirst({ where: { projectId: row.id, userId: ownerId, user: { disabledAt: null } }, select: { userId: true } });
    if (member === null) throw new ApiError('NOT_FOUND', `ownerId ${ownerId} is no member of this project: make them one first`);
    const project = await changeProject(context, input, { ownerId });
    await tx.projectMember.delete({ where: { projectId_userId: { projectId: row.id, userId: ownerId } } });
    await tx.projectMember.create({ data: { projectId: row.id, userId: row.ownerId, role: 'MANAGER', createdAt: new Date(services.clock.now()) } });
    return project;
  },
});

const bindProjectNamespace = defineMutation({
  name: 'bindProjectNamespace', summary: 'Binds a project to a Kubernetes namespace, or unbinds it.', description: 'Runs of the project are there; whoever works on the project may do there what its roles say.',
  rest: { method: 'PUT', path: '/projects/{id}/namespace' },
  input: z.strictObject({ ...updateKey, namespace: objectNameSchema.nullable().describe('The namespace; null for none.') }), output: Project,
  right: { verb: 'patch', resource: 'projects', on: 'project', admin: true }, reach: reachProject, audit: ({ namespace }) => ({ namespace }),
  taken: ({ namespace }) => `namespace ${namespace ?? ''} is bound to another project: unbind it there first`,
  run: (context, input) => changeProject(context, input, { namespace: input.namespace }),
});

/** Operations on projects themselves. */
export const ownProjectOperations: readonly Operation[] = [
  projects,
  defineQuery({
    name: 'project', summary: 'One project.', rest: { method: 'GET', path: '/projects/{id}' }, input: byId, output: Project, right: { verb: 'get', resource: 'projects', on: 'project' }, covered: true,
    reach: reachProject, run: async (_, _input, row) => projectOf(row),
  }),
  createProject, updateProject, transferProject, bindProjectNamespace,
  defineMutation({
    name: 'deleteProject', summary: 'Deletes a project with all that is in it. It can be restored.', rest: { method: 'DELETE', path: '/projects/{id}' }, input: byId, output: Project,
    right: { verb: 'delete', resource: 'projects', on: 'project' }, reach: reachProject, run: bin(true),
  }),
  defineMutation({
    name: 'restoreProject', summary: 'Takes a project back out of the bin.', rest: { method: 'POST', path: '/projects/{id}/restore' }, input: byId, output: Project,
    right: { verb: 'delete', resource: 'projects', on: 'project' }, reach: reachIn(true), run: bin(false),
  }),
];
