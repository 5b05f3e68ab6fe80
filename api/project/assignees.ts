import type { GatewayDb } from '../../prisma/gateway/index.ts';
import { agentsNamed } from '../agent/named.ts';
import { workflowsNamed } from '../workflow/named.ts';

/** What a task keeps of the name it is assigned to: the agent and the workflow of the project that are called so, where exactly one is. */
export async function assignees(tx: GatewayDb, projectId: string, assignedTo: string | null): Promise<{ assignedTo: string | null; agentId: string | null; workflowId: string | null }> {
  if (assignedTo === null) return { assignedTo, agentId: null, workflowId: null };
  const [agents, workflows] = [await agentsNamed(tx, projectId, assignedTo), await workflowsNamed(tx, projectId, assignedTo)];
  return { assignedTo, agentId: only(agents), workflowId: only(workflows) };
}

function only(ids: readonly string[]): string | null {
  const [first, ...more] = ids;
  return first === undefined || more.length > 0 ? null : first;
}
