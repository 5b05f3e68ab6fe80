import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { type Clock, doubling, sleep, systemClock } from '../platform/clock/index.ts';
import { errorMessage, RamboError, UnavailableError } from '../platform/errors/index.ts';
import { repair, tidy } from './repair.ts';

/** Told one line at a time how far a migration is. */
export type MigrationLog = (line: string) => void;

/** How long to wait, in milliseconds. */
export interface MigrateOptions {
  /** For Postgres to answer; 60 s. */
  readonly waitMs?: number;
  readonly clock?: Clock;
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = path.join(ROOT, 'prisma', 'migrations');
const WAIT_MS = 60_000;
/** How often a migration is tried that does not get its locks: a backup, or a long report, reads the tables. */
const LOCK_TRIES = 6;
const LOCK_WAIT_MS = 1_000;
const LOCK_WAIT_MAX_MS = 15_000;
/** Any constant but Prisma's own (72707369), whose lock the CLI takes inside ours. */
const LOCK_KEY = 7_261_626_001;

/**
 * Brings a database to the schema of this release: waits for Postgres, creates the database where it is missing, runs
 * `prisma migrate deploy`. Does nothing, quickly, when all migrations are there. Migrators wait for each other; what one that
 * was killed left half-recorded is repaired. A migration waits 2 s for its locks, so that the release that serves goes on
 * serving, and is tried again.
 * Throws UnavailableError when Postgres does not answer in time, RamboError `MigrationFailed` when a migration fails.
 */
export async function migrate(databaseUrl: string, log: MigrationLog, options: MigrateOptions = {}): Promise<void> {
  const clock = options.clock ?? systemClock;
  const client = await reach(databaseUrl, log, clock, options.waitMs ?? WAIT_MS);
  try {
    await client.query('SELECT pg_advisory_lock($1)', [LOCK_KEY]);
    await repair(client, FOLDER, log);
    const missing = await missingMigrations(client);
    if (missing.length === 0) {
      log('database schema is up to date');
      return;
    }
    log(`applying ${missing.length} migration(s): ${missing.join(', ')}`);
    await deployWithLocks(databaseUrl, client, log, clock);
    await tidy(client);
    const left = await missingMigrations(client); // the CLI can end with 0 though its engine died
    if (left.length > 0) throw new RamboError('MigrationFailed', `prisma migrate deploy reported success but left out ${left.join(', ')}`);
    log('database schema is up to date now');
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Again and again where somebody holds a lock that a migration needs. */
async function deployWithLocks(databaseUrl: string, client: pg.Client, log: MigrationLog, clock: Clock): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await deploy(databaseUrl, log);
      return;
    } catch (error) {
      if (tries === LOCK_TRIES || !/55P03|lock timeout/.test(errorMessage(error))) throw error;
      const wait = doubling(LOCK_WAIT_MS, LOCK_WAIT_MAX_MS, tries - 1);
      log(`the migration did not get its locks within 2 s: a backup or another long transaction holds them; trying again in ${wait / 1_000} s`);
      await sleep(clock, wait);
      await repair(client, FOLDER, () => undefined);
    }
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

/** Names of migrations in the folder that the database lacks, or has with another content. */
async function missingMigrations(client: pg.Client): Promise<readonly string[]> {
  const { rows: [table] } = await client.query<{ found: boolean }>(`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS found`);
  const done = new Map<string, string>();
  if (table?.found === true) {
    const { rows } = await client.query<{ migration_name: string; checksum: string }>(
      'SELECT migration_name, checksum FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL');
    for (const row of rows) done.set(row.migration_name, row.checksum);
  }
  return [...migrationsInFolder()].filter(([name, checksum]) => done.get(name) !== checksum).map(([name]) => name);
}

function migrationsInFolder(): ReadonlyMap<string, string> {
  const names = readdirSync(FOLDER, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort();
  return new Map(names.map((name) => [name, createHash('sha256').update(readFileSync(path.join(FOLDER, name, 'migration.sql'))).digest('hex')]));
}

/** Runs the CLI with an environment of its own: the URL, no telemetry, and this Node first for the schema engine. */
async function deploy(databaseUrl: string, log: MigrationLog): Promise<void> {
  const cli = path.join(path.dirname(createRequire(import.meta.url).resolve('prisma/package.json')), 'build', 'index.js');
  const child = spawn(process.execPath, [cli, 'migrate', 'deploy'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { DATABASE_URL: databaseUrl, PATH: path.dirname(process.execPath), CHECKPOINT_DISABLE: '1', PRISMA_HIDE_UPDATE_MESSAGE: '1', NO_COLOR: '1' },
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      if (line.trim() === '') return;
      lines.push(line);
      log(`prisma: ${line}`);
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new RamboError('MigrationFailed', `prisma migrate deploy ended with ${code ?? 'a signal'}: ${lines.slice(-12).join(' | ')}`);
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
