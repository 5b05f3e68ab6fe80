import type { Clock } from '../../platform/clock/index.ts';
import type { Ids } from '../../platform/ids/index.ts';
import type { Gateway, GatewayDb } from '../../prisma/gateway/index.ts';
import { UniqueError } from '../../prisma/gateway/index.ts';
import type { AccountRow } from '../../prisma/store/index.ts';
import { writeChanges } from '../operations/changes.ts';
import type { ApiLog, UserPrincipal, UserRole } from '../ports.ts';
import { USER_NAME_PREFIX } from '../ports.ts';
import { accountStands, asUserRole } from './accounts.ts';
import type { FirebaseStanding } from './accounts.ts';
import { appendAudit } from './audit.ts';
import type { AuditEntry } from './audit.ts';
import type { IdClaims, IdTokenVerifier } from './firebase/id-token.ts';
import { takeInvitations } from './invitations.ts';

/** What signing in stands on. */
export interface SignInParts {
  readonly verifier: IdTokenVerifier;
  /** What Firebase says of the account now. Throws UnavailableError. */
  readonly standing: (uid: string) => Promise<FirebaseStanding | undefined>;
  /** The user of an account in Firebase. Throws UnavailableError. */
  readonly accountOf: (firebaseUid: string) => Promise<AccountRow | undefined>;
  readonly gateway: Gateway;
  readonly clock: Pick<Clock, 'now'>;
  readonly ids: Ids;
  readonly log: ApiLog;
  /** Role of somebody who signs in for the first time. */
  readonly defaultRole: UserRole;
  /** Addresses, lower case, whose verified owners become administrators when they sign in for the first time. */
  readonly adminEmails: readonly string[];
}

/** Tells who an ID token belongs to: the user of the account, made at the first sign-in. Undefined: nobody. Throws UnavailableError. */
export async function signIn(parts: SignInParts, token: string): Promise<UserPrincipal | undefined> {
  const claims = await parts.verifier.verify(token);
  if (claims === undefined) return undefined;
  const [standing, known] = await Promise.all([parts.standing(claims.uid), parts.accountOf(claims.uid)]);
  if (standing === undefined || standing.disabled || claims.signedInAt < standing.validSince) return undefined;
  const account = await current(parts, claims, known);
  const role = asUserRole(account?.role);
  if (account === undefined || role === undefined || !accountStands(account, claims.signedInAt)) return undefined;
  return principalOf(claims, account, role);
}

function principalOf(claims: IdClaims, { id, email, emailVerified }: AccountRow, role: UserRole): UserPrincipal {
  return {
    kind: 'user', name: `${USER_NAME_PREFIX}${id}`, userId: id, role, emailVerified, signedInAt: claims.signedInAt, validUntil: claims.expiresAt,
    secondFactor: claims.secondFactor !== undefined, via: 'firebase', firebaseUid: claims.uid, ...(email === null ? {} : { email }),
  };
}

/** Requests of the same person may come at once, on several replicas: whoever loses finds what the winner wrote. */
const TRIES = 4;

/** The account as the claims have it, written where it is not. */
async function current(parts: SignInParts, claims: IdClaims, known: AccountRow | undefined): Promise<AccountRow | undefined> {
  if (known !== undefined && !await differs(parts, claims, known)) return known;
  for (let left = TRIES; ; left--) {
    try {
      await parts.gateway.transaction((tx) => writeAccount(parts, tx, claims));
      return await parts.accountOf(claims.uid);
    } catch (error) {
      if (!(error instanceof UniqueError) || left <= 1) throw error;
    }
  }
}

async function differs({ gateway, clock }: SignInParts, { email, emailVerified }: IdClaims, known: AccountRow): Promise<boolean> {
  if (email !== undefined && (known.email !== email || known.emailVerified !== emailVerified)) {
    // An address that is not proven and belongs to somebody else stays away: nothing to write at every request.
    if (emailVerified || known.email !== null || await gateway.read((db) => db.user.count({ where: { email } })) === 0) return true;
  }
  if (!known.emailVerified || known.email === null) return false;
  const waiting = { email: known.email, acceptedAt: null, expiresAt: { gt: new Date(clock.now()) } };
  return await gateway.read((db) => db.projectInvitation.count({ where: waiting })) > 0;
}

