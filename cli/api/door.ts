import { readFileSync } from 'node:fs';
import { Option } from 'commander';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import type { Door } from './call.ts';

/* Where the API is and who calls, for every command that calls it. */

/** What the options of a door give. */
export interface DoorOptions { readonly url?: string; readonly tokenFile?: string; readonly token?: string }

/** Adds `--url` and `--token-file`; each can come from the environment. */
export function withDoor(command: Command): Command {
  return command.addOption(new Option('--url <url>', 'where the API is').env('RAMBO_API_URL'))
    .addOption(new Option('--token-file <file>', 'file with the token').env('RAMBO_TOKEN_FILE'))
    .addOption(new Option('--token <token>').env('RAMBO_TOKEN').hideHelp());
}

/** The door. Throws CliError `Usage` that says what to set. */
export function doorOf({ url, token, tokenFile }: DoorOptions): Door {
  if (url === undefined || url === '') throw new CliError('Usage', 'no API: set RAMBO_API_URL, or give --url (in a checkout: . .rambo/env)');
  if (!/^https?:\/\//.test(url)) throw new CliError('Usage', `--url: ${url} does not begin with http:// or https://`);
  const text = tokenFile === undefined ? token : readText(tokenFile).trim();
  if (text === undefined || text === '') throw new CliError('Usage', 'no token: set RAMBO_TOKEN or RAMBO_TOKEN_FILE, or give --token-file');
  return { url, token: text };
}

/** A text from a file, `-` for standard input, without the line break at its end. Throws CliError `Usage`. */
export function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8').replace(/\n$/, '');
  } catch (error) {
    throw new CliError('Usage', `@${file} cannot be read`, { cause: error });
  }
}
