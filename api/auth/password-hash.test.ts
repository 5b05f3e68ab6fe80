import fc from 'fast-check';
import { bearerToken } from './bearer.ts';
import { parseHash } from './password-hash.ts';

const BCRYPT = `$2b$10$${'a'.repeat(53)}`;
const hash = Buffer.from('digest').toString('base64');

test.each([BCRYPT, BCRYPT.replace('2b', '2a'), BCRYPT.replace('2b', '2y'), BCRYPT.replace('2b', '2')])('%s is bcrypt', (text) => { expect(parseHash(text)).toEqual({ algorithm: 'BCRYPT', hash: Buffer.from(text) }); });

test.each<[string, string]>([['pbkdf2_sha256', 'PBKDF2_SHA256'], ['pbkdf2_sha1', 'PBKDF_SHA1']])('%s as Django writes it is %s', (written, algorithm) => {
  expect(parseHash(`${written}$120000$salt$${hash}`)).toEqual({ algorithm, rounds: 120_000, salt: Buffer.from('salt'), hash: Buffer.from('digest') });
});

test.each([
  '', 'password', BCRYPT.slice(0, -1), `${BCRYPT}x`, ` ${BCRYPT}`, `${BCRYPT}\n`, BCRYPT.replace('2b', '2x'), `pbkdf2_sha256$0$salt$${hash}`, `pbkdf2_sha256$120001$salt$${hash}`, `pbkdf2_sha256$1$$${hash}`, 'pbkdf2_sha256$1$salt$', `pbkdf2_sha512$1$salt$${hash}`, `pbkdf2_sha256$-1$salt$${hash}`, `pbkdf2_sha256$1$salt$${hash}$x`, `pbkdf2_sha256$1$salt$${hash}\n`, 'argon2$x',
])('%j is taken over by nobody', (text) => { expect(parseHash(text)).toBeUndefined(); });

test('whatever stands there, it is a hash or it is not', () => {
  fc.assert(fc.property(fc.string(), (text) => { expect(() => parseHash(text)).not.toThrow(); }));
});

test.each<[string, readonly string[] | undefined, string | undefined]>([
  ['one token', ['Bearer abc.def-_~+/=='], 'abc.def-_~+/=='], ['in small letters', ['bearer abc'], 'abc'], ['no header', undefined, undefined], ['no header at all', [], undefined], ['two headers', ['Bearer a', 'Bearer a'], undefined], ['two tokens', ['Bearer a, Bearer b'], undefined], ['no token', ['Bearer '], undefined],
  ['the word alone', ['Bearer'], undefined], ['another scheme', ['Basic abc'], undefined], ['two blanks', ['Bearer  a'], undefined], ['a blank behind', ['Bearer a '], undefined], ['a line break', ['Bearer a\n'], undefined], ['other letters', ['Bearer ä'], undefined], ['an endless one', [`Bearer ${'a'.repeat(20_000)}`], undefined],
])('a bearer token: %s', (_, headers, token) => { expect(bearerToken(headers)).toBe(token); });
