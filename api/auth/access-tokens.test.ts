import { ManualClock } from '../../platform/clock/manual.ts';
import type { AccessTokenRow } from '../../prisma/store/index.ts';
import { uuid } from '../testing/rows.ts';
import { accessTokenPrincipal, makeAccessToken, tokenHash, wellFormedToken } from './access-tokens.ts';
import { authenticatorByKind } from './authenticator.ts';
import { parseHash } from './password-hash.ts';

const clock = new ManualClock();
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

function rowOf(over: Partial<AccessTokenRow> = {}): AccessTokenRow {
  return {
    id: uuid(1), role: 'DEVELOPER', email: 'a@example.com', emailVerified: true, firebaseUid: 'f', tokensValidAfter: null, disabledAt: null, tokenId: uuid(2), scopes: ['runs', 'unknown', 'read'],
    expiresAt: clock.now() + 1_000, createdAt: clock.now() - 1_000, lastUsedAt: null, revokedAt: null, ...over,
  };
}

function ask(token: string, row: AccessTokenRow | undefined) {
  const seen = { asked: 0, touched: 0 };
  const parts = {
    clock, log: quiet, touch: async () => { seen.touched++; },
    byHash: (hash: Uint8Array) => {
      seen.asked++;
      return Promise.resolve(tokenHash(token).equals(hash) ? row : undefined);
    },
  };
  return accessTokenPrincipal(parts, token).then((principal) => ({ ...seen, principal }));
}

test('a token is long, ours by its beginning, and never the same', () => {
  const made = new Set(Array.from({ length: 100 }, () => makeAccessToken().token));
  expect(made.size).toBe(100);
  for (const token of made) {
    expect(token).toMatch(/^rbo_[A-Za-z0-9_-]{48}$/);
    expect(wellFormedToken(token)).toBe(true);
  }
});

test('one changed letter is refused without asking', async () => {
  const { token } = makeAccessToken();
  for (const at of [4, 20, 40, 51]) {
    const changed = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
    expect(await ask(changed, rowOf())).toMatchObject({ asked: 0, principal: undefined });
  }
  expect(await ask(`${token}A`, rowOf())).toMatchObject({ asked: 0, principal: undefined });
});

test('it is its owner, with its scopes and without a second factor', async () => {
  const { token } = makeAccessToken();
  expect((await ask(token, rowOf())).principal).toMatchObject({ name: `user:${uuid(1)}`, via: 'accessToken', scopes: ['read', 'runs'], secondFactor: false, tokenId: uuid(2) });
});

test.each<[string, Partial<AccessTokenRow>]>([
  ['revoked', { revokedAt: clock.now() - 1 }], ['run out', { expiresAt: clock.now() }], ['of a user who is shut out', { disabledAt: clock.now() - 1 }], ['of a user without a role', { role: 'ROOT' }],
])('%s: nobody', async (_, over) => { expect((await ask(makeAccessToken().token, rowOf(over))).principal).toBeUndefined(); });

test('a use is written at most once a minute, and failing to costs nothing', async () => {
  const { token } = makeAccessToken();
  expect((await ask(token, rowOf())).touched).toBe(1);
  expect((await ask(token, rowOf({ lastUsedAt: clock.now() - 59_999 }))).touched).toBe(0);
  expect((await ask(token, rowOf({ lastUsedAt: clock.now() - 60_000 }))).touched).toBe(1);
  const failing = { clock, log: quiet, byHash: () => Promise.resolve(rowOf()), touch: () => Promise.reject(new Error('away')) };
  expect(await accessTokenPrincipal(failing, token)).toBeDefined();
});

test('a token is shown to its maker alone', async () => {
  const asked: string[] = [];
  const counted: string[] = [];
  const metrics = { signIn: (kind: string, result: string) => { counted.push(`${kind} ${result}`); } };
  const as = (name: string) => ({ authenticate: () => { asked.push(name); return Promise.resolve(undefined); } });
  const firebase = `x.${Buffer.from(JSON.stringify({ iss: 'https://securetoken.google.com/p' })).toString('base64url')}.y`;
  const all = authenticatorByKind({ kubernetes: as('kubernetes'), accessTokens: as('access'), firebase: as('firebase'), metrics });
  for (const token of ['rbo_x', firebase, 'opaque', 'a.b.c']) await all.authenticate(token);
  expect(asked).toEqual(['access', 'firebase', 'kubernetes', 'kubernetes']);
  expect(await authenticatorByKind({ kubernetes: as('kubernetes'), accessTokens: as('access'), firebase: undefined, metrics }).authenticate(firebase)).toBeUndefined();
  expect(asked).toHaveLength(4);
  expect(counted).toEqual(['accessToken refused', 'firebase refused', 'kubernetes refused', 'kubernetes refused', 'firebase refused']);
});

test.each<[string, unknown]>([
  [`$2b$10$${'a'.repeat(53)}`, { algorithm: 'BCRYPT' }], [`pbkdf2_sha256$1000$salt$${Buffer.alloc(32).toString('base64')}`, { algorithm: 'PBKDF2_SHA256', rounds: 1_000 }], ['pbkdf2_sha1$1$s$AAAA', { algorithm: 'PBKDF_SHA1' }],
])('%s can be taken over', (text, expected) => { expect(parseHash(text)).toMatchObject(expected as object); });
test.each([['plain'], ['$2b$10$short'], ['pbkdf2_md5$1$s$AAAA'], ['pbkdf2_sha256$9999999$s$AAAA'], ['pbkdf2_sha256$0$s$AAAA'], ['']])('%s cannot', (text) => { expect(parseHash(text)).toBeUndefined(); });
