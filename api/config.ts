import { z } from 'zod';
import { databaseVariables, flag, list, logLevel, objectsVariables, podVariables, port, text } from '../platform/config/index.ts';

/** Environment of the API process. */
export const apiConfigSchema = z.object({
  ...databaseVariables,
  ...podVariables,
  ...objectsVariables,
  RAMBO_NATS_URL: text().describe('NATS.'),
  RAMBO_NATS_CREDS_FILE: text().describe('Credentials file of the API\'s own NATS user (`apiPermissions`).'),
  RAMBO_KUBECONFIG: text().optional().describe('Kubeconfig; the pod\'s own service account when absent.'),
  RAMBO_LISTEN_HOST: text().default('127.0.0.1').describe('Address of the API and of the port for metrics.'),
  RAMBO_LISTEN_PORT: port(0).describe('Port of /graphql; 0 lets the system choose.'),
  RAMBO_METRICS_PORT: port(0).describe('Port of /healthz, /readyz, /metrics: another one, because nobody needs a token there.'),
  RAMBO_TOKEN_AUDIENCE: text().default('rambo').describe('Audience a token must be meant for.'),
  RAMBO_CORS_ORIGINS: list().describe('Origins of web pages that may call, separated by commas; none by default.'),
  RAMBO_GRAPHQL_INTROSPECTION: flag(false).describe('Whether the schema may be read through the API.'),
  RAMBO_LOG_LEVEL: logLevel().describe('debug, info, warn or error.'),
  OTEL_EXPORTER_OTLP_ENDPOINT: text().optional().describe('Where spans go, OTLP over HTTP; none are made when absent.'),
  RAMBO_SENTRY_DSN: text().optional().describe('Project in Sentry that faults are reported to; nothing is loaded and nothing leaves when absent.'),
  RAMBO_SENTRY_ENVIRONMENT: text().optional().describe('Environment under which Sentry shows them; `production` when absent.'),
});

/** Configuration of the API process. */
export type ApiConfig = z.output<typeof apiConfigSchema>;
