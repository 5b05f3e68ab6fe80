import type { KubeClient } from '../../platform/kube/client.ts';
import { openTarget, type IncomingTable, type Marked, type Target } from '../../prisma/backup/index.ts';
import { CliError } from '../errors.ts';
import { countText, plural, type Io } from '../io/io.ts';
import { recreate } from './objects.ts';
import { openBackup, type Backup } from './read.ts';
import { misfit } from './schema.ts';

/** What to restore, and where to. */
export interface RestoreRequest {
  readonly databaseUrl: string;
  readonly from: string;
  /** Replace the rows of a database that is not empty. */
  readonly force: boolean;
  /** Create Workflows and RunnerPools that are missing there. */
  readonly cluster: KubeClient | undefined;
  /** Empties NATS; undefined where the caller does it. */
  readonly wipe: (() => Promise<boolean>) | undefined;
  readonly unique: string;
}

/** Restores a backup into a database. Throws CliError before anything is changed, or RamboError with nothing changed. */
export async function restoreBackup(io: Io, request: RestoreRequest): Promise<Marked> {
  const backup = await openBackup(io, request.from, request.unique);
  try {
    const { manifest } = backup;
    io.say(`backup of database ${manifest.database.name}, taken at ${manifest.takenAtText} by rambo ${manifest.writtenBy}: every file is whole`);
    const marked = await withTarget(request.databaseUrl, async (target) => {
      const problem = refusal(target, request.force) ?? schemaRefusal(target, misfit(manifest, target));
      if (problem !== undefined) throw problem;
      return target.restore(incoming(backup), { takenAt: manifest.takenAt, source: request.from }, (table, rows) => { io.say(`  ${table}: ${countText(rows)} rows`); });
    });
    await wipe(io, request.wipe);
    if (request.cluster !== undefined) await recreate(io, request.cluster, backup);
    tell(io, marked);
    return marked;
  } finally {
    await backup.close();
  }
}

/** Marks a database that another tool has restored (pg_restore, recovery to a point in time). */
export async function markOnly(io: Io, request: Pick<RestoreRequest, 'databaseUrl' | 'wipe'> & { readonly takenAt: number | undefined }): Promise<Marked> {
  const marked = await withTarget(request.databaseUrl, async (target) => {
    const problem = target.migrations.length === 0 ? schemaRefusal(target, undefined) : liveControllers(target);
    if (problem !== undefined) throw problem;
    return target.mark({ takenAt: request.takenAt, source: 'another tool' });
  });
  await wipe(io, request.wipe);
  tell(io, marked);
  return marked;
}

async function withTarget<T>(url: string, use: (target: Target) => Promise<T>): Promise<T> {
  const target = await openTarget(url);
  try {
    return await use(target);
  } finally {
    await target.close();
  }
}

function liveControllers(target: Target): CliError | undefined {
  if (target.controllers.length === 0) return undefined;
  return new CliError('ControllersLive', `${target.controllers.join(', ')} ${target.controllers.length === 1 ? 'lives' : 'live'} on database ${target.database}: stop the controllers and the API first `
    + '(kubectl scale deploy --replicas=0), a controller that lives through a restore would go on from what it remembers');
}

function refusal(target: Target, force: boolean): CliError | undefined {
  if (target.filled.length === 0 || force) return liveControllers(target);
  return new CliError('NotEmpty', `database ${target.database} is not empty (rows in ${target.filled.join(', ')}): restore into a new database, or give --force to replace ALL its rows by those of the backup`);
}

function schemaRefusal(target: Target, problem: string | undefined): CliError | undefined {
  if (target.migrations.length === 0) {
    return new CliError('NoSchema', `database ${target.database} has no schema of RamBo: run the migration of the release first (the chart's migration Job; in a checkout DATABASE_URL=... hack/prisma/prisma.sh migrate deploy), then restore`);
  }
  return problem === undefined ? undefined : new CliError('SchemaDiffers', problem);
}

function incoming(backup: Backup): readonly IncomingTable[] {
  return backup.manifest.tables.map((table) => ({ name: table.name, columns: table.columns, rows: table.rows, open: () => backup.open(table) }));
}

async function wipe(io: Io, how: RestoreRequest['wipe']): Promise<void> {
  if (how === undefined) {
    io.say('NATS was not emptied (give --nats-url and --nats-creds): delete the stream RAMBO_DISPATCH before the controllers start, or runners will be given work of the lost database');
    return;
  }
  io.say(await how() ? 'NATS: the dispatch stream is deleted; controllers make a new one' : 'NATS: there was no dispatch stream');
}

function tell(io: Io, marked: Marked): void {
  io.say(`the database is marked as restored at ${new Date(marked.at).toISOString()}`);
  if (marked.runs === 0) io.say('no run was live in it: nothing waits for a person');
  else {
    io.say(`${plural(marked.runs, 'run')} that ${marked.runs === 1 ? 'was' : 'were'} live in it will be Stalled (NeedsReview) and do nothing until a person decides:`);
    io.say('  kubectl get wfr -A; resume with spec.suspend: false, cancel with spec.cancel, or over GraphQL with resumeRun and cancelRun');
  }
  io.say('next: start the controllers and the API, then `rambo doctor`');
}
