import { uuids } from './binary.ts';
import type { Executor, Statement } from './db.ts';
import { iso } from './times.ts';

/* What the gateway reads at nearly every request: prepared, because it decides the figures. The rest goes over prisma/gateway. */

/** Place of a project and what a user is there. Times in epoch milliseconds. */
export interface PlaceRow {
  readonly id: string;
  readonly ownerId: string;
  readonly namespace: string | null;
  readonly deletedAt: number | null;
  /** Number of its last change. */
  readonly seq: number;
  /** Role of the user asked for as a member. */
  readonly memberRole: string | null;
  /** Role of the user in the installation; null when gone or disabled. */
  readonly userRole: string | null;
}

/** A user as far as sign-ins go. */
export interface AccountRow {
  readonly id: string;
  readonly role: string;
  readonly email: string | null;
  readonly emailVerified: boolean;
  readonly firebaseUid: string | null;
  readonly tokensValidAfter: number | null;
  readonly disabledAt: number | null;
}

/** An access token together with the user it belongs to. */
export interface AccessTokenRow extends AccountRow {
  readonly tokenId: string;
  readonly scopes: readonly string[];
  readonly expiresAt: number;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
  readonly revokedAt: number | null;
}

const PLACE = `p.id, p.owner_id AS "ownerId", p.namespace, p.deleted_at AS "deletedAt", p.seq, m.role AS "memberRole",
  CASE WHEN u.disabled_at IS NULL THEN u.role END AS "userRole"`;
const CALLER = `LEFT JOIN project_member m ON m.project_id = p.id AND m.user_id = $2::uuid LEFT JOIN app_user u ON u.id = $2::uuid`;
const BY_ID: Statement = { name: 'places', text: `SELECT ${PLACE} FROM project p ${CALLER} WHERE p.id = ANY ($1::uuid[])` };
const BY_NAMESPACE: Statement = { name: 'place-of-namespace', text: `SELECT ${PLACE} FROM project p ${CALLER} WHERE p.namespace = $1::text` };

const ACCOUNT = `u.id, u.role, u.email, u.email_verified AS "emailVerified", u.firebase_uid AS "firebaseUid",
  u.tokens_valid_after AS "tokensValidAfter", u.disabled_at AS "disabledAt"`;
const ACCOUNT_BY_ID: Statement = { name: 'account', text: `SELECT ${ACCOUNT} FROM app_user u WHERE u.id = $1::uuid` };
const ACCOUNT_BY_FIREBASE: Statement = { name: 'account-by-firebase', text: `SELECT ${ACCOUNT} FROM app_user u WHERE u.firebase_uid = $1::text` };
const TOKEN = `SELECT ${ACCOUNT}, t.id AS "tokenId", t.scopes, t.expires_at AS "expiresAt", t.created_at AS "createdAt", t.last_used_at AS "lastUsedAt",
  t.revoked_at AS "revokedAt" FROM access_token t JOIN app_user u ON u.id = t.user_id`;
const TOKEN_BY_HASH: Statement = { name: 'access-token', text: `${TOKEN} WHERE t.hash = $1::bytea` };
const TOKEN_BY_ID: Statement = { name: 'access-token-by-id', text: `${TOKEN} WHERE t.id = $1::uuid` };
const TOUCH: Statement = {
  name: 'access-token-used',
  text: `UPDATE access_token SET last_used_at = $2::timestamptz WHERE id = $1::uuid AND (last_used_at IS NULL OR last_used_at < $2::timestamptz - interval '1 minute')`,
};

/** Places of projects by their ids (UUIDs; callers check the shape), in no order; absent ones are left out. */
export async function placesOfProjects(db: Executor, projectIds: readonly string[], userId: string | undefined): Promise<readonly PlaceRow[]> {
  return db.query<PlaceRow>(BY_ID, [uuids(projectIds, (id) => id), userId ?? null]);
}

/** Place of the project bound to a namespace. */
export async function placeOfNamespace(db: Executor, namespace: string, userId: string | undefined): Promise<PlaceRow | undefined> {
  return (await db.query<PlaceRow>(BY_NAMESPACE, [namespace, userId ?? null]))[0];
}

/** A user by its id (a UUID). */
export async function accountById(db: Executor, id: string): Promise<AccountRow | undefined> {
  return (await db.query<AccountRow>(ACCOUNT_BY_ID, [id]))[0];
}

/** The user of an account in Firebase. */
export async function accountByFirebase(db: Executor, firebaseUid: string): Promise<AccountRow | undefined> {
  return (await db.query<AccountRow>(ACCOUNT_BY_FIREBASE, [firebaseUid]))[0];
}

/** The access token with that SHA-256, expired and revoked ones too. */
export async function accessTokenByHash(db: Executor, hash: Uint8Array): Promise<AccessTokenRow | undefined> {
  return (await db.query<AccessTokenRow>(TOKEN_BY_HASH, [hash]))[0];
}

/** An access token by its id. */
export async function accessTokenById(db: Executor, id: string): Promise<AccessTokenRow | undefined> {
  return (await db.query<AccessTokenRow>(TOKEN_BY_ID, [id]))[0];
}

/** Notes that a token was used at `at` (epoch milliseconds); writes at most once a minute. */
export async function touchAccessToken(db: Executor, tokenId: string, at: number): Promise<void> {
  await db.query(TOUCH, [tokenId, iso(at)]);
}
