import { readFileSync } from 'node:fs';
import { Option } from 'commander';
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

/** Empties NATS; undefined where it is not named. Throws CliError `Usage` when only half of it is given. */
export function natsWipe(url: string | undefined, creds: string | undefined): (() => Promise<boolean>) | undefined {
  if (url === undefined) return undefined;
  if (creds === undefined) throw new CliError('Usage', '--nats-url needs --nats-creds (NATS_CREDS), the credentials file of the controller');
  return () => wipeDispatches(url, readFileSync(creds, 'utf8').trim());
}
