import type { z } from 'zod';
import { UnavailableError } from '../platform/errors/index.ts';
import type { KubeRequest } from '../platform/kube/client.ts';
import { isNotFound } from '../platform/kube/errors.ts';

/** The API server, as far as the gateway asks it. */
export interface ObjectReader {
  json(request: KubeRequest): Promise<unknown>;
}

const RESOURCES = { Secret: 'secrets', ConfigMap: 'configmaps' } as const;

/** One Secret or ConfigMap by GET with the gateway's own account; undefined: there is none. Throws UnavailableError where the API server does not answer. */
export async function readObject<S extends z.ZodType>(client: ObjectReader, kind: keyof typeof RESOURCES, namespace: string, name: string, schema: S): Promise<z.output<S> | undefined> {
  const resource = RESOURCES[kind];
  try {
    return schema.parse(await client.json({ verb: 'get', resource, path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/${resource}/${encodeURIComponent(name)}` }));
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw new UnavailableError(`${kind} ${namespace}/${name}`, error);
  }
}
