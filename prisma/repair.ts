import { readFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { APPLIED, runsOutside } from './apply-script.ts';
import type { MigrationLog } from './migrate.ts';

/** The lock under which Prisma's engine works. An engine that outlived its migrator, or whose backend did, still holds it. */
const PRISMA_LOCK = 72_707_369;

interface Unfinished {
  readonly id: string;
  readonly name: string;
  readonly startedAt: Date;
  readonly logs: string | null;
}

/**
 * Puts right what a migrator left behind that was killed, or whose migration failed: Prisma refuses to go on (P3009) until
 * somebody says what became of it. Scripts run in one transaction that also marks them, so the mark tells: applied as a
 * whole, or not at all. Waits for whoever is still at it. `folder` holds the migrations.
 */
export async function repair(client: pg.Client, folder: string, log: MigrationLog): Promise<void> {
  const { rows: [table] } = await client.query<{ found: boolean }>(`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS found`);
  if (table?.found !== true) return;
  await client.query('SELECT pg_advisory_lock($1)', [PRISMA_LOCK]);
  try {
    await tidy(client);
    const { rows } = await client.query<Unfinished>(
      'SELECT id, migration_name AS name, started_at AS "startedAt", logs FROM _prisma_migrations WHERE finished_at IS NULL AND rolled_back_at IS NULL ORDER BY started_at');
    for (const one of rows) await settle(client, folder, one, log);
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [PRISMA_LOCK]);
  }
}

/** Takes the marks off migrations that Prisma has recorded. */
export async function tidy(client: pg.Client): Promise<void> {
  await client.query('UPDATE _prisma_migrations SET logs = NULL WHERE logs = $1 AND finished_at IS NOT NULL', [APPLIED]);
}

async function settle(client: pg.Client, folder: string, one: Unfinished, log: MigrationLog): Promise<void> {
  const begun = `migration ${one.name} was begun at ${one.startedAt.toISOString()} and never recorded as finished`;
  if (one.logs === APPLIED || await indexIsThere(client, folder, one.name)) {
    await client.query('UPDATE _prisma_migrations SET finished_at = now(), applied_steps_count = 1, logs = NULL WHERE id = $1', [one.id]);
    log(`${begun} (P3009): all of it is in the database, so it is recorded now`);
    return;
  }
  await client.query('UPDATE _prisma_migrations SET rolled_back_at = now() WHERE id = $1', [one.id]);
  const why = one.logs === null || one.logs === '' ? 'its migrator died' : `it failed: ${one.logs.replaceAll(/\s+/g, ' ').slice(0, 300)}`;
  log(`${begun} (P3009; ${why}): nothing of it is in the database, so it is applied again`);
}

const INDEX = /create\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?"?([A-Za-z0-9_]+)"?/i;

/** An index built outside a transaction: valid means done; an invalid one, left by a death in the middle, is removed. */
async function indexIsThere(client: pg.Client, folder: string, name: string): Promise<boolean> {
  const text = textOf(folder, name);
  const index = text === undefined || !runsOutside(text) ? undefined : INDEX.exec(text)?.[1];
  if (index === undefined) return false;
  const { rows: [found] } = await client.query<{ valid: boolean }>('SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = to_regclass($1)', [pg.escapeIdentifier(index)]);
  if (found?.valid === false) await client.query(`DROP INDEX CONCURRENTLY IF EXISTS ${pg.escapeIdentifier(index)}`);
  return found?.valid === true;
}

/** Undefined where this release does not have that migration: a newer one began it. */
function textOf(folder: string, name: string): string | undefined {
  try {
    return readFileSync(path.join(folder, path.basename(name), 'migration.sql'), 'utf8');
  } catch {
    return undefined;
  }
}