/** Everything a sign-in writes, in one transaction: user, profile, memberships it was invited to, audit. */
async function writeAccount(parts: SignInParts, tx: GatewayDb, claims: IdClaims): Promise<void> {
  const { clock, ids } = parts;
  const now = new Date(clock.now());
  const entries: AuditEntry[] = [];
  const own = await tx.user.findUnique({ where: { firebaseUid: claims.uid }, select: { id: true } });
  const { email, waiting } = await addressFor(tx, claims, own?.id);
  const mine = own ?? waiting;
  const userId = mine?.id ?? ids.uuid();
  const note = (operation: string, more: Partial<AuditEntry>): void => {
    entries.push({ at: now.getTime(), principal: `${USER_NAME_PREFIX}${userId}`, operation, outcome: 'DONE', code: 'OK', requestId: userId, ...more });
  };
  const address = { email: email ?? null, emailVerified: email !== undefined && claims.emailVerified, updatedAt: now };
  if (mine === undefined) {
    const role = claims.emailVerified && email !== undefined && parts.adminEmails.includes(email) ? 'ADMIN' : parts.defaultRole;
    await tx.user.create({ data: { id: userId, firebaseUid: claims.uid, role, createdAt: now, ...address, profile: { create: profileOf(claims, now) } } });
    note('signUp', { resource: 'users', resourceId: userId, details: { role, provider: claims.provider } });
    parts.log.info({ principal: `${USER_NAME_PREFIX}${userId}`, role }, 'a user signed in for the first time');
  } else {
    await tx.user.update({ where: { id: userId }, data: { firebaseUid: claims.uid, ...address } });
    await tx.profile.createMany({ data: [{ userId, ...profileOf(claims, now) }], skipDuplicates: true });
  }
  if (address.emailVerified && email !== undefined) {
    const taken = await takeInvitations(tx, userId, email, now);
    // Whoever looks at the project hears of it when they next read its changes; a sign-in is no request that could tell them.
    await writeChanges(tx, taken.map(({ projectId }) => ({ projectId, kind: 'CREATED', entity: 'ProjectMember', entityId: userId })), `${USER_NAME_PREFIX}${userId}`, now.getTime());
    for (const { projectId, role } of taken) {
      note('acceptInvitation', { resource: 'members', resourceId: userId, projectId, details: { role } });
    }
  }
  await appendAudit(tx, entries);
}

interface Address {
  /** The address this account may have here. */
  readonly email?: string;
  /** An account that was brought along from elsewhere and waits for its owner, who has proven the address now. */
  readonly waiting?: { readonly id: string };
}

/**
 * A verified address moves to whoever proves it; the account that had it keeps everything else, because an address alone makes nobody the
 * same person. Only who is new here takes over an account that waits for the address. One that is not verified is kept only where nobody has it.
 */
async function addressFor(tx: GatewayDb, { email, emailVerified }: IdClaims, ownId: string | undefined): Promise<Address> {
  if (email === undefined) return {};
  const holder = await tx.user.findUnique({ where: { email }, select: { id: true, firebaseUid: true } });
  if (holder === null || holder.id === ownId) return { email };
  if (!emailVerified) return {};
  if (holder.firebaseUid === null && ownId === undefined) return { email, waiting: { id: holder.id } };
  await tx.user.update({ where: { id: holder.id }, data: { email: null, emailVerified: false } });
  return { email };
}

const MOST_NAME = 200;
const MOST_URL = 2_000;

function profileOf({ name, email, picture }: IdClaims, updatedAt: Date): { displayName: string; avatarUrl: string | null; updatedAt: Date } {
  const plain = (name ?? email?.split('@')[0] ?? 'unnamed').replaceAll(/\p{Cc}/gu, '').toWellFormed().trim().slice(0, MOST_NAME);
  const avatarUrl = picture?.startsWith('https://') === true && picture.length <= MOST_URL && !picture.includes('\0') ? picture : null;
  return { displayName: plain === '' ? 'unnamed' : plain, avatarUrl, updatedAt };
}
