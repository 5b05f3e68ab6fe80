import type pg from 'pg';
import { errorMessage } from '../../platform/errors/index.ts';
import { migrationsOf, openSession, type AppliedMigration } from './tables.ts';

/** A migration that was begun and never finished. */
export interface UnfinishedMigration { readonly name: string; readonly startedAt: string; readonly logs: string | null }
/** Shards by owner. `owner` null: nobody. */
export interface ShardShare { readonly owner: string | null; readonly shards: number; readonly live: boolean }
/** A run that waits for a person. */
export interface HeldRun { readonly id: string; readonly namespace: string; readonly name: string; readonly review: string }
/** A transaction that lasts. */
export interface LongTransaction { readonly seconds: number; readonly application: string; readonly state: string }

/** What an operator wants to know of the database. No inputs, outputs, definitions or payloads. */
export interface DatabaseFacts {
  readonly serverVersion: string;
  /** Postgres's clock, epoch milliseconds. */
  readonly now: number;
  readonly migrations: readonly AppliedMigration[];
  readonly unfinished: readonly UnfinishedMigration[];
  readonly shards: readonly ShardShare[];
  readonly replicas: readonly { readonly name: string; readonly live: boolean }[];
  readonly phases: readonly { readonly phase: string; readonly runs: number }[];
  /** At most 100. */
  readonly held: readonly HeldRun[];
  readonly restorations: readonly { readonly at: string; readonly takenAt: string | null; readonly runs: number }[];
  readonly outbox: { readonly rows: number; readonly oldestSeconds: number };
  readonly deadLetters: { readonly total: number; readonly lastDay: number; readonly latest: readonly { readonly at: string; readonly subject: string; readonly reason: string }[] };
  readonly tables: readonly { readonly name: string; readonly bytes: number; readonly rows: number }[];
  readonly longTransactions: readonly LongTransaction[];
  readonly settings: Readonly<Record<string, string>>;
  /** Questions that could not be answered, with the reason: a schema that is older, an account that may not look. */
  readonly unanswered: readonly string[];
}

const SETTINGS = ['fsync', 'synchronous_commit', 'full_page_writes', 'max_connections', 'shared_buffers', 'archive_mode', 'wal_level', 'idle_in_transaction_session_timeout'];

/** Asks a database about itself; reads only. Throws RamboError `Database` when it does not answer at all. */
export async function databaseFacts(url: string): Promise<DatabaseFacts> {
  const client = await openSession(url, 'rambo-doctor');
  const unanswered: string[] = [];
  const ask = async <Row extends object>(what: string, text: string, values: readonly unknown[] = []): Promise<readonly Row[]> => {
    try {
      return (await client.query<Row>(text, [...values])).rows;
    } catch (error) {
      unanswered.push(`${what}: ${errorMessage(error)}`);
      return [];
    }
  };
  try {
    await client.query("SET default_transaction_read_only = on; SET statement_timeout = '10s'");
    return { ...await serverFacts(client, ask), ...await runFacts(ask), ...await queueFacts(ask), unanswered };
  } finally {
    await client.end();
  }
}

type Ask = <Row extends object>(what: string, text: string, values?: readonly unknown[]) => Promise<readonly Row[]>;

async function serverFacts(client: pg.Client, ask: Ask): Promise<Pick<DatabaseFacts, 'serverVersion' | 'now' | 'migrations' | 'unfinished' | 'tables' | 'longTransactions' | 'settings'>> {
  const [server] = await ask<{ version: string; now: string }>('server', `SELECT current_setting('server_version') AS version, (extract(epoch FROM clock_timestamp()) * 1000)::int8::text AS now`);
  const settings = await ask<{ name: string; setting: string }>('settings', 'SELECT name, setting FROM pg_settings WHERE name = ANY ($1) ORDER BY name', [SETTINGS]);
  return {
    serverVersion: server?.version ?? '', now: Number(server?.now ?? 0),
    migrations: await migrationsOf(client),
    unfinished: await ask('unfinished migrations', `SELECT migration_name AS name, started_at::text AS "startedAt", left(logs, 500) AS logs FROM _prisma_migrations WHERE finished_at IS NULL AND rolled_back_at IS NULL`),
    tables: await ask('tables', `SELECT relname AS name, pg_total_relation_size(oid)::float8 AS bytes, greatest(reltuples, 0)::float8 AS rows FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 2 DESC`),
    longTransactions: await ask('transactions', `SELECT extract(epoch FROM clock_timestamp() - xact_start)::int AS seconds, application_name AS application, state FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - interval '1 minute' ORDER BY 1 DESC LIMIT 20`),
    settings: Object.fromEntries(settings.map(({ name, setting }) => [name, setting])),
  };
}

async function runFacts(ask: Ask): Promise<Pick<DatabaseFacts, 'shards' | 'replicas' | 'phases' | 'held' | 'restorations'>> {
  return {
    shards: await ask('shards', `SELECT owner, count(*)::int AS shards, coalesce(bool_and(lease_until >= clock_timestamp()), false) AS live FROM shard GROUP BY owner ORDER BY 2 DESC`),
    replicas: await ask('replicas', 'SELECT name, lease_until >= clock_timestamp() AS live FROM replica ORDER BY name'),
    phases: await ask('runs', 'SELECT phase, count(*)::int AS runs FROM run GROUP BY phase ORDER BY phase'),
    held: await ask('runs that wait for a person', 'SELECT id, namespace, name, review FROM run WHERE finished_at IS NULL AND review IS NOT NULL ORDER BY namespace, name LIMIT 100'),
    restorations: await ask('restorations', 'SELECT at::text, taken_at::text AS "takenAt", runs FROM restoration ORDER BY id DESC LIMIT 10'),
  };
}

async function queueFacts(ask: Ask): Promise<Pick<DatabaseFacts, 'outbox' | 'deadLetters'>> {
  const [outbox] = await ask<DatabaseFacts['outbox']>('outbox', 'SELECT count(*)::int AS rows, coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::int AS "oldestSeconds" FROM outbox');
  const [letters] = await ask<{ total: number; lastDay: number }>('dead letters', `SELECT count(*)::int AS total, count(*) FILTER (WHERE at > now() - interval '1 day')::int AS "lastDay" FROM dead_letter`);
  const latest = await ask<DatabaseFacts['deadLetters']['latest'][number]>('latest dead letters', 'SELECT at::text, left(subject, 200) AS subject, left(reason, 300) AS reason FROM dead_letter ORDER BY id DESC LIMIT 20');
  return { outbox: outbox ?? { rows: 0, oldestSeconds: 0 }, deadLetters: { total: letters?.total ?? 0, lastDay: letters?.lastDay ?? 0, latest } };
}
