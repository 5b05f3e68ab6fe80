import type { GatewayDb } from '../../prisma/gateway/index.ts';

/** Ids of the workflows of a project that have a name; at most two, because the question is whether there is exactly one. */
export async function workflowsNamed(tx: GatewayDb, projectId: string, name: string): Promise<readonly string[]> {
  const rows = await tx.projectWorkflow.findMany({ where: { projectId, name, deletedAt: null }, select: { id: true }, take: 2 });
  return rows.map(({ id }) => id);
}
