import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from '../../crds/canonical.ts';
import type { Clock } from '../../platform/clock/index.ts';
import type { Gateway, GatewayDb } from '../../prisma/gateway/index.ts';
import { Prisma } from '../../prisma/gateway/index.ts';
import { ApiError } from '../errors.ts';
import { invalidField } from './problems.ts';
import { jsonIn } from './row-values.ts';

/** An answer is given again for so long. */
export const IDEMPOTENCY_TTL_MS = 7 * 86_400_000;
const keySchema = z.string().min(1).max(256).regex(/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/);

/** A mutation under a key, as its caller sent it. */
export interface Keyed {
  readonly principal: string;
  readonly key: string;
  readonly operation: string;
  readonly bodyHash: string;
}

/** Checks a key and hashes what was sent with it. Throws BAD_USER_INPUT. */
export function keyed(principal: string, operation: string, key: string, input: unknown): Keyed {
  if (!keySchema.safeParse(key).success) throw invalidField('idempotencyKey', key, 'is no key: 1 to 256 printable ASCII characters');
  return { principal, key, operation, bodyHash: createHash('sha256').update(canonicalJson([operation, input])).digest('hex') };
}

/** The answer kept under a key, undefined for none. Throws CONFLICT where the key was used for something else. */
export async function keptAnswer(db: GatewayDb, request: Keyed, now: number): Promise<{ readonly answer: unknown } | undefined> {
  const row = await db.apiIdempotency.findUnique({ where: { principal_key: { principal: request.principal, key: request.key } } });
  if (row === null || row.expiresAt.getTime() <= now) return undefined;
  if (row.operation !== request.operation || row.bodyHash !== request.bodyHash) {
    throw new ApiError('CONFLICT', `the idempotency key ${request.key.slice(0, 64)} was used for another request (${row.operation}): use a new key`);
  }
  return { answer: row.answer };
}

/**
 * Takes the key for this transaction: somebody else who has it makes this wait for their commit. Tells whether it is ours; if
 * not, `keptAnswer` says what it was used for.
 */
export async function takeKey(tx: GatewayDb, request: Keyed, now: number): Promise<boolean> {
  const { principal, key, operation, bodyHash } = request;
  await tx.apiIdempotency.deleteMany({ where: { principal, key, expiresAt: { lte: new Date(now) } } });
  const { count } = await tx.apiIdempotency.createMany({
    data: [{ principal, key, operation, bodyHash, answer: Prisma.JsonNull, expiresAt: new Date(now + IDEMPOTENCY_TTL_MS) }], skipDuplicates: true,
  });
  return count === 1;
}

/** Keeps the answer under the key that this transaction took. */
export async function keepAnswer(tx: GatewayDb, { principal, key }: Keyed, answer: object): Promise<void> {
  await tx.apiIdempotency.update({ where: { principal_key: { principal, key } }, data: { answer: jsonIn(answer) }, select: { key: true } });
}

/** Rows of one statement. */
const SWEPT_AT_ONCE = 1_000;

/** Takes away answers whose time is over: returns how many went. */
export async function sweepAnswers({ gateway, clock }: { readonly gateway: Gateway; readonly clock: Pick<Clock, 'now'> }, signal?: AbortSignal): Promise<number> {
  const now = new Date(clock.now());
  let swept = 0;
  for (let last = SWEPT_AT_ONCE; last === SWEPT_AT_ONCE && signal?.aborted !== true;) {
    last = await gateway.transaction((tx) => tx.$executeRaw`
      DELETE FROM api_idempotency WHERE (principal, key) IN (SELECT principal, key FROM api_idempotency WHERE expires_at <= ${now} ORDER BY expires_at LIMIT ${SWEPT_AT_ONCE}::int FOR UPDATE SKIP LOCKED)`);
    swept += last;
  }
  return swept;
}
