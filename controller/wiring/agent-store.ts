import { Buffer } from 'node:buffer';
import { knownToolsSchema } from '../../crds/agent-revision.ts';
import type { Clock } from '../../platform/clock/index.ts';
import {
  agentAccountsSince, agentKeys, agentUsageOpen, agentUsageSettled, deleteAgent, deleteModel, deleteToolServer, getAgent, getToolServer, modelKeys, putRevision, toolServerKeys, upsertAgent, upsertModel, upsertToolServer,
  type AgentDefinitionRow, type Db,
} from '../../prisma/store/index.ts';
import type { AgentParts } from '../agent/agents.ts';
import type { MirrorFacts } from '../agent/definition.ts';
import type { ModelParts } from '../agent/models.ts';
import type { ToolServerParts } from '../agent/tool-servers.ts';
import type { UsageParts } from '../agent/usage.ts';

/** The rooms of Agents, Models and ToolServers as they see the store. */

function row(facts: MirrorFacts, now: number): AgentDefinitionRow {
  const { namespace, name, uid, generation, resourceVersion, labels, spec, ready, reason, message } = facts;
  return {
    namespace, name, uid, generation, resourceVersion, reason, message, spec: Buffer.from(JSON.stringify(spec)), phase: ready ? 'Ready' : 'NotReady', updatedAt: now,
    labels: Object.keys(labels).length === 0 ? null : Buffer.from(JSON.stringify(labels)),
  };
}

/** Mirrors of Models. */
export function modelStore(db: Db, clock: Clock): ModelParts['store'] {
  return {
    upsert: ({ probedAt, ...facts }) => upsertModel(db, { ...row(facts, clock.now()), probedAt: probedAt ?? null }),
    remove: (namespace, name, uid) => deleteModel(db, namespace, name, uid),
  };
}

/** Mirrors of ToolServers, with what is known of their tools. */
export function toolServerStore(db: Db, clock: Clock): ToolServerParts['store'] {
  return {
    upsert: (facts, discovery) => upsertToolServer(db, {
      ...row(facts, clock.now()), tools: discovery === undefined ? null : Buffer.from(JSON.stringify(discovery.known)), discoveryHash: discovery?.discoveryHash ?? null,
      acceptedHash: discovery?.acceptedHash ?? null, discoveredAt: discovery?.discoveredAt ?? null,
    }),
    discovery: async (namespace, name, uid) => {
      const found = await getToolServer(db, namespace, name);
      if (found?.uid !== uid || found.tools === null || found.discoveryHash === null) return undefined;
      const known = knownToolsSchema.safeParse(JSON.parse(Buffer.from(found.tools).toString('utf8')));
      // What an older release wrote and this one cannot read is found anew.
      return known.success ? { uid, known: known.data, discoveryHash: found.discoveryHash, acceptedHash: found.acceptedHash ?? undefined, discoveredAt: found.discoveredAt ?? clock.now() } : undefined;
    },
    remove: (namespace, name, uid) => deleteToolServer(db, namespace, name, uid),
  };
}

/** Mirrors of Agents, and revisions. */
export function agentStore(db: Db, clock: Clock): AgentParts['store'] {
  return {
    upsert: (facts, { desired, stable }) => upsertAgent(db, { ...row(facts, clock.now()), desiredRevision: desired ?? null, stableRevision: stable ?? null }),
    stable: async (namespace, name, uid) => {
      const found = await getAgent(db, namespace, name);
      return found?.uid === uid ? found.stableRevision ?? undefined : undefined;
    },
    keepRevision: (hash, revision) => putRevision(db, hash, revision.namespace, revision.agent ?? null, Buffer.from(JSON.stringify(revision)), clock.now()),
    remove: (namespace, name, uid) => deleteAgent(db, namespace, name, uid),
  };
}

/** Totals of agents. */
export function usageStore(db: Db): UsageParts['store'] {
  return {
    spentSince: async (keys, day, since) => {
      const found = await agentAccountsSince(db, keys.map((key) => `agent:${key}:${day}`), since);
      return found.map((account) => account.slice('agent:'.length, -(day.length + 1)));
    },
    settled: (namespace, name, span) => agentUsageSettled(db, namespace, name, span),
    open: (namespace, name, span) => agentUsageOpen(db, namespace, name, span),
  };
}

/** Kinds of agents by their plural. */
export type AgentPlural = 'agents' | 'models' | 'toolservers';

/** Removes the mirrors of objects that are gone. `existing` are the uids a complete list showed. */
export async function removeAgentOrphans(db: Db, plural: AgentPlural, existing: ReadonlySet<string>): Promise<number> {
  const [keys, remove] = { agents: [agentKeys, deleteAgent] as const, models: [modelKeys, deleteModel] as const, toolservers: [toolServerKeys, deleteToolServer] as const }[plural];
  const orphans = (await keys(db)).filter(({ uid }) => !existing.has(uid));
  for (const { namespace, name, uid } of orphans) await remove(db, namespace, name, uid);
  return orphans.length;
}
