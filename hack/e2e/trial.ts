import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { KubeletCluster } from './cluster.ts';

/** A cluster that runs pods, and how to be rid of it. */
export interface TrialCluster {
  /** Its folder, for RAMBO_E2E_DIR. */
  readonly dir: string;
  stop(): Promise<void>;
}

const POD = {
  apiVersion: 'v1', kind: 'Pod', metadata: { name: 'trial', namespace: 'default' },
  spec: { automountServiceAccountToken: false, terminationGracePeriodSeconds: 0, containers: [{ name: 'pause', image: 'rambo.dev/pause:1', imagePullPolicy: 'Never' }] },
};

/**
 * Starts a cluster and one pod of nothing of ours, which tells whether this machine can: not every lack of a kernel or of a
 * container around us can be asked for beforehand. Returns the cluster, or one line of what it lacks.
 */
export async function tryCluster(log: (line: string) => void): Promise<TrialCluster | string> {
  const dir = mkdtempSync(path.join(tmpdir(), 'rambo-e2e-cluster-'));
  const cluster = new KubeletCluster({ dir, log });
  const stop = async (): Promise<void> => {
    await cluster.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await cluster.start();
    const file = path.join(dir, 'trial.json');
    writeFileSync(file, JSON.stringify(POD));
    await cluster.kubectl.apply(file);
    try {
      await cluster.kubectl.run('wait', '--for=condition=Ready', 'pod/trial', '-n', 'default', '--timeout=60s');
    } catch {
      throw new Error(`a pod does not start here: ${await cluster.kubectl.run('get', 'events', '-n', 'default', '--field-selector=involvedObject.name=trial,type=Warning', '-o', 'jsonpath={.items[-1:].message}')}`);
    }
    await cluster.kubectl.run('delete', 'pod', 'trial', '-n', 'default', '--wait=false');
    return { dir, stop };
  } catch (error) {
    await stop();
    return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').slice(0, 600);
  }
}
