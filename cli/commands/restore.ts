import { Command, InvalidArgumentError, Option } from 'commander';
import { markOnly, restoreBackup } from '../backup/restore.ts';
import { CliError } from '../errors.ts';
import { prose, type Io } from '../io/io.ts';
import { connectCluster } from '../io/kubeconfig.ts';
import { databaseOption, kubeconfigOption, natsCredsOption, natsOption, natsWipe, needDatabase } from './options.ts';
import type { Build } from './build.ts';

interface Options {
  readonly from?: string;
  readonly databaseUrl?: string;
  readonly force: boolean;
  readonly objects: boolean;
  readonly kubeconfig?: string;
  readonly natsUrl?: string;
  readonly natsCreds?: string;
  readonly markOnly: boolean;
  readonly takenAt?: number;
}

function time(text: string): number {
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new InvalidArgumentError('expected a time such as 2026-11-26T09:30:00Z');
  return at;
}

/** `rambo restore`. */
export function restoreCommand(io: Io, build: Build): Command {
  return new Command('restore')
    .summary('put a backup into an empty database, and hold the runs that were live in it')
    .description(prose(`Checks every file of a backup against its SHA-256 and the schema against the database, then restores all rows in one transaction:
a restore that is killed leaves the database as it was. Controllers and API must be stopped; the database must have the schema
(migration Job) and be empty, or --force must be given.

A backup is older than the world: what runs did after it is not in it, and running them on could repeat effects. So every run that was
live in the backup is marked: it becomes Stalled (NeedsReview) and does nothing until a person resumes or cancels it. Objects of runs
that the database does not know at all are held the same way. NATS is emptied.`))
    .addOption(new Option('--from <path>', 'the backup: a folder or an archive'))
    .addOption(databaseOption())
    .option('--force', 'replace ALL rows of a database that is not empty', false)
    .option('--objects', 'also create Workflows and RunnerPools that the API server lacks (never WorkflowRuns: they would run again)', false)
    .addOption(kubeconfigOption())
    .addOption(natsOption())
    .addOption(natsCredsOption())
    .option('--mark-only', 'another tool (pg_restore, recovery to a point in time) has restored the database: only mark it', false)
    .addOption(new Option('--taken-at <time>', 'with --mark-only: the moment the database went back to').argParser(time))
    .addHelpText('after', `
Examples:
  rambo restore --from /backups/rambo-2026-11-26.tar.gz
  rambo restore --mark-only --taken-at 2026-11-26T09:30:00Z    # after recovery to a point in time

Then start the controllers and the API, run \`rambo doctor\`, and decide about each held run (docs/backup.md):
  kubectl patch wfr NAME --type merge -p '{"spec":{"suspend":false}}'      # go on
  kubectl patch wfr NAME --type merge -p '{"spec":{"cancel":"Now"}}'       # give up`)
    .action(async (options: Options) => {
      const databaseUrl = needDatabase(options.databaseUrl);
      const wipe = natsWipe(options.natsUrl, options.natsCreds);
      if (options.markOnly) {
        if (options.from !== undefined) throw new CliError('Usage', '--mark-only restores nothing: leave --from out');
        await markOnly(io, { databaseUrl, wipe, takenAt: options.takenAt });
        return;
      }
      if (options.from === undefined) throw new CliError('Usage', 'say which backup: --from PATH (or --mark-only)');
      const cluster = options.objects ? connectCluster(options.kubeconfig, 'leave --objects out') : undefined;
      try {
        await restoreBackup(io, { databaseUrl, from: options.from, force: options.force, cluster, wipe, unique: build.unique });
      } finally {
        cluster?.close();
      }
    });
}
