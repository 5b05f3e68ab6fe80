import { toolServerSpecSchema } from '../../../crds/tool-server.ts';
import { takeIn } from '../../../engine/index.ts';
import { upsertToolServer } from '../../../prisma/store/index.ts';
import { NS, type AgentSite, type RunningGateway } from './site.ts';

/** Writes the mirror of a ToolServer as the controller does: what the server lists, found out by the gateway and taken in. */
export async function mirrorTools(site: AgentSite, { server }: RunningGateway, name: string, given: object): Promise<void> {
  const spec = toolServerSpecSchema.parse(given);
  const row = {
    namespace: NS, name, uid: `uid-${name}`, generation: 1, resourceVersion: '1', spec: Buffer.from(JSON.stringify(spec)), labels: null, phase: 'Ready' as const, reason: 'Ready', message: '',
    updatedAt: 1, tools: null, discoveryHash: null, acceptedHash: null, discoveredAt: null,
  };
  await upsertToolServer(site.db, row);
  const found = await server.tools.answerDiscover({ v: 1, verb: 'discover', namespace: NS, name, uid: row.uid, generation: 1 });
  if (!found.ok) throw new Error(found.error.message);
  const taken = takeIn(found.tools ?? [], spec, {});
  await upsertToolServer(site.db, { ...row, tools: Buffer.from(JSON.stringify({ tools: taken.tools, accepted: taken.accepted })), discoveryHash: taken.discoveryHash });
}
