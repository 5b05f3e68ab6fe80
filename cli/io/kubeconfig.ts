import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { KubeClient } from '../../platform/kube/client.ts';
import { loadKubeConfig } from '../../platform/kube/config.ts';
import { CliError } from '../errors.ts';

/** The API server that a kubeconfig leads to. Throws CliError `Usage` that says how to do without, else RamboError `KubeConfig`. */
export function connectCluster(kubeconfig: string | undefined, without: string): KubeClient {
  const file = kubeconfigFile(kubeconfig);
  if (file !== undefined && !existsSync(file)) throw new CliError('Usage', `kubeconfig ${file} does not exist: give another with --kubeconfig, or ${without}`);
  try {
    return new KubeClient(loadKubeConfig(file));
  } catch (error) {
    throw new CliError('Usage', `the API server cannot be reached: ${error instanceof Error ? error.message : String(error)}; give --kubeconfig, or ${without}`, { cause: error });
  }
}

/** The kubeconfig to read: the first that is named, else that of the account; undefined in a pod. */
export function kubeconfigFile(kubeconfig: string | undefined): string | undefined {
  const named = kubeconfig?.split(path.delimiter).find((one) => one !== '');
  const own = path.join(homedir(), '.kube', 'config');
  return named ?? (existsSync(own) ? own : undefined);
}
