import { Command, Option } from 'commander';
import { writeBackup } from '../backup/write.ts';
import type { Io } from '../io/io.ts';
import { bytesText, plural, prose } from '../io/io.ts';
import { filesOf } from '../backup/manifest.ts';
import { connectCluster, databaseOption, kubeconfigOption, needDatabase } from './options.ts';
import type { Build } from './build.ts';

interface Options {
  readonly out: string;
  readonly databaseUrl?: string;
  readonly kubeconfig?: string;
  readonly objects: boolean;
}

/** `rambo backup`. */
export function backupCommand(io: Io, build: Build): Command {
  return new Command('backup')
    .summary('copy Postgres and the custom resources, as of one moment')
    .description(prose(`Copies every table of RamBo's database in one snapshot (REPEATABLE READ), and the Workflows, WorkflowRuns and RunnerPools of the
API server. Nothing has to be stopped. Every file gets its SHA-256 in manifest.json, which is written last; the backup gets its
name when all of it is on the disk, so what carries the name is whole.

It holds inputs and outputs of runs, and definitions: keep it as you keep the database. Secrets and logs of nodes are not in it.`))
    .addOption(new Option('--out <path>', 'a folder to make, or a file that ends with .tar.gz, .tgz or .tar').makeOptionMandatory())
    .addOption(databaseOption())
    .addOption(kubeconfigOption())
    .option('--no-objects', 'leave the custom resources out: Postgres only')
    .addHelpText('after', `
Examples:
  rambo backup --out /backups/rambo-$(date +%F).tar.gz
  rambo backup --no-objects --out ./copy        # a folder, without the API server

See docs/backup.md for what to keep, for how long, and how to try a restore.`)
    .action(async (options: Options) => {
      const databaseUrl = needDatabase(options.databaseUrl);
      const cluster = options.objects ? connectCluster(options.kubeconfig, '--no-objects') : { skipped: '--no-objects was given' };
      try {
        const manifest = await writeBackup(io, { databaseUrl, cluster, out: options.out, version: build.version, unique: build.unique });
        const bytes = filesOf(manifest).reduce((sum, file) => sum + file.bytes, 0);
        io.print(`${options.out}: ${plural(manifest.tables.reduce((sum, table) => sum + table.rows, 0), 'row')}, ${bytesText(bytes)}, as of ${manifest.takenAtText}\n`);
      } finally {
        if (!('skipped' in cluster)) cluster.close();
      }
    });
}
