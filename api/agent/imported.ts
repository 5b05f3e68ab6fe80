import type { GatewayDb, ProjectAgentCreateManyInput } from '../../prisma/gateway/index.ts';
import { jsonIn, objectIn } from '../operations/row-values.ts';

/** An agent as an import brings it. */
export interface ImportedAgent {
  readonly id: string;
  readonly projectId: string | null;
  readonly ownerId: string;
  readonly name: string;
  readonly type: string;
  readonly status: string;
  readonly capabilities: readonly unknown[];
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Makes agents; the caller's right has been checked. */
export async function createImportedAgents(tx: GatewayDb, agents: readonly (ImportedAgent & { readonly createdAt: Date; readonly updatedAt: Date })[]): Promise<void> {
  const data: ProjectAgentCreateManyInput[] = agents.map((agent) => ({ ...agent, capabilities: jsonIn(agent.capabilities), configuration: jsonIn(agent.configuration), metadata: jsonIn(agent.metadata) }));
  await tx.projectAgent.createMany({ data });
}

/** Writes over an agent what the prototype says now; metadata of others stay. */
export async function updateImportedAgent(tx: GatewayDb, { id, name, type, status, capabilities, configuration, metadata }: ImportedAgent, at: Date): Promise<void> {
  const row = await tx.projectAgent.findUnique({ where: { id }, select: { metadata: true } });
  await tx.projectAgent.update({ where: { id }, data: {
    name, type, status, capabilities: jsonIn(capabilities), configuration: jsonIn(configuration), metadata: jsonIn({ ...objectIn(row?.metadata), ...metadata }), updatedAt: at, version: { increment: 1 },
  } });
}

/** Which of these agents are there, deleted ones too. */
export async function agentsThere(tx: GatewayDb, ids: readonly string[]): Promise<readonly { readonly id: string; readonly deletedAt: Date | null }[]> {
  return tx.projectAgent.findMany({ where: { id: { in: [...ids] } }, select: { id: true, deletedAt: true } });
}
