import type { AgentStatus, AgentUsage } from '../../crds/agent.ts';
import type { RevisionSpec } from '../../crds/agent-revision.ts';
import { REASONS, timestamp } from '../../crds/conditions.ts';
import { agentReferences, resolveAgent, type AgentProblem, type AgentWorld, type ResolvedAgent } from '../../engine/index.ts';
import type { Clock } from '../../platform/clock/index.ts';
import { conditionsOf, type Trouble } from './conditions.ts';
import { mirrorFacts, sameStatus, statusPatch, type AgentObject, type AnyStatus, type Definition, type MirrorFacts } from './definition.ts';
import { Deletions } from './deletions.ts';

/** The revisions of an Agent: what its spec comes to now, and what runs get. */
export interface Revisions {
  readonly desired: string | undefined;
  readonly stable: string | undefined;
}

/** What Agents need. */
export interface AgentParts {
  readonly clock: Clock;
  readonly cached: (key: string) => AgentObject | undefined;
  readonly owns: () => boolean;
  /** Lookups of one namespace by the caches; the text of its instructions is added here. */
  readonly world: (namespace: string) => Omit<AgentWorld, 'instructions' | 'agent'>;
  /** The definitions an agent waits for, by what their status says. */
  readonly model: (key: string) => Definition<unknown, AnyStatus> | undefined;
  readonly toolServer: (key: string) => Definition<unknown, AnyStatus> | undefined;
  /** A key of a ConfigMap, read anew; undefined where it is missing. */
  readonly configMap: (namespace: string, name: string, key: string) => Promise<string | undefined>;
  /** The ConfigMap an agent (by its key) takes its instructions from, or none. Whether its changes are told. */
  readonly follow: (key: string, namespace: string, name: string | undefined) => boolean;
  readonly store: {
    upsert(mirror: MirrorFacts, revisions: Revisions): Promise<void>;
    /** The last good revision of exactly that object. */
    stable(namespace: string, name: string, uid: string): Promise<string | undefined>;
    keepRevision(hash: string, revision: RevisionSpec): Promise<void>;
    remove(namespace: string, name: string, uid: string): Promise<void>;
  };
  readonly usage: (key: string) => AgentUsage | undefined;
  readonly patchStatus: (object: AgentObject, patch: unknown) => Promise<void>;
  /** What agents that use it as a tool see of it changed. */
  readonly changed: (namespace: string, name: string) => void;
}

/** A ConfigMap that is not watched, because there are too many, is read again after so long. */
const AGAIN_MS = 60_000;

/** Resolves Agents to revisions, mirrors them and says in their status whether they can run. Keys are `namespace/name`. */
export class Agents {
  readonly #p: AgentParts;
  readonly #deletions: Deletions;
  readonly #stable = new Map<string, { readonly uid: string; readonly hash: string | undefined }>();

  constructor(parts: AgentParts) {
    this.#p = parts;
    this.#deletions = new Deletions(parts.store.remove);
  }

  /** The watch showed a deletion: the next pass removes the mirror of that object. */
  deleted(key: string, uid: string): void {
    this.#deletions.add(key, uid);
  }

  /** Another replica acts from now on. */
  forget(): void {
    this.#stable.clear();
  }

  /** One pass over one Agent. Writes only what differs. */
  async reconcile(key: string): Promise<'done' | { readonly afterMs: number; readonly reason: string }> {
    if (!this.#p.owns()) return 'done';
    const object = this.#p.cached(key);
    await this.#deletions.carryOut(key);
    if (object === undefined) {
      this.#stable.delete(key);
      this.#p.follow(key, '', undefined);
      return 'done';
    }
    const ref = object.spec?.instructions?.configMapKeyRef;
    // Before it is read: what changes after that is told.
    const told = this.#p.follow(key, object.namespace, ref?.name);
    const before = await this.#loadStable(key, object);
    const resolved = await this.#resolve(object);
    if (resolved.ok) {
      if (resolved.hash !== before) await this.#p.store.keepRevision(resolved.hash, resolved.revision);
      this.#stable.set(key, { uid: object.uid, hash: resolved.hash });
    }
    await this.#write(key, object, resolved, resolved.ok ? resolved.hash : before);
    return ref === undefined || told ? 'done' : { afterMs: AGAIN_MS, reason: 'ConfigMap' };
  }

  /** The last good revision serves on while a new one does not resolve. */
  async #loadStable(key: string, object: AgentObject): Promise<string | undefined> {
    const held = this.#stable.get(key);
    if (held?.uid === object.uid) return held.hash;
    const hash = await this.#p.store.stable(object.namespace, object.name, object.uid);
    this.#stable.set(key, { uid: object.uid, hash });
    return hash;
  }

