import { z } from 'zod';
import { UnavailableError } from '../../platform/errors/index.ts';
import type { KubeRequest } from '../../platform/kube/client.ts';
import { isNotFound } from '../../platform/kube/errors.ts';

/** Reads keys of ConfigMaps: instructions of agents that are written in their node. */
export interface ConfigMapReader {
  /** The text of a key; undefined where there is none. Throws UnavailableError where the API server does not answer. */
  read(namespace: string, name: string, key: string): Promise<string | undefined>;
}

const configMapSchema = z.object({ data: z.record(z.string(), z.string()).nullish() });

/** ConfigMaps by GET with the gateway's own account, each time anew: it is done once in the life of an agent run. */
export function kubeConfigMaps(client: { json(request: KubeRequest): Promise<unknown> }): ConfigMapReader {
  return {
    read: async (namespace, name, key) => {
      try {
        const { data } = configMapSchema.parse(await client.json({ verb: 'get', resource: 'configmaps', path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps/${encodeURIComponent(name)}` }));
        return data != null && Object.hasOwn(data, key) ? data[key] : undefined;
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw new UnavailableError(`ConfigMap ${namespace}/${name}`, error);
      }
    },
  };
}
