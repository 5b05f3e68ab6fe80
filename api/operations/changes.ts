import type { GatewayDb } from '../../prisma/gateway/index.ts';
import type { Change } from './operation.ts';

/**
 * Numbers the changes of a transaction and writes them. The row of the project is locked until the commit, so numbers become
 * visible in their order: who has read up to n misses nothing below it.
 */
export async function writeChanges(tx: GatewayDb, changes: readonly Change[], principal: string, at: number): Promise<void> {
  const byProject = Map.groupBy(changes, (change) => change.projectId);
  // In one order everywhere, so that two transactions never wait for each other.
  for (const [projectId, mine] of [...byProject].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { seq } = await tx.project.update({ where: { id: projectId }, data: { seq: { increment: mine.length } }, select: { seq: true } });
    const first = seq - mine.length + 1;
    await tx.projectEvent.createMany({
      data: mine.map(({ kind, entity, entityId }, index) => ({ projectId, seq: first + index, at: new Date(at), kind, entity, entityId, principal })),
    });
  }
}
