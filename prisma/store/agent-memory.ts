import type { Executor, Statement } from './db.ts';
import { iso } from './times.ts';

/*
 * Long-term memory of agents: texts with a scope and an end. They are found by their words; there are no embeddings, so a search looks
 * at every text of its scope, which is why a scope has a bound.
 */

/** Memories of one scope at most. */
export const MOST_MEMORIES = 2_000;

/** One thing that is remembered. */
export interface MemoryRow {
  readonly id: string;
  readonly namespace: string;
  /** Who shares it: the namespace, an agent, a user. */
  readonly scope: string;
  readonly text: string;
  readonly createdAt: number;
  readonly expiresAt: number | null;
}

const SAVE: Statement = {
  name: 'memory-save',
  text: `INSERT INTO agent_memory (id, namespace, scope, text, created_at, expires_at)
  SELECT $1::uuid, $2::text, $3::text, $4::text, $5::timestamptz, $6::timestamptz
  WHERE (SELECT count(*) FROM agent_memory m WHERE m.namespace = $2::text AND m.scope = $3::text AND (m.expires_at IS NULL OR m.expires_at > $5::timestamptz)) < $7::int4
  ON CONFLICT (id) DO NOTHING RETURNING id`,
};
const THERE: Statement = { name: 'memory-there', text: 'SELECT id FROM agent_memory WHERE id = $1::uuid' };
const SEARCH: Statement = {
  name: 'memory-search',
  text: `WITH asked AS (SELECT nullif(replace(plainto_tsquery('simple'::regconfig, $3::text)::text, ' & ', ' | '), '')::tsquery AS words), known AS (
    SELECT m.id, m.namespace, m.scope, m.text, m.created_at, m.expires_at FROM agent_memory m
    WHERE m.namespace = $1::text AND m.scope = $2::text AND (m.expires_at IS NULL OR m.expires_at > $4::timestamptz) ORDER BY m.created_at DESC, m.id DESC LIMIT ${MOST_MEMORIES})
  SELECT k.id, k.namespace, k.scope, k.text, k.created_at AS "createdAt", k.expires_at AS "expiresAt" FROM known k, asked a
  WHERE a.words IS NULL OR to_tsvector('simple'::regconfig, k.text) @@ a.words
  ORDER BY ts_rank(to_tsvector('simple'::regconfig, k.text), a.words) DESC NULLS LAST, k.created_at DESC, k.id DESC LIMIT $5::int4`,
};
const DROP: Statement = {
  name: 'memory-drop-expired',
  text: 'DELETE FROM agent_memory WHERE id IN (SELECT id FROM agent_memory WHERE expires_at <= $1::timestamptz ORDER BY expires_at LIMIT $2::int4) RETURNING id',
};

/** Remembers something; once, however often it is called. False: the scope is full. */
export async function saveMemory(db: Executor, { id, namespace, scope, text, createdAt, expiresAt }: MemoryRow): Promise<boolean> {
  const made = await db.query(SAVE, [id, namespace, scope, text, iso(createdAt), expiresAt === null ? null : iso(expiresAt), MOST_MEMORIES]);
  return made.length > 0 || (await db.query(THERE, [id])).length > 0;
}

/** What is remembered in a scope that has any of the words, best match first; the newest where the query has no word. */
export async function searchMemories(db: Executor, scope: Pick<MemoryRow, 'namespace' | 'scope'>, query: string, limit: number, at: number): Promise<readonly MemoryRow[]> {
  return db.query<MemoryRow>(SEARCH, [scope.namespace, scope.scope, query, iso(at), limit]);
}

/** Deletes at most `limit` memories whose time is over; gives how many. */
export async function dropExpiredMemories(db: Executor, at: number, limit: number): Promise<number> {
  return (await db.query(DROP, [iso(at), limit])).length;
}
