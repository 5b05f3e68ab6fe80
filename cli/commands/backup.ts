import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { nameAt, removeOutdated, TIME } from '../backup/kept.ts';
import { writeBackup } from '../backup/write.ts';
import type { Io } from '../io/io.ts';
import { bytesText, plural, prose } from '../io/io.ts';
import { filesOf } from '../backup/manifest.ts';
import { CliError } from '../errors.ts';
import { connectCluster } from '../io/kubeconfig.ts';
import { databaseOption, kubeconfigOption, needDatabase } from './options.ts';
import type { Build } from './build.ts';

interface Options {
  readonly out: string;
  readonly databaseUrl?: string;
  readonly kubeconfig?: string;
  readonly objects: boolean;
  readonly keep?: number;
}

function count(text: string): number {
  if (!/^[1-9][0-9]{0,4}$/.test(text)) throw new InvalidArgumentError('expected a number of backups, 1 or more');
  return Number(text);
}

/** `rambo backup`. */
export function backupCommand(io: Io, build: Build): Command {
  return new Command('backup')
    .summary('copy Postgres and the custom resources, as of one moment')
    .description(prose(`Copies every table of RamBo's database in one snapshot (REPEATABLE READ), and the Workflows, WorkflowRuns and RunnerPools of the
API server. Nothing has to be stopped. Every file gets its SHA-256 in manifest.json, which is written last; the backup gets its
name when all of it is on the disk, so what carries the name is whole.

It holds inputs and outputs of runs, and definitions: keep it as you keep the database. Secrets and logs of nodes are not in it.`))
    .addOption(new Option('--out <path>', 'a folder to make, or a file that ends with .tar.gz, .tgz or .tar; {time} in its name becomes the moment').makeOptionMandatory())
    .addOption(new Option('--keep <n>', 'afterwards remove older backups beside it that have the same name but for {time}, beyond the n newest').argParser(count))
    .addOption(databaseOption())
    .addOption(kubeconfigOption())
    .option('--no-objects', 'leave the custom resources out: Postgres only')
    .addHelpText('after', `
Examples:
  rambo backup --out /backups/rambo-$(date +%F).tar.gz
  rambo backup --no-objects --out ./copy        # a folder, without the API server
  rambo backup --out '/backups/rambo-{time}.tar.gz' --keep 14

See docs/backup.md for what to keep, for how long, and how to try a restore.`)
    .action(async (options: Options) => {
      const databaseUrl = needDatabase(options.databaseUrl);
      if (options.keep !== undefined && !path.basename(options.out).includes(TIME)) throw new CliError('Usage', `--keep needs ${TIME} in the name that --out gives`);
      const out = nameAt(options.out, io.clock.now());
      const cluster = options.objects ? connectCluster(options.kubeconfig, '--no-objects') : { skipped: '--no-objects was given' };
      try {
        const manifest = await writeBackup(io, { databaseUrl, cluster, out, version: build.version, unique: build.unique });
        const bytes = filesOf(manifest).reduce((sum, file) => sum + file.bytes, 0);
        io.print(`${out}: ${plural(manifest.tables.reduce((sum, table) => sum + table.rows, 0), 'row')}, ${bytesText(bytes)}, as of ${manifest.takenAtText}\n`);
        const gone = options.keep === undefined ? [] : await removeOutdated(options.out, options.keep);
        for (const name of gone) io.say(`removed ${name}`);
      } finally {
        if (!('skipped' in cluster)) cluster.close();
      }
    });
}
