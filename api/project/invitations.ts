import { z } from 'zod';
import { ApiError } from '../errors.ts';
import { page } from '../operations/entity.ts';
import type { EntityValue, PageValue } from '../operations/entity.ts';
import { id, pageFields } from '../operations/fields.ts';
import { defineList, defineMutation } from '../operations/operation.ts';
import type { Operation, OperationContext, Reached } from '../operations/operation.ts';
import { pageInput, pageValue, rowsPage } from '../operations/paging.ts';
import type { PageInput } from '../operations/paging.ts';
import { gone } from '../operations/rows.ts';
import type { GatewayDb, Prisma } from '../../prisma/gateway/index.ts';
import { invitationOf, memberRole, ProjectInvitation } from './entities.ts';
import { joinProject } from './members.ts';

/** An invitation is good for so long. */
const INVITATION_TTL_MS = 14 * 86_400_000;
const ORDER = 'invitation';

const projectId = id('The project.');
const byId = z.strictObject({ id: id('Which invitation.') });
const address = z.email('is no address: write it like name@example.org').max(254).toLowerCase().describe('Their address. Whether somebody has an account under it is not told.');

type Row = NonNullable<Awaited<ReturnType<GatewayDb['projectInvitation']['findUnique']>>>;

async function invitationPage({ services }: OperationContext, where: Prisma.ProjectInvitationWhereInput, input: PageInput): Promise<PageValue<EntityValue<typeof ProjectInvitation>>> {
  const place = pageInput(ORDER, input);
  const { first, after } = place;
  const rows = await services.gateway.read((db) => db.projectInvitation.findMany({
    where: { ...where, ...(after === undefined ? {} : { id: { gt: after.id } }) }, orderBy: { id: 'asc' }, take: first + 1,
  }));
  return rowsPage(ORDER, place, rows, invitationOf, (item) => [0, item.id]);
}

/** Those that can still be taken. */
function open(now: number): Prisma.ProjectInvitationWhereInput {
  return { acceptedAt: null, expiresAt: { gt: new Date(now) }, project: { deletedAt: null } };
}

async function reachInvitation({ services }: OperationContext, input: { id: string }): Promise<Reached<Row> | undefined> {
  const row = await services.gateway.read((db) => db.projectInvitation.findUnique({ where: { id: input.id } }));
  return row === null ? undefined : { target: { kind: 'project', resource: 'members', projectId: row.projectId }, row };
}

/** The verified address of the caller: an invitation to an address is nobody else's. */
function addressOf({ principal }: OperationContext): string | undefined {
  return principal.kind === 'user' && principal.emailVerified ? principal.email?.toLowerCase() : undefined;
}

/** Operations on invitations. */
export const invitationOperations: readonly Operation[] = [
  defineList({
    name: 'projectInvitations', summary: 'Open invitations to a project.', rest: { method: 'GET', path: '/projects/{projectId}/invitations' }, input: z.strictObject({ projectId, ...pageFields }),
    output: page(ProjectInvitation), right: { verb: 'patch', resource: 'members', on: 'project' },
    run: (context, input) => invitationPage(context, { ...open(context.services.clock.now()), projectId: input.projectId }, input),
  }),
  defineMutation({
    name: 'inviteProjectMember', summary: 'Invites the owner of an address.', description: 'An invitation to the same address that is open already is renewed.',
    rest: { method: 'POST', path: '/projects/{projectId}/invitations', status: 201 }, input: z.strictObject({ projectId, email: address, role: memberRole }), output: ProjectInvitation,
    right: { verb: 'create', resource: 'members', on: 'project' }, audit: ({ role }) => ({ role }),
    run: async (context, input) => {
      const { tx, services, principal } = context;
      const now = services.clock.now();
      const fresh = { role: input.role, invitedBy: principal.name, createdAt: new Date(now), expiresAt: new Date(now + INVITATION_TTL_MS), acceptedAt: null };
      const row = await tx.projectInvitation.upsert({
        where: { projectId_email: { projectId: input.projectId, email: input.email } }, update: fresh, create: { id: services.ids.uuid(), projectId: input.projectId, email: input.email, ...fresh },
      });
      context.changed({ projectId: input.projectId, kind: 'CREATED', entity: 'ProjectInvitation', entityId: row.id });
      return invitationOf(row);
    },
  }),
  defineMutation({
    name: 'revokeProjectInvitation', summary: 'Takes an invitation back.', rest: { method: 'DELETE', path: '/invitations/{id}' }, input: byId, output: ProjectInvitation,
    right: { verb: 'delete', resource: 'members', on: 'project' }, reach: reachInvitation,
    run: async (context, input, row) => {
      const { count } = await context.tx.projectInvitation.deleteMany({ where: { id: input.id, acceptedAt: null } });
      if (count === 0) throw new ApiError('CONFLICT', `invitation ${input.id} has been taken: remove the member instead`);
      context.changed({ projectId: row.projectId, kind: 'DELETED', entity: 'ProjectInvitation', entityId: row.id });
      return invitationOf(row);
    },
  }),
  defineList({
    name: 'invitations', summary: 'Open invitations to your own verified address.', rest: { method: 'GET', path: '/invitations' }, input: z.strictObject({ ...pageFields }), output: page(ProjectInvitation),
    right: { verb: 'list', resource: 'members', on: 'self' },
    run: async (context, input) => {
      const email = addressOf(context);
      if (email === undefined) return pageValue<EntityValue<typeof ProjectInvitation>>(ORDER, { items: [], hasMore: false }, false, (item) => [0, item.id]);
      return invitationPage(context, { ...open(context.services.clock.now()), email }, input);
    },
  }),
  defineMutation({
    name: 'acceptProjectInvitation', summary: 'Takes an invitation to your own verified address: you are a member then.', rest: { method: 'POST', path: '/invitations/{id}/accept' }, input: byId, output: ProjectInvitation,
    right: { verb: 'patch', resource: 'members', on: 'self' },
    run: async (context, input) => {
      const { tx, services, principal } = context;
      const email = addressOf(context);
      const where = { ...open(services.clock.now()), id: input.id, email: email ?? '' };
      const [row] = email === undefined ? [] : await tx.projectInvitation.updateManyAndReturn({ where, data: { acceptedAt: new Date(services.clock.now()) } });
      if (row === undefined || principal.kind !== 'user') throw gone(input.id);
      await joinProject(context, { projectId: row.projectId, userId: principal.userId, role: row.role });
      return invitationOf(row);
    },
  }),
];
