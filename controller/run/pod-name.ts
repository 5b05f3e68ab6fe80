import { createHash } from 'node:crypto';

/**
 * Name of the pod of one attempt: a function of run, node, item and attempt, so that creating it twice is creating it
 * once. At most 63 characters whatever the names are: `<node, shortened>-<hash of the whole>`.
 */
export function attemptPodName(run: string, node: string, item: number, attempt: number): string {
  const hash = createHash('sha256').update(`${run}/${node}/${item}/${attempt}`).digest('hex').slice(0, 16);
  const readable = node.toLowerCase().replace(/[^a-z0-9-]/g, '-').slice(0, 40).replace(/^-+|-+$/g, '');
  return `${readable === '' ? 'node' : readable}-${hash}`;
}
