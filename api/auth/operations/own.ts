import { z } from 'zod';
import type { EntityValue } from '../../operations/entity.ts';
import { line, TEXT_LIMITS, webAddress } from '../../operations/fields.ts';
import { defineMutation, defineQuery } from '../../operations/operation.ts';
import type { MutationContext, Operation, OperationContext } from '../../operations/operation.ts';
import { invalidField } from '../../operations/problems.ts';
import { jsonIn } from '../../operations/row-values.ts';
import { ApiError } from '../../errors.ts';
import type { UserPrincipal } from '../../ports.ts';
import { Accepted, Me, preferencesField, userOf } from './entities.ts';

/* What people do about themselves. */

const WITH_PROFILE = { profile: { select: { displayName: true, avatarUrl: true, preferences: true } } } as const;

/** The caller as a person; the right has been asked, so it is one. */
export function personOf({ principal }: Pick<OperationContext, 'principal'>): UserPrincipal {
  if (principal.kind !== 'user') throw new ApiError('FORBIDDEN', 'this is about a person\'s own things: sign in as a user');
  return principal;
}

async function readMe(db: MutationContext['tx'], { userId, secondFactor, scopes }: UserPrincipal): Promise<EntityValue<typeof Me>> {
  const row = await db.user.findUnique({ where: { id: userId }, include: WITH_PROFILE });
  if (row === null) throw new ApiError('NOT_FOUND', `user ${userId} does not exist or is not yours`);
  return { ...userOf(row), preferences: row.profile?.preferences ?? {}, secondFactor, scopes: scopes === undefined ? null : [...scopes] };
}

const me = defineQuery({
  name: 'me', summary: 'You.', rest: { method: 'GET', path: '/me' }, input: z.strictObject({}), output: Me, right: { verb: 'get', resource: 'users', on: 'user' },
  run: (context) => context.services.gateway.read((db) => readMe(db, personOf(context))),
});

const updateProfile = defineMutation({
  name: 'updateProfile', summary: 'Changes your name, your picture or your preferences. What is left out stays as it is.', rest: { method: 'PATCH', path: '/me' },
  input: z.strictObject({
    displayName: line(TEXT_LIMITS.name, 'Your name.').optional(), avatarUrl: webAddress('Your picture; null for none.').nullable().optional(), preferences: preferencesField.optional(),
  }), output: Me, right: { verb: 'patch', resource: 'users', on: 'user' },
  run: async (context, { displayName, avatarUrl, preferences }) => {
    if (displayName === undefined && avatarUrl === undefined && preferences === undefined) throw invalidField('', {}, 'says nothing to change: give displayName, avatarUrl or preferences');
    const { tx, services } = context;
    const person = personOf(context);
    const { userId } = person;
    const data = {
      updatedAt: new Date(services.clock.now()), ...(displayName === undefined ? {} : { displayName }), ...(avatarUrl === undefined ? {} : { avatarUrl }),
      ...(preferences === undefined ? {} : { preferences: jsonIn(preferences) }),
    };
    await tx.profile.upsert({ where: { userId }, update: data, create: { userId, displayName: '', ...data } });
    return readMe(tx, person);
  },
});

const revokeSessions = defineMutation({
  name: 'revokeSessions', summary: 'Signs you out everywhere, here too: every sign-in until now is void.', description: 'Access tokens stay: revoke them one by one.', rest: { method: 'POST', path: '/me/sessions/revoke' },
  input: z.strictObject({}), output: Accepted, right: { verb: 'patch', resource: 'users', on: 'user' },
  effect: async (context) => {
    const { firebaseUid, scopes } = personOf(context);
    if (scopes !== undefined) throw new ApiError('FORBIDDEN', 'an access token cannot do this: sign in');
    if (firebaseUid !== undefined) await context.services.identities.revoke(firebaseUid);
  },
  run: async (context) => {
    const { tx, services } = context;
    const now = new Date(services.clock.now());
    await tx.user.update({ where: { id: personOf(context).userId }, data: { tokensValidAfter: now, updatedAt: now } });
    return { accepted: true };
  },
});

const requestEmailVerification = defineMutation({
  name: 'requestEmailVerification', summary: 'Sends you a mail with a link that proves your address.', rest: { method: 'POST', path: '/me/email-verification', status: 202 },
  input: z.strictObject({}), output: Accepted, right: { verb: 'patch', resource: 'users', on: 'user' },
  run: async (context) => {
    const { email, emailVerified } = personOf(context);
    if (email === undefined) throw new ApiError('CONFLICT', 'your account has no address that could be confirmed');
    if (emailVerified) throw new ApiError('CONFLICT', 'your address is confirmed already: sign in again if a page does not know it yet');
    context.services.identities.mailEmailVerification(email);
    return { accepted: true };
  },
});

const requestPasswordReset = defineMutation({
  name: 'requestPasswordReset', summary: 'Sends a mail with a link for a new password, if there is such an account.', description: 'Needs no token. The answer is the same whether there is one or not.',
  rest: { method: 'POST', path: '/auth/password-reset', status: 202 }, graphql: false, input: z.strictObject({ email: z.email().max(254).describe('The address of the account.') }), output: Accepted,
  right: { verb: 'create', resource: 'users', on: 'public' },
  run: async (context, { email }) => {
    // Not waited for: the time it takes would tell.
    context.services.identities.mailPasswordReset(email.toLowerCase());
    return { accepted: true };
  },
});

/** Operations of people on themselves. */
export const ownOperations: readonly Operation[] = [me, updateProfile, revokeSessions, requestEmailVerification, requestPasswordReset];
