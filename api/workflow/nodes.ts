import type { Ids } from '../../platform/ids/index.ts';
import type { GatewayDb } from '../../prisma/gateway/index.ts';
import { jsonIn, listIn, objectIn } from '../operations/row-values.ts';

/** Writes the nodes of a definition as rows of their own, in place of those that were there. A definition that has none gives none. */
export async function writeNodes(tx: GatewayDb, ids: Pick<Ids, 'uuid'>, workflowId: string, definition: Readonly<Record<string, unknown>>): Promise<void> {
  await tx.projectWorkflowNode.deleteMany({ where: { workflowId } });
  const seen = new Set<string>();
  const data = listIn(definition['nodes']).flatMap((node, position) => {
    const { name, type, ...configuration } = objectIn(node);
    if (typeof name !== 'string' || seen.has(name)) return [];
    seen.add(name);
    return [{ id: ids.uuid(), workflowId, name, position, type: typeof type === 'string' ? type : '', configuration: jsonIn(configuration) }];
  });
  if (data.length > 0) await tx.projectWorkflowNode.createMany({ data });
}
