import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { type Clock, sleep, systemClock } from '../platform/clock/index.ts';
import { errorMessage, RamboError, UnavailableError } from '../platform/errors/index.ts';

/** Told one line at a time how far a migration is. */
export type MigrationLog = (line: string) => void;

/** How long to wait, in milliseconds, and where migrations are. */
export interface MigrateOptions {
  /** For Postgres to answer, and for a table that others hold; 60 s. */
  readonly waitMs?: number;
  /** Folder of migrations; `prisma/migrations` of the checkout. */
  readonly folder?: string;
  readonly clock?: Clock;
}

interface Migration {
  readonly name: string;
  readonly sql: string;
  /** As the Prisma CLI makes it. */
  readonly checksum: string;
}

const FOLDER = fileURLToPath(new URL('migrations', import.meta.url));
const WAIT_MS = 60_000;
/** Any constant but Prisma's own (72707369): its CLI may run beside us while somebody develops. */
const LOCK_KEY = 7_261_626_001;
/** Between two looks whether another migrator is done. */
const LOCK_AGAIN_MS = 100;

/** The Prisma CLI's own book of migrations, as it makes it: `prisma migrate` works on such a database. */
const BOOK = `CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ, migration_name VARCHAR(255) NOT NULL,
  logs TEXT, rolled_back_at TIMESTAMPTZ, started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0)`;
const BEGIN_ENTRY = 'INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES (gen_random_uuid()::text, $1, $2)';
const FINISH_ENTRY = `UPDATE _prisma_migrations SET finished_at = clock_timestamp(), applied_steps_count = 1, logs = NULL
  WHERE migration_name = $1 AND finished_at IS NULL AND rolled_back_at IS NULL`;

/**
 * Brings a database to the schema of this release: waits for Postgres, creates the database where it is missing, applies
 * what it lacks in order, each migration in one transaction with its entry in Prisma's book: a migrator that is killed
 * leaves nothing half done. Does nothing, quickly, when all is there; entries of a later release are left alone.
 * Migrators wait for each other. Throws UnavailableError when Postgres does not answer in time, RamboError
 * `MigrationFailed` when a migration fails or was changed after it had been applied.
 */
export async function migrate(databaseUrl: string, log: MigrationLog, options: MigrateOptions = {}): Promise<void> {
  const clock = options.clock ?? systemClock;
  const waitMs = options.waitMs ?? WAIT_MS;
  const migrations = migrationsIn(options.folder ?? FOLDER);
  const client = await reach(databaseUrl, log, clock, waitMs);
  try {
    await lock(client, clock);
    const missing = await missingOf(client, migrations);
    if (missing.length === 0) {
      log('database schema is up to date');
      return;
    }
    log(`applying ${missing.length} migration(s): ${missing.map(({ name }) => name).join(', ')}`);
    await client.query(BOOK);
    await tellLeftOver(client, log);
    for (const migration of missing) {
      await patiently(clock, waitMs, log, migration.name, () => (standsAlone(migration) ? applyAlone(client, migration) : applyWhole(client, migration)));
      log(`applied ${migration.name}`);
    }
    log('database schema is up to date now');
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * Waits for its turn by asking again and again: a statement that waits inside Postgres holds a snapshot, and an index that the
 * migrator before us builds CONCURRENTLY waits for all of those: the two would wait for each other.
 */
async function lock(client: pg.Client, clock: Clock): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ mine: boolean }>('SELECT pg_try_advisory_lock($1) AS mine', [LOCK_KEY]);
    if (rows[0]?.mine === true) return;
    await sleep(clock, LOCK_AGAIN_MS);
  }
}

/** A session on the database, which is created where it is missing. */
async function reach(databaseUrl: string, log: MigrationLog, clock: Clock, waitMs: number): Promise<pg.Client> {
  const deadline = clock.monotonic() + waitMs;
  for (let tries = 0; ; tries++) {
    try {
      return await connect(databaseUrl);
    } catch (error) {
      if (codeOf(error) === '3D000') await createDatabase(databaseUrl, log);
      else if (isFinal(error) || clock.monotonic() > deadline) throw new UnavailableError(`Postgres at ${placeOf(databaseUrl)} (${errorMessage(error)})`, error);
      else if (tries % 10 === 0) log(`waiting for Postgres at ${placeOf(databaseUrl)}: ${errorMessage(error)}`);
    }
    await sleep(clock, Math.min(500, 50 * (tries + 1)));
  }
}

