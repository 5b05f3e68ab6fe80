import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { Option } from 'commander';
import { KubeClient } from '../../platform/kube/client.ts';
import { loadKubeConfig } from '../../platform/kube/config.ts';
import { wipeDispatches } from '../../platform/nats/wipe.ts';
import { CliError } from '../errors.ts';

/* Options that several commands share, and what becomes of them. Each can come from the environment: `make up` writes .rambo/env. */

/** `--database-url`, `DATABASE_URL`. */
export function databaseOption(): Option {
  return new Option('--database-url <url>', 'Postgres, as a URL; better in the environment, where no list of processes shows its password').env('DATABASE_URL');
}

/** `--kubeconfig`, `KUBECONFIG`. */
export function kubeconfigOption(): Option {
  return new Option('--kubeconfig <file>', 'kubeconfig with a token or a certificate; ~/.kube/config, or the service account of the pod, when absent').env('KUBECONFIG');
}

/** `--nats-url`, `NATS_URL`. */
export function natsOption(): Option {
  return new Option('--nats-url <url>', 'NATS as the controller reaches it').env('NATS_URL');
}

/** `--nats-creds`, `NATS_CREDS`. */
export function natsCredsOption(): Option {
  return new Option('--nats-creds <file>', 'credentials file of the controller\'s NATS user').env('NATS_CREDS');
}

/** The database a command needs. Throws CliError `Usage` without one. */
export function needDatabase(url: string | undefined): string {
  if (url === undefined || url === '') throw new CliError('Usage', 'no database: set DATABASE_URL, or give --database-url');
  return url;
}

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

/** Empties NATS; undefined where it is not named. Throws CliError `Usage` when only half of it is given. */
export function natsWipe(url: string | undefined, creds: string | undefined): (() => Promise<boolean>) | undefined {
  if (url === undefined) return undefined;
  if (creds === undefined) throw new CliError('Usage', '--nats-url needs --nats-creds (NATS_CREDS), the credentials file of the controller');
  return () => wipeDispatches(url, readFileSync(creds, 'utf8').trim());
}
