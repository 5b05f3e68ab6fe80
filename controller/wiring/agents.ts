import { z } from 'zod';
import type { Condition } from '../../crds/parts.ts';
import { agentReferences, type WorkflowView } from '../../engine/index.ts';
import type { Clock, TimerHandle } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import type { KubeClient } from '../../platform/kube/client.ts';
import type { Log } from '../../platform/log/index.ts';
import type { Bus } from '../../platform/nats/bus.ts';
import type { Db } from '../../prisma/store/index.ts';
import { Agents, type AgentParts } from '../agent/agents.ts';
import { Asks } from '../agent/asks.ts';
import { ConfigMaps } from '../agent/config-maps.ts';
import { Models } from '../agent/models.ts';
import { ToolServers } from '../agent/tool-servers.ts';
import { UsageRollUp } from '../agent/usage.ts';
import type { Outcome, WorkQueue } from '../runtime/queue.ts';
import { keyOf, Reflector, type KubeObject, type ReflectorHandler } from '../runtime/reflector.ts';
import type { Watched, WatchedParts } from '../runtime/watched.ts';
import { toAgent, toModel, toToolServer } from './agent-objects.ts';
import { gatewayAsk, patchAgentStatus, readConfigMap, StdioDeployments } from './agent-ports.ts';
import { agentStore, modelStore, removeAgentOrphans, toolServerStore, usageStore, type AgentPlural } from './agent-store.ts';
import { corePath } from './kube-ports.ts';
import { toWorkflow } from './objects.ts';

/** What the agents' room is wired to. */
export interface AgentWiring {
  readonly clock: Clock;
  readonly client: KubeClient;
  readonly db: Db;
  readonly bus: Pick<Bus, 'request'>;
  readonly log: Log;
  /** Image with Node and the bridge of servers over stdio. */
  readonly bridgeImage: string;
  /** What runners of every pool have to reach; servers over stdio get its DNS alone. */
  readonly egress: readonly Readonly<Record<string, unknown>>[];
  /** Where the model gateway runs: in the namespace of the controller. */
  readonly namespace: string | undefined;
  /** Whether this replica owns the singleton shard. */
  readonly owns: () => boolean;
  readonly workflows: Watched;
  readonly watch: (plural: AgentPlural, handler: ReflectorHandler) => Watched;
  /** What every watch is made of. */
  readonly watchParts: (resource: string, handler: ReflectorHandler) => WatchedParts;
  readonly queue: (name: AgentPlural, concurrency: number, worker: (key: string) => Promise<Outcome>) => WorkQueue;
}

/** How often totals are looked for. */
const USAGE_MS = 60_000;
/** ConfigMaps that are watched at most: each is a connection to the API server. */
const MOST_CONFIG_MAPS = 200;
const PLURALS: readonly AgentPlural[] = ['models', 'toolservers', 'agents'];

/** Agents, Models and ToolServers: their watches, queues and rooms, and who wakes whom. */
export class AgentRoom {
  readonly #w: AgentWiring;
  readonly #models: Models;
  readonly #servers: ToolServers;
  readonly #agents: Agents;
  readonly #usage: UsageRollUp;
  readonly #stdio: StdioDeployments;
  readonly #queues: Readonly<Record<AgentPlural, WorkQueue>>;
  readonly #watched: Readonly<Record<AgentPlural, Watched>>;
  readonly #configMaps: ConfigMaps;
  readonly #synced = new Set<AgentPlural>();
  #ticking: TimerHandle | undefined;

