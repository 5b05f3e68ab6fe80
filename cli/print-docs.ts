import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '../platform/clock/index.ts';
import { buildProgram } from './program.ts';

const FILE = path.join(import.meta.dirname, '../docs/cli.md');
const HEAD = `# The command line

<!-- Generated from \`rambo --help\` by \`node cli/print-docs.ts\`. Do not edit. -->

\`rambo\` operates an installation; as \`kubectl-rambo\` on the PATH it is also \`kubectl rambo\`. It is one file, \`dist/cli.mjs\`, and needs Node 24;
\`make up\` puts it into \`.rambo/bin\`. Progress goes to standard error, answers to standard output.
`;

/** docs/cli.md, out of the help texts. Widths are fixed, so that every terminal makes the same file. */
export function cliDocs(): string {
  const program = buildProgram({ clock: systemClock, print: () => undefined, say: () => undefined, exit: () => undefined }, { version: '', unique: '' });
  const parts = [program, ...program.commands.flatMap((command) => [command, ...(LONG.includes(command.name()) ? [] : command.commands)])]
    .map((command) => `${command === program ? '' : `\n## ${nameOf(command)}\n`}\n\`\`\`\n${helpOf(command).trimEnd()}\n\`\`\`\n`);
  return HEAD + parts.join('');
}

/** Its verbs are those of the API: docs/openapi.json has them. */
const LONG = ['api'];

function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}

/** As printed: commander adds the texts after the help only when it prints. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => { text += part; }, getOutHelpWidth: () => 120, getOutHasColors: () => false });
  command.outputHelp();
  return text;
}

async function main(args: readonly string[]): Promise<void> {
  const [text, current] = [cliDocs(), await readFile(FILE, 'utf8').catch(() => '')];
  if (text === current) return;
  if (args.includes('--check')) {
    console.error('docs/cli.md is out of date: run `node cli/print-docs.ts`');
    process.exitCode = 1;
    return;
  }
  await writeFile(FILE, text);
  console.log('wrote docs/cli.md');
}

if (import.meta.main) await main(process.argv.slice(2));
