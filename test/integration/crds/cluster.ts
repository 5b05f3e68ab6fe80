import { join } from 'node:path';
import { API_VERSION, GROUP, VERSION } from '../../../crds/names.ts';
import { connectKubeApi, eventually } from '../../harness/kube-api.ts';
import type { KubeAnswer, KubeApi } from '../../harness/kube-api.ts';

/** The kinds under test, with their plural. */
export const PLURALS = { Workflow: 'workflows', WorkflowRun: 'workflowruns', RunnerPool: 'runnerpools', Model: 'models', ToolServer: 'toolservers', Agent: 'agents' } as const;
/** A kind under test. */
export type Kind = keyof typeof PLURALS;

/** How a client writes. `create` and `patch` are what client-side apply sends, `apply` is server-side apply. */
export type Way = 'create' | 'apply';
/** Strict clients refuse unknown fields (kubectl's default); to others they are pruned. */
export type FieldValidation = 'Strict' | 'Ignore';

/** The manifest of a kind. `object` may carry more than the spec. */
export function manifest(kind: Kind, name: string, spec: unknown, more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return { apiVersion: API_VERSION, kind, metadata: { name }, spec, ...more };
}

/** A namespace of the test cluster with the CRDs and policies in force. */
export interface CrdCluster {
  readonly api: KubeApi;
  readonly namespace: string;
  path(kind: Kind, name?: string, subresource?: string): string;
  /** Writes a new object. Nothing is stored when `dryRun`. */
  write(object: Readonly<Record<string, unknown>>, options?: WriteOptions): Promise<KubeAnswer>;
  /** Merge patch, as client-side apply sends for a change. */
  patch(kind: Kind, name: string, patch: unknown, subresource?: string): Promise<KubeAnswer>;
  get(kind: Kind, name: string): Promise<KubeAnswer>;
  remove(): Promise<void>;
}

/** How an object is written. */
export interface WriteOptions {
  readonly way?: Way;
  readonly fields?: FieldValidation;
  readonly dryRun?: boolean;
  readonly user?: string;
}

/** Installs the generated manifests and makes a namespace. Safe to call from several test files at once. */
export async function startCrdCluster(prefix: string): Promise<CrdCluster> {
  const api = connectKubeApi();
  const folder = join(import.meta.dirname, '../../../crds/generated');
  const installed = await api.kubectl(['apply', '--server-side', '--force-conflicts', '-f', folder]);
  if (installed.code !== 0) throw new Error(`kubectl apply -f crds/generated: ${installed.stderr}`);
  const crds = Object.values(PLURALS).map((plural) => `crd/${plural}.${GROUP}`);
  // kubectl itself fails on a definition that has no conditions yet.
  await eventually('CRDs established', async () => {
    const { code } = await api.kubectl(['wait', '--for=condition=Established', '--timeout=30s', ...crds]);
    return code === 0 ? true : undefined;
  }, 60_000);
  const namespace = `${prefix}-${process.pid}-${Math.trunc(performance.now())}`;
  const made = await api.request({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name: namespace } } });
  if (made.status !== 201) throw new Error(made.message);
  const cluster = crdCluster(api, namespace);
  await policiesInForce(cluster);
  return cluster;
}

function crdCluster(api: KubeApi, namespace: string): CrdCluster {
  const path: CrdCluster['path'] = (kind, name, subresource) =>
    [`/apis/${GROUP}/${VERSION}/namespaces/${namespace}/${PLURALS[kind]}`, name, subresource].filter((part) => part !== undefined).join('/');
  return {
    api,
    namespace,
    path,
    write: (object, options = {}) => writeObject(api, path, object, options),
    patch: (kind, name, patch, subresource) => api.request({
      method: 'PATCH', path: path(kind, name, subresource), body: patch, contentType: 'application/merge-patch+json',
      query: { fieldManager: 'test' },
    }),
    get: (kind, name) => api.request({ method: 'GET', path: path(kind, name) }),
    remove: async () => { await api.request({ method: 'DELETE', path: `/api/v1/namespaces/${namespace}` }); },
  };
}

async function writeObject(
  api: KubeApi, path: CrdCluster['path'], object: Readonly<Record<string, unknown>>, options: WriteOptions,
): Promise<KubeAnswer> {
  const kind = kindOf(object['kind']);
  const query = {
    fieldManager: 'test', fieldValidation: options.fields ?? 'Strict', ...(options.dryRun === false ? {} : { dryRun: 'All' }),
  };
  const user = options.user === undefined ? {} : { user: options.user };
  if (options.way !== 'apply') return api.request({ method: 'POST', path: path(kind), query, body: object, ...user });
  const name = encodeURIComponent(nameOf(object));
  return api.request({
    method: 'PATCH', path: path(kind, name), query, body: object, contentType: 'application/apply-patch+yaml', ...user,
  });
}

/** A policy acts some moments after it is stored: probes one that has to refuse. */
async function policiesInForce(cluster: CrdCluster): Promise<void> {
  const wrong = manifest('Workflow', 'probe', { nodes: [{ name: 'a', type: 'transform' }], outputs: { 'No Name': 1 } });
  await eventually('the admission policies', async () => ((await cluster.write(wrong)).status === 422 ? true : undefined), 30_000);
}

function kindOf(value: unknown): Kind {
  if (typeof value === 'string' && Object.hasOwn(PLURALS, value)) return value as Kind;
  throw new Error(`no kind under test: ${String(value)}`);
}

function nameOf(object: Readonly<Record<string, unknown>>): string {
  const metadata = object['metadata'];
  return typeof metadata === 'object' && metadata !== null && 'name' in metadata ? String(metadata.name) : '';
}
