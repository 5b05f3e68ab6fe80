import { readText } from '../api/door.ts';
import { CliError } from '../errors.ts';

/* What deciding and answering have in common. */

/** Shorter beginnings of a hash could be met by chance. */
export const LEAST_HASH = 8;

/** Holds the hash that somebody gives, whole or its beginning, to the one that waits. Throws CliError. */
export function demandHash(given: string, waits: string, what: string, done: string): void {
  if (given.length < LEAST_HASH) throw new CliError('Usage', `--hash: give at least ${LEAST_HASH} digits of it`);
  if (!waits.startsWith(given.toLowerCase())) throw new CliError('HashMismatch', `${what} is not what --hash names: look at it again, nothing was ${done}`);
}

/** JSON of an option, or of the file it names after @. Throws CliError. */
export function jsonGiven(option: string, given: string): unknown {
  try {
    const value: unknown = JSON.parse(given.startsWith('@') ? readText(given.slice(1)) : given);
    return value;
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError('Usage', `${option} is no JSON`, { cause: error });
  }
}
