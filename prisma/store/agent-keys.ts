import type { Executor, Statement } from './db.ts';

const KEEP: Statement = { name: 'agent-key-keep', text: 'INSERT INTO agent_key (kid, jwk, created_at) VALUES ($1::text, $2::text, now()) ON CONFLICT (kid) DO NOTHING' };
const READ: Statement = { name: 'agent-key-read', text: 'SELECT jwk FROM agent_key WHERE kid = $1::text' };

/** Makes a public key known by which the model gateway checks tokens of agents. A kid names its key for ever, so one that is there stays. */
export async function keepAgentKey(db: Executor, kid: string, jwk: string): Promise<void> {
  await db.query(KEEP, [kid, jwk]);
}

/** The public key of a kid, as JWK text; undefined where there is none. */
export async function readAgentKey(db: Executor, kid: string): Promise<string | undefined> {
  const [row] = await db.query<{ readonly jwk: string }>(READ, [kid]);
  return row?.jwk;
}
