import { generateKeyPairSync, sign } from 'node:crypto';
import { UnavailableError } from '../errors/index.ts';
import { agentKeyOf, signAgentToken, TokenRefused, verifyAgentToken, type AgentClaims, type AgentPublicKey } from './index.ts';

const key = agentKeyOf('SAANSEEDOFANACCOUNT');
const claims: AgentClaims = { ns: 'team-a', run: '01890000-0000-7000-8000-000000000001', node: 'ask', item: -1, attempt: 3, pool: 'default', with: 'a'.repeat(64) };
const NOW = 1_750_000_000_000;
const keys = (kid: string): Promise<AgentPublicKey | undefined> => Promise.resolve(kid === key.kid ? key.publicKey : undefined);

test('the key follows from the seed alone, and its name from its public half', () => {
  expect(agentKeyOf('SAANSEEDOFANACCOUNT').kid).toBe(key.kid);
  expect(agentKeyOf('another').kid).not.toBe(key.kid);
  expect(key.kid).toMatch(/^[0-9a-f]{16}$/);
  expect(Object.keys(key.publicKey).sort()).toEqual(['crv', 'kty', 'x']);
});

test('what was signed is what is read, for a day', async () => {
  const token = await signAgentToken(key, claims, NOW);
  expect(await verifyAgentToken(token, keys, NOW)).toEqual(claims);
  expect(await verifyAgentToken(token, keys, NOW + 86_400_000)).toEqual(claims);
  await expect(verifyAgentToken(token, keys, NOW + 86_400_000 + 61_000)).rejects.toThrow(TokenRefused);
});

/** A token with parts of one's own, signed by `by`. */
function forged(header: object, payload: object, by = key.privateKey): string {
  const body = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${body}.${sign(null, Buffer.from(body), by).toString('base64url')}`;
}

const header = { alg: 'EdDSA', kid: key.kid };
const seconds = NOW / 1_000;
const payload = { ...claims, iss: 'rambo', aud: 'rambo-modelgateway', iat: seconds, exp: seconds + 60 };

test('the forgeries below are refused for what is wrong with them alone', async () => {
  expect(await verifyAgentToken(forged(header, payload), keys, NOW)).toEqual(claims);
});

test.each<[string, string]>([
  ['nothing', ''], ['no token', 'nothing'], ['three empty parts', '..'],
  ['another key under our name', forged(header, payload, generateKeyPairSync('ed25519').privateKey)],
  ['a key nobody knows', forged({ ...header, kid: '0000000000000000' }, payload)],
  ['no name of a key', forged({ alg: 'EdDSA' }, payload)],
  ['alg none', `${Buffer.from(JSON.stringify({ alg: 'none', kid: key.kid })).toString('base64url')}.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.`],
  ['the public key as an HMAC secret', forged({ ...header, alg: 'HS256' }, payload)],
  ['another issuer', forged(header, { ...payload, iss: 'kubernetes/serviceaccount' })],
  ['another audience', forged(header, { ...payload, aud: 'rambo' })],
  ['no expiry', forged(header, { ...payload, exp: undefined })],
  ['issued in the future and expired in the past', forged(header, { ...payload, exp: seconds - 100 })],
  ['no namespace', forged(header, { ...payload, ns: undefined })],
  ['an attempt that is a text', forged(header, { ...payload, attempt: '3' })],
  ['a hash of nothing', forged(header, { ...payload, with: '' })],
])('%s is refused', async (_, token) => {
  await expect(verifyAgentToken(token, keys, NOW)).rejects.toThrow(TokenRefused);
});

test('a changed claim breaks the signature', async () => {
  const [head, , signature] = (await signAgentToken(key, claims, NOW)).split('.');
  const other = Buffer.from(JSON.stringify({ ...payload, node: 'other' })).toString('base64url');
  await expect(verifyAgentToken(`${head ?? ''}.${other}.${signature ?? ''}`, keys, NOW)).rejects.toThrow(TokenRefused);
});

test('keys that cannot be read now are not the token\'s fault', async () => {
  const token = await signAgentToken(key, claims, NOW);
  await expect(verifyAgentToken(token, () => Promise.reject(new UnavailableError('Postgres')), NOW)).rejects.toThrow(UnavailableError);
});
