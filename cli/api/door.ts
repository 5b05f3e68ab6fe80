import { readFileSync } from 'node:fs';
import { Option } from 'commander';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { connectCluster, kubeconfigFile } from '../io/kubeconfig.ts';
import type { Door } from './call.ts';
import { tokenOf } from './kube-token.ts';

/* Where the API is and who calls, for every command that calls it. */

/** What the options of a door give. */
export interface DoorOptions { readonly url?: string; readonly tokenFile?: string; readonly token?: string; readonly kubeconfig?: string; readonly serviceAccount?: string; readonly audience?: string }

/** Adds `--url` and what says who calls; each can come from the environment. */
export function withDoor(command: Command): Command {
  return command.addOption(new Option('--url <url>', 'where the API is').env('RAMBO_API_URL'))
    .addOption(new Option('--token-file <file>', 'file with the token; without a token one is asked for with your kubeconfig').env('RAMBO_TOKEN_FILE'))
    .addOption(new Option('--token <token>').env('RAMBO_TOKEN').hideHelp())
    .addOption(new Option('--service-account <namespace/name>', 'without a token: whom to call as; the account your kubeconfig is of when absent').env('RAMBO_SERVICE_ACCOUNT'))
    .addOption(new Option('--kubeconfig <file>').env('KUBECONFIG').hideHelp())
    .addOption(new Option('--audience <audience>').env('RAMBO_TOKEN_AUDIENCE').default('rambo').hideHelp());
}

/** The door. Without a token, one that the API server gives for the account of the kubeconfig. Throws CliError `Usage` that says what to set. */
export async function doorOf({ url, token, tokenFile, kubeconfig, serviceAccount, audience = 'rambo' }: DoorOptions): Promise<Door> {
  if (url === undefined || url === '') throw new CliError('Usage', 'no API: set RAMBO_API_URL, or give --url (in a checkout: . .rambo/env)');
  if (!/^https?:\/\//.test(url)) throw new CliError('Usage', `--url: ${url} does not begin with http:// or https://`);
  const text = tokenFile === undefined ? token : readText(tokenFile).trim();
  if (text !== undefined && text !== '') return { url, token: text };
  if (tokenFile !== undefined || kubeconfigFile(kubeconfig) === undefined) throw new CliError('Usage', 'no token: set RAMBO_TOKEN or RAMBO_TOKEN_FILE, give --token-file, or have a kubeconfig');
  return { url, token: await tokenOf(connectCluster(kubeconfig, 'set RAMBO_TOKEN'), audience, serviceAccount) };
}

/** A text from a file, `-` for standard input, without the line break at its end. Throws CliError `Usage`. */
export function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8').replace(/\n$/, '');
  } catch (error) {
    throw new CliError('Usage', `@${file} cannot be read`, { cause: error });
  }
}
