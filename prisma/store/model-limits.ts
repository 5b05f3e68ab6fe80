import type { Executor, Statement } from './db.ts';

/*
 * What gateways share about the limits of a Model: one row, changed by compare-and-set. The state itself is the gateways' affair. Every answer
 * says what time it is in Postgres: the clock they all go by.
 */

const NOW = '(extract(epoch FROM clock_timestamp()) * 1000)::float8';
const READ: Statement = { name: 'model-limit-read', text: `SELECT version, state, ${NOW} AS now FROM model_limit WHERE namespace = $1::text AND model = $2::text` };
const MAKE: Statement = {
  name: 'model-limit-make', text: `INSERT INTO model_limit AS m (namespace, model, version, state, updated_at) VALUES ($1::text, $2::text, 1, $3::bytea, now()) ON CONFLICT (namespace, model) DO NOTHING RETURNING ${NOW} AS now`,
};
const CHANGE: Statement = {
  name: 'model-limit-change', text: `UPDATE model_limit SET version = version + 1, state = $4::bytea, updated_at = now() WHERE namespace = $1::text AND model = $2::text AND version = $3::int8 RETURNING ${NOW} AS now`,
};
const TIME: Statement = { name: 'model-limit-time', text: `SELECT ${NOW} AS now` };
const FORGET: Statement = { name: 'model-limit-forget', text: "DELETE FROM model_limit WHERE updated_at < now() - interval '1 day'" };

/** The row of a Model; version 0 where there is none yet. `now`: epoch milliseconds in Postgres. */
export interface ModelLimitRow {
  readonly version: number;
  readonly state: Uint8Array | undefined;
  readonly now: number;
}

/** The shared state of a Model's limits. */
export async function readModelLimit(db: Executor, namespace: string, model: string): Promise<ModelLimitRow> {
  const [row] = await db.query<{ readonly version: string | number | bigint; readonly state: Uint8Array; readonly now: number }>(READ, [namespace, model]);
  if (row !== undefined) return { version: Number(row.version), state: row.state, now: row.now };
  const [time] = await db.query<{ readonly now: number }>(TIME, []);
  return { version: 0, state: undefined, now: time?.now ?? 0 };
}

/** Writes the state that follows this version (0: the first) and gives the time; undefined where somebody else wrote before. */
export async function writeModelLimit(db: Executor, namespace: string, model: string, version: number, state: Uint8Array): Promise<number | undefined> {
  const [row] = await (version === 0 ? db.query<{ readonly now: number }>(MAKE, [namespace, model, state]) : db.query<{ readonly now: number }>(CHANGE, [namespace, model, version, state]));
  return row?.now;
}

/** Forgets Models that nobody has called for a day. */
export async function forgetModelLimits(db: Executor): Promise<void> {
  await db.query(FORGET, []);
}