  constructor(wiring: AgentWiring) {
    this.#w = wiring;
    const { clock, client, db, bus, log, owns } = wiring;
    const ask = gatewayAsk(bus, log);
    this.#stdio = new StdioDeployments(client, clock, { bridgeImage: wiring.bridgeImage, dns: wiring.egress.filter(isDns), gatewayNamespace: wiring.namespace });
    this.#usage = new UsageRollUp({ clock, store: usageStore(db), agents: () => [...this.#watched.agents.values()].map(keyOf), changed: (key) => { this.#queues.agents.add(key); } });
    this.#models = new Models({
      clock, owns, cached: (key) => toModel(this.#watched.models.get(key)), asks: new Asks(clock, 'probe', ask), store: modelStore(db, clock),
      patchStatus: patchAgentStatus(client, 'models'), changed: (namespace, name) => { this.#wake(namespace, (spec) => spec.models.includes(name)); },
    });
    this.#servers = new ToolServers({
      clock, owns, cached: (key) => toToolServer(this.#watched.toolservers.get(key)), asks: new Asks(clock, 'discover', ask), store: toolServerStore(db, clock),
      patchStatus: patchAgentStatus(client, 'toolservers'), deploy: (object) => this.#stdio.deploy(object),
      changed: (namespace, name) => { this.#wake(namespace, (spec) => spec.toolServers.includes(name)); },
    });
    this.#configMaps = new ConfigMaps({
      most: MOST_CONFIG_MAPS, changed: (key) => { this.#queues.agents.add(key); },
      watch: (namespace, name, told) => new Reflector({
        ...wiring.watchParts('configmaps', { changed: told, deleted: told, synced: () => undefined }), path: corePath('configmaps', namespace), fieldSelector: `metadata.name=${name}`,
      }),
    });
    this.#agents = new Agents({ ...this.#agentParts(), store: agentStore(db, clock), patchStatus: patchAgentStatus(client, 'agents') });
    this.#queues = {
      models: wiring.queue('models', 4, (key) => this.#models.reconcile(key)),
      toolservers: wiring.queue('toolservers', 4, (key) => this.#servers.reconcile(key)),
      agents: wiring.queue('agents', 4, (key) => this.#agents.reconcile(key)),
    };
    this.#watched = { models: this.#watch('models', this.#models), toolservers: this.#watch('toolservers', this.#servers), agents: this.#watch('agents', this.#agents) };
  }

  /** Resolves after the first lists. */
  async start(): Promise<void> {
    // Agents last: what they name is known then, and nobody is told that it is missing.
    await Promise.all([this.#watched.models.start(), this.#watched.toolservers.start()]);
    await this.#watched.agents.start();
    this.#tick();
  }

  async stop(): Promise<void> {
    this.#ticking?.cancel();
    await Promise.all([this.#configMaps.forget(), ...PLURALS.map((plural) => this.#watched[plural].stop())]);
    await Promise.all(PLURALS.map((plural) => this.#queues[plural].stop()));
  }

  /** This replica owns the singletons now: what the caches told of before was passed over. */
  gained(): void {
    for (const plural of PLURALS) {
      for (const object of this.#watched[plural].values()) this.#queues[plural].add(keyOf(object));
      if (this.#synced.has(plural)) this.#removeOrphans(plural);
    }
  }

  /** Another replica acts from now on: what was remembered is not true any more when the shard returns. */
  lost(): void {
    for (const room of [this.#models, this.#servers, this.#agents, this.#usage, this.#stdio]) room.forget();
    void this.#configMaps.forget();
  }

  /** A Workflow changed or went: agents that have it as a tool are resolved anew. */
  workflowChanged(namespace: string, name: string): void {
    this.#wake(namespace, (spec) => spec.workflows.includes(name));
  }

  #agentParts(): Omit<AgentParts, 'store' | 'patchStatus'> {
    const { clock, client, owns, workflows } = this.#w;
    return {
      clock, owns,
      cached: (key) => toAgent(this.#watched.agents.get(key)),
      world: (namespace) => ({
        namespace,
        model: (name) => toModel(this.#watched.models.get(`${namespace}/${name}`))?.spec,
        toolServer: (name) => {
          const key = `${namespace}/${name}`;
          const object = toToolServer(this.#watched.toolservers.get(key));
          return object?.spec === undefined ? undefined : { spec: object.spec, tools: this.#servers.discovery(key)?.known.tools, problem: notReady(object.status?.conditions) };
        },
        workflow: (name) => workflowView(workflows.get(`${namespace}/${name}`)),
        agentSpec: (name) => toAgent(this.#watched.agents.get(`${namespace}/${name}`))?.spec,
      }),
      model: (key) => toModel(this.#watched.models.get(key)),
      toolServer: (key) => toToolServer(this.#watched.toolservers.get(key)),
      configMap: (namespace, name, key) => readConfigMap(client, namespace, name, key),
      follow: (key, namespace, name) => this.#configMaps.follow(key, namespace, name),
      usage: (key) => this.#usage.of(key),
      changed: (namespace, name) => { this.#wake(namespace, (spec) => spec.agents.includes(name)); },
    };
  }

  #watch(plural: AgentPlural, room: { deleted(key: string, uid: string): void }): Watched {
    return this.#w.watch(plural, {
      changed: (object, before) => {
        this.#queues[plural].add(keyOf(object));
        // What waits for an object of that name is told at once; later changes are told once they were looked at.
        if (before === undefined && this.#synced.has(plural)) this.#tell(plural, object);
      },
      deleted: (object) => {
        room.deleted(keyOf(object), object.metadata.uid);
        this.#queues[plural].add(keyOf(object));
        this.#tell(plural, object);
      },
      synced: () => {
        this.#synced.add(plural);
        this.#removeOrphans(plural);
      },
    });
  }

  #tell(plural: AgentPlural, { metadata }: KubeObject): void {
    const [namespace, { name }] = [metadata.namespace ?? '', metadata];
    const field = ({ models: 'models', toolservers: 'toolServers', agents: 'agents' } as const)[plural];
    this.#wake(namespace, (spec) => spec[field].includes(name));
    if (plural !== 'models') return;
    for (const object of this.#watched.models.values()) {
      const model = toModel(object);
      if (model?.namespace !== namespace || model.spec?.fallback?.some((fallback) => fallback.name === name) !== true) continue;
      this.#queues.models.add(keyOf(object));
      this.#wake(namespace, (spec) => spec.models.includes(model.name));
    }
  }

  /** Agents of a namespace whose spec names something. */
  #wake(namespace: string, names: (spec: ReturnType<typeof agentReferences>) => boolean): void {
    if (!this.#w.owns()) return;
    for (const object of this.#watched.agents.values()) {
      if (object.metadata.namespace !== namespace) continue;
      const spec = toAgent(object)?.spec;
      if (spec !== undefined && names(agentReferences(spec))) this.#queues.agents.add(keyOf(object));
    }
  }

  /** Definitions deleted while nobody watched: their mirrors go, so that no run starts with one. */
  #removeOrphans(plural: AgentPlural): void {
    if (!this.#w.owns()) return;
    const uids = new Set([...this.#watched[plural].values()].map((object) => object.metadata.uid));
    removeAgentOrphans(this.#w.db, plural, uids).then((removed) => {
      if (removed > 0) this.#w.log.info({ kind: plural, removed }, 'removed mirrors of objects that are gone');
    }, (error: unknown) => { this.#w.log.warn({ kind: plural, err: errorMessage(error) }, 'could not compare the mirrors; the next list does it again'); });
  }

  #tick(): void {
    this.#ticking = this.#w.clock.after(USAGE_MS, () => {
      const looked = this.#w.owns() ? this.#usage.look() : Promise.resolve();
      looked.catch((error: unknown) => { this.#w.log.warn({ err: errorMessage(error) }, 'could not read the usage of agents; the next look does it again'); })
        .finally(() => { this.#tick(); }).catch(() => undefined);
    });
  }
}

function notReady(conditions: readonly Condition[] | undefined): string | undefined {
  const ready = conditions?.find((condition) => condition.type === 'Ready');
  return ready === undefined || ready.status === 'True' ? undefined : ready.message;
}

function workflowView(object: KubeObject | undefined): WorkflowView | undefined {
  const workflow = toWorkflow(object);
  if (workflow === undefined) return undefined;
  if (workflow.spec === undefined) return { problem: workflow.problem ?? 'it cannot be read' };
  return { description: workflow.spec.description, inputs: workflow.spec.inputs, problem: workflow.status?.phase === 'Invalid' ? 'it is not valid' : undefined };
}

const dnsSchema = z.looseObject({ ports: z.array(z.looseObject({ port: z.literal(53) })).min(1) });

/** Whether a rule opens the ports of DNS and no other. */
function isDns(rule: Readonly<Record<string, unknown>>): boolean {
  return dnsSchema.safeParse(rule).success;
}
