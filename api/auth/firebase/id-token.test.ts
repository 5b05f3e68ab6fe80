import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ManualClock } from '../../../platform/clock/manual.ts';
import { UnavailableError } from '../../../platform/errors/index.ts';
import { idTokenVerifier, saysFirebase } from './id-token.ts';
import { FirebaseKeys } from './keys.ts';

/* Signatures by keys of our own, served as Google serves its: the emulator signs nothing and would prove nothing. */

const PROJECT = 'acme-prod';
const pair = () => generateKeyPairSync('rsa', { modulusLength: 2048 });
const [one, two, stranger] = [pair(), pair(), pair()];

/** A server of keys, as Google's is. */
class KeyServer {
  keys: Record<string, KeyObject> = { one: one.publicKey };
  cacheControl = 'public, max-age=3600, must-revalidate';
  broken: number | undefined;
  asked = 0;
  readonly #server = createServer((_, response) => {
    this.asked++;
    const keys = Object.entries(this.keys).map(([kid, key]) => ({ ...key.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' }));
    response.writeHead(this.broken ?? 200, { 'cache-control': this.cacheControl, 'content-type': 'application/json' }).end(JSON.stringify({ keys }));
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => { this.#server.listen(0, '127.0.0.1', resolve); });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

let server: KeyServer;
let url: string;
let clock: ManualClock;
beforeEach(async () => {
  server = new KeyServer();
  url = await server.listen();
  clock = new ManualClock();
});
afterEach(() => { server.close(); });

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const now = (): number => Math.floor(clock.now() / 1_000);

function claims(over: object = {}): object {
  return {
    iss: `https://securetoken.google.com/${PROJECT}`, aud: PROJECT, sub: 'uid-1', user_id: 'uid-1', iat: now() - 10, exp: now() + 3_590, auth_time: now() - 10,
    email: 'Ann@Example.com', email_verified: true, name: 'Ann', firebase: { sign_in_provider: 'password', identities: {} }, ...over,
  };
}

function token(payload: object = claims(), { header = {}, key = one.privateKey }: { readonly header?: object; readonly key?: KeyObject } = {}): string {
  const input = `${encode({ alg: 'RS256', kid: 'one', typ: 'JWT', ...header })}.${encode(payload)}`;
  return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
}

function verifier(emulator = false) {
  return idTokenVerifier({ project: PROJECT, clock, keys: new FirebaseKeys(clock, url), emulator });
}

test('a token of the project says who it is', async () => {
  expect(await verifier().verify(token())).toEqual({
    uid: 'uid-1', email: 'ann@example.com', emailVerified: true, name: 'Ann', picture: undefined, signedInAt: (now() - 10) * 1_000, expiresAt: (now() + 3_590) * 1_000, secondFactor: undefined, provider: 'password',
  });
});

test.each([['phone'], ['totp']])('a second factor by %s counts', async (factor) => {
  const firebase = { sign_in_provider: 'password', sign_in_second_factor: factor, second_factor_identifier: 'x' };
  expect(await verifier().verify(token(claims({ firebase })))).toMatchObject({ secondFactor: factor });
});
test('a second factor nobody knows does not', async () => {
  expect(await verifier().verify(token(claims({ firebase: { sign_in_provider: 'password', sign_in_second_factor: 'shout' } })))).toMatchObject({ secondFactor: undefined });
});

describe('forged', () => {
  const hmac = (secret: string): string => {
    const input = `${encode({ alg: 'HS256', kid: 'one', typ: 'JWT' })}.${encode(claims())}`;
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  };
  const parts = (text: string): [string, string, string] => {
    const [header = '', payload = '', signature = ''] = text.split('.');
    return [header, payload, signature];
  };
  test.each<[string, () => string]>([
    ['signed by a stranger', () => token(claims(), { key: stranger.privateKey })],
    ['with the key of nobody', () => token(claims(), { header: { kid: 'nobody' } })],
    ['without a key', () => token(claims(), { header: { kid: undefined } })],
    ['signed by nobody', () => `${encode({ alg: 'none', typ: 'JWT' })}.${encode(claims())}.`],
    ['said to be signed by nobody, with the signature of another', () => `${encode({ alg: 'none', kid: 'one' })}.${parts(token()).slice(1).join('.')}`],
    ['signed with the public key as a secret', () => hmac(one.publicKey.export({ type: 'spki', format: 'pem' }).toString())],
    ['changed afterwards', () => { const [header, , signature] = parts(token()); return `${header}.${encode(claims({ sub: 'uid-2', user_id: 'uid-2' }))}.${signature}`; }],
    ['with its signature cut', () => token().slice(0, -8)],
    ['of another project', () => token(claims({ aud: 'acme-test', iss: 'https://securetoken.google.com/acme-test' }))],
    ['for another audience', () => token(claims({ aud: 'acme-test' }))],
    ['for a list of audiences without ours', () => token(claims({ aud: ['a', 'b'] }))],
    ['by another issuer', () => token(claims({ iss: `https://securetoken.google.com.evil.example/${PROJECT}` }))],
    ['run out', () => token(claims({ iat: now() - 7_200, auth_time: now() - 7_200, exp: now() - 3_600 }))],
    ['without an end', () => token(claims({ exp: undefined }))],
    ['made in the future', () => token(claims({ iat: now() + 600 }))],
    ['of a sign-in in the future', () => token(claims({ auth_time: now() + 600 }))],
    ['without a sign-in', () => token(claims({ auth_time: null }))],
    ['for nobody', () => token(claims({ sub: '', user_id: '' }))],
    ['without a subject', () => token(claims({ sub: undefined, user_id: undefined }))],
    ['for a number', () => token(claims({ sub: 7, user_id: 7 }))],
    ['for two', () => token(claims({ user_id: 'uid-2' }))],
    ['of a tenant', () => token(claims({ firebase: { sign_in_provider: 'password', tenant: 'other' } }))],
    ['without what Firebase says', () => token(claims({ firebase: undefined }))],
    ['with a critical extension', () => token(claims(), { header: { crit: ['x'], x: 1 } })],
    ['of two parts', () => token().split('.').slice(0, 2).join('.')],
    ['of nothing', () => '..'],
    ['of no JSON', () => 'a.b.c'],
  ])('%s: nobody', async (_, forged) => { expect(await verifier().verify(forged())).toBeUndefined(); });

  test('what the emulator makes is nobody\'s without the emulator', async () => {
    const unsigned = `${encode({ alg: 'none', typ: 'JWT' })}.${encode(claims())}.`;
    expect(await verifier(true).verify(unsigned)).toMatchObject({ uid: 'uid-1' });
    expect(await verifier(false).verify(unsigned)).toBeUndefined();
  });
  test('with the emulator the project stays pinned', async () => {
    expect(await verifier(true).verify(`${encode({ alg: 'none' })}.${encode(claims({ aud: 'other' }))}.`)).toBeUndefined();
  });
});

test('an address that is not verified, or null, proves nothing', async () => {
  expect(await verifier().verify(token(claims({ email_verified: undefined })))).toMatchObject({ emailVerified: false });
  expect(await verifier().verify(token(claims({ email: undefined, email_verified: true })))).toMatchObject({ email: undefined, emailVerified: false });
  expect(await verifier().verify(token(claims({ email_verified: 'true' })))).toBeUndefined();
});

describe('keys', () => {
  test('are asked for once within their time', async () => {
    const mine = verifier();
    await Promise.all(Array.from({ length: 20 }, () => mine.verify(token())));
    clock.advance(1_000_000);
    expect(await mine.verify(token())).toBeDefined();
    expect(server.asked).toBe(1);
  });
  test('rotate: a new one is found, one that is gone is believed until the end of its time', async () => {
    const mine = verifier();
    expect(await mine.verify(token())).toBeDefined();
    server.keys = { two: two.publicKey };
    clock.advance(60_000);
    const newer = (): string => token(claims(), { header: { kid: 'two' }, key: two.privateKey });
    expect(await mine.verify(newer())).toBeDefined();
    expect(await mine.verify(token())).toBeUndefined(); // the set that was just read does not have it
  });
  test('a flood of made-up ids does not become a flood of questions', async () => {
    const mine = verifier();
    await mine.verify(token());
    for (let i = 0; i < 50; i++) expect(await mine.verify(token(claims(), { header: { kid: `made-up-${i}` } }))).toBeUndefined();
    expect(server.asked).toBe(1);
  });
  test('away: cached ones are believed until max-age, then nobody can tell', async () => {
    const mine = verifier();
    expect(await mine.verify(token())).toBeDefined();
    server.broken = 500;
    clock.advance(3_599_000);
    expect(await mine.verify(token())).toBeDefined();
    clock.advance(2_000);
    await expect(mine.verify(token())).rejects.toBeInstanceOf(UnavailableError);
    server.broken = undefined;
    expect(await mine.verify(token())).toBeDefined();
  });
  test('away from the beginning: nobody can tell', async () => {
    server.broken = 503;
    await expect(verifier().verify(token())).rejects.toBeInstanceOf(UnavailableError);
  });
  test('that are no keys are no answer', async () => {
    server.keys = {};
    await expect(verifier().verify(token())).rejects.toBeInstanceOf(UnavailableError);
  });
});

test.each<[string, boolean]>([
  ['a.b.c', false], ['', false], ['rbo_x', false], [`a.${encode({ iss: 'https://securetoken.google.com/p' })}.c`, true], [`a.${encode({ iss: 'https://kubernetes.default.svc' })}.c`, false],
  [`a.${encode(['https://securetoken.google.com/p'])}.c`, false], [`a.${encode({ iss: ['https://securetoken.google.com/p'] })}.c`, false], [`a.${encode(null)}.c`, false],
])('%s says Firebase: %p', (text, yes) => { expect(saysFirebase(text)).toBe(yes); });