  async #resolve(object: AgentObject): Promise<ResolvedAgent> {
    const { namespace, name, spec } = object;
    if (spec === undefined) return { ok: false, problems: [{ kind: 'spec', field: 'spec', reason: REASONS.invalid, message: object.problem ?? 'the object cannot be read' }] };
    const ref = spec.instructions?.configMapKeyRef;
    const instructions = ref === undefined ? undefined : await this.#p.configMap(namespace, ref.name, ref.key);
    return resolveAgent(spec, { ...this.#p.world(namespace), agent: name, instructions });
  }

  async #write(key: string, object: AgentObject, resolved: ResolvedAgent, stable: string | undefined): Promise<void> {
    const troubles = resolved.ok ? this.#waits(object) : resolved.problems.map(troubleOf);
    const status = agentStatus(object, { troubles, resolved, stable, usage: this.#p.usage(key) ?? object.status?.usage, now: this.#p.clock.now() });
    const same = sameStatus(object.status, status, ['usageAt']);
    await this.#p.store.upsert(mirrorFacts(object, same ? object.status ?? status : status), { desired: resolved.ok ? resolved.hash : undefined, stable });
    if (same) return;
    await this.#p.patchStatus(object, statusPatch(object.status, status));
    if (object.status?.observedGeneration !== object.generation) this.#p.changed(object.namespace, object.name);
  }

  /** Models and servers that are there and do not work: a run would be taken, and would fail or wait. */
  #waits({ namespace, spec }: AgentObject): readonly Trouble[] {
    if (spec === undefined) return [];
    const { models, toolServers } = agentReferences(spec);
    return [
      ...models.flatMap((name) => waiting('Model', name, this.#p.model(`${namespace}/${name}`))),
      ...toolServers.flatMap((name) => waiting('ToolServer', name, this.#p.toolServer(`${namespace}/${name}`))),
    ];
  }
}

function waiting(kind: 'Model' | 'ToolServer', name: string, object: Definition<unknown, AnyStatus> | undefined): readonly Trouble[] {
  const ready = object?.status?.conditions?.find((condition) => condition.type === 'Ready');
  if (ready?.status === 'True') return [];
  const reason = kind === 'Model' ? REASONS.modelNotReady : REASONS.toolServerNotReady;
  const unknown = ready === undefined || ready.status === 'Unknown';
  return [{ about: 'Ready', reason, message: `${kind} ${JSON.stringify(name)}: ${ready === undefined ? 'the controller has not looked at it yet' : ready.message}`, passes: true, ...(unknown ? { unknown: true } : {}) }];
}

function troubleOf(problem: AgentProblem): Trouble {
  if (problem.kind === 'spec') return { about: 'Accepted', reason: REASONS.invalid, message: problem.message };
  return { about: 'ResolvedRefs', reason: problem.reason, message: problem.message };
}

/** The status an Agent should have. */
export function agentStatus(object: AgentObject, facts: { readonly troubles: readonly Trouble[]; readonly resolved: ResolvedAgent; readonly stable: string | undefined; readonly usage: AgentUsage | undefined; readonly now: number }): AgentStatus {
  const { troubles, resolved, stable, usage, now } = facts;
  const serving = !resolved.ok && stable !== undefined ? [`revision ${stable.slice(0, 12)} serves on`] : [];
  const said = troubles.map((trouble, index) => (index === troubles.length - 1 && serving.length > 0 ? { ...trouble, message: `${trouble.message} (${serving.join()})` } : trouble));
  const conditions = conditionsOf(said, { reason: REASONS.resolved, message: 'runs get this version' }, object.generation, object.status?.conditions ?? [], now);
  return {
    observedGeneration: object.generation, conditions: [...conditions],
    ...(resolved.ok ? { desiredRevision: resolved.hash, tools: resolved.revision.tools.length } : {}),
    ...(stable === undefined ? {} : { stableRevision: stable }),
    ...(usage === undefined ? {} : { usage, usageAt: timestamp(now) }),
  };
}
