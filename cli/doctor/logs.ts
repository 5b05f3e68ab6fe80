import { existsSync, readdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { errorMessage } from '../../platform/errors/index.ts';
import type { KubeClient } from '../../platform/kube/client.ts';
import type { PodFact } from './facts.ts';

/** The last piece of a log. */
export interface LogPiece { readonly name: string; readonly text: string }

const LINES = 500;
const BYTES = 262_144;

/**
 * Logs of RamBo's own processes: those of the release's namespace, and runners of pools, which log what they do and not what
 * nodes print. Pods of single nodes are left out: their logs are the users'.
 */
export async function podLogs(client: KubeClient, pods: readonly PodFact[], namespace: string): Promise<readonly LogPiece[]> {
  const ours = pods.filter((pod) => pod.run === undefined && (pod.namespace === namespace || pod.pool !== undefined)).slice(0, 50);
  const pieces = ours.flatMap((pod) => pod.containers.map((container) => ({ pod, container: container.name })));
  return Promise.all(pieces.map(async ({ pod, container }) => ({ name: `${pod.namespace}-${pod.name}-${container}`, text: await podLog(client, pod, container) })));
}

function podLog(client: KubeClient, pod: PodFact, container: string): Promise<string> {
  const path_ = `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods/${encodeURIComponent(pod.name)}/log`;
  return client.text({ verb: 'get', resource: 'pods/log', path: path_, query: { container, tailLines: String(LINES), limitBytes: String(BYTES) } })
    .catch((error: unknown) => `no log: ${errorMessage(error)}\n`);
}

/** The ends of the `.log` files in a folder: the stack on this machine keeps them there. */
export async function folderLogs(folder: string | undefined): Promise<readonly LogPiece[]> {
  if (folder === undefined || !existsSync(folder)) return [];
  const files = readdirSync(folder).filter((file) => file.endsWith('.log')).sort();
  return Promise.all(files.map(async (file) => ({ name: file.replace(/\.log$/, ''), text: await tail(path.join(folder, file)) })));
}

async function tail(file: string): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const from = Math.max(0, size - BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - from), 0, size - from, from);
    const text = buffer.subarray(0, bytesRead).toString('utf8');
    // The first line may be cut: half a secret is no secret the redaction would know.
    return from === 0 ? text : text.slice(text.indexOf('\n') + 1);
  } finally {
    await handle.close();
  }
}
