import type { GatewayDb } from '../../prisma/gateway/index.ts';

/** A membership that came of an invitation. */
export interface TakenInvitation {
  readonly projectId: string;
  readonly role: string;
}

/**
 * Makes memberships of what was promised to an address, for a user who has proven it. An owner and whoever is a member already stay what
 * they are. The invitations count as accepted.
 */
export async function takeInvitations(tx: GatewayDb, userId: string, verifiedEmail: string, now: Date): Promise<readonly TakenInvitation[]> {
  const open = await tx.projectInvitation.findMany({
    where: { email: verifiedEmail, acceptedAt: null, expiresAt: { gt: now } },
    select: { id: true, projectId: true, role: true, project: { select: { ownerId: true } } }, orderBy: { id: 'asc' }, take: 200,
  });
  if (open.length === 0) return [];
  const rest = open.filter((invitation) => invitation.project.ownerId !== userId);
  const before = await tx.projectMember.findMany({ where: { userId, projectId: { in: rest.map(({ projectId }) => projectId) } }, select: { projectId: true } });
  const members = new Set(before.map(({ projectId }) => projectId));
  const taken = rest.filter(({ projectId }) => !members.has(projectId)).map(({ projectId, role }) => ({ projectId, role }));
  await tx.projectMember.createMany({ data: taken.map((row) => ({ ...row, userId, createdAt: now })), skipDuplicates: true });
  await tx.projectInvitation.updateMany({ where: { id: { in: open.map(({ id }) => id) } }, data: { acceptedAt: now } });
  return taken;
}
