import { z } from 'zod';
import { nanoOfUsd } from '../../crds/money.ts';
import { databaseVariables, duration, list, logLevel, objectsVariables, podVariables, port, text } from '../../platform/config/index.ts';
import type { DefaultLimits } from '../run/accounts.ts';

const tokens = z.coerce.number().int().min(1).max(1_000_000_000_000).optional();
const usd = z.coerce.number().positive().max(1_000_000_000).optional();

/** Environment of the model gateway. */
export const gatewayConfigSchema = z.object({
  ...databaseVariables,
  ...podVariables,
  ...objectsVariables,
  RAMBO_NATS_URL: text().describe('NATS.'),
  RAMBO_NATS_CREDS_FILE: text().describe('Credentials file of the gateway\'s own NATS user (`gatewayPermissions`).'),
  RAMBO_KUBECONFIG: text().optional().describe('Kubeconfig; the pod\'s own service account when absent.'),
  RAMBO_LISTEN_HOST: text().default('127.0.0.1').describe('Address of the gateway and of the port for metrics.'),
  RAMBO_LISTEN_PORT: port(0).describe('Port that runners reach; 0 lets the system choose.'),
  RAMBO_METRICS_PORT: port(0).describe('Port of /healthz, /readyz, /metrics: another one, because nobody needs a token there.'),
  RAMBO_MODELGATEWAY_ALLOW: list().describe('Hosts, *.domains and CIDRs that models and tools may be reached at although they are private, separated by commas. Link-local addresses never are.'),
  RAMBO_MODELGATEWAY_RUN_TOKENS: tokens.describe('Tokens that one workflow run may use where no budget_limit says otherwise; no limit when absent.'),
  RAMBO_MODELGATEWAY_RUN_USD: usd.describe('The same in USD.'),
  RAMBO_MODELGATEWAY_DAY_TOKENS: tokens.describe('Tokens that one namespace may use in a day (UTC); no limit when absent.'),
  RAMBO_MODELGATEWAY_DAY_USD: usd.describe('The same in USD.'),
  RAMBO_MODELGATEWAY_FIRST_TOKEN: duration('2m').describe('How long a model may take to begin its answer.'),
  RAMBO_MODELGATEWAY_IDLE: duration('60s').describe('How long a model may say nothing in the middle of an answer.'),
  RAMBO_MODELGATEWAY_OUTAGE: duration('10m').describe('How long all models of an agent may be out of order before its run fails with ModelUnavailable.'),
  RAMBO_MODELGATEWAY_DRAIN: duration('20s').describe('How long model calls may go on after SIGTERM.'),
  RAMBO_MODELGATEWAY_BODY_BYTES: z.coerce.number().int().min(65_536).max(268_435_456).default(16_777_216).describe('Largest body of a request, in bytes.'),
  RAMBO_LOG_LEVEL: logLevel().describe('debug, info, warn or error.'),
  OTEL_EXPORTER_OTLP_ENDPOINT: text().optional().describe('Where spans go, OTLP over HTTP; none are made when absent.'),
  RAMBO_SENTRY_DSN: text().optional().describe('Project in Sentry that faults are reported to; nothing is loaded and nothing leaves when absent.'),
  RAMBO_SENTRY_ENVIRONMENT: text().optional().describe('Environment under which Sentry shows them; `production` when absent.'),
});

/** Configuration of the model gateway. */
export type GatewayConfig = z.output<typeof gatewayConfigSchema>;

/** Limits that hold where nobody set others. */
export function defaultLimits(config: GatewayConfig): DefaultLimits {
  const limit = (most: number | undefined, money: number | undefined): DefaultLimits['run'] => ({ tokens: most ?? null, nano: money === undefined ? null : BigInt(nanoOfUsd(money)) });
  return {
    run: limit(config.RAMBO_MODELGATEWAY_RUN_TOKENS, config.RAMBO_MODELGATEWAY_RUN_USD),
    namespaceDay: limit(config.RAMBO_MODELGATEWAY_DAY_TOKENS, config.RAMBO_MODELGATEWAY_DAY_USD),
  };
}
