import { Command } from 'commander';
import { FORMAT } from '../backup/manifest.ts';
import type { Io } from '../io/io.ts';
import type { Build } from './build.ts';

/** `rambo version`. */
export function versionCommand(io: Io, build: Build): Command {
  return new Command('version')
    .summary('say which release this is')
    .description('Says which release this is, on which Node it runs and which backups it reads. Asks nobody.')
    .action(() => { io.print(`rambo ${build.version}\nnode ${process.version}\nbackup format ${FORMAT}\n`); });
}
