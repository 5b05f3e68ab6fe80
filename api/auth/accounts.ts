import type { AccountRow } from '../../prisma/store/index.ts';
import { MEMBER_ROLES, USER_NAME_PREFIX, USER_ROLES } from '../ports.ts';
import type { MemberRole, StandingReader, UserPrincipal, UserRole } from '../ports.ts';

/** A role as the rows hold it, as one that exists; anything else is no role, so no right. */
export function asUserRole(role: string | null | undefined): UserRole | undefined {
  return USER_ROLES.find((known) => known === role);
}

/** A role of a member as the rows hold it. */
export function asMemberRole(role: string | null | undefined): MemberRole | undefined {
  return MEMBER_ROLES.find((known) => known === role);
}

/** What Firebase says of an account now. */
export interface FirebaseStanding {
  readonly disabled: boolean;
  /** Sign-ins before are void; epoch milliseconds, whole seconds. */
  readonly validSince: number;
}

/** What standing is read from, past every cache. Both may throw UnavailableError. */
export interface StandingParts {
  readonly account: (userId: string) => Promise<AccountRow | undefined>;
  /** Undefined where there is no such account (any more), or no Firebase. */
  readonly firebase: (firebaseUid: string) => Promise<FirebaseStanding | undefined>;
  /** Whether an access token still counts. */
  readonly token: (tokenId: string) => Promise<boolean>;
}

/** Whether a sign-in of an account made at `signedInAt` counts, as its row says. */
export function accountStands(account: Pick<AccountRow, 'disabledAt' | 'tokensValidAfter'>, signedInAt: number): boolean {
  return account.disabledAt === null && (account.tokensValidAfter === null || signedInAt >= account.tokensValidAfter);
}

/** Looks at the row and at Firebase, or at the access token: what was revoked a moment ago does not count. */
export function standingOf({ account, firebase, token }: StandingParts): StandingReader {
  const credentialStands = async ({ via, tokenId, firebaseUid, signedInAt }: UserPrincipal): Promise<boolean> => {
    if (via === 'accessToken') return tokenId !== undefined && token(tokenId);
    const known = firebaseUid === undefined ? undefined : await firebase(firebaseUid);
    return known !== undefined && !known.disabled && signedInAt >= known.validSince;
  };
  return {
    standing: async (principal) => {
      const [row, stands] = await Promise.all([account(principal.userId), credentialStands(principal)]);
      return stands && row !== undefined && (principal.via === 'accessToken' ? row.disabledAt === null : accountStands(row, principal.signedInAt)) ? asUserRole(row.role) : undefined;
    },
  };
}

/**
 * Somebody whose work goes on without a request of theirs, as their row says now; undefined where the account is gone or disabled.
 * Good for plain verbs only: it has no sign-in.
 */
export function principalOfAccount(row: AccountRow | undefined): UserPrincipal | undefined {
  const role = asUserRole(row?.role);
  if (row === undefined || role === undefined || row.disabledAt !== null) return undefined;
  return { kind: 'user', name: `${USER_NAME_PREFIX}${row.id}`, userId: row.id, role, emailVerified: row.emailVerified, signedInAt: 0, secondFactor: false, via: 'firebase', validUntil: Number.MAX_SAFE_INTEGER };
}
