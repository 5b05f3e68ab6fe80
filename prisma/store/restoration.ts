import type { Executor, Statement } from './db.ts';

const LAST: Statement = { name: 'restoration-last', text: 'SELECT at FROM restoration ORDER BY id DESC LIMIT 1' };

/** When this database was last restored from a backup, epoch milliseconds; undefined when it never was. */
export async function lastRestored(db: Executor): Promise<number | undefined> {
  return (await db.query<{ at: number }>(LAST, []))[0]?.at;
}
