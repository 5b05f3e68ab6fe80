import { z } from 'zod';
import { GROUP, VERSION } from '../../crds/names.ts';
import type { KubeClient } from '../../platform/kube/client.ts';
import { isNotFound } from '../../platform/kube/errors.ts';

/** Kinds of ours that the API server holds, by their plural. */
export const KINDS = { workflows: 'Workflow', workflowruns: 'WorkflowRun', runnerpools: 'RunnerPool', models: 'Model', toolservers: 'ToolServer', agents: 'Agent' } as const;
/** Plural of a kind of ours. */
export type Plural = keyof typeof KINDS;
/** Every plural. */
export const PLURALS: readonly Plural[] = ['workflows', 'runnerpools', 'models', 'toolservers', 'agents', 'workflowruns'];

/** Any object of the API server. */
export const objectSchema = z.looseObject({
  apiVersion: z.string().optional(), kind: z.string().optional(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional(), uid: z.string().optional() }),
});
/** Any object of the API server. */
export type AnyObject = z.infer<typeof objectSchema>;

const listSchema = z.looseObject({ metadata: z.looseObject({ continue: z.string().optional() }), items: z.array(objectSchema) });
const PAGE = 500;

/** Path of our objects, of all namespaces or of one. */
export function crPath(plural: Plural, namespace?: string, name?: string): string {
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `/apis/${GROUP}/${VERSION}${scope}/${plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}

/** All objects below a path, page by page, as they were at the first page. Nothing where the kind itself is not served. */
export async function* listAll(client: KubeClient, resource: string, path: string, query: Readonly<Record<string, string>> = {}): AsyncGenerator<AnyObject> {
  for (let next = ''; ;) {
    const page = await client.json({ verb: 'list', resource, path, query: { ...query, limit: String(PAGE), ...(next === '' ? {} : { continue: next }) } })
      .catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
    if (page === undefined) return;
    const { items, metadata } = listSchema.parse(page);
    yield* items;
    next = metadata.continue ?? '';
    if (next === '') return;
  }
}
