import { readFileSync } from 'node:fs';
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
/** A port; 0 lets the system choose. */
export const port = (fallback: number): z.ZodDefault<z.ZodCoercedNumber> => z.coerce.number().int().min(0).max(65_535).default(fallback);
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

/** A file named by a variable, as text without its last newline. Throws ConfigError naming the variable and the file. */
export function readSecretFile(variable: string, file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new ConfigError('Config', `${variable}: ${file} cannot be read`, { cause: error });
  }
}
