import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { parseDuration } from '../../crds/duration.ts';
import { RamboError } from '../errors/index.ts';

/**
 * The only reader of the environment. A process declares its variables as a zod object; what a person wrote ("10s",
 * "8080") is settled here once, and everything that is wrong is said at once.
 */
export class ConfigError extends RamboError {}

/** A variable with text. */
export const text = (): z.ZodString => z.string().min(1);
/** A whole number from 0 to `most`. An empty text is none: it would read as 0, which often means no limit, or any port. */
export const whole = (fallback: number, most: number): z.ZodType<number> =>
  z.string().default(String(fallback)).transform((value, context) => {
    if (/^[0-9]{1,15}$/.test(value) && Number(value) <= most) return Number(value);
    context.addIssue({ code: 'custom', message: `expected a whole number from 0 to ${most}` });
    return z.NEVER;
  });
/** A port; 0 lets the system choose. */
export const port = (fallback: number): z.ZodType<number> => whole(fallback, 65_535);
/** `true` or `false`. */
export const flag = (fallback: boolean): z.ZodPipe<z.ZodDefault<z.ZodEnum<{ true: 'true'; false: 'false' }>>, z.ZodTransform<boolean, 'true' | 'false'>> =>
  z.enum(['true', 'false']).default(fallback ? 'true' : 'false').transform((value) => value === 'true');
/** A duration as people write it; milliseconds for the code. */
export const duration = (fallback: string): z.ZodType<number> =>
  z.string().default(fallback).transform((value, context) => {
    const ms = parseDuration(value);
    if (ms !== undefined) return ms;
    context.addIssue({ code: 'custom', message: 'expected a duration such as 500ms, 10s, 5m' });
    return z.NEVER;
  });
/** A list separated by commas. */
export const list = (): z.ZodType<readonly string[]> => z.string().default('').transform((value) => value.split(',').map((part) => part.trim()).filter((part) => part !== ''));
/** Log level. */
export const logLevel = (): z.ZodDefault<z.ZodEnum<{ debug: 'debug'; info: 'info'; warn: 'warn'; error: 'error' }>> => z.enum(['debug', 'info', 'warn', 'error']).default('info');

/** Reads the environment of this process. Throws ConfigError that lists every problem; never prints a value of a secret. */
export function readConfig<T extends z.ZodType>(schema: T, env: Readonly<Record<string, string | undefined>> = process.env): z.output<T> {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => {
    const name = issue.path.join('.');
    const given = env[name] === undefined ? 'is not set' : 'is set';
    return `  ${name} (${given}): ${issue.message}`;
  });
  throw new ConfigError('Config', `the environment cannot be used:\n${lines.join('\n')}`);
}

/** A file named by a variable, as text without blanks around it. Throws ConfigError naming the variable and the file, also where nothing is in it. */
export function readSecretFile(variable: string, file: string): string {
  const hint = `in a cluster it comes from a Secret: it must exist and have the key ${path.basename(file)}`;
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new ConfigError('Config', `${variable}: ${file} cannot be read; ${hint}`, { cause: error });
  }
  if (text === '') throw new ConfigError('Config', `${variable}: ${file} is empty; ${hint}, with a value`);
  return text;
}

/** Variables that name Postgres: its URL, or the file that holds it. */
export const databaseVariables = {
  RAMBO_DATABASE_URL: text().optional().describe('Postgres, as a URL; or give RAMBO_DATABASE_URL_FILE.'),
  RAMBO_DATABASE_URL_FILE: text().optional().describe('File with the URL of Postgres, such as a mounted Secret.'),
};

/** URL of Postgres, from where the configuration says it is. Throws ConfigError when it is nowhere. */
export function readDatabaseUrl(config: { readonly RAMBO_DATABASE_URL?: string | undefined; readonly RAMBO_DATABASE_URL_FILE?: string | undefined }): string {
  if (config.RAMBO_DATABASE_URL !== undefined) return config.RAMBO_DATABASE_URL;
  if (config.RAMBO_DATABASE_URL_FILE !== undefined) return readSecretFile('RAMBO_DATABASE_URL_FILE', config.RAMBO_DATABASE_URL_FILE);
  throw new ConfigError('Config', 'RAMBO_DATABASE_URL or RAMBO_DATABASE_URL_FILE must say where Postgres is');
}

/** Variables that name the object store; without RAMBO_S3_ENDPOINT there is none. */
export const objectsVariables = {
  RAMBO_S3_ENDPOINT: z.url({ protocol: /^https?$/ }).optional().describe('Object store: address of its S3 API. Without one, files are UNAVAILABLE and all else works.'),
  RAMBO_S3_PUBLIC_ENDPOINT: z.url({ protocol: /^https?$/ }).optional().describe('Where browsers reach the object store, if elsewhere: presigned URLs lead there. Another origin than the API\'s.'),
  RAMBO_S3_BUCKET: text().default('rambo').describe('Bucket; it must exist.'),
  RAMBO_S3_REGION: text().default('us-east-1').describe('Region that requests are signed for.'),
  RAMBO_S3_ACCESS_KEY_FILE: text().optional().describe('File with the access key.'),
  RAMBO_S3_SECRET_KEY_FILE: text().optional().describe('File with the secret key.'),
};

/** What a configuration says of the object store, the files read. */
export interface ObjectsConfig {
  readonly endpoint: string;
  readonly publicEndpoint: string | undefined;
  readonly bucket: string;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

type ObjectsVariables = Readonly<z.output<z.ZodObject<typeof objectsVariables>>>;

/** The object store, or undefined where none is configured. Throws ConfigError when half of it is. */
export function readObjectsConfig(config: ObjectsVariables): ObjectsConfig | undefined {
  const { RAMBO_S3_ENDPOINT: endpoint, RAMBO_S3_ACCESS_KEY_FILE: access, RAMBO_S3_SECRET_KEY_FILE: secret } = config;
  if (endpoint === undefined) return undefined;
  if (access === undefined || secret === undefined) throw new ConfigError('Config', 'RAMBO_S3_ENDPOINT is set: RAMBO_S3_ACCESS_KEY_FILE and RAMBO_S3_SECRET_KEY_FILE must say what opens it');
  return {
    endpoint, publicEndpoint: config.RAMBO_S3_PUBLIC_ENDPOINT, bucket: config.RAMBO_S3_BUCKET, region: config.RAMBO_S3_REGION,
    accessKey: readSecretFile('RAMBO_S3_ACCESS_KEY_FILE', access), secretKey: readSecretFile('RAMBO_S3_SECRET_KEY_FILE', secret),
  };
}

/** Variables that say which pod this is, so that it can tell of itself in events. */
export const podVariables = {
  RAMBO_REPLICA: text().optional().describe('Name of this replica, as shard leases and logs show it; random digits are added for each process. Give it the name of the pod: a process that is started again takes over from the one before it at once.'),
  RAMBO_POD_NAMESPACE: text().optional().describe('Namespace of the pod; with RAMBO_POD_UID events tell what the pod waits for.'),
  RAMBO_POD_UID: text().optional().describe('Uid of the pod.'),
};
