import type { Executor, Statement } from './db.ts';
import { clamp, cut } from './pages.ts';
import type { DeadLetterEntry, DeadLetterRow, Page } from './types.ts';

const INSERT: Statement = { name: 'dead-letter-insert', text: 'INSERT INTO dead_letter (subject, reason, payload) VALUES ($1::text, $2::text, $3::bytea)' };
const LIST: Statement = {
  name: 'dead-letter-list',
  text: 'SELECT id, subject, reason, payload, at FROM dead_letter WHERE id < $1::int8 ORDER BY id DESC LIMIT $2::int4',
};

/** Bytes of a payload that are kept. */
const KEPT = 65_536;
/** Characters of a subject or a reason that are kept. */
const KEPT_TEXT = 1_024;
/** Above every id. */
const LAST_ID = '9223372036854775807';

/** Keeps a message that nobody could use. Never refuses: texts lose their NULs, all is cut to size. */
export async function deadLetter(db: Executor, entry: DeadLetterEntry): Promise<void> {
  await db.query(INSERT, [clean(entry.subject), clean(entry.reason), Buffer.from(entry.payload.subarray(0, KEPT))]);
}

/** Dead letters, newest first, from below `beforeId`. */
export async function listDeadLetters(db: Executor, beforeId: string | undefined, first: number): Promise<Page<DeadLetterRow>> {
  const limit = clamp(first);
  const rows = await db.query<DeadLetterRow>(LIST, [beforeId ?? LAST_ID, limit + 1]);
  return cut(rows, limit);
}

function clean(text: string): string {
  return text.replaceAll('\0', '\uFFFD').slice(0, KEPT_TEXT);
}
