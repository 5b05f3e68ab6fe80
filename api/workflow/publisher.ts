import { z } from 'zod';
import { API_VERSION, FIELD_MANAGERS, GROUP, VERSION } from '../../crds/names.ts';
import { UnavailableError } from '../../platform/errors/index.ts';
import type { RamboError } from '../../platform/errors/index.ts';
import type { KubeClient } from '../../platform/kube/client.ts';
import { isConflict, isNotFound, KubeError } from '../../platform/kube/errors.ts';
import { ApiError } from '../errors.ts';
import type { ApiLog } from '../ports.ts';

/* Workflow objects of published workflows, written with the API's own account after its own authorisation. */

/** Annotations of what the API has written: the row it was published from, and by whom. */
export const PUBLISHED = { workflow: 'rambo.dev/project-workflow', by: 'rambo.dev/published-by' } as const;

/** A Workflow to be written. */
export interface PublishedWorkflow {
  readonly namespace: string;
  readonly name: string;
  /** Id of the row. */
  readonly workflowId: string;
  /** Name of the principal. */
  readonly by: string;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** Writes Workflow objects. Every method throws ApiError with what the caller can do, or UnavailableError. */
export interface WorkflowPublisher {
  /** Creates the object or changes what was published before. Safe to repeat. */
  publish(workflow: PublishedWorkflow): Promise<void>;
  /** Deletes the object, if it is there and was published from that row. */
  unpublish(workflow: Pick<PublishedWorkflow, 'namespace' | 'name' | 'workflowId'>): Promise<void>;
}

const objectSchema = z.object({
  metadata: z.object({
    uid: z.string(), annotations: z.record(z.string(), z.string()).optional(),
    managedFields: z.array(z.object({ manager: z.string().optional(), operation: z.string().optional() })).optional(),
  }),
});
type Found = z.output<typeof objectSchema>['metadata'];

/** The publisher over the Kubernetes API, by server-side apply: whatever another manager owns is refused, never taken over. */
export function kubePublisher(kube: Pick<KubeClient, 'json'>, log: ApiLog): WorkflowPublisher {
  const found = async (namespace: string, name: string): Promise<Found | undefined> => {
    try {
      return objectSchema.parse(await kube.json({ verb: 'get', resource: 'workflows', path: pathOf(namespace, name) })).metadata;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw told(error, log, namespace, name);
    }
  };
  return {
    publish: async ({ namespace, name, workflowId, by, spec }) => {
      const before = await found(namespace, name);
      if (before !== undefined) demandOurs(before, { namespace, name, workflowId });
      const body = {
        apiVersion: API_VERSION, kind: 'Workflow', spec,
        metadata: { name, namespace, annotations: { [PUBLISHED.workflow]: workflowId, [PUBLISHED.by]: by } },
      };
      try {
        // The pretty answer of a refusal is a Status; fields we do not know would be dropped in silence, so they are refused.
        await kube.json({ verb: 'patch', patch: 'apply', resource: 'workflows', path: pathOf(namespace, name), query: { fieldManager: FIELD_MANAGERS.api, fieldValidation: 'Strict' }, body });
      } catch (error) {
        throw told(error, log, namespace, name);
      }
    },
    unpublish: async ({ namespace, name, workflowId }) => {
      const before = await found(namespace, name);
      if (before?.annotations?.[PUBLISHED.workflow] !== workflowId) return;
      try {
        await kube.json({ verb: 'delete', resource: 'workflows', path: pathOf(namespace, name), body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: before.uid } } });
      } catch (error) {
        // Gone, or another object by now: either way ours is no more.
        if (!isNotFound(error) && !isConflict(error)) throw told(error, log, namespace, name);
      }
    },
  };
}

function pathOf(namespace: string, name: string): string {
  return `/apis/${GROUP}/${VERSION}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(name)}`;
}

/** Apply would merge with what somebody else has written, node by node: an object that is not of this row is left alone. */
function demandOurs({ annotations, managedFields }: Found, { namespace, name, workflowId }: Pick<PublishedWorkflow, 'namespace' | 'name' | 'workflowId'>): void {
  if (annotations?.[PUBLISHED.workflow] === workflowId) return;
  const managers = [...new Set((managedFields ?? []).flatMap(({ manager }) => (manager === undefined || manager === FIELD_MANAGERS.controller ? [] : [manager])))];
  throw new ApiError('CONFLICT', `workflow ${namespace}/${name} is there already and managed by ${managers.length === 0 ? 'somebody else' : managers.join(', ')}: change it there, or give this one another name`);
}

/** A failure of the API server in the caller's words. Server-side apply names the manager of each field it refuses. */
function told(error: unknown, log: ApiLog, namespace: string, name: string): RamboError {
  if (!(error instanceof KubeError)) return new UnavailableError('the Kubernetes API server', error);
  const where = `${namespace}/${name}`;
  const { status, code, message } = error;
  if (isConflict(error)) {
    const managers = [...new Set([...message.matchAll(/conflicts? with "([^"]{1,128})"/g)].map(([, manager]) => manager ?? ''))];
    return new ApiError('CONFLICT', `workflow ${where} has fields that ${managers.length === 0 ? 'somebody else' : managers.join(', ')} manages: change them there, or give this one another name`);
  }
  if (status === 404) return new ApiError('CONFLICT', `namespace ${namespace} does not exist: ask an administrator to make it, or to bind the project to another one`);
  log.warn({ resource: 'workflows', code }, 'the API server did not take a workflow');
  if (status === 400 || status === 422) return new ApiError('CONFLICT', `the cluster refuses workflow ${where}: ${message.slice(message.indexOf(': ') + 2, 600)}`);
  return new UnavailableError('the Kubernetes API server', error);
}
