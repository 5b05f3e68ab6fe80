import type { Readable } from 'node:stream';
import { to as copyTo } from 'pg-copy-streams';
import { columnList, migrationsOf, openSession, tablesOf, type AppliedMigration, type TableShape } from './tables.ts';

/** One state of the whole database, held open while it is copied. */
export interface Snapshot {
  /** Epoch milliseconds, by Postgres's clock. */
  readonly takenAt: number;
  readonly serverVersion: string;
  readonly database: string;
  /** Place in the write-ahead log, for whoever also archives it; absent where the account may not ask. */
  readonly lsn: string | undefined;
  readonly migrations: readonly AppliedMigration[];
  readonly tables: readonly TableShape[];
  /** Rows of a table in Postgres's text format. `rows()` is known once the stream has ended. One stream at a time. */
  copy(table: TableShape): { readonly stream: Readable; rows(): number };
  close(): Promise<void>;
}

/** Opens a REPEATABLE READ snapshot: everything copied from it is of one moment, whatever is written meanwhile. */
export async function openSnapshot(url: string): Promise<Snapshot> {
  const client = await openSession(url, 'rambo-backup');
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const { rows: [facts] } = await client.query<{ at: string; version: string; database: string }>(
    `SELECT (extract(epoch FROM transaction_timestamp()) * 1000)::int8::text AS at, current_setting('server_version') AS version, current_database() AS database`);
  const lsn = await lsnOf(client);
  const [migrations, tables] = [await migrationsOf(client), await tablesOf(client)];
  return {
    takenAt: Number(facts?.at), serverVersion: facts?.version ?? '', database: facts?.database ?? '', lsn, migrations, tables,
    copy: (table) => {
      const stream = client.query(copyTo(`COPY ${columnList(table)} TO STDOUT`));
      return { stream, rows: () => stream.rowCount };
    },
    close: async () => {
      await client.query('ROLLBACK').catch(() => undefined);
      await client.end();
    },
  };
}

/** A standby tells how far it has replayed. A failure would end the transaction, so it is asked in a savepoint. */
async function lsnOf(client: Awaited<ReturnType<typeof openSession>>): Promise<string | undefined> {
  await client.query('SAVEPOINT lsn');
  try {
    const { rows: [row] } = await client.query<{ lsn: string }>('SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text AS lsn');
    return row?.lsn;
  } catch {
    await client.query('ROLLBACK TO SAVEPOINT lsn');
    return undefined;
  }
}
