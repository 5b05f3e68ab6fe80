import { z } from 'zod';
import { flag, logLevel, text } from '../platform/config/index.ts';

/** Environment of the setup Job. */
export const setupConfigSchema = z.object({
  RAMBO_POD_NAMESPACE: text().describe('Namespace of the Secrets.'),
  RAMBO_KUBECONFIG: text().optional().describe('Kubeconfig; the pod\'s own service account when absent.'),
  RAMBO_SETUP_CRDS: flag(false).describe('Bring the custom resource definitions to this release, unless the cluster has newer ones.'),
  RAMBO_SETUP_NATS_SECRET: text().optional().describe('Secret for operator, account and users of a trial NATS; made where it is missing.'),
  RAMBO_SETUP_POSTGRES_SECRET: text().optional().describe('Secret for password and URL of a trial Postgres; made where it is missing.'),
  RAMBO_SETUP_POSTGRES_HOST: text().default('127.0.0.1').describe('Host of the trial Postgres.'),
  RAMBO_LOG_LEVEL: logLevel().describe('debug, info, warn or error.'),
});

/** Configuration of the setup Job. */
export type SetupConfig = z.output<typeof setupConfigSchema>;
