import { z } from 'zod';
import { databaseVariables, list, logLevel, podVariables, port, text } from '../../platform/config/index.ts';

/** Environment of the controller. */
export const controllerConfigSchema = z.object({
  ...databaseVariables,
  RAMBO_NATS_URL: text().describe('NATS as the controller reaches it.'),
  RAMBO_NATS_CREDS_FILE: text().describe('Credentials file of the controller\'s own NATS user.'),
  RAMBO_NATS_ACCOUNT_SEED_FILE: text().describe('Seed of the NATS account: signs the users of pools, keys the attempt secrets.'),
  RAMBO_RUNNER_NATS_URL: text().describe('NATS as runner pods reach it.'),
  RAMBO_RUNNER_IMAGE: text().default('rambo/runner').describe('Image of runner pods.'),
  RAMBO_KUBECONFIG: text().optional().describe('Kubeconfig; the pod\'s own service account when absent.'),
  RAMBO_LOGS_DIR: text().default('/var/lib/rambo/logs').describe('Where logs of nodes are kept.'),
  RAMBO_LISTEN_HOST: text().default('127.0.0.1').describe('Address of /healthz, /readyz, /metrics.'),
  RAMBO_LISTEN_PORT: port(0).describe('Port of /healthz, /readyz, /metrics; 0 lets the system choose.'),
  RAMBO_LOG_LEVEL: logLevel().describe('debug, info, warn or error.'),
  OTEL_EXPORTER_OTLP_ENDPOINT: text().optional().describe('Where spans go, OTLP over HTTP; none are made when absent.'),
  RAMBO_RUNNER_OTLP_ENDPOINT: text().optional().describe('Where spans of runners go, as their pods reach it; that of OTEL_EXPORTER_OTLP_ENDPOINT when absent.'),
  RAMBO_SENTRY_DSN: text().optional().describe('Project in Sentry that faults are reported to; nothing is loaded and nothing leaves when absent.'),
  RAMBO_SENTRY_ENVIRONMENT: text().optional().describe('Environment under which Sentry shows them; `production` when absent.'),
  ...podVariables,
  RAMBO_WATCH_NAMESPACES: list().describe('Namespaces whose workflows are run, separated by commas; all when empty.'),
  RAMBO_DEFAULT_POOL_FILE: text().optional().describe('Spec of the pools `default` that the controller makes where they are missing, as JSON; minReady is 0 whatever it says.'),
  RAMBO_RUNNER_EGRESS_FILE: text().optional().describe('What runners of every pool have to reach (DNS, NATS), as `egress` of a NetworkPolicy in JSON; those ports anywhere when absent.'),
  RAMBO_MODELGATEWAY_URL: z.url({ protocol: /^https?$/ }).optional().describe('The model gateway as runner pods reach it; without one nodes of type agent fail with AgentsNotInstalled.'),
  RAMBO_PODS_IN_FLIGHT: z.coerce.number().int().min(1).default(100).describe('Pods of container nodes at once per namespace.'),
});

/** Configuration of the controller. */
export type ControllerConfig = z.output<typeof controllerConfigSchema>;
