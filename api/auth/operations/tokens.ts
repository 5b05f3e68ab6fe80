import { z } from 'zod';
import { page } from '../../operations/entity.ts';
import { id, line, pageFields, shaped, TEXT_LIMITS } from '../../operations/fields.ts';
import { defineList, defineMutation } from '../../operations/operation.ts';
import type { Operation } from '../../operations/operation.ts';
import { byTime, pageInput, rowsPage } from '../../operations/paging.ts';
import { newest } from '../../operations/rows.ts';
import { ApiError } from '../../errors.ts';
import { makeAccessToken, MOST_TOKEN_DAYS } from '../access-tokens.ts';
import { AccessToken, NewAccessToken, tokenOf, tokenScope } from './entities.ts';
import { personOf } from './own.ts';

/* Personal access tokens. */

const DAY_MS = 86_400_000;
/** Tokens that count, at most, per person. */
const MOST_TOKENS = 100;
const ORDER = 'access-token-createdAt';

const createAccessToken = defineMutation({
  name: 'createAccessToken', summary: 'Makes a personal access token for scripts and shows it, once.', description: 'Access tokens make no access tokens, and do nothing that only administrators do.', rest: { method: 'POST', path: '/me/access-tokens', status: 201 },
  input: z.strictObject({
    name: line(TEXT_LIMITS.name, 'What it is for.'), scopes: z.array(tokenScope).min(1).max(3).describe('What it is good for.'),
    expiresInDays: shaped(z.int().min(1).max(MOST_TOKEN_DAYS), { json: { type: 'integer', minimum: 1, maximum: MOST_TOKEN_DAYS } }).describe(`Days until it runs out, at most ${MOST_TOKEN_DAYS}.`),
  }), output: NewAccessToken, right: { verb: 'create', resource: 'accesstokens', on: 'user' }, secret: true, audit: ({ scopes, expiresInDays }) => ({ scopes, expiresInDays }),
  run: async (context, { name, scopes, expiresInDays }) => {
    const { tx, services } = context;
    const { userId } = personOf(context);
    const createdAt = new Date(services.clock.now());
    if (await tx.accessToken.count({ where: { userId, revokedAt: null, expiresAt: { gt: createdAt } } }) >= MOST_TOKENS) {
      throw new ApiError('CONFLICT', `you have ${MOST_TOKENS} access tokens that count: revoke some of them first`);
    }
    const { token, hash } = makeAccessToken();
    const row = await tx.accessToken.create({ data: {
      id: services.ids.uuid(), userId, name, hash: Uint8Array.from(hash), scopes: [...new Set(scopes)], createdAt, expiresAt: new Date(createdAt.getTime() + expiresInDays * DAY_MS),
    } });
    return { ...tokenOf(row), token };
  },
});

const accessTokens = defineList({
  name: 'accessTokens', summary: 'Your access tokens, the newest first, those that count no more too.', rest: { method: 'GET', path: '/me/access-tokens' }, input: z.strictObject(pageFields), output: page(AccessToken),
  right: { verb: 'list', resource: 'accesstokens', on: 'user' },
  run: async (context, input) => {
    const place = pageInput(ORDER, input);
    const { where: after, ...order } = newest(place);
    const rows = await context.services.gateway.read((db) => db.accessToken.findMany({ ...order, where: { userId: personOf(context).userId, ...after } }));
    return rowsPage(ORDER, place, rows, tokenOf, byTime);
  },
});

const revokeAccessToken = defineMutation({
  name: 'revokeAccessToken', summary: 'Revokes an access token. It counts no more within seconds.', rest: { method: 'DELETE', path: '/me/access-tokens/{id}' }, input: z.strictObject({ id: id('Which one.') }), output: AccessToken,
  right: { verb: 'delete', resource: 'accesstokens', on: 'user' },
  reach: async (context, input) => {
    const row = await context.services.gateway.read((db) => db.accessToken.findUnique({ where: { id: input.id } }));
    return row === null ? undefined : { target: { kind: 'user', resource: 'accesstokens', userId: row.userId }, row };
  },
  run: async ({ tx, services }, input, row) => tokenOf(row.revokedAt !== null ? row : await tx.accessToken.update({ where: { id: input.id }, data: { revokedAt: new Date(services.clock.now()) } })),
});

/** Operations on access tokens. */
export const tokenOperations: readonly Operation[] = [createAccessToken, accessTokens, revokeAccessToken];
