import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { listenOn } from '../health/listen.ts';
import { KubeClient, type KubeRequest } from './client.ts';
import { hasStatus, isAlreadyExists, isConflict, isGone, isNotFound, isRefused, KubeError } from './errors.ts';

/** What a request looked like when it arrived. */
interface Seen { readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers']; readonly body: string }

const seen: Seen[] = [];
const counted: string[] = [];
let answer: (response: ServerResponse) => void;
let token: string | undefined;
const server = createServer((request, response) => {
  let body = '';
  request.on('data', (chunk) => { body += String(chunk); });
  request.on('end', () => {
    seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
    answer(response);
  });
});
let url: string;
let client: KubeClient;
beforeAll(async () => { url = `http://127.0.0.1:${await listenOn(server, '127.0.0.1', 0)}`; });
beforeEach(() => {
  seen.length = 0;
  counted.length = 0;
  token = undefined;
  answer = (response) => { response.end('{}'); };
  client = new KubeClient({ server: url, token: () => token }, (...facts) => { counted.push(facts.join(' ')); });
});
afterEach(() => { client.close(); });
afterAll(() => { server.closeAllConnections(); server.close(); });

const PODS: KubeRequest = { verb: 'list', resource: 'pods', path: '/api/v1/pods' };

test.each<[KubeRequest['verb'], string]>([['get', 'GET'], ['list', 'GET'], ['create', 'POST'], ['update', 'PUT'], ['patch', 'PATCH'], ['delete', 'DELETE']])('%s is a %s', async (verb, method) => {
  await client.json({ ...PODS, verb });
  expect(seen.map((each) => each.method)).toEqual([method]);
  expect(counted).toEqual([`${verb} pods 200`]);
});

test.each<[string, Partial<KubeRequest>, string]>([['a body', {}, 'application/json'], ['a merge patch', { patch: 'merge' }, 'application/merge-patch+json'], ['an apply', { patch: 'apply' }, 'application/apply-patch+yaml']])('%s goes as its type', async (_, more, type) => {
  await client.json({ ...PODS, verb: 'patch', body: { ä: 1 }, ...more });
  expect(seen).toMatchObject([{ body: '{"ä":1}', headers: { 'content-type': type, 'content-length': '8' } }]);
});

test('without a body there is no type of one; of metadata alone only metadata is asked for', async () => {
  await client.json(PODS);
  await client.json({ ...PODS, metadataOnly: true });
  expect(seen[0]?.headers).not.toHaveProperty('content-type');
  expect(seen.map(({ headers }) => headers.accept)).toEqual(['application/json', 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1']);
});

test('a query is encoded, whatever is in it', async () => {
  await client.json({ ...PODS, query: { labelSelector: 'a=b,c in (d, e)', limit: '5' } });
  expect(new URL(seen[0]?.url ?? '', url).searchParams).toEqual(new URLSearchParams({ labelSelector: 'a=b,c in (d, e)', limit: '5' }));
});

test('the token is the one of now', async () => {
  await client.json(PODS);
  token = 'one';
  await client.json(PODS);
  token = 'two';
  await client.json(PODS);
  expect(seen.map(({ headers }) => headers.authorization)).toEqual([undefined, 'Bearer one', 'Bearer two']);
});

test('an answer without a body is undefined; a log is text as it is', async () => {
  answer = (response) => { response.end(); };
  expect(await client.json(PODS)).toBeUndefined();
  answer = (response) => { response.end('line 1\nä {'); };
  expect(await client.text(PODS)).toBe('line 1\nä {');
});

test('a watch streams, and ends with its signal', async () => {
  answer = (response) => { response.write('{"n":1}\n'); };
  const abort = new AbortController();
  const response = await client.stream({ ...PODS, verb: 'watch' }, abort.signal);
  const pieces: string[] = [];
  const read = (async () => { for await (const piece of response) { pieces.push(String(piece)); abort.abort(); } })();
  await expect(read).rejects.toThrow('aborted');
  expect(pieces).toEqual(['{"n":1}\n']);
});

test.each<[string, number, string, object]>([
  ['a Status', 409, '{"kind":"Status","reason":"AlreadyExists","message":"pods \\"a\\" already exists"}', { code: 'KubeAlreadyExists', status: 409, reason: 'AlreadyExists', message: 'list /api/v1/pods: 409 pods "a" already exists' }],
  ['a page of a proxy', 502, '<html>Bad Gateway</html>', { code: 'Kube502', status: 502, reason: '', message: 'list /api/v1/pods: 502 <html>Bad Gateway</html>' }],
  ['a long page', 500, 'x'.repeat(5_000), { status: 500, message: `list /api/v1/pods: 500 ${'x'.repeat(512)}` }],
  ['nothing', 401, '', { code: 'Kube401', status: 401, message: 'list /api/v1/pods: 401 ' }],
  ['null', 403, 'null', { status: 403, reason: '', message: 'list /api/v1/pods: 403 null' }],
  ['a Status with other types', 422, '{"reason":1,"message":{}}', { status: 422, reason: '' }],
])('an error with %s', async (_, status, body, expected) => {
  answer = (response) => { response.writeHead(status).end(body); };
  await expect(client.json(PODS)).rejects.toMatchObject({ constructor: KubeError, ...expected });
  expect(counted).toEqual([`list pods ${status}`]);
});

test.each<[string | undefined, number | undefined]>([['3', 3_000], ['0', 0], [undefined, undefined], ['Wed, 21 Oct 2026 07:28:00 GMT', undefined]])('retry-after %p is %p ms', async (after, ms) => {
  answer = (response) => { response.writeHead(429, after === undefined ? {} : { 'retry-after': after }).end('{}'); };
  await expect(client.json(PODS)).rejects.toMatchObject({ retryAfterMs: ms });
});

test.each<[string, (response: ServerResponse) => void, object, string]>([
  ['a page that is no JSON, with 200', (response) => { response.end('<html>Sign in</html>'); }, { reason: 'Unreadable', message: 'list /api/v1/pods: what answered is no API server: "<html>Sign in</html>" is not JSON' }, 'list pods 200'],
  ['an answer that breaks off', (response) => { response.writeHead(200, { 'content-length': '100' }).write('{"a":', () => response.socket?.end()); }, { reason: 'Unreachable', message: expect.stringMatching(/^the answer of the API server to list \/api\/v1\/pods broke off: /) }, 'list pods 200'],
  ['no answer', (response) => { response.destroy(); }, { reason: 'Unreachable', message: expect.stringMatching(/^the API server did not answer list \/api\/v1\/pods: .*(socket hang up|read ECONNRESET)/) }, 'list pods 0'],
])('%s is an error of the API server, no fault of ours', async (_, act, expected, count) => {
  answer = act;
  const told = await client.json(PODS).catch((error: unknown) => error);
  expect(told).toBeInstanceOf(KubeError);
  expect({ status: (told as KubeError).status, reason: (told as KubeError).reason, message: (told as KubeError).message }).toEqual({ status: 0, ...expected });
  expect(counted).toEqual([count]);
});

describe('what an error means', () => {
  const of = (status: number, reason = ''): KubeError => new KubeError(status, reason, 'x');
  const judges = { isConflict, isAlreadyExists, isNotFound, isGone, isRefused };
  test.each<[unknown, readonly (keyof typeof judges)[]]>([
    [of(409, 'Conflict'), ['isConflict']], [of(409), ['isConflict']], [of(409, 'AlreadyExists'), ['isAlreadyExists']], [of(404, 'NotFound'), ['isNotFound']], [of(410, 'Expired'), ['isGone']],
    [of(400), ['isRefused']], [of(403, 'Forbidden'), ['isRefused']], [of(422, 'Invalid'), ['isRefused']], [of(401), []], [of(429), []], [of(500), []], [of(0, 'Unreachable'), []],
    [new Error('404'), []], [{ status: 404 }, []], [undefined, []], ['404', []],
  ])('%p', (error, means) => {
    expect(Object.entries(judges).filter(([, judge]) => judge(error)).map(([name]) => name)).toEqual(means);
    expect(hasStatus(error, 404)).toBe(error instanceof KubeError && error.status === 404);
  });
});
