import { z } from 'zod';
import { listMembers } from '../../prisma/store/index.ts';
import type { MemberRow } from '../../prisma/store/index.ts';
import { ApiError } from '../errors.ts';
import { batched } from '../graphql/context.ts';
import type { Batch } from '../graphql/context.ts';
import { page } from '../operations/entity.ts';
import type { EntityValue, PageValue } from '../operations/entity.ts';
import { id, pageFields } from '../operations/fields.ts';
import { defineList, defineMutation } from '../operations/operation.ts';
import type { MutationContext, Operation, OperationContext } from '../operations/operation.ts';
import { pageInput, pageValue } from '../operations/paging.ts';
import type { PageInput } from '../operations/paging.ts';
import { memberOf, memberRole, ProjectMember } from './entities.ts';
import { reachProject } from './projects.ts';

const ORDER = 'member';
const projectId = id('The project.');
const userId = id('The user.');
const key = z.strictObject({ projectId, userId });

/** Members of one project; those of many projects share a statement. */
export async function memberPage(context: OperationContext, of: string, input: PageInput): Promise<PageValue<EntityValue<typeof ProjectMember>>> {
  const { first, after } = pageInput(ORDER, input);
  const batch: Batch<string, { readonly rows: readonly MemberRow[]; readonly hasMore: boolean }> = {
    name: `members-${first}-${after?.id ?? ''}`, read: ({ services }, ids) => listMembers(services.db, ids, after?.id, first),
  };
  const { rows, hasMore } = await batched(context, batch, of);
  return pageValue(ORDER, { items: rows.map(memberOf), hasMore }, after !== undefined, (item) => [0, item.userId]);
}

/** The member's row as people see it. */
async function memberRow({ tx }: MutationContext, where: { projectId: string; userId: string }): Promise<EntityValue<typeof ProjectMember>> {
  const row = await tx.projectMember.findUnique({ where: { projectId_userId: where }, include: { user: { include: { profile: { select: { displayName: true } } } } } });
  if (row === null) throw noMember(where.userId);
  return memberOf({ ...row, displayName: row.user.profile?.displayName ?? null });
}

function noMember(who: string): ApiError {
  return new ApiError('NOT_FOUND', `${who} is no member of this project`);
}

/** Adds a member within a transaction; who is one already, or owns the project, stays what they are. */
export async function joinProject({ tx, services, changed }: MutationContext, member: { projectId: string; userId: string; role: string }): Promise<void> {
  const owned = await tx.project.findFirst({ where: { id: member.projectId, ownerId: member.userId }, select: { id: true } });
  if (owned !== null) return;
  const { count } = await tx.projectMember.createMany({ data: [{ ...member, createdAt: new Date(services.clock.now()) }], skipDuplicates: true });
  if (count > 0) changed({ projectId: member.projectId, kind: 'CREATED', entity: 'ProjectMember', entityId: member.userId });
}

async function removed(context: MutationContext, where: { projectId: string; userId: string }): Promise<EntityValue<typeof ProjectMember>> {
  const row = await memberRow(context, where);
  await context.tx.projectMember.delete({ where: { projectId_userId: where } });
  context.changed({ projectId: where.projectId, kind: 'DELETED', entity: 'ProjectMember', entityId: where.userId });
  return row;
}

/** Operations on members. */
export const memberOperations: readonly Operation[] = [
  defineList({
    name: 'projectMembers', summary: 'Members of a project. Its owner is none of them.', rest: { method: 'GET', path: '/projects/{projectId}/members' },
    input: z.strictObject({ projectId, ...pageFields }), output: page(ProjectMember), right: { verb: 'list', resource: 'members', on: 'project' },
    run: (context, input) => memberPage(context, input.projectId, input),
  }),
  defineMutation({
    name: 'addProjectMember', summary: 'Makes a user whose id you know a member. Others are invited.', rest: { method: 'POST', path: '/projects/{projectId}/members', status: 201 },
    input: z.strictObject({ projectId, userId, role: memberRole }), output: ProjectMember, right: { verb: 'create', resource: 'members', on: 'project' },
    audit: ({ userId: who, role }) => ({ userId: who, role }), taken: ({ userId: who }) => `${who} is a member already: change their role instead`,
    run: async (context, input) => {
      const { tx, services } = context;
      const user = await tx.user.findFirst({ where: { id: input.userId, disabledAt: null, emailVerified: true }, select: { id: true } });
      if (user === null) throw new ApiError('NOT_FOUND', `userId ${input.userId} is nobody who can become a member: there is no such user, or their address is not verified`);
      const project = await tx.project.findUniqueOrThrow({ where: { id: input.projectId }, select: { ownerId: true } });
      if (project.ownerId === input.userId) throw new ApiError('CONFLICT', `${input.userId} owns the project: hand it over first`);
      await tx.projectMember.create({ data: { ...input, createdAt: new Date(services.clock.now()) } });
      context.changed({ projectId: input.projectId, kind: 'CREATED', entity: 'ProjectMember', entityId: input.userId });
      return memberRow(context, { projectId: input.projectId, userId: input.userId });
    },
  }),
  defineMutation({
    name: 'updateProjectMember', summary: 'Gives a member another role.', rest: { method: 'PATCH', path: '/projects/{projectId}/members/{userId}' },
    input: z.strictObject({ projectId, userId, role: memberRole }), output: ProjectMember, right: { verb: 'patch', resource: 'members', on: 'project' },
    audit: ({ userId: who, role }) => ({ userId: who, role }),
    run: async (context, { role, ...where }) => {
      const { count } = await context.tx.projectMember.updateMany({ where, data: { role } });
      if (count === 0) throw noMember(where.userId);
      context.changed({ projectId: where.projectId, kind: 'UPDATED', entity: 'ProjectMember', entityId: where.userId });
      return memberRow(context, where);
    },
  }),
  defineMutation({
    name: 'removeProjectMember', summary: 'Takes a member out of a project.', rest: { method: 'DELETE', path: '/projects/{projectId}/members/{userId}' },
    input: key, output: ProjectMember, right: { verb: 'delete', resource: 'members', on: 'project' }, audit: ({ userId: who }) => ({ userId: who }), run: (context, where) => removed(context, where),
  }),
  defineMutation({
    name: 'leaveProject', summary: 'Ends your own membership.', rest: { method: 'POST', path: '/projects/{id}/leave' }, input: z.strictObject({ id: id('The project.') }), output: ProjectMember,
    right: { verb: 'get', resource: 'projects', on: 'project' }, reach: reachProject,
    run: async (context, { id: of }) => {
      const { principal } = context;
      if (principal.kind !== 'user') throw noMember(principal.name);
      return removed(context, { projectId: of, userId: principal.userId });
    },
  }),
];
