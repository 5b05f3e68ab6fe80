import { z } from 'zod';
import type { ProjectAgentModel, ProjectAgentWhereInput } from '../../prisma/gateway/index.ts';
import { ApiError } from '../errors.ts';
import { page } from '../operations/entity.ts';
import type { EntityValue, PageValue } from '../operations/entity.ts';
import { id, line, metadata, pageFields, TEXT_LIMITS } from '../operations/fields.ts';
import { defineList, defineMutation, defineQuery } from '../operations/operation.ts';
import type { MutationContext, Operation, OperationContext, Reached } from '../operations/operation.ts';
import { byTime, pageInput, rowsPage } from '../operations/paging.ts';
import type { PageInput } from '../operations/paging.ts';
import { jsonIn } from '../operations/row-values.ts';
import { changedRow, demandChange, gone, newest, updateKey } from '../operations/rows.ts';
import { agentOf, agentStatus, ProjectAgent } from './entities.ts';

/** A capability: a word. */
const capabilities = z.array(line(TEXT_LIMITS.label, 'A capability.')).max(100).describe('What it can do.');
const fields = {
  name: line(TEXT_LIMITS.name, 'Name.'), type: line(TEXT_LIMITS.label, 'Kind of work it is for: `Testing Agent`.'), status: agentStatus.optional(), capabilities: capabilities.optional(),
  configuration: metadata('How it is set up.').optional(), metadata: metadata('Whatever else there is to keep.').optional(),
};
const update = { ...fields, name: fields.name.optional(), type: fields.type.optional() };
const filters = { type: line(TEXT_LIMITS.label, 'Only those of this type.').optional(), ...pageFields };
const byId = z.strictObject({ id: id('Which agent.') });

type Fields = z.output<z.ZodObject<typeof fields>>;

/** Where an agent lies: in its project, or with its owner. */
function placeOf({ projectId, ownerId }: Pick<ProjectAgentModel, 'projectId' | 'ownerId'>): Reached<unknown>['target'] {
  return projectId === null ? { kind: 'user', resource: 'agents', userId: ownerId } : { kind: 'project', resource: 'agents', projectId };
}

function reachAgent(deleted = false): (context: OperationContext, input: { id: string }) => Promise<Reached<ProjectAgentModel> | undefined> {
  return async ({ services }, input) => {
    const row = await services.gateway.read((db) => db.projectAgent.findUnique({ where: { id: input.id } }));
    return row === null || (row.deletedAt !== null) !== deleted ? undefined : { target: placeOf(row), row };
  };
}

/** Only people own things. */
function ownerOf({ principal }: OperationContext): string {
  if (principal.kind !== 'user') throw new ApiError('FORBIDDEN', 'an agent needs an owner: sign in as a user');
  return principal.userId;
}

/** One page of agents that fit, the newest first. Rights have been checked. */
export async function agentPage({ services }: OperationContext, where: ProjectAgentWhereInput, input: PageInput): Promise<PageValue<EntityValue<typeof ProjectAgent>>> {
  const place = pageInput('agents', input);
  const { where: after, ...order } = newest(place);
  const rows = await services.gateway.read((db) => db.projectAgent.findMany({ ...order, where: { ...where, deletedAt: null, ...after } }));
  return rowsPage('agents', place, rows, agentOf, byTime);
}

async function create(context: MutationContext, projectId: string | null, input: Fields): Promise<EntityValue<typeof ProjectAgent>> {
  const now = new Date(context.services.clock.now());
  const row = await context.tx.projectAgent.create({ data: {
    id: context.services.ids.uuid(), projectId, ownerId: ownerOf(context), name: input.name, type: input.type, status: input.status ?? 'IDLE', capabilities: jsonIn(input.capabilities ?? []),
    configuration: jsonIn(input.configuration ?? {}), metadata: jsonIn(input.metadata ?? {}), createdAt: now, updatedAt: now,
  } });
  note(context, row, 'CREATED');
  return agentOf(row);
}

function note(context: MutationContext, { id: entityId, projectId }: ProjectAgentModel, kind: 'CREATED' | 'UPDATED' | 'DELETED' | 'RESTORED'): void {
  if (projectId !== null) context.changed({ projectId, kind, entity: 'ProjectAgent', entityId });
}

