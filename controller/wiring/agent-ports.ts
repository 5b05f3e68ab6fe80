import { z } from 'zod';
import { FIELD_MANAGERS } from '../../crds/names.ts';
import { stdioName } from '../../crds/tool-server.ts';
import type { Clock } from '../../platform/clock/index.ts';
import { errorMessage, UnavailableError } from '../../platform/errors/index.ts';
import type { KubeClient } from '../../platform/kube/client.ts';
import { isConflict, isNotFound, isRefused } from '../../platform/kube/errors.ts';
import { agentAnswerSchema, type AgentAsk } from '../../platform/messages/agent-ask.ts';
import { AGENT_ASK_SUBJECT } from '../../platform/messages/subjects.ts';
import type { Bus } from '../../platform/nats/bus.ts';
import type { Ask } from '../agent/asks.ts';
import type { Definition, ToolServerObject } from '../agent/definition.ts';
import { stdioManifests, templateHash, type Manifest, type StdioSettings } from '../agent/stdio.ts';
import { corePath, crPath } from './kube-ports.ts';
import type { AgentPlural } from './agent-store.ts';

const MANAGER = { fieldManager: FIELD_MANAGERS.controller };
/** A server that answers discovery at all does so within ten seconds, and the gateway gives up then. */
const ASK_MS = 15_000;
/** Applied again after so long although nothing changed: somebody may have changed or deleted it. */
const REAPPLY_MS = 600_000;

/** Asks the model gateway over NATS. No answer, and an answer that cannot be read, are the same: nothing is known. */
export function gatewayAsk(bus: Pick<Bus, 'request'>, log: { warn(facts: object, message: string): void }): Ask {
  return async (verb, object) => {
    const ask: AgentAsk = { v: 1, verb, ...object };
    try {
      const answer = await bus.request(AGENT_ASK_SUBJECT, new TextEncoder().encode(JSON.stringify(ask)), ASK_MS);
      const value: unknown = JSON.parse(new TextDecoder().decode(answer));
      return { kind: 'Answered', answer: agentAnswerSchema.parse(value) };
    } catch (error) {
      if (!(error instanceof UnavailableError)) log.warn({ namespace: object.namespace, name: object.name, err: errorMessage(error) }, 'could not read an answer of the model gateway');
      return { kind: 'NoGateway' };
    }
  };
}

/** One merge patch of a status. A conflict throws and is tried again with the newer object. */
export function patchAgentStatus(client: KubeClient, plural: AgentPlural): (object: Definition<unknown, unknown>, status: unknown) => Promise<void> {
  return async ({ namespace, name, uid, resourceVersion }, status) => {
    const path = `${crPath(plural, namespace, name)}/status`;
    await client.json({ verb: 'patch', resource: `${plural}/status`, path, query: MANAGER, patch: 'merge', body: { metadata: { resourceVersion, uid }, status } })
      .catch((error: unknown) => { if (!isNotFound(error)) throw error; });
  };
}

const configMapSchema = z.looseObject({ data: z.record(z.string(), z.string()).nullish() });

/** One key of a ConfigMap; undefined where it is missing. */
export async function readConfigMap(client: KubeClient, namespace: string, name: string, key: string): Promise<string | undefined> {
  const object = await client.json({ verb: 'get', resource: 'configmaps', path: corePath('configmaps', namespace, name) }).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  const data = object === undefined ? undefined : configMapSchema.parse(object).data;
  return data !== undefined && data !== null && Object.hasOwn(data, key) ? data[key] : undefined;
}

const RESOURCES: Readonly<Record<string, string>> = { Deployment: 'deployments', Service: 'services', NetworkPolicy: 'networkpolicies' };
const GROUPS: Readonly<Record<string, string>> = { Deployment: '/apis/apps/v1', NetworkPolicy: '/apis/networking.k8s.io/v1' };

function manifestPath(kind: string, namespace: string, name: string): string {
  return corePath(RESOURCES[kind] ?? '', namespace, name).replace('/api/v1', GROUPS[kind] ?? '/api/v1');
}

