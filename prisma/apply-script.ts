import type pg from 'pg';

/** What a finished script leaves in `_prisma_migrations.logs` until Prisma has recorded it: both commit together or not at all. */
export const APPLIED = 'rambo: applied, not recorded yet';

/** So long a statement may wait for a lock: whoever queues behind it waits as long. A migration gives up rather than stop the release that serves. */
export const LOCK_TIMEOUT = '2s';

/** Statements that Postgres refuses inside a transaction; such a script holds nothing else (the lint sees to it). */
const OUTSIDE = /^\s*(?:--[^\n]*\n\s*)*(?:(?:create|drop)\s+(?:unique\s+)?index\s+concurrently|(?:create|drop)\s+database)\b/i;

const MARK = `DO $mark$ BEGIN
  IF to_regclass('_prisma_migrations') IS NOT NULL THEN
    UPDATE _prisma_migrations SET logs = '${APPLIED}' WHERE finished_at IS NULL AND rolled_back_at IS NULL;
  END IF;
END $mark$`;

/** Whether a script must run outside a transaction. */
export function runsOutside(script: string): boolean {
  return OUTSIDE.test(script);
}

/**
 * Runs the script of a migration so that a death at any moment leaves all of it or nothing: one transaction on one
 * connection, which also marks the migration as applied. Prisma's adapter would split the text at every semicolon and
 * commit each piece by itself. Throws what Postgres answers.
 */
export async function applyScript(client: Pick<pg.ClientBase, 'query'>, script: string): Promise<void> {
  if (runsOutside(script)) {
    await client.query(script);
    return;
  }
  await client.query('BEGIN');
  try {
    await client.query(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`);
    await client.query(script);
    await client.query(MARK);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
