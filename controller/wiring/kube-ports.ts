import { z } from 'zod';
import { NODE_STATUSES } from '../../crds/node.ts';
import { API_VERSION, FIELD_MANAGERS, GROUP, LABELS, MANAGED_BY, VERSION } from '../../crds/names.ts';
import type { Clock } from '../../platform/clock/index.ts';
import type { KubeClient } from '../../platform/kube/client.ts';
import { hasStatus, isAlreadyExists, isConflict, isNotFound, isRefused, KubeError } from '../../platform/kube/errors.ts';
import type { PoolNetworkParts } from '../pool/network.ts';
import type { PoolPort } from '../pool/pools.ts';
import type { PodPort } from '../run/pods.ts';
import type { StatusPort } from '../run/status-writer.ts';
import type { Watched } from '../runtime/watched.ts';
import type { WorkflowObject } from '../workflow/mirror.ts';
import type { WorkflowCr } from '../run/intake.ts';
import { toAttemptPod, toRunObject, toWorkflow } from './objects.ts';
import { errorMessage } from '../../platform/errors/index.ts';

/** Path of a namespaced custom resource of ours. */
export function crPath(plural: string, namespace?: string, name?: string): string {
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `/apis/${GROUP}/${VERSION}${scope}/${plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}

/** Path of a namespaced core object. */
export function corePath(plural: string, namespace?: string, name?: string): string {
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `/api/v1${scope}/${plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}

const MANAGER = { fieldManager: FIELD_MANAGERS.controller };
const objectSchema = z.looseObject({ metadata: z.looseObject({ name: z.string(), namespace: z.string(), uid: z.string(), resourceVersion: z.string() }) });

/** A merge patch keeps what it does not name: the count of a status that no node has any more is taken out by name. */
const NO_COUNTS = Object.fromEntries(NODE_STATUSES.map((status) => [status.toLowerCase(), null]));

/** Statuses of WorkflowRuns. */
export function statusPort(client: KubeClient, runs: Watched, clock: Clock, component: string): StatusPort {
  return {
    read: async (cr, fresh) => {
      if (!fresh) return toRunObject(runs.get(`${cr.namespace}/${cr.name}`));
      const object = await client.json({ verb: 'get', resource: 'workflowruns', path: crPath('workflowruns', cr.namespace, cr.name) }).catch(ignoreNotFound);
      return object === undefined ? undefined : toRunObject(objectSchema.parse(object));
    },
    patch: async (cr, resourceVersion, status) => {
      const path = `${crPath('workflowruns', cr.namespace, cr.name)}/status`;
      try {
        const body = { metadata: { resourceVersion, uid: cr.uid }, status: { ...status, counts: { ...NO_COUNTS, ...status.counts } } };
        const written = objectSchema.parse(await client.json({ verb: 'patch', resource: 'workflowruns/status', path, query: MANAGER, patch: 'merge', body }));
        return { kind: 'Written', resourceVersion: written.metadata.resourceVersion };
      } catch (error) {
        if (isNotFound(error)) return { kind: 'Gone' };
        if (isConflict(error)) return { kind: 'Stale' };
        throw error;
      }
    },
    failedEvent: async (cr, message) => {
      const now = new Date(clock.now()).toISOString();
      const body = {
        apiVersion: 'v1', kind: 'Event', metadata: { name: `${cr.name.slice(0, 200)}.${cr.uid.slice(0, 13)}`, namespace: cr.namespace },
        involvedObject: { apiVersion: API_VERSION, kind: 'WorkflowRun', name: cr.name, namespace: cr.namespace, uid: cr.uid },
        type: 'Warning', reason: 'RunFailed', message: message.slice(0, 1_000), source: { component },
        firstTimestamp: now, lastTimestamp: now, count: 1,
      };
      await client.json({ verb: 'create', resource: 'events', path: corePath('events', cr.namespace), body })
        .catch((error: unknown) => { if (!isAlreadyExists(error) && !isNotFound(error)) throw error; });
    },
  };
}

/** Quorum read of a Workflow at acceptance. */
export async function readWorkflow(client: KubeClient, namespace: string, name: string): Promise<WorkflowCr | undefined> {
  const object = await client.json({ verb: 'get', resource: 'workflows', path: crPath('workflows', namespace, name) }).catch(ignoreNotFound);
  if (object === undefined) return undefined;
  const workflow = toWorkflow(objectSchema.parse(object));
  return workflow?.spec === undefined ? undefined : { spec: workflow.spec, labels: workflow.labels };
}

/** One merge patch of a Workflow's status. */
export async function patchWorkflowStatus(client: KubeClient, object: WorkflowObject, status: unknown): Promise<void> {
  const path = `${crPath('workflows', object.namespace, object.name)}/status`;
  const body = { metadata: { resourceVersion: object.resourceVersion, uid: object.uid }, status };
  await client.json({ verb: 'patch', resource: 'workflows/status', path, query: MANAGER, patch: 'merge', body }).catch(ignoreNotFound);
}

/** Pods of attempts. */
export function podPort(client: KubeClient, pods: Watched): PodPort {
  const path = (namespace: string, name?: string): string => corePath('pods', namespace, name);
  return {
    create: async (pod) => {
      const { metadata } = z.object({ metadata: z.object({ namespace: z.string(), name: z.string(), labels: z.record(z.string(), z.string()) }) }).parse(pod);
      try {
        await client.json({ verb: 'create', resource: 'pods', path: path(metadata.namespace), query: MANAGER, body: pod });
        return { kind: 'Created' };
      } catch (error) {
        if (isAlreadyExists(error)) return existing(client, path(metadata.namespace, metadata.name), metadata.labels);
        if (isFinal(error)) return { kind: 'Refused', message: errorMessage(error) };
        throw error;
      }
    },
    remove: (namespace, name, uid, graceSeconds) => removePod(client, path(namespace, name), uid, graceSeconds),
    get: async (namespace, name) => {
      const object = await client.json({ verb: 'get', resource: 'pods', path: path(namespace, name) }).catch(ignoreNotFound);
      return object === undefined ? undefined : toAttemptPod(object);
    },
    logs: (namespace, name, container, limitBytes) => client.text({
      verb: 'get', resource: 'pods/log', path: `${path(namespace, name)}/log`, query: { container, limitBytes: String(limitBytes) },
    }),
    cached: (namespace, name) => {
      const object = pods.get(`${namespace}/${name}`);
      return object === undefined ? undefined : toAttemptPod(object);
    },
  };
}

/**
 * Refused for good: the manifest, a policy, a namespace that is gone. Missing permissions are not: an API server that has
 * just started answers so before it knows its roles, and somebody may grant them; `pendingTimeout` bounds the wait.
 */
function isFinal(error: unknown): boolean {
  return isNotFound(error) || (isRefused(error) && !/ cannot create resource /.test(errorMessage(error)));
}

/** A pod of the derived name exists: ours when it carries our run, else somebody took the name. */
async function existing(client: KubeClient, path: string, labels: Readonly<Record<string, string>>): Promise<{ kind: 'Exists' } | { kind: 'Refused'; message: string }> {
  const pod = toAttemptPod(await client.json({ verb: 'get', resource: 'pods', path }));
  const ours = pod?.labels[LABELS.runId] === labels[LABELS.runId] && pod?.labels[LABELS.attempt] === labels[LABELS.attempt];
  return ours ? { kind: 'Exists' } : { kind: 'Refused', message: `a pod named ${pod?.name ?? ''} exists and is not ours` };
}

async function removePod(client: KubeClient, path: string, uid: string | undefined, graceSeconds: number): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: graceSeconds, ...(uid === undefined ? {} : { preconditions: { uid } }) };
  await client.json({ verb: 'delete', resource: 'pods', path, body }).catch((error: unknown) => {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  });
}

