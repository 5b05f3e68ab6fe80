import { revisionSpecSchema, type RevisionSpec } from '../../crds/agent-revision.ts';
import { agentSpecSchema, type AgentSpec } from '../../crds/agent.ts';
import { modelSpecSchema } from '../../crds/model.ts';
import { agentReferences, mirroredWorld, resolveAgent } from '../../engine/index.ts';
import {
  agentsByName, getAgent, getAgentRun, getRevision, getWorkflow, modelsByName, toolServersByName, type AgentRow, type Executor, type WorkflowRow,
} from '../../prisma/store/index.ts';
import { Refusal } from '../http/errors.ts';
import type { ConfigMapReader } from './config-maps.ts';
import { notOpened } from './standing.ts';

const decoder = new TextDecoder();
const MOST = 500;
/** Agents below agents that are looked at; what an agent may name is bounded by its own acceptance. */
const MOST_AGENTS = 256;

/** A revision with its name, as bytes too: what is stored is what was read. */
export interface Pinned {
  readonly hash: string;
  readonly spec: RevisionSpec;
  readonly bytes: Uint8Array;
}

/** Revisions, which never change: those of late are remembered. */
export class Revisions {
  readonly #db: Executor;
  readonly #configMaps: ConfigMapReader;
  readonly #specs = new Map<string, RevisionSpec>();
  readonly #ofRun = new Map<string, { readonly hash: string; readonly conversation: string | undefined }>();

  constructor(db: Executor, configMaps: ConfigMapReader) {
    this.#db = db;
    this.#configMaps = configMaps;
  }

  /** A revision by its name; undefined where there is none. */
  async byHash(hash: string): Promise<RevisionSpec | undefined> {
    const known = this.#specs.get(hash);
    if (known !== undefined) return known;
    const bytes = await getRevision(this.#db, hash);
    if (bytes === undefined) return undefined;
    const spec = revisionSpecSchema.parse(JSON.parse(decoder.decode(bytes)));
    remember(this.#specs, hash, spec);
    return spec;
  }

  /** The revision an agent run is pinned to. Throws Refusal `NotOpened`. */
  async ofRun(agentRun: string): Promise<RevisionSpec> {
    const pinned = this.#ofRun.get(agentRun) ?? await this.#pinnedTo(agentRun);
    remember(this.#ofRun, agentRun, pinned);
    const spec = await this.byHash(pinned.hash);
    if (spec === undefined) throw new Refusal('Invalid', `revision ${pinned.hash} of the agent run is gone`);
    return spec;
  }

  /** The conversation of an agent run whose revision was asked for of late. */
  conversationOf(agentRun: string): string | undefined {
    return this.#ofRun.get(agentRun)?.conversation;
  }

  async #pinnedTo(agentRun: string): Promise<{ readonly hash: string; readonly conversation: string | undefined }> {
    const row = await getAgentRun(this.#db, agentRun);
    if (row === undefined) throw notOpened();
    return { hash: row.revision, conversation: row.conversationId ?? undefined };
  }

  /** What runs of an Agent get: the last of its revisions that resolved. Throws Refusal. */
  async stable(namespace: string, name: string): Promise<Pinned> {
    const agent = await getAgent(this.#db, namespace, name);
    if (agent === undefined) throw new Refusal('Invalid', `there is no Agent ${JSON.stringify(name)} in namespace ${namespace}`, { why: 'AgentNotFound' });
    if (agent.stableRevision === null) throw new Refusal('Invalid', `Agent ${JSON.stringify(name)} is not ready: ${agent.message}`, { why: 'AgentNotReady' });
    return this.pinned(agent.stableRevision);
  }

  /** A revision that must be there. Throws Refusal. */
  async pinned(hash: string): Promise<Pinned> {
    const bytes = await getRevision(this.#db, hash);
    if (bytes === undefined) throw new Refusal('Invalid', `revision ${hash} is gone`, { why: 'RevisionNotFound' });
    return { hash, bytes, spec: revisionSpecSchema.parse(JSON.parse(decoder.decode(bytes))) };
  }

  /** Resolves an agent that is written in the node itself. Throws Refusal that names what is wrong. */
  async inline(namespace: string, written: unknown): Promise<Pinned> {
    const parsed = agentSpecSchema.safeParse(written);
    if (!parsed.success) throw new Refusal('Invalid', `inline: ${parsed.error.issues[0]?.path.join('.') ?? ''}: ${parsed.error.issues[0]?.message ?? 'invalid'}`, { why: 'AgentInvalid' });
    const { configMap } = agentReferences(parsed.data);
    const instructions = configMap === undefined ? undefined : await this.#configMaps.read(namespace, configMap.name, configMap.key);
    const world = mirroredWorld({ namespace, ...(instructions === undefined ? {} : { instructions }), ...await this.#world(namespace, parsed.data) });
    const resolved = resolveAgent(parsed.data, world);
    if (!resolved.ok) {
      const [first] = resolved.problems;
      const more = resolved.problems.length > 1 ? ` (and ${resolved.problems.length - 1} more)` : '';
      throw new Refusal('Invalid', `inline.${first?.field ?? ''}: ${first?.message ?? 'it cannot be resolved'}${more}`, { why: first?.reason ?? 'AgentInvalid' });
    }
    return { hash: resolved.hash, spec: resolved.revision, bytes: Buffer.from(JSON.stringify(resolved.revision)) };
  }

  async #world(namespace: string, spec: AgentSpec): Promise<Pick<Parameters<typeof mirroredWorld>[0], 'models' | 'toolServers' | 'workflows' | 'agents'>> {
    const needs = agentReferences(spec);
    const agents = await this.#agentsBelow(namespace, needs.agents);
    const models = await modelsByName(this.#db, namespace, needs.models);
    const fallbacks = models.flatMap((row) => (modelSpecSchema.safeParse(JSON.parse(decoder.decode(row.spec))).data?.fallback ?? []).map(({ name }) => name));
    const workflows: WorkflowRow[] = [];
    for (const name of needs.workflows) {
      const row = await getWorkflow(this.#db, namespace, name);
      if (row !== undefined) workflows.push(row);
    }
    return {
      models: [...models, ...await modelsByName(this.#db, namespace, fallbacks)], toolServers: await toolServersByName(this.#db, namespace, needs.toolServers),
      workflows, agents,
    };
  }

  /** Agents that are tools, and those that are tools of them: for cycles. */
  async #agentsBelow(namespace: string, names: readonly string[]): Promise<readonly AgentRow[]> {
    const found = new Map<string, AgentRow>();
    for (let next = [...names]; next.length > 0 && found.size < MOST_AGENTS;) {
      const rows = await agentsByName(this.#db, namespace, next);
      for (const row of rows) found.set(row.name, row);
      next = [...new Set(rows.flatMap((row) => {
        const below = agentSpecSchema.safeParse(JSON.parse(decoder.decode(row.spec)));
        return below.success ? agentReferences(below.data).agents : [];
      }))].filter((name) => !found.has(name));
    }
    return [...found.values()];
  }
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  if (map.size >= MOST) map.clear();
  map.set(key, value);
}
