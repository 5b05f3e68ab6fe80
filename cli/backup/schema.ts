import type { AppliedMigration, TableShape } from '../../prisma/backup/index.ts';
import type { Manifest } from './manifest.ts';

/** What a target database looks like, as far as a backup has to fit. */
export interface TargetShape {
  readonly migrations: readonly AppliedMigration[];
  readonly tables: readonly TableShape[];
}

/**
 * Why a backup cannot go into a database; undefined when it can. Its migrations must be the database's, or the first of them:
 * later ones only add (hack/verify/migrations.ts), and what they added gets its default.
 */
export function misfit(manifest: Pick<Manifest, 'database' | 'tables'>, target: TargetShape): string | undefined {
  const ours = manifest.database.migrations;
  const missing = ours.filter((migration) => !target.migrations.some(({ name }) => name === migration.name));
  if (missing.length > 0) {
    return `the backup has ${list(missing)}, which the database lacks: it was taken by a newer release; migrate the database with that release first`;
  }
  const other = ours.filter((migration) => target.migrations.some(({ name, checksum }) => name === migration.name && checksum !== migration.checksum));
  if (other.length > 0) return `${list(other)} is not the same in the backup and in the database: they come from different builds`;
  const last = ours.at(-1)?.name ?? '';
  const between = target.migrations.filter(({ name }) => name < last && !ours.some((migration) => migration.name === name));
  if (between.length > 0) return `the database has ${list(between)}, older than the backup's last one and unknown to it: they come from different builds`;
  return tableMisfit(manifest.tables, target.tables);
}

function tableMisfit(tables: Manifest['tables'], targets: readonly TableShape[]): string | undefined {
  for (const table of tables) {
    const target = targets.find(({ name }) => name === table.name);
    const gone = target === undefined ? undefined : table.columns.filter((column) => !target.columns.includes(column));
    if (target === undefined) return `the database has no table ${table.name} any more: restore with the release that took the backup, then upgrade`;
    if (gone !== undefined && gone.length > 0) return `table ${table.name} has no column ${gone.join(', ')} any more: restore with the release that took the backup, then upgrade`;
  }
  return undefined;
}

function list(migrations: readonly AppliedMigration[]): string {
  return `${migrations.length === 1 ? 'migration' : 'migrations'} ${migrations.map(({ name }) => name).join(', ')}`;
}
