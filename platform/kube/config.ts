import { Buffer } from 'node:buffer';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { readConfig } from '../config/index.ts';
import { errorMessage, RamboError } from '../errors/index.ts';

/** Where the API server is and who we are. */
export interface KubeConfig {
  readonly server: string;
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  /** The bearer token as it is now: files rotate. */
  token(): string | undefined;
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

const kubeconfigSchema = z.object({
  'current-context': z.string(),
  contexts: z.array(z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) })),
  clusters: z.array(z.object({ name: z.string(), cluster: z.object({
    server: z.string(), 'certificate-authority-data': z.string().optional(), 'certificate-authority': z.string().optional(),
  }) })),
  users: z.array(z.object({ name: z.string(), user: z.object({
    token: z.string().optional(), tokenFile: z.string().optional(),
    'client-certificate-data': z.string().optional(), 'client-key-data': z.string().optional(),
    'client-certificate': z.string().optional(), 'client-key': z.string().optional(),
    exec: z.unknown().optional(), 'auth-provider': z.unknown().optional(),
  }) })),
});

/**
 * Reads a kubeconfig, or the pod's own service account when no file is given. Exec plugins are not supported: RamBo's
 * processes run with tokens or certificates. Throws RamboError `KubeConfig` naming the file and what is wrong.
 */
export function loadKubeConfig(file: string | undefined): KubeConfig {
  if (file !== undefined) return fromFile(file);
  if (existsSync(`${SERVICE_ACCOUNT}/token`)) return inCluster();
  throw new RamboError('KubeConfig', 'no kubeconfig was given (RAMBO_KUBECONFIG) and this is no pod with a service account');
}

function fromFile(file: string): KubeConfig {
  const parsed = kubeconfigSchema.safeParse(read(file, (): unknown => parse(readFileSync(file, 'utf8'))));
  if (!parsed.success) throw new RamboError('KubeConfig', `${file}: ${parsed.error.issues[0]?.path.join('.') ?? ''}: ${parsed.error.issues[0]?.message ?? 'invalid'}`);
  const config = parsed.data;
  const context = config.contexts.find((c) => c.name === config['current-context'])?.context;
  const cluster = config.clusters.find((c) => c.name === context?.cluster)?.cluster;
  const user = config.users.find((u) => u.name === context?.user)?.user;
  if (cluster === undefined || user === undefined) throw new RamboError('KubeConfig', `${file}: context ${config['current-context']} names no known cluster and user`);
  if (user.exec !== undefined || user['auth-provider'] !== undefined) {
    throw new RamboError('KubeConfig', `${file}: user ${context?.user ?? ''} gets its token from another program, which RamBo does not run: name a user with a token or a certificate`);
  }
  // As kubectl has it: paths begin where the file lies.
  const bytes = (inline: string | undefined, name: string | undefined): Buffer | undefined => {
    if (inline !== undefined) return Buffer.from(inline, 'base64');
    return name === undefined ? undefined : read(file, () => readFileSync(path.resolve(path.dirname(file), name)));
  };
  const ca = bytes(cluster['certificate-authority-data'], cluster['certificate-authority']);
  const cert = bytes(user['client-certificate-data'], user['client-certificate']);
  const key = bytes(user['client-key-data'], user['client-key']);
  const { token, tokenFile } = user;
  return {
    server: cluster.server.replace(/\/$/, ''),
    ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }),
    token: () => token ?? (tokenFile === undefined ? undefined : readFileSync(path.resolve(path.dirname(file), tokenFile), 'utf8').trim()),
  };
}

function read<T>(file: string, from: () => T): T {
  try {
    return from();
  } catch (error) {
    throw new RamboError('KubeConfig', `${file}: ${errorMessage(error)}`, { cause: error });
  }
}

/** Set by the kubelet in every container: the address, so that nobody needs DNS to find the API server. */
const serviceSchema = z.object({ KUBERNETES_SERVICE_HOST: z.string().default('kubernetes.default.svc'), KUBERNETES_SERVICE_PORT: z.string().default('443') });

function inCluster(): KubeConfig {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = readConfig(serviceSchema);
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca: readFileSync(`${SERVICE_ACCOUNT}/ca.crt`),
    token: () => readFileSync(`${SERVICE_ACCOUNT}/token`, 'utf8').trim(),
  };
}