const deploymentSchema = z.looseObject({
  metadata: z.looseObject({ uid: z.string(), ownerReferences: z.array(z.looseObject({ uid: z.string() })).optional() }),
  status: z.looseObject({ availableReplicas: z.number().optional(), conditions: z.array(z.looseObject({ type: z.string(), status: z.string(), message: z.string().optional() })).optional() }).optional(),
});

/** Keeps the Deployments of servers over stdio. */
export class StdioDeployments {
  readonly #client: KubeClient;
  readonly #clock: Clock;
  readonly #settings: StdioSettings;
  readonly #applied = new Map<string, { readonly hash: string; readonly at: number }>();

  constructor(client: KubeClient, clock: Clock, settings: StdioSettings) {
    this.#client = client;
    this.#clock = clock;
    this.#settings = settings;
  }

  /** Brings Deployment and Service to what the spec says, or away; says what is wrong with them, as far as can be seen. */
  async deploy(object: ToolServerObject): Promise<string | undefined> {
    const stdio = object.spec?.mcp?.stdio;
    const key = `${object.namespace}/${object.name}`;
    if (stdio === undefined) return this.#takeAway(object, key);
    const hash = templateHash(object, this.#settings);
    const applied = this.#applied.get(key);
    if (applied?.hash !== hash || this.#clock.now() - applied.at > REAPPLY_MS) {
      try {
        for (const manifest of stdioManifests(object, stdio, this.#settings)) await this.#apply(manifest);
      } catch (error) {
        if (!isRefused(error)) throw error;
        return `the API server refuses its Deployment: ${errorMessage(error)}`;
      }
      this.#applied.set(key, { hash, at: this.#clock.now() });
    }
    return this.#state(object);
  }

  /** Another replica acts from now on. */
  forget(): void {
    this.#applied.clear();
  }

  async #apply(manifest: Manifest): Promise<void> {
    const { kind, metadata } = manifest;
    await this.#client.json({ verb: 'patch', resource: RESOURCES[kind] ?? '', path: manifestPath(kind, metadata.namespace, metadata.name), query: { ...MANAGER, force: 'true' }, patch: 'apply', body: manifest });
  }

  async #state(object: ToolServerObject): Promise<string | undefined> {
    const found = await this.#client.json({ verb: 'get', resource: 'deployments', path: manifestPath('Deployment', object.namespace, stdioName(object.name)) }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (found === undefined) return 'its Deployment is gone; it is made again';
    const { status } = deploymentSchema.parse(found);
    if ((status?.availableReplicas ?? 0) > 0) return undefined;
    const why = status?.conditions?.find((condition) => condition.status === 'False' || condition.type === 'ReplicaFailure')?.message;
    return `its Deployment ${stdioName(object.name)} has no ready pod${why === undefined ? '' : `: ${why}`}`;
  }

  /** A server that is no longer over stdio: what it owned goes, where it is really its own. */
  async #takeAway(object: ToolServerObject, key: string): Promise<undefined> {
    // A spec that never changed was never over stdio.
    if (object.generation < 2 || this.#applied.get(key)?.hash === '') return;
    for (const kind of ['Deployment', 'Service', 'NetworkPolicy']) {
      const path = manifestPath(kind, object.namespace, stdioName(object.name));
      const resource = RESOURCES[kind] ?? '';
      const found = await this.#client.json({ verb: 'get', resource, path }).catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      const metadata = found === undefined ? undefined : deploymentSchema.parse({ metadata: z.looseObject({ metadata: z.unknown() }).parse(found).metadata }).metadata;
      if (metadata?.ownerReferences?.some(({ uid }) => uid === object.uid) !== true) continue;
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', preconditions: { uid: metadata.uid } };
      await this.#client.json({ verb: 'delete', resource, path, body }).catch((error: unknown) => { if (!isNotFound(error) && !isConflict(error)) throw error; });
    }
    this.#applied.set(key, { hash: '', at: this.#clock.now() });
  }
}
