import { Command, CommanderError } from 'commander';
import { errorMessage } from '../platform/errors/index.ts';
import { agentCommand } from './commands/agent.ts';
import { apiCommand } from './commands/api.ts';
import { answerCommand } from './commands/answer.ts';
import { approveCommand } from './commands/approve.ts';
import { auditCommand } from './commands/audit.ts';
import { backupCommand } from './commands/backup.ts';
import type { Build } from './commands/build.ts';
import { doctorCommand } from './commands/doctor.ts';
import { restoreCommand } from './commands/restore.ts';
import { versionCommand } from './commands/version.ts';
import { CliError, EXIT_FAILED, EXIT_USAGE } from './errors.ts';
import type { Io } from './io/io.ts';

/** A verb of the command line. One file in commands/ makes one; adding it here is all there is to it. */
export type MakeCommand = (io: Io, build: Build) => Command;

const COMMANDS: readonly MakeCommand[] = [apiCommand, agentCommand, approveCommand, answerCommand, backupCommand, restoreCommand, auditCommand, doctorCommand, versionCommand];

/** The whole command line. `name` is how it was called: `rambo`, or `kubectl rambo`. */
export function buildProgram(io: Io, build: Build, name = 'rambo'): Command {
  const program = new Command(name)
    .description('Operates RamBo: workflows and AI agents on Kubernetes.')
    .helpCommand('help [command]', 'explain a command')
    .showHelpAfterError('(--help explains)')
    .addHelpText('after', `
Addresses come from the environment: RAMBO_API_URL, DATABASE_URL, KUBECONFIG, NATS_URL, NATS_CREDS. In a checkout \`. .rambo/env\` sets them.
Exit codes: 0 done; 1 it failed, or doctor found something; 2 the command line is wrong.`);
  for (const make of COMMANDS) program.addCommand(make(io, build));
  for (const command of allOf(program)) {
    command.exitOverride().configureOutput({ writeOut: (text) => { io.print(text); }, writeErr: (text) => { io.say(text.trimEnd()); } });
    command.showHelpAfterError('(--help explains)');
  }
  return program;
}

/** A command and all below it. */
function allOf(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(allOf)];
}

/** Runs the command line; never throws. `args` are those after the name of the program. */
export async function run(io: Io, build: Build, args: readonly string[], name?: string): Promise<void> {
  const program = buildProgram(io, build, name);
  try {
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode !== 0) io.exit(EXIT_USAGE);
      return;
    }
    io.say(`rambo: ${errorMessage(error)}`);
    const cause = error instanceof Error && error.cause !== undefined ? errorMessage(error.cause) : '';
    if (cause !== '' && !errorMessage(error).includes(cause)) io.say(`  because: ${cause}`);
    io.exit(error instanceof CliError && error.code === 'Usage' ? EXIT_USAGE : EXIT_FAILED);
  }
}
