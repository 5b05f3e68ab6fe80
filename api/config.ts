import { z } from 'zod';
import { databaseVariables, flag, list, logLevel, objectsVariables, podVariables, port, text, whole } from '../platform/config/index.ts';
import { USER_ROLES } from './ports.ts';

function count(value: number): z.ZodType<number> {
  return whole(value, 1_000_000);
}

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
  RAMBO_GRAPHQL_DOCUMENTS_FILE: text().optional().describe('Manifest of documents that pages may send by their hash: a JSON object of texts by SHA-256.'),
  RAMBO_GRAPHQL_DOCUMENTS_ONLY: flag(false).describe('Whether the documents of the manifest are the only ones that are served.'),
  RAMBO_RATE_LIMIT_PRINCIPAL: count(500).describe('Requests per second of one caller on average, ten seconds of them at once; 0 for any number.'),
  RAMBO_RATE_LIMIT_ADDRESS: count(20).describe('The same for requests without a valid token, per IPv4 address or IPv6 /64; 0 for any number.'),
  RAMBO_ANSWER_MAX_AGE_MS: count(5_000).describe('An answer to a read is given again so long at most, milliseconds, while what it rests on has not changed; 0: every one is made anew.'),
  RAMBO_ANSWER_MEMORY_MIB: count(16).describe('Memory for such answers, MiB.'),
  RAMBO_PROXY_HOPS: count(0).describe('Proxies in front of the API, exactly: each adds one address to X-Forwarded-For. 0: the header is not believed.'),
  RAMBO_GRAPHQL_INTROSPECTION: flag(false).describe('Whether the schema may be read through the API.'),
  RAMBO_ENVIRONMENT: z.enum(['production', 'development']).default('production').describe('`development` allows what must never be in production: the Auth emulator, whose tokens anybody can make, and mails into files.'),
  RAMBO_FIREBASE_PROJECT: text().regex(/^[a-z][a-z0-9-]{3,29}$/, 'is no id of a Firebase project').optional().describe('Firebase project whose users may sign in; none may when absent.'),
  RAMBO_FIREBASE_CREDENTIAL_FILE: text().optional().describe('Key file (JSON) of a service account of that project; the identity of the pod when absent.'),
  RAMBO_FIREBASE_KEYS_URL: z.url().optional().describe('Where the keys of ID tokens are; Google\'s address when absent.'),
  FIREBASE_AUTH_EMULATOR_HOST: text().optional().describe('host:port of the Auth emulator. With RAMBO_ENVIRONMENT=production the process does not start.'),
  RAMBO_DEFAULT_ROLE: z.enum(USER_ROLES).default('VIEWER').describe('Role of somebody who signs in for the first time.'),
  RAMBO_ADMIN_EMAILS: list().describe('Addresses, separated by commas: who has verified one of them is an administrator from the first sign-in on.'),
  RAMBO_CONSOLE_URL: z.url({ protocol: /^https?$/ }).default('http://localhost:5173').describe('Where links in mails lead: the address of the console.'),
  RAMBO_SMTP_URL: text().optional().describe('Mail server, `smtp://user:password@host:587`; or give RAMBO_SMTP_URL_FILE. Without either nothing is sent.'),
  RAMBO_SMTP_URL_FILE: text().optional().describe('File with the URL of the mail server, such as a mounted Secret.'),
  RAMBO_MAIL_FROM: text().default('RamBo <rambo@localhost>').describe('Sender of mails.'),
  RAMBO_MAIL_DIR: text().optional().describe('Folder that mails are written into instead of being sent; for development.'),
  RAMBO_LOG_LEVEL: logLevel().describe('debug, info, warn or error.'),
  OTEL_EXPORTER_OTLP_ENDPOINT: text().optional().describe('Where spans go, OTLP over HTTP; none are made when absent.'),
  RAMBO_SENTRY_DSN: text().optional().describe('Project in Sentry that faults are reported to; nothing is loaded and nothing leaves when absent.'),
  RAMBO_SENTRY_ENVIRONMENT: text().optional().describe('Environment under which Sentry shows them; `production` when absent.'),
}).superRefine((config, context) => {
  if (config.RAMBO_ENVIRONMENT !== 'production') return;
  const refuse = (name: 'FIREBASE_AUTH_EMULATOR_HOST' | 'RAMBO_MAIL_DIR', why: string): void => {
    if (config[name] !== undefined) context.addIssue({ code: 'custom', path: [name], message: `${why}: unset it, or set RAMBO_ENVIRONMENT=development` });
  };
  refuse('FIREBASE_AUTH_EMULATOR_HOST', 'must not be set in production, where anybody could make tokens');
  refuse('RAMBO_MAIL_DIR', 'must not be set in production, where links that open accounts would lie in files');
});

/** Configuration of the API process. */
export type ApiConfig = z.output<typeof apiConfigSchema>;
