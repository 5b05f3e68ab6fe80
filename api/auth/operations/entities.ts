import { z } from 'zod';
import { defineEntity } from '../../operations/entity.ts';
import type { EntityValue } from '../../operations/entity.ts';
import { anyJson, id, line, metadata, oneOf, text, TEXT_LIMITS, time, webAddress } from '../../operations/fields.ts';
import { TOKEN_SCOPES, USER_ROLES } from '../../ports.ts';

/* What the module shows, and how rows become it. */

/** Role in the installation. */
export const userRole = oneOf('UserRole', 'What somebody may do in the installation, whatever they are in a project.', {
  ADMIN: 'Everything; managing users and reading the audit with a second factor.', MANAGER: 'Makes projects; in others what they are there.', DEVELOPER: 'Makes projects; in others what they are there.',
  VIEWER: 'Reads, whatever they are in a project.', AGENT: 'Reads, moves tasks, adds files, starts runs.',
});
/** Scope of an access token. */
export const tokenScope = oneOf('TokenScope', 'What an access token is good for, within what its owner may do.', {
  read: 'Reading.', write: 'Changing everything but runs.', runs: 'Reading, starting and steering runs.',
});
const auditOutcome = oneOf('AuditOutcome', 'How an attempt ended.', { DONE: 'It was done.', REFUSED: 'The caller may not, or what it was about is not there.', FAILED: 'It contradicted something.' });

const person = {
  id: id('Their id.'), email: z.string().nullable().describe('Their address, in lower case; null where they have none.'), emailVerified: z.boolean().describe('Whether they have proven the address.'), role: userRole,
  displayName: line(TEXT_LIMITS.name, 'Their name.').nullable(), avatarUrl: webAddress('Their picture.').nullable(), createdAt: time('Since when they are here.'),
  disabledAt: time('Since when they may not sign in; null while they may.').nullable(),
};

/** A user. */
export const User = defineEntity('User', 'Somebody with an account.', z.object(person));

/** The caller. */
export const Me = defineEntity('Me', 'Whoever asks.', z.object({
  ...person, preferences: anyJson('Whatever the console keeps for you, as it was sent.', 5),
  secondFactor: z.boolean().describe('Whether this sign-in had a second factor.'), scopes: z.array(tokenScope).nullable().describe('What the access token of this request is good for; null for a sign-in, which has no such cap.'),
}));

/** An access token, without the token. */
export const AccessToken = defineEntity('AccessToken', 'A personal access token for scripts. The token itself is shown once.', z.object({
  id: id('Its id.'), name: line(TEXT_LIMITS.name, 'What it is for.'), scopes: z.array(tokenScope).describe('What it is good for.'), createdAt: time('When it was made.'),
  expiresAt: time('When it runs out.'), lastUsedAt: time('When it was last used, to the minute; null for never.').nullable(), revokedAt: time('When it was revoked; null while it counts.').nullable(),
}));

/** A new access token, shown once. */
export const NewAccessToken = defineEntity('NewAccessToken', 'A new access token. Keep `token` now: nobody can show it again.', z.object({
  ...AccessToken.schema.shape, token: z.string().describe('What goes into `Authorization: Bearer`.'),
}));

/** That something was taken on. */
export const Accepted = defineEntity('Accepted', 'It was taken on. What becomes of it is not told here.', z.object({ accepted: z.boolean().describe('Always true.') }));

/** What became of an import of accounts. */
export const AccountImport = defineEntity('AccountImport', 'What became of accounts that waited to be taken into Firebase with their passwords.', z.object({
  imported: z.int().describe('Accounts that are in Firebase now.'), waiting: z.int().describe('Accounts that still wait.'),
  refused: z.array(text(TEXT_LIMITS.label, '')).describe('Which were refused, with why; at most 100.'),
}));

/** An entry of the audit. */
export const AuditRecord = defineEntity('AuditRecord', 'One change, or one refused attempt. Chained to the one before by its hash: `rambo audit verify` walks the chain.', z.object({
  seq: z.string().describe('Rises by one.'), at: time('When.'), principal: z.string().describe('Who: `user:<id>`, the name of a Kubernetes account, or `anonymous`.'), operation: z.string().describe('What.'), outcome: auditOutcome,
  code: z.string().describe('OK, or the error code.'), resource: z.string().nullable().describe('Kind of thing.'), resourceId: z.string().nullable().describe('Which one.'), projectId: z.string().nullable().describe('In which project.'),
  requestId: z.string().describe('Id of the request, also in its header x-request-id.'), details: anyJson('Further facts.', 2), hash: z.string().describe('Its place in the chain, in hexadecimal.'),
}));

/** Outcomes for filters. */
export { auditOutcome };

interface UserRow {
  readonly id: string; readonly email: string | null; readonly emailVerified: boolean; readonly role: string; readonly createdAt: Date; readonly disabledAt: Date | null;
  readonly profile: { readonly displayName: string; readonly avatarUrl: string | null } | null;
}

/** A user from its row. */
export function userOf({ profile, createdAt, disabledAt, role, ...rest }: UserRow): EntityValue<typeof User> {
  return {
    id: rest.id, email: rest.email, emailVerified: rest.emailVerified, role: wordOf(USER_ROLES, role), displayName: profile === null || profile.displayName === '' ? null : profile.displayName, avatarUrl: profile?.avatarUrl ?? null,
    createdAt: createdAt.toISOString(), disabledAt: disabledAt?.toISOString() ?? null,
  };
}

interface TokenRow { readonly id: string; readonly name: string; readonly scopes: readonly string[]; readonly createdAt: Date; readonly expiresAt: Date; readonly lastUsedAt: Date | null; readonly revokedAt: Date | null }

/** An access token from its row. */
export function tokenOf({ id: tokenId, name, scopes, createdAt, expiresAt, lastUsedAt, revokedAt }: TokenRow): EntityValue<typeof AccessToken> {
  return {
    id: tokenId, name, scopes: TOKEN_SCOPES.filter((scope) => scopes.includes(scope)), createdAt: createdAt.toISOString(), expiresAt: expiresAt.toISOString(),
    lastUsedAt: lastUsedAt?.toISOString() ?? null, revokedAt: revokedAt?.toISOString() ?? null,
  };
}

interface AuditRow {
  readonly seq: bigint; readonly at: Date; readonly principal: string; readonly operation: string; readonly outcome: string; readonly code: string; readonly resource: string | null;
  readonly resourceId: string | null; readonly projectId: string | null; readonly requestId: string; readonly details: unknown; readonly hash: Uint8Array;
}

/** An entry of the audit from its row. */
export function auditOf({ seq, at, outcome, hash, principal, operation, code, resource, resourceId, projectId, requestId, details }: AuditRow): EntityValue<typeof AuditRecord> {
  return {
    seq: seq.toString(), at: at.toISOString(), outcome: wordOf(['DONE', 'REFUSED', 'FAILED'], outcome), principal, operation, code, resource, resourceId, projectId, requestId, details,
    hash: Buffer.from(hash).toString('hex'),
  };
}

function wordOf<W extends string>(words: readonly W[], value: string): W {
  const found = words.find((word) => word === value);
  if (found === undefined) throw new TypeError(`a row holds ${value}, which is no word of its column`);
  return found;
}

/** Preferences as they are sent: any object. */
export const preferencesField = metadata('Whatever the console keeps for you: an object, kept as it is sent. Replaces what was there.');
