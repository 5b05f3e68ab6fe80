import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { dirname, join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';

/**
 * A small door to the real API server for tests: plain HTTPS, and kubectl where the client itself matters. The kubeconfig
 * (token or client certificate) is named by RAMBO_TEST_KUBECONFIG, kubectl by RAMBO_TEST_KUBECTL; without it the one in
 * `bin/` beside the kubeconfig is taken, else the one in PATH.
 */

const dataSchema = z.string().transform((base64) => Buffer.from(base64, 'base64').toString());
const kubeconfigSchema = z.object({
  clusters: z.array(z.object({
    cluster: z.object({ server: z.string(), 'certificate-authority-data': dataSchema.optional() }),
  })).min(1),
  users: z.array(z.object({
    user: z.object({
      token: z.string().optional(),
      'client-certificate-data': dataSchema.optional(),
      'client-key-data': dataSchema.optional(),
    }),
  })).min(1),
});

/** What the API server answered; `message` of a Status, so that a test reads it in one place. */
export interface KubeAnswer {
  readonly status: number;
  readonly body: unknown;
  readonly message: string;
  /** Warnings of the API server (headers), joined. */
  readonly warnings: string;
}

/** One request. `user` impersonates a user without rights of its own. */
export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly user?: string;
}

/** What kubectl printed and how it ended. */
export interface KubectlResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A connection to one API server. */
export interface KubeApi {
  readonly kubeconfigPath: string;
  request(request: KubeRequest): Promise<KubeAnswer>;
  kubectl(args: readonly string[], stdin?: string): Promise<KubectlResult>;
}

/** Connects to the test cluster; throws when none is named. */
export function connectKubeApi(kubeconfigPath = process.env['RAMBO_TEST_KUBECONFIG']): KubeApi {
  if (kubeconfigPath === undefined) throw new Error('set RAMBO_TEST_KUBECONFIG to the kubeconfig of a test cluster');
  const config = kubeconfigSchema.parse(parseYaml(readFileSync(kubeconfigPath, 'utf8')));
  const cluster = config.clusters[0]?.cluster;
  const user = config.users[0]?.user;
  if (cluster === undefined || user === undefined) throw new Error(`${kubeconfigPath} names no cluster or no user`);
  const tls = {
    ca: cluster['certificate-authority-data'], cert: user['client-certificate-data'], key: user['client-key-data'],
  };
  const binary = kubectlBinary(kubeconfigPath);
  return {
    kubeconfigPath,
    request: (request) => send(cluster.server, tls, user.token, request),
    kubectl: (args, stdin) => runKubectl(binary, kubeconfigPath, args, stdin),
  };
}

/** Calls `probe` until it gives something else than undefined. For real servers only; throws after `deadlineMs`. */
export async function eventually<T>(what: string, probe: () => Promise<T | undefined>, deadlineMs = 15_000): Promise<T> {
  const end = performance.now() + deadlineMs;
  while (performance.now() < end) {
    const value = await probe();
    if (value !== undefined) return value;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  throw new Error(`${what}: not within ${deadlineMs} ms`);
}

interface Tls { readonly ca: string | undefined; readonly cert: string | undefined; readonly key: string | undefined }

async function send(server: string, tls: Tls, token: string | undefined, request: KubeRequest): Promise<KubeAnswer> {
  const url = new URL(request.path, server);
  for (const [key, value] of Object.entries(request.query ?? {})) url.searchParams.set(key, value);
  const headers: Record<string, string> = { accept: 'application/json' };
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
  if (request.user !== undefined) headers['impersonate-user'] = request.user;
  const body = bodyText(request.body);
  if (body !== undefined) headers['content-type'] = request.contentType ?? 'application/json';
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(url, { method: request.method, headers, ...tls }, (response) => {
      readText(response).then((answer) => {
        const parsed = jsonOrText(answer);
        const warnings = [response.headers['warning'] ?? []].flat().join('; ');
        resolve({ status: response.statusCode ?? 0, body: parsed, message: messageOf(parsed), warnings });
      }).catch(reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

function bodyText(body: unknown): string | undefined {
  return typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
}

function jsonOrText(answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    return answer;
  }
}

function messageOf(body: unknown): string {
  if (typeof body === 'string') return body;
  const status = z.object({ kind: z.literal('Status'), message: z.string() }).safeParse(body);
  return status.success ? status.data.message : '';
}

function kubectlBinary(kubeconfigPath: string): string {
  const named = process.env['RAMBO_TEST_KUBECTL'];
  const beside = join(dirname(kubeconfigPath), 'bin', 'kubectl');
  return named ?? (existsSync(beside) ? beside : 'kubectl');
}

async function runKubectl(binary: string, kubeconfig: string, args: readonly string[], stdin: string | undefined): Promise<KubectlResult> {
  const child = spawn(binary, args, { env: { ...process.env, KUBECONFIG: kubeconfig }, stdio: 'pipe' });
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => { resolve(code ?? -1); });
  });
  child.stdin.on('error', () => { /* kubectl may end before it has read everything */ });
  child.stdin.end(stdin ?? '');
  const [code, stdout, stderr] = await Promise.all([ended, readText(child.stdout), readText(child.stderr)]);
  return { code, stdout, stderr };
}