/** Runner pools: pods, the Secret with credentials, the default pool. NATS and Postgres verbs come from the caller. */
export function poolPort(client: KubeClient, defaultPool: Readonly<Record<string, unknown>>, others: Pick<PoolPort, 'signPoolUser' | 'ensureConsumer' | 'removeConsumer' | 'mirror' | 'unmirror'>): PoolPort {
  return {
    ...others,
    createPod: async (pod) => {
      const { metadata } = z.object({ metadata: z.object({ namespace: z.string() }) }).parse(pod);
      try {
        await client.json({ verb: 'create', resource: 'pods', path: corePath('pods', metadata.namespace), query: MANAGER, body: pod });
        return { kind: 'Created' };
      } catch (error) {
        if (isFinal(error)) return { kind: 'Refused', message: errorMessage(error) };
        throw error;
      }
    },
    deletePod: (namespace, name, uid) => removePod(client, corePath('pods', namespace, name), uid, 45),
    applyCreds: async (pool, secretName, creds) => {
      const body = {
        apiVersion: 'v1', kind: 'Secret', type: 'Opaque',
        metadata: {
          name: secretName, namespace: pool.namespace, labels: { [LABELS.managedBy]: MANAGED_BY, [LABELS.pool]: pool.name },
          ownerReferences: [{ apiVersion: API_VERSION, kind: 'RunnerPool', name: pool.name, uid: pool.uid }],
        },
        stringData: { 'nats.creds': creds },
      };
      const query = { ...MANAGER, force: 'true' };
      await client.json({ verb: 'patch', resource: 'secrets', path: corePath('secrets', pool.namespace, secretName), query, patch: 'apply', body });
    },
    createDefaultPool: async (namespace) => {
      const body = { apiVersion: API_VERSION, kind: 'RunnerPool', metadata: { name: 'default', namespace, labels: { [LABELS.managedBy]: MANAGED_BY } }, spec: defaultPool };
      await client.json({ verb: 'create', resource: 'runnerpools', path: crPath('runnerpools', namespace), query: MANAGER, body })
        .catch((error: unknown) => { if (!isAlreadyExists(error)) throw error; });
    },
    patchStatus: async (pool, status) => {
      const path = `${crPath('runnerpools', pool.namespace, pool.name)}/status`;
      const body = { metadata: { uid: pool.uid }, status };
      await client.json({ verb: 'patch', resource: 'runnerpools/status', path, query: MANAGER, patch: 'merge', body })
        .catch(ignoreNotFound);
    },
  };
}

/** Path of the NetworkPolicies of a namespace, or of all. */
export function networkPath(plural: string, namespace?: string, name?: string): string {
  return corePath(plural, namespace, name).replace('/api/v1', '/apis/networking.k8s.io/v1');
}

/** NetworkPolicies of pools. */
export function networkPort(client: KubeClient): Pick<PoolNetworkParts, 'apply' | 'remove'> {
  return {
    apply: async (policy) => {
      const { namespace, name } = policy.metadata;
      await client.json({ verb: 'patch', resource: 'networkpolicies', path: networkPath('networkpolicies', namespace, name), query: { ...MANAGER, force: 'true' }, patch: 'apply', body: policy });
    },
    remove: async (namespace, name, uid) => {
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid } };
      await client.json({ verb: 'delete', resource: 'networkpolicies', path: networkPath('networkpolicies', namespace, name), body }).catch((error: unknown) => {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      });
    },
  };
}

function ignoreNotFound(error: unknown): undefined {
  if (error instanceof KubeError && hasStatus(error, 404)) return undefined;
  throw error;
}
