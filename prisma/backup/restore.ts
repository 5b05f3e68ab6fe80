import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { RamboError } from '../../platform/errors/index.ts';
import { markRestored, type Marked, type RestoreMark } from './mark.ts';
import { columnList, migrationsOf, openSession, tablesOf, type AppliedMigration, type TableShape } from './tables.ts';

/** A table of a backup on its way in. */
export interface IncomingTable extends TableShape {
  /** Rows it must have. */
  readonly rows: number;
  /** Opens its rows in Postgres's text format. */
  open(): Readable;
}

/** A database that rows are to be restored into. */
export interface Target {
  readonly database: string;
  readonly migrations: readonly AppliedMigration[];
  readonly tables: readonly TableShape[];
  /** Tables that hold rows; the 257 shards that every new database has do not count. */
  readonly filled: readonly string[];
  /** Controllers that live on this database right now. */
  readonly controllers: readonly string[];
  /**
   * Replaces all rows by those of a backup and marks the database as restored, in one transaction: a death in the middle
   * leaves the database as it was. `told` hears of each table. Throws RamboError `RowCount` when a table has not as many rows as it should.
   */
  restore(tables: readonly IncomingTable[], mark: RestoreMark, told: (table: string, rows: number) => void): Promise<Marked>;
  /** Only marks it: another tool has restored it. */
  mark(mark: RestoreMark): Promise<Marked>;
  close(): Promise<void>;
}

/** Looks at a database before anything is done to it. */
export async function openTarget(url: string): Promise<Target> {
  const client = await openSession(url, 'rambo-restore');
  const migrations = await migrationsOf(client);
  const tables = migrations.length === 0 ? [] : await tablesOf(client);
  const { rows: [name] } = await client.query<{ database: string }>('SELECT current_database() AS database');
  return {
    database: name?.database ?? '', migrations, tables,
    filled: await filledOf(client, tables),
    controllers: migrations.length === 0 ? [] : await controllersOf(client),
    restore: (incoming, mark, told) => inTransaction(client, async () => {
      await client.query(`TRUNCATE ${tables.map((table) => pg.escapeIdentifier(table.name)).join(', ')}`);
      for (const table of orderedLike(incoming, tables)) await fill(client, table, told);
      await resetSequences(client);
      return markRestored(client, mark);
    }),
    mark: (mark) => inTransaction(client, () => markRestored(client, mark)),
    close: () => client.end(),
  };
}

async function filledOf(client: pg.Client, tables: readonly TableShape[]): Promise<readonly string[]> {
  const out: string[] = [];
  for (const { name } of tables) {
    if (name === 'shard') continue;
    const { rows: [row] } = await client.query<{ found: boolean }>(`SELECT EXISTS (SELECT 1 FROM ${pg.escapeIdentifier(name)}) AS found`);
    if (row?.found === true) out.push(name);
  }
  return out;
}

async function controllersOf(client: pg.Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>('SELECT name FROM replica WHERE lease_until >= clock_timestamp() ORDER BY name');
  return rows.map((row) => row.name);
}

async function inTransaction<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** In the order of the target, whose references count. */
function orderedLike(incoming: readonly IncomingTable[], tables: readonly TableShape[]): readonly IncomingTable[] {
  const place = new Map(tables.map((table, i) => [table.name, i] as const));
  return [...incoming].sort((a, b) => (place.get(a.name) ?? 0) - (place.get(b.name) ?? 0));
}

async function fill(client: pg.Client, table: IncomingTable, told: (table: string, rows: number) => void): Promise<void> {
  const into = client.query(copyFrom(`COPY ${columnList(table)} FROM STDIN`));
  await pipeline(table.open(), into);
  if (into.rowCount !== table.rows) throw new RamboError('RowCount', `table ${table.name} got ${into.rowCount} rows where the backup says ${table.rows}: nothing was restored`);
  told(table.name, into.rowCount);
}

/** Sequences go on above what was restored. */
async function resetSequences(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ sequence: string; table: string; column: string }>(`
    SELECT pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname) AS sequence, c.relname AS table, a.attname AS column
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = 'public' AND c.relkind = 'r' AND pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname) IS NOT NULL`);
  for (const { sequence, table, column } of rows) {
    const [t, c] = [pg.escapeIdentifier(table), pg.escapeIdentifier(column)];
    await client.query(`SELECT setval($1, coalesce((SELECT max(${c}) FROM ${t}), 1), EXISTS (SELECT 1 FROM ${t}))`, [sequence]);
  }
}
