import { createHash } from 'node:crypto';
import type { KubeClient } from './client.ts';

/** Which pod a process runs in; none outside a cluster. */
export interface OwnPod {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
}

/** Events of one process at most: messages with changing words must not become a flood. */
const MOST = 20;

/** A warning about this pod, as `kubectl describe pod` shows it. Failing to write it is no failure: the log has it too. */
export function podWarnings(client: Pick<KubeClient, 'json'>, pod: OwnPod | undefined, component: string, now: () => number): (message: string) => void {
  let left = pod === undefined ? 0 : MOST;
  return (message) => {
    if (pod === undefined || left === 0) return;
    left--;
    const at = new Date(now()).toISOString();
    const body = {
      apiVersion: 'v1', kind: 'Event', metadata: { name: `${pod.name}.${createHash('sha256').update(message).digest('hex').slice(0, 16)}`, namespace: pod.namespace },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', name: pod.name, namespace: pod.namespace, uid: pod.uid },
      type: 'Warning', reason: 'Waiting', message: message.slice(0, 1_000), source: { component }, firstTimestamp: at, lastTimestamp: at, count: 1,
    };
    client.json({ verb: 'create', resource: 'events', path: `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/events`, body }).catch(() => undefined);
  };
}

/** The pod the environment names, if all of it is there. */
export function ownPod(env: { readonly RAMBO_REPLICA?: string | undefined; readonly RAMBO_POD_NAMESPACE?: string | undefined; readonly RAMBO_POD_UID?: string | undefined }): OwnPod | undefined {
  const { RAMBO_REPLICA: name, RAMBO_POD_NAMESPACE: namespace, RAMBO_POD_UID: uid } = env;
  return name === undefined || namespace === undefined || uid === undefined ? undefined : { name, namespace, uid };
}
