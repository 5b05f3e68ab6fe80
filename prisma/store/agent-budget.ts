import { texts } from './binary.ts';
import { accountOf, BUDGET_ACCOUNT, RESERVATION, reservationOf, type StoredAccount, type StoredReservation } from './agent-columns.ts';
import type { Amount, BudgetAccountCreate, BudgetAccountRow, Limit, ReservationRow } from './agent-types.ts';
import type { Executor, Statement } from './db.ts';
import { iso } from './times.ts';

/*
 * Budgets: what is reserved before a model call can never pass a limit, because all accounts that pay are held while it is looked
 * at, always in the order of their keys.
 */

const MAKE: Statement = {
  name: 'budget-make',
  text: `INSERT INTO budget_account AS b (key, namespace, level, limit_tokens, limit_nano, updated_at)
  VALUES ($1::text, $2::text, $3::text, $4::int8, $5::int8, now()) ON CONFLICT (key) DO NOTHING`,
};
const LOCK: Statement = { name: 'budget-lock', text: `SELECT ${BUDGET_ACCOUNT} FROM budget_account b WHERE b.key = ANY ($1::text[]) ORDER BY b.key FOR UPDATE` };
const LOOK: Statement = { name: 'budget-look', text: `SELECT ${BUDGET_ACCOUNT} FROM budget_account b WHERE b.key = ANY ($1::text[]) ORDER BY b.key` };
const TAKE: Statement = {
  name: 'budget-take',
  text: `UPDATE budget_account SET reserved_tokens = reserved_tokens + $2::int8, reserved_nano = reserved_nano + $3::int8, updated_at = now() WHERE key = ANY ($1::text[])`,
};
const HOLD: Statement = {
  name: 'reservation-add',
  text: `INSERT INTO agent_reservation (id, agent_run, step, purpose, model, tokens, nano, accounts, holder, holder_until, created_at)
  VALUES ($1::uuid, $2::uuid, $3::int4, $4::text, $5::text, $6::int8, $7::int8, $8::text[], $9::text, $10::timestamptz, $11::timestamptz)`,
};
const FIND: Statement = {
  name: 'reservation-find',
  text: `SELECT ${RESERVATION} FROM agent_reservation v WHERE v.agent_run = $1::uuid AND v.step = $2::int4 AND v.purpose = $3::text`,
};
const DROP: Statement = { name: 'reservation-drop', text: `DELETE FROM agent_reservation v WHERE v.id = $1::uuid RETURNING ${RESERVATION}` };
const PAY: Statement = {
  name: 'budget-pay',
  text: `UPDATE budget_account SET reserved_tokens = reserved_tokens - $2::int8, reserved_nano = reserved_nano - $3::int8,
    spent_tokens = spent_tokens + $4::int8, spent_nano = spent_nano + $5::int8, updated_at = now() WHERE key = ANY ($1::text[])`,
};
const RENEW: Statement = { name: 'reservation-renew', text: 'UPDATE agent_reservation SET holder_until = $3::timestamptz WHERE id = ANY ($1::uuid[]) AND holder = $2::text RETURNING id' };
const ORPHANS: Statement = { name: 'reservation-orphans', text: `SELECT ${RESERVATION} FROM agent_reservation v WHERE v.holder_until < $1::timestamptz ORDER BY v.holder_until LIMIT $2::int4` };
const RAISE: Statement = {
  name: 'budget-raise',
  text: `UPDATE budget_account b SET limit_tokens = $2::int8, limit_nano = $3::int8, warned = false, updated_at = now() WHERE b.key = $1::text RETURNING ${BUDGET_ACCOUNT}`,
};
const WARN: Statement = { name: 'budget-warn', text: 'UPDATE budget_account SET warned = true WHERE key = ANY ($1::text[]) AND NOT warned RETURNING key' };

/** Makes accounts that are not there yet; those that are keep their limit. */
export async function makeAccounts(tx: Executor, accounts: readonly BudgetAccountCreate[]): Promise<void> {
  for (const { key, namespace, level, limit } of [...accounts].sort(byKey)) await tx.query(MAKE, [key, namespace, level, limit.tokens, limit.nano]);
}

/** A reservation, or the account whose limit does not allow it. */
export type Reserved = { readonly ok: true; readonly accounts: readonly BudgetAccountRow[] } | { readonly ok: false; readonly account: BudgetAccountRow };