async function bin(context: MutationContext, row: ProjectAgentModel, deleted: boolean): Promise<EntityValue<typeof ProjectAgent>> {
  const now = new Date(context.services.clock.now());
  const [changed] = await context.tx.projectAgent.updateManyAndReturn({
    where: { id: row.id, deletedAt: deleted ? null : { not: null } }, data: { deletedAt: deleted ? now : null, updatedAt: now, version: { increment: 1 } },
  });
  if (changed === undefined) throw gone(row.id);
  note(context, changed, deleted ? 'DELETED' : 'RESTORED');
  return agentOf(changed);
}

/** Operations on agents of projects and of people. */
export const agentOperations: readonly Operation[] = [
  defineQuery({
    name: 'projectAgent', summary: 'One agent.', rest: { method: 'GET', path: '/agents/{id}' }, input: byId, output: ProjectAgent, right: { verb: 'get', resource: 'agents', on: 'project' },
    reach: reachAgent(), run: async (_, _input, row) => agentOf(row),
  }),
  defineList({
    name: 'projectAgents', summary: 'Agents of a project, the newest first.', rest: { method: 'GET', path: '/projects/{projectId}/agents' },
    input: z.strictObject({ projectId: id('The project.'), ...filters }), output: page(ProjectAgent), right: { verb: 'list', resource: 'agents', on: 'project' },
    run: (context, { projectId, type, ...input }) => agentPage(context, { projectId, ...(type === undefined ? {} : { type }) }, input),
  }),
  defineList({
    name: 'globalAgents', summary: 'The caller\'s agents of no project, the newest first.', rest: { method: 'GET', path: '/agents' },
    input: z.strictObject(pageFields), output: page(ProjectAgent), right: { verb: 'list', resource: 'agents', on: 'user' },
    run: (context, input) => agentPage(context, { ownerId: ownerOf(context), projectId: null }, input),
  }),
  defineMutation({
    name: 'createProjectAgent', summary: 'Makes an agent of a project.', rest: { method: 'POST', path: '/projects/{projectId}/agents', status: 201 },
    input: z.strictObject({ projectId: id('The project.'), ...fields }), output: ProjectAgent, right: { verb: 'create', resource: 'agents', on: 'project' },
    run: (context, { projectId, ...input }) => create(context, projectId, input),
  }),
  defineMutation({
    name: 'createGlobalAgent', summary: 'Makes an agent of the caller, for all of their projects.', rest: { method: 'POST', path: '/agents', status: 201 },
    input: z.strictObject(fields), output: ProjectAgent, right: { verb: 'create', resource: 'agents', on: 'user' },
    run: (context, input) => create(context, null, input),
  }),
  defineMutation({
    name: 'updateProjectAgent', summary: 'Changes an agent. What is left out stays as it is.', rest: { method: 'PATCH', path: '/agents/{id}' },
    input: z.strictObject({ ...updateKey, ...update }), output: ProjectAgent, right: { verb: 'patch', resource: 'agents', on: 'project' }, reach: reachAgent(),
    run: async (context, input, before) => {
      demandChange(input);
      const { id: agentId, version, capabilities: skills, configuration, metadata: more, name, type, status } = input;
      const rows = await context.tx.projectAgent.updateManyAndReturn({
        where: { id: agentId, version, deletedAt: null },
        data: {
          ...(name === undefined ? {} : { name }), ...(type === undefined ? {} : { type }), ...(status === undefined ? {} : { status }), ...(skills === undefined ? {} : { capabilities: jsonIn(skills) }),
          ...(configuration === undefined ? {} : { configuration: jsonIn(configuration) }), ...(more === undefined ? {} : { metadata: jsonIn(more) }),
          version: { increment: 1 }, updatedAt: new Date(context.services.clock.now()),
        },
      });
      const row = await changedRow('ProjectAgent', input, rows, () => context.tx.projectAgent.findUnique({ where: { id: agentId }, select: { version: true, deletedAt: true } }));
      note(context, before, 'UPDATED');
      return agentOf(row);
    },
  }),
  defineMutation({
    name: 'deleteProjectAgent', summary: 'Deletes an agent. It can be restored.', rest: { method: 'DELETE', path: '/agents/{id}' }, input: byId, output: ProjectAgent,
    right: { verb: 'delete', resource: 'agents', on: 'project' }, reach: reachAgent(), run: (context, _, row) => bin(context, row, true),
  }),
  defineMutation({
    name: 'restoreProjectAgent', summary: 'Takes an agent back out of the bin.', rest: { method: 'POST', path: '/agents/{id}/restore' }, input: byId, output: ProjectAgent,
    right: { verb: 'delete', resource: 'agents', on: 'project' }, reach: reachAgent(true), run: (context, _, row) => bin(context, row, false),
  }),
];
