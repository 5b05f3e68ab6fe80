import { z } from 'zod';
import { readObject, type ObjectReader } from '../kube-object.ts';

/** Reads keys of ConfigMaps: instructions of agents that are written in their node. */
export interface ConfigMapReader {
  /** The text of a key; undefined where there is none. Throws UnavailableError where the API server does not answer. */
  read(namespace: string, name: string, key: string): Promise<string | undefined>;
}

const configMapSchema = z.object({ data: z.record(z.string(), z.string()).nullish() });

/** ConfigMaps by GET with the gateway's own account, each time anew: it is done once in the life of an agent run. */
export function kubeConfigMaps(client: ObjectReader): ConfigMapReader {
  return {
    read: async (namespace, name, key) => {
      const data = (await readObject(client, 'ConfigMap', namespace, name, configMapSchema))?.data;
      return data != null && Object.hasOwn(data, key) ? data[key] : undefined;
    },
  };
}
