import pg from 'pg';
import { RamboError } from '../../platform/errors/index.ts';

/** A table of RamBo's schema as a backup sees it. */
export interface TableShape {
  readonly name: string;
  /** Columns that hold data, in their order; generated ones are left out. */
  readonly columns: readonly string[];
}

/** A migration that a database has. */
export interface AppliedMigration {
  readonly name: string;
  readonly checksum: string;
}

/** Prisma's own records are made by migrations; signs of life of processes are no data. */
const LEFT_OUT: readonly string[] = ['_prisma_migrations', 'replica'];

/** A session for hours of copying: no time limits but those of the server. Throws RamboError `Database` naming host and database, never the password. */
export async function openSession(url: string, application: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, application_name: application, keepAlive: true });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET timezone = 'UTC'");
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw new RamboError('Database', `cannot connect to Postgres at ${placeOf(url)}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** Host and database of a URL, without credentials. */
export function placeOf(url: string): string {
  try {
    const { host, pathname } = new URL(url);
    return `${host}${pathname}`;
  } catch {
    return 'an address that is no URL';
  }
}

/** Tables in an order in which rows can be inserted: what others refer to comes first. */
export async function tablesOf(client: pg.ClientBase): Promise<readonly TableShape[]> {
  const { rows } = await client.query<TableShape>(`
    SELECT c.relname AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> ALL ($1)
    GROUP BY c.relname ORDER BY c.relname`, [LEFT_OUT]);
  const { rows: references } = await client.query<{ child: string; parent: string }>(`
    SELECT child.relname AS child, parent.relname AS parent FROM pg_constraint k
    JOIN pg_class child ON child.oid = k.conrelid JOIN pg_class parent ON parent.oid = k.confrelid
    WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace AND k.conrelid <> k.confrelid`);
  return inOrder(rows, references);
}

/** Parents before children. Tables in a ring of references keep their order of names. */
export function inOrder(tables: readonly TableShape[], references: readonly { readonly child: string; readonly parent: string }[]): readonly TableShape[] {
  const out: TableShape[] = [];
  let left = [...tables];
  while (left.length > 0) {
    const names = new Set(left.map((table) => table.name));
    const free = left.filter((table) => !references.some(({ child, parent }) => child === table.name && names.has(parent)));
    const next = free.length > 0 ? free : left;
    out.push(...next);
    left = left.filter((table) => !next.includes(table));
  }
  return out;
}

/** Migrations that are finished, in the order of their names; empty where the database has no schema of ours. */
export async function migrationsOf(client: pg.ClientBase): Promise<readonly AppliedMigration[]> {
  const { rows: [table] } = await client.query<{ found: boolean }>(`SELECT to_regclass('public._prisma_migrations') IS NOT NULL AS found`);
  if (table?.found !== true) return [];
  const { rows } = await client.query<AppliedMigration>(
    'SELECT migration_name AS name, checksum FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY migration_name');
  return rows;
}

/** `"table" ("a", "b")`. */
export function columnList(table: TableShape): string {
  return `${pg.escapeIdentifier(table.name)} (${table.columns.map((column) => pg.escapeIdentifier(column)).join(', ')})`;
}