/** Sets an amount aside on every account of the reservation, or on none of them. Call it in the transaction that journals the request. */
export async function reserve(tx: Executor, reservation: ReservationRow): Promise<Reserved> {
  const { id, agentRun, step, purpose, model, amount, accounts: keys, holder, holderUntil, createdAt } = reservation;
  const accounts = await lockAccounts(tx, keys);
  const full = accounts.find((account) => !fits(account, amount));
  if (full !== undefined) return { ok: false, account: full };
  await tx.query(TAKE, [texts(keys, (key) => key), amount.tokens, amount.nano]);
  await tx.query(HOLD, [id, agentRun, step, purpose, model, amount.tokens, amount.nano, texts(keys, (key) => key), holder, iso(holderUntil), iso(createdAt)]);
  return { ok: true, accounts };
}

/**
 * Gives a reservation back and charges what was really used; once, however often it is called: false where it was settled before.
 * What is charged may be more than was reserved, because the provider's count is the truth.
 */
export async function settle(tx: Executor, id: string, spent: Amount | 'estimate'): Promise<boolean> {
  const [stored] = await tx.query<StoredReservation>(DROP, [id]);
  if (stored === undefined) return false;
  const { accounts, amount } = reservationOf(stored);
  const real = spent === 'estimate' ? amount : spent;
  await lockAccounts(tx, accounts);
  await tx.query(PAY, [texts(accounts, (key) => key), amount.tokens, amount.nano, real.tokens, real.nano]);
  return true;
}

/** Accounts by key, held until the transaction ends. */
export async function lockAccounts(tx: Executor, keys: readonly string[]): Promise<readonly BudgetAccountRow[]> {
  return (await tx.query<StoredAccount>(LOCK, [texts(keys, (key) => key)])).map(accountOf);
}

/** Accounts by key, as they stand. */
export async function readAccounts(db: Executor, keys: readonly string[]): Promise<readonly BudgetAccountRow[]> {
  return (await db.query<StoredAccount>(LOOK, [texts(keys, (key) => key)])).map(accountOf);
}

/** The open model call of a step. */
export async function findReservation(db: Executor, agentRun: string, step: number, purpose: string): Promise<ReservationRow | undefined> {
  const [row] = await db.query<StoredReservation>(FIND, [agentRun, step, purpose]);
  return row === undefined ? undefined : reservationOf(row);
}

/** Says that these calls are still being made; gives the ids that are still held. */
export async function renewReservations(db: Executor, ids: readonly string[], holder: string, until: number): Promise<readonly string[]> {
  return (await db.query<{ id: string }>(RENEW, [[...ids], holder, iso(until)])).map(({ id }) => id);
}

/** Calls whose holder has not been heard of since `before`. */
export async function orphanedReservations(db: Executor, before: number, limit: number): Promise<readonly ReservationRow[]> {
  return (await db.query<StoredReservation>(ORPHANS, [iso(before), limit])).map(reservationOf);
}

/** Sets the limit of an account; undefined where it does not exist. */
export async function raiseAccount(tx: Executor, key: string, limit: Limit): Promise<BudgetAccountRow | undefined> {
  const [row] = await tx.query<StoredAccount>(RAISE, [key, limit.tokens, limit.nano]);
  return row === undefined ? undefined : accountOf(row);
}

/** Marks accounts as warned about; gives those that were not before. */
export async function warnAccounts(tx: Executor, keys: readonly string[]): Promise<readonly string[]> {
  return (await tx.query<{ key: string }>(WARN, [texts(keys, (key) => key)])).map(({ key }) => key);
}

/** Whether an account has room for an amount. */
export function fits({ limit, reserved, spent }: BudgetAccountRow, ask: Amount): boolean {
  if (limit.tokens !== null && spent.tokens + reserved.tokens + ask.tokens > limit.tokens) return false;
  return limit.nano === null || spent.nano + reserved.nano + ask.nano <= limit.nano;
}

/** What an account has left; null: no limit. Never negative. */
export function leftOf({ limit, reserved, spent }: BudgetAccountRow): Limit {
  const nano = limit.nano === null ? null : limit.nano - spent.nano - reserved.nano;
  return { tokens: limit.tokens === null ? null : Math.max(0, limit.tokens - spent.tokens - reserved.tokens), nano: nano !== null && nano < 0n ? 0n : nano };
}

/** A limit as events of the journal hold it: what is unlimited is left out. */
export function journaledLimit({ tokens, nano }: Limit): { readonly tokens?: number; readonly nano?: string } {
  return { ...(tokens === null ? {} : { tokens }), ...(nano === null ? {} : { nano: String(nano) }) };
}

function byKey(a: BudgetAccountCreate, b: BudgetAccountCreate): number {
  return a.key < b.key ? -1 : 1;
}
