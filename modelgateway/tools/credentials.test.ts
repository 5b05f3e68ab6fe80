import { toolServerSpecSchema } from '../../crds/tool-server.ts';
import { ManualClock } from '../../platform/clock/manual.ts';
import { RamboError } from '../../platform/errors/index.ts';
import { Credentials } from './credentials.ts';
import type { KnownServer } from './servers.ts';

const secrets = { read: async (_namespace: string, name: string, key = 'apiKey'): Promise<string> => {
  if (name === 'gone') throw new RamboError('SecretMissing', 'there is no Secret "gone"');
  return name === 'odd' ? 'a\nb' : `${name}-${key}`;
} };

function server(auth: object | undefined, egress?: readonly string[]): KnownServer {
  const spec = toolServerSpecSchema.parse({ mcp: { url: 'https://tools.example/mcp' }, ...(auth === undefined ? {} : { auth }), ...(egress === undefined ? {} : { egress }) });
  return { namespace: 'team-a', name: 'box', uid: 'u1', generation: 1, spec, url: 'https://tools.example/mcp', known: undefined };
}

const never = async (): Promise<Response> => Promise.reject(new Error('not asked'));
const oauth = { clientCredentials: { tokenUrl: 'https://auth.example/token', clientId: 'me:too', clientSecretRef: { name: 's', key: 'k' }, scopes: ['a', 'b'], audience: 'tools' } };

test.each<readonly [string, object | undefined, object]>([
  ['nothing', undefined, {}], ['none', { none: {} }, {}], ['a secret as Bearer', { secret: { secretRef: { name: 's' } } }, { authorization: 'Bearer s-apiKey' }], ['a secret in a header of its own', { secret: { secretRef: { name: 's', key: 'k' }, header: 'X-Api-Key', prefix: '' } }, { 'x-api-key': 's-k' }],
])('%s', async (_what, auth, expected) => { expect(await new Credentials(secrets, new ManualClock()).headers(server(auth), never)).toEqual(expected); });

test.each<readonly [string, object, readonly string[] | undefined, string]>([
  ['a Secret that is missing', { secret: { secretRef: { name: 'gone' } } }, undefined, 'SecretMissing'], ['a line break in it', { secret: { secretRef: { name: 'odd' } } }, undefined, 'AuthFailed'],
  ['a user each', { perUser: { authorizationUrl: 'https://a.example/a', tokenUrl: 'https://a.example/t', clientId: 'x' } }, undefined, 'AuthUnsupported'], ['an exchange', { tokenExchange: { tokenUrl: 'https://a.example/t' } }, undefined, 'AuthUnsupported'],
  ['a server outside egress', { none: {} }, ['other.example'], 'AddressRefused'], ['a token server outside egress', oauth, ['tools.example'], 'AddressRefused'],
])('%s is refused', async (_what, auth, egress, code) => { await expect(new Credentials(secrets, new ManualClock()).headers(server(auth, egress), never)).rejects.toMatchObject({ code }); });

test('the list of a server over stdio is for its pods; where it is itself is our own Service', async () => {
  const spec = toolServerSpecSchema.parse({ mcp: { stdio: { image: 'i', args: ['a'] } }, egress: ['203.0.113.0/24'] });
  expect(await new Credentials(secrets, new ManualClock()).headers({ ...server(undefined), spec, url: 'http://rambo-tools-box.team-a.svc:8080/mcp' }, never)).toEqual({});
});

test('a token is asked for once, as OAuth wants it, kept until shortly before its end, and forgotten when told', async () => {
  const clock = new ManualClock();
  const credentials = new Credentials(secrets, clock);
  const asked: RequestInit[] = [];
  const fetch = async (_url: string | URL | Request, init?: RequestInit): Promise<Response> => {
    asked.push(init ?? {});
    return Response.json({ access_token: `t${asked.length}`, expires_in: 60 });
  };
  const at = server(oauth);
  expect(await Promise.all([credentials.headers(at, fetch), credentials.headers(at, fetch)])).toEqual([{ authorization: 'Bearer t1' }, { authorization: 'Bearer t1' }]);
  expect(new Headers(asked[0]?.headers).get('authorization')).toBe(`Basic ${Buffer.from('me%3Atoo:s-k').toString('base64')}`);
  expect(Object.fromEntries(new URLSearchParams(asked[0]?.body as string))).toEqual({ grant_type: 'client_credentials', scope: 'a b', audience: 'tools' });
  clock.advance(29_000);
  expect(await credentials.headers(at, fetch)).toEqual({ authorization: 'Bearer t1' });
  clock.advance(2_000);
  expect(await credentials.headers(at, fetch)).toEqual({ authorization: 'Bearer t2' });
  credentials.forget(at);
  expect(await credentials.headers(at, fetch)).toEqual({ authorization: 'Bearer t3' });
});

test('a token server that refuses tells nothing but its status', async () => {
  const credentials = new Credentials(secrets, new ManualClock());
  await expect(credentials.headers(server(oauth), async () => new Response('bad secret s-k', { status: 400 }))).rejects.toMatchObject({ code: 'AuthFailed', message: 'the token server gave no token (HTTP 400)' });
  expect(await credentials.headers(server(oauth), async () => Response.json({ access_token: 'now' }))).toEqual({ authorization: 'Bearer now' });
});
