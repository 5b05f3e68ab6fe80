import type pg from 'pg';

/** What a restored database is marked with. */
export interface RestoreMark {
  /** When the backup was taken, epoch milliseconds; undefined where another tool restored the database. */
  readonly takenAt: number | undefined;
  /** Where it came from, for people: a file, or the name of a tool. */
  readonly source: string;
}

/** What marking found. */
export interface Marked {
  /** Live runs that wait for a person now. */
  readonly runs: number;
  /** Epoch milliseconds, by Postgres's clock. */
  readonly at: number;
}

/**
 * Marks a database as restored, in the caller's transaction. Live runs wait for a person: what they did after the backup is
 * not in their rows. Nothing is left to be sent, nobody owns a shard, and epochs rise above any that a controller of the
 * lost database may still hold: they are milliseconds of the clock from now on, where takeovers count by ones.
 */
export async function markRestored(client: pg.ClientBase, mark: RestoreMark): Promise<Marked> {
  const { rows: [clock] } = await client.query<{ at: string; text: string }>(
    `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8::text AS at, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS text`);
  const from = mark.takenAt === undefined ? 'from a backup of an unknown moment' : `from a backup taken at ${new Date(mark.takenAt).toISOString().slice(0, 19)}Z`;
  const why = `the database was restored at ${clock?.text ?? ''} ${from}: what the run did since then is not in it`;
  const { rowCount } = await client.query('UPDATE run SET review = $1 WHERE finished_at IS NULL', [why]);
  await client.query('DELETE FROM outbox');
  await client.query(`UPDATE node_run n SET send = 0 FROM run r WHERE r.id = n.run_id AND r.finished_at IS NULL AND n.status = 'Queued'`);
  await client.query('UPDATE shard SET owner = NULL, lease_until = NULL, epoch = greatest(epoch + 1, (extract(epoch FROM clock_timestamp()) * 1000)::int8)');
  await client.query('DELETE FROM replica');
  await client.query('INSERT INTO restoration (at, taken_at, source, runs) VALUES (clock_timestamp(), $1, $2, $3)',
    [mark.takenAt === undefined ? null : new Date(mark.takenAt), mark.source, rowCount ?? 0]);
  return { runs: rowCount ?? 0, at: Number(clock?.at) };
}