async function connect(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

async function createDatabase(databaseUrl: string, log: MigrationLog): Promise<void> {
  const url = new URL(databaseUrl);
  const name = decodeURIComponent(url.pathname.slice(1));
  url.pathname = '/postgres';
  const client = await connect(url.toString());
  try {
    log(`creating database ${name}`);
    await client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`);
  } catch (error) {
    const code = codeOf(error);
    if (code !== '42P04' && code !== '23505') throw error; // another migrator was faster
  } finally {
    await client.end();
  }
}

/** Migrations that the database lacks, in order. Throws `MigrationFailed` for one whose text is another now. */
async function missingOf(client: pg.Client, migrations: readonly Migration[]): Promise<readonly Migration[]> {
  const { rows: [table] } = await client.query<{ found: boolean }>(`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS found`);
  if (table?.found !== true) return migrations;
  const { rows } = await client.query<{ name: string; checksum: string }>(
    'SELECT migration_name AS name, checksum FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL');
  const done = new Map(rows.map((row) => [row.name, row.checksum]));
  for (const { name, checksum } of migrations) {
    const had = done.get(name);
    if (had !== undefined && had !== checksum) throw new RamboError('MigrationFailed', `migration ${name} was changed after it had been applied: undo the change and add a new migration`);
  }
  return migrations.filter(({ name }) => !done.has(name));
}

function migrationsIn(folder: string): readonly Migration[] {
  const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort();
  return names.map((name) => {
    const sql = readFileSync(path.join(folder, name, 'migration.sql'), 'utf8');
    return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
  });
}

/**
 * Entries that were begun and never finished: the Prisma CLI refuses to go on from them (P3009). What we apply commits
 * together with its entry, so they mean that nothing was applied: each goes when its migration is applied now.
 */
async function tellLeftOver(client: pg.Client, log: MigrationLog): Promise<void> {
  const { rows } = await client.query<{ name: string; at: Date; logs: string | null }>(
    'SELECT migration_name AS name, started_at AS at, logs FROM _prisma_migrations WHERE finished_at IS NULL AND rolled_back_at IS NULL ORDER BY started_at');
  for (const { name, at, logs } of rows) {
    const why = logs === null || logs === '' ? 'whoever ran it died' : `it failed: ${logs.replaceAll(/\s+/g, ' ').slice(0, 300)}`;
    log(`migration ${name} was begun at ${at.toISOString()} and never finished (P3009; ${why}): it is applied again`);
  }
}

/** What Postgres runs in no transaction has a migration to itself, as with the Prisma CLI. */
function standsAlone({ sql }: Migration): boolean {
  return /\bconcurrently\b/i.test(sql.replaceAll(/--.*$/gm, ''));
}

async function applyWhole(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  await client.query('BEGIN');
  try {
    // Who waits for a table's lock makes all others wait behind it.
    await client.query(`SET LOCAL lock_timeout = '2s'`);
    // Left by the Prisma CLI, which enters first and applies afterwards.
    await client.query('DELETE FROM _prisma_migrations WHERE migration_name = $1 AND finished_at IS NULL AND rolled_back_at IS NULL', [name]);
    await client.query(BEGIN_ENTRY, [checksum, name]);
    await client.query(sql);
    await client.query(FINISH_ENTRY, [name]);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** One statement without a transaction. A killed one leaves an invalid index behind, which goes first; or a valid one and no entry. */
async function applyAlone(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  const { rows } = await client.query<{ name: string }>('SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid');
  for (const index of rows) await client.query(`DROP INDEX CONCURRENTLY IF EXISTS ${index.name}`);
  const made = /\bindex\s+concurrently\s+(?:if\s+not\s+exists\s+)?"?(\w+)"?/i.exec(sql)?.[1];
  const { rows: there } = await client.query('SELECT 1 FROM pg_index WHERE indexrelid = to_regclass($1)', [pg.escapeIdentifier(made ?? '')]);
  if (there.length === 0 || !/\bcreate\b/i.test(sql)) await client.query(sql);
  await client.query('DELETE FROM _prisma_migrations WHERE migration_name = $1 AND finished_at IS NULL AND rolled_back_at IS NULL', [name]);
  await client.query(BEGIN_ENTRY, [checksum, name]);
  await client.query(FINISH_ENTRY, [name]);
}

/** Tries again while others hold a lock, until the time is over. Throws `MigrationFailed` with Postgres's words. */
async function patiently(clock: Clock, waitMs: number, log: MigrationLog, name: string, apply: () => Promise<void>): Promise<void> {
  const deadline = clock.monotonic() + waitMs;
  for (;;) {
    try {
      await apply();
      return;
    } catch (error) {
      if (codeOf(error) !== '55P03' || clock.monotonic() > deadline) throw new RamboError('MigrationFailed', `migration ${name}: ${errorMessage(error)}`, { cause: error });
      log(`migration ${name} waits for a lock that others hold`);
    }
    await sleep(clock, 500);
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

/** Wrong password, unknown role: waiting does not help. */
function isFinal(error: unknown): boolean {
  const code = codeOf(error);
  return typeof code === 'string' && (code.startsWith('28') || code === '42501');
}

/** Host and database, without the credentials. */
function placeOf(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  return `${url.host}${url.pathname}`;
}
