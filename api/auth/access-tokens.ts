import { Buffer } from 'node:buffer';
import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../../platform/clock/index.ts';
import type { AccessTokenRow } from '../../prisma/store/index.ts';
import type { ApiLog, TokenScope, UserPrincipal } from '../ports.ts';
import { TOKEN_SCOPES, USER_NAME_PREFIX } from '../ports.ts';
import { asUserRole } from './accounts.ts';

/* Personal access tokens: `rbo_`, 32 random bytes, 4 bytes of a checksum, base64url. Only the SHA-256 of the text is kept. */

/** What every access token begins with, so that scanners of secrets know it. */
export const TOKEN_PREFIX = 'rbo_';
const SECRET_BYTES = 32;
const CHECK_BYTES = 4;
const SHAPE = /^rbo_[A-Za-z0-9_-]{48}$/;

/** Longest time an access token may count. */
export const MOST_TOKEN_DAYS = 365;

/** A new token: the text that is shown once, and what is kept of it. */
export function makeAccessToken(random: (size: number) => Buffer = randomBytes): { readonly token: string; readonly hash: Buffer } {
  const secret = random(SECRET_BYTES);
  const token = `${TOKEN_PREFIX}${Buffer.concat([secret, checksum(secret)]).toString('base64url')}`;
  return { token, hash: tokenHash(token) };
}

/** What is kept of a token. */
export function tokenHash(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** Whether a text can be an access token: a mistyped or made-up one is refused without asking Postgres. */
export function wellFormedToken(token: string): boolean {
  if (!SHAPE.test(token)) return false;
  const bytes = Buffer.from(token.slice(TOKEN_PREFIX.length), 'base64url');
  return checksum(bytes.subarray(0, SECRET_BYTES)).equals(bytes.subarray(SECRET_BYTES));
}

function checksum(secret: Uint8Array): Buffer {
  return createHash('sha256').update(TOKEN_PREFIX).update(secret).digest().subarray(0, CHECK_BYTES);
}

/** What looking a token up stands on. Reads may throw UnavailableError. */
export interface AccessTokenParts {
  readonly byHash: (hash: Uint8Array) => Promise<AccessTokenRow | undefined>;
  /** Notes a use; writes at most once a minute. */
  readonly touch: (tokenId: string, at: number) => Promise<void>;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: ApiLog;
}

/** A use is written down at most so often. */
const USED_EVERY_MS = 60_000;

/** Tells who an access token belongs to; undefined for one that is not, is revoked, has run out or whose owner is gone. */
export async function accessTokenPrincipal(parts: AccessTokenParts, token: string): Promise<UserPrincipal | undefined> {
  if (!wellFormedToken(token)) return undefined;
  const row = await parts.byHash(tokenHash(token));
  const now = parts.clock.now();
  if (row === undefined || !tokenCounts(row, now)) return undefined;
  const role = asUserRole(row.role);
  if (role === undefined) return undefined;
  if (row.lastUsedAt === null || now - row.lastUsedAt >= USED_EVERY_MS) {
    parts.touch(row.tokenId, now).catch((error: unknown) => { parts.log.warn({ principal: `${USER_NAME_PREFIX}${row.id}`, err: error }, 'the use of an access token could not be written down'); });
  }
  return {
    kind: 'user', name: `${USER_NAME_PREFIX}${row.id}`, userId: row.id, role, emailVerified: row.emailVerified, signedInAt: row.createdAt, validUntil: row.expiresAt,
    secondFactor: false, via: 'accessToken', scopes: scopesOf(row.scopes), tokenId: row.tokenId, ...(row.email === null ? {} : { email: row.email }),
  };
}

/** Whether a token counts now: not revoked, not run out, and its owner may still come in. Signing out everywhere leaves it alone. */
export function tokenCounts(row: AccessTokenRow, now: number): boolean {
  return row.revokedAt === null && row.expiresAt > now && row.disabledAt === null;
}

function scopesOf(scopes: readonly string[]): readonly TokenScope[] {
  return TOKEN_SCOPES.filter((scope) => scopes.includes(scope));
}
