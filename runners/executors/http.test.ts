import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { LIMITS } from '../../crds/names.ts';
import { execution, removeScratch, until } from '../core/test-kit.ts';
import type { Outcome } from '../core/types.ts';
import type { Resolve } from '../../platform/net/addresses.ts';
import { httpExecutor } from './http.ts';

/** A server that counts connections; every address below must leave the count at 0 or at what the test says. */
interface Target { readonly server: Server; readonly port: number; readonly address: string; connections: number; readonly requests: IncomingMessage[] }

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

let handle: Handle = () => undefined;
const targets: Target[] = [];

async function listen(address: string, port = 0): Promise<Target> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => { requests.push(request); handle(request, response); });
  await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(port, address, resolve); });
  const bound = server.address();
  const target = { server, port: typeof bound === 'object' && bound !== null ? bound.port : 0, address, connections: 0, requests };
  server.on('connection', () => { target.connections++; });
  targets.push(target);
  return target;
}

const text: Handle = (_, response) => { response.end('hello'); };

beforeEach(() => { handle = text; });
afterEach(async () => {
  removeScratch();
  for (const { server } of targets.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => { server.close(resolve); });
  }
});

const LOOPBACK = ['127.0.0.0/8'];

function call(withFields: Readonly<Record<string, unknown>>, changes: Parameters<typeof execution>[0] = {}, resolve?: Resolve): Promise<Outcome> {
  return httpExecutor(resolve)(execution({ type: 'http', timeoutMs: 5_000, ...changes, with: withFields }));
}

function fixed(map: Readonly<Record<string, readonly string[]>>): Resolve {
  return (host) => Promise.resolve((map[host] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
}

interface Output { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: unknown }

function outputOf(outcome: Outcome): Output {
  if (outcome.ok !== true) throw new Error(JSON.stringify(outcome));
  return JSON.parse(outcome.output);
}

describe('refused without a connection', () => {
  const hosts = [
    '127.0.0.1', '127.1', '0x7f.1', '0x7f000001', '017700000001', '2130706433', '127.0.0.1.', '0.0.0.0', '0', '[::]', '[::1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::7f00:1]',
    '[64:ff9b::7f00:1]', '[64:ff9b::127.0.0.1]', '[2002:7f00:1::]', '１２７.0.0.1', '127。0。0。1', 'localhost', 'localhost.', 'LOCALHOST', '%6cocalhost',
    '169.254.169.254', '0xa9fea9fe', '0251.0376.0251.0376', '2852039166', '0xa9.0xfe.0xa9.0xfe', '[::ffff:169.254.169.254]', '[::ffff:a9fe:a9fe]', '[64:ff9b::a9fe:a9fe]',
    '100.100.100.200', 'kubernetes.default.svc', 'metadata.google.internal', 'example.com@127.0.0.1', 'user:pass@127.0.0.1', '8.8.8.8@localhost',
  ];
  const resolve = fixed({
    'localhost': ['127.0.0.1', '::1'], 'localhost.': ['127.0.0.1'], 'kubernetes.default.svc': ['10.96.0.1'], 'metadata.google.internal': ['169.254.169.254'], '127.0.0.1.': ['127.0.0.1'],
  });

  test.each(hosts)('%s', async (host) => {
    const server = await listen('127.0.0.1');
    const outcome = await call({ url: `http://${host}:${server.port}/` }, {}, resolve);
    expect(outcome).toMatchObject({ ok: false, error: { class: 'User', reason: expect.stringMatching(/^(AddressRefused|InvalidRequest)$/) } });
    expect(server.connections).toBe(0);
  });

  test('localhost, resolved by the system', async () => {
    const server = await listen('127.0.0.1');
    for (const host of ['localhost', 'localhost.']) expect(await call({ url: `http://${host}:${server.port}/` })).toMatchObject({ ok: false });
    expect(server.connections).toBe(0);
  });

  test.each([
    'file:///etc/passwd', 'gopher://127.0.0.1:70/_x', 'data:text/plain,hi', 'unix:/run/x.sock', 'ftp://example.com/', 'javascript:1', 'http+unix://%2Frun/', 'blob:http://x/1', 'no url', '', '//example.com', 'http://',
  ])('the URL %s', async (url) => {
    expect(await call({ url }, {}, () => Promise.reject(new Error('resolved')))).toMatchObject({ ok: false, error: { class: 'User', reason: 'InvalidRequest', message: expect.stringContaining('with.url') } });
  });

  test.each(['user@', 'user:pass@', ':pass@', 'example.com%40@'])('a user part, also before a host that is allowed: %s', async (user) => {
    const server = await listen('127.0.0.1');
    const outcome = await call({ url: `http://${user}127.0.0.1:${server.port}/` }, { httpAllow: LOOPBACK });
    expect(outcome).toMatchObject({ ok: false, error: { class: 'User', reason: 'InvalidRequest', message: expect.not.stringContaining('pass@') } });
    expect(server.connections).toBe(0);
  });

  test.each(['/\r\nHost: evil', '/a\nb', '/a\tb', '\r\n/'])('line breaks in the URL: %j', async (path) => {
    const server = await listen('127.0.0.1');
    expect(await call({ url: `http://127.0.0.1:${server.port}${path}` }, { httpAllow: LOOPBACK })).toMatchObject({ ok: false, error: { reason: 'InvalidRequest' } });
    expect(server.connections).toBe(0);
  });

  test.each<[string, object]>([
    ['a value', { name: 'x-a', value: 'a\r\nx-b: c' }], ['a name', { name: 'x-a\r\nx-b', value: 'c' }], ['a value of the environment', { name: 'x-a', fromEnv: 'BROKEN' }], ['NUL', { name: 'x-a', value: 'a\0' }],
  ])('line breaks in a header: %s', async (_, header) => {
    const server = await listen('127.0.0.1');
    const outcome = await call({ url: `http://127.0.0.1:${server.port}/`, headers: [header] }, { httpAllow: LOOPBACK, env: { BROKEN: 'se\r\ncret' } });
    expect(outcome).toMatchObject({ ok: false, error: { reason: 'InvalidRequest', message: expect.stringContaining('with.headers') } });
    expect(JSON.stringify(outcome)).not.toMatch(/cret/);
    expect(server.connections).toBe(0);
  });

  test.each<[string, object]>([['method', { url: 'http://a/', method: 'TRACE' }], ['headers', { url: 'http://a/', headers: 'x' }], ['url', {}], ['expect', { url: 'http://a/', expect: { status: 'x' } }]])(
    'a request that is malformed in %s', async (field, given) => {
      expect(await call({ ...given })).toMatchObject({ ok: false, error: { class: 'Invalid', reason: 'InvalidRequest', message: expect.stringContaining(`with.${field}`) } });
    });
});

describe('names that change their answer', () => {
  test('the address that was checked is dialled; the name is asked once', async () => {
    // 127.0.0.2 plays the public address: it is the only one allowed.
    const checked = await listen('127.0.0.2');
    const inner = await listen('127.0.0.1', checked.port);
    let asked = 0;
    const resolve: Resolve = () => Promise.resolve([{ address: asked++ === 0 ? '127.0.0.2' : '127.0.0.1', family: 4 }]);
    expect(outputOf(await call({ url: `http://rebind.example:${checked.port}/` }, { httpAllow: ['127.0.0.2/32'] }, resolve)).body).toBe('hello');
    expect([asked, checked.connections, inner.connections]).toEqual([1, 1, 0]);
    expect(checked.requests[0]?.headers.host).toBe(`rebind.example:${checked.port}`);
    expect(await call({ url: `http://rebind.example:${checked.port}/` }, { httpAllow: ['127.0.0.2/32'] }, resolve)).toMatchObject({ ok: false, error: { reason: 'AddressRefused' } });
    expect([checked.connections, inner.connections]).toEqual([1, 0]);
  });

  test('each redirect asks and checks anew, also for the same name', async () => {
    const outer = await listen('127.0.0.2');
    const inner = await listen('127.0.0.1', outer.port);
    let asked = 0;
    const resolve: Resolve = () => Promise.resolve([{ address: asked++ === 0 ? '127.0.0.2' : '127.0.0.1', family: 4 }]);
    handle = (_, response) => { response.writeHead(302, { location: '/again' }).end(); };
    expect(await call({ url: `http://rebind.example:${outer.port}/` }, { httpAllow: ['127.0.0.2'] }, resolve)).toMatchObject({ ok: false, error: { reason: 'AddressRefused' } });
    expect([outer.connections, inner.connections]).toEqual([1, 0]);
  });

  test('a resolver that never answers is left at the timeout', async () => {
    expect(await call({ url: 'http://slow.example/' }, { timeoutMs: 50 }, () => new Promise(() => undefined))).toMatchObject({ ok: false, error: { class: 'Timeout', reason: 'HttpTimeout' } });
  });
});

describe('redirects', () => {
  test.each(['http://127.0.0.1:PORT/', 'http://localhost:PORT/', 'http://[::ffff:127.0.0.1]:PORT/', 'http://2130706433:PORT/', '//127.0.0.1:PORT/', 'http://169.254.169.254/latest', 'file:///etc/passwd', 'data:,x', 'http://a:b@127.0.0.1:PORT/'])(
    'to %s are refused', async (location) => {
      const outer = await listen('127.0.0.2');
      const inner = await listen('127.0.0.1');
      handle = (_, response) => { response.writeHead(302, { location: location.replace('PORT', String(inner.port)) }).end(); };
      const outcome = await call({ url: `http://127.0.0.2:${outer.port}/` }, { httpAllow: ['127.0.0.2/32'] }, fixed({ localhost: ['127.0.0.1'] }));
      expect(outcome).toMatchObject({ ok: false, error: { reason: expect.stringMatching(/^(AddressRefused|InvalidRequest)$/) } });
      expect([outer.connections, inner.connections]).toEqual([1, 0]);
    });

  test.each([301, 302, 303, 307, 308])('%i to another host carries no credential', async (status) => {
    const outer = await listen('127.0.0.2');
    const other = await listen('127.0.0.1');
    handle = (request, response) => {
      if (request.headers.host?.startsWith('127.0.0.2') === true) response.writeHead(status, { location: `http://127.0.0.1:${other.port}/next` }).end();
      else text(request, response);
    };
    const headers = [
      { name: 'Authorization', fromEnv: 'TOKEN' }, { name: 'Cookie', value: 'a=b' }, { name: 'X-Api-Key', value: 'k' }, { name: 'Host', value: '127.0.0.2' }, { name: 'Accept', value: 'text/plain' },
    ];
    expect(outputOf(await call({ url: `http://127.0.0.2:${outer.port}/`, headers }, { httpAllow: LOOPBACK, env: { TOKEN: 'Bearer x' } })).body).toBe('hello');
    expect(outer.requests[0]?.headers).toMatchObject({ authorization: 'Bearer x', cookie: 'a=b', 'x-api-key': 'k' });
    expect(other.requests[0]?.headers).toEqual({ accept: 'text/plain', 'user-agent': 'rambo-runner', host: `127.0.0.1:${other.port}`, connection: expect.any(String) });
  });

  test('another port is another host', async () => {
    const first = await listen('127.0.0.1');
    const second = await listen('127.0.0.1');
    handle = (request, response) => {
      if (request.url === '/') response.writeHead(307, { location: `http://127.0.0.1:${second.port}/next` }).end();
      else text(request, response);
    };
    outputOf(await call({ url: `http://127.0.0.1:${first.port}/`, headers: [{ name: 'authorization', value: 'x' }] }, { httpAllow: LOOPBACK }));
    expect(second.requests[0]?.headers.authorization).toBeUndefined();
  });

  test.each<[string, number, string, string, string]>([
    ['POST', 301, 'GET', '', ''], ['POST', 302, 'GET', '', ''], ['PUT', 303, 'GET', '', ''], ['POST', 307, 'POST', 'body', 'x'], ['PUT', 308, 'PUT', 'body', 'x'], ['GET', 302, 'GET', '', 'x'],
  ])('%s after %i on the same host becomes %s', async (method, status, next, sent, key) => {
    const server = await listen('127.0.0.1');
    let seen = '';
    handle = (request, response) => {
      if (request.url === '/') { response.writeHead(status, { location: 'next?x=1' }).end(); return; }
      request.on('data', (bytes) => { seen += String(bytes); }).on('end', () => { response.end('ok'); });
    };
    outputOf(await call({ method, url: `http://127.0.0.1:${server.port}/`, headers: [{ name: 'x-key', value: 'x' }], ...(method === 'GET' ? {} : { body: 'body' }) }, { httpAllow: LOOPBACK }));
    expect([server.requests[1]?.method, server.requests[1]?.url, seen]).toEqual([next, '/next?x=1', sent]);
    expect(server.requests[1]?.headers['x-key']).toBe('x');
    if (key === '') expect(server.requests[1]?.headers['content-type']).toBeUndefined();
  });

  test('five are followed, six are not', async () => {
    const server = await listen('127.0.0.1');
    const chain = (length: number): Handle => (request, response) => {
      const n = Number(request.url?.slice(1));
      if (n < length) response.writeHead(302, { location: `/${n + 1}` }).end();
      else response.end('there');
    };
    handle = chain(5);
    expect(outputOf(await call({ url: `http://127.0.0.1:${server.port}/0` }, { httpAllow: LOOPBACK })).body).toBe('there');
    handle = chain(10_000);
    server.requests.length = 0;
    expect(await call({ url: `http://127.0.0.1:${server.port}/0` }, { httpAllow: LOOPBACK })).toMatchObject({ ok: false, error: { message: expect.stringContaining('more than 5 redirects') } });
    expect(server.requests).toHaveLength(6);
  });

  test('a 3xx without a place to go is an answer', async () => {
    const server = await listen('127.0.0.1');
    handle = (_, response) => { response.writeHead(302).end(); };
    expect(outputOf(await call({ url: `http://127.0.0.1:${server.port}/` }, { httpAllow: LOOPBACK })).status).toBe(302);
  });
});

describe('bounds', () => {
  test.each(['with its length announced', 'in chunks without end'])('a body over the cap is cut off, %s', async (kind) => {
    const server = await listen('127.0.0.1');
    let closed = false;
    handle = (request, response) => {
      if (kind === 'with its length announced') response.setHeader('content-length', String(10_000_000_000));
      request.socket.once('close', () => { closed = true; });
      const more = (): void => { while (!closed && response.write(Buffer.alloc(65_536, 'x'))); };
      response.on('drain', more);
      more();
    };
    expect(await call({ url: `http://127.0.0.1:${server.port}/` }, { httpAllow: LOOPBACK })).toMatchObject({ ok: false, error: { class: 'User', reason: 'OutputTooLarge' } });
    await until('the server to see it', () => closed);
  });

  test('the body of a redirect counts too', async () => {
    const server = await listen('127.0.0.1');
    handle = (_, response) => { response.writeHead(302, { location: '/' }).end('x'.repeat(LIMITS.outputBytes + 1)); };
    expect(await call({ url: `http://127.0.0.1:${server.port}/` }, { httpAllow: LOOPBACK })).toMatchObject({ ok: false, error: { reason: 'OutputTooLarge' } });
    expect(server.requests).toHaveLength(1);
  });

  test.each<[string, Handle]>([
    ['never answers', () => undefined],
    ['sends headers for ever', (_, response) => { response.socket?.write('HTTP/1.1 200 OK\r\nx-a: b\r\n'); }],
    ['sends a byte now and then', (_, response) => {
      const timer = setInterval(() => { response.write('x'); }, 10);
      response.on('close', () => { clearInterval(timer); });
    }],
  ])('a server that %s is left at the timeout', async (_, how) => {
    const server = await listen('127.0.0.1');
    handle = how;
    const closed = new Promise((resolve) => { server.server.once('connection', (socket) => { socket.once('close', resolve); }); });
    expect(await call({ url: `http://127.0.0.1:${server.port}/?key=s3cret` }, { httpAllow: LOOPBACK, timeoutMs: 150 })).toEqual({
      ok: false, error: { class: 'Timeout', reason: 'HttpTimeout', message: `GET http://127.0.0.1:${server.port}/ did not answer in time` },
    });
    await closed;
  });

  test('a cancel ends the request', async () => {
    const server = await listen('127.0.0.1');
    handle = () => undefined;
    const run = execution({ type: 'http', httpAllow: LOOPBACK, with: { url: `http://127.0.0.1:${server.port}/` } });
    const outcome = httpExecutor()(run);
    await until('the request', () => server.requests.length === 1);
    run.stop.abort();
    expect(await outcome).toMatchObject({ ok: false });
  });
});

describe('answers', () => {
  test.each<[string, string, unknown]>([
    ['application/json', '{"a":1}', { a: 1 }], ['application/problem+json; charset=utf-8', '[1]', [1]], ['application/json', '{broken', '{broken'], ['text/plain', '{"a":1}', '{"a":1}'], ['application/jsonp', '1', '1'], ['application/json', '', ''],
  ])('a body of type %s', async (type, body, expected) => {
    const server = await listen('127.0.0.1');
    handle = (_, response) => { response.writeHead(200, { 'content-type': type, 'x-list': ['a', 'b'] }).end(body); };
    const output = outputOf(await call({ url: `http://127.0.0.1:${server.port}/` }, { httpAllow: LOOPBACK }));
    expect(output).toMatchObject({ status: 200, body: expected, headers: { 'content-type': type, 'x-list': 'a, b' } });
  });

  test.each<[number, object | undefined, boolean]>([
    [200, undefined, true], [204, undefined, true], [399, undefined, true], [400, undefined, false], [500, undefined, false], [404, { status: [404] }, true], [200, { status: [201, 202] }, false], [503, { status: [200, 503] }, true], [500, {}, false],
  ])('status %i with expect %j: %s', async (status, expected, fine) => {
    const server = await listen('127.0.0.1');
    handle = (_, response) => { response.writeHead(status).end(status === 204 ? undefined : 'why'); };
    const outcome = await call({ url: `http://127.0.0.1:${server.port}/x?key=s3cret`, ...(expected === undefined ? {} : { expect: expected }) }, { httpAllow: LOOPBACK });
    expect(outcome.ok).toBe(fine);
    if (!outcome.ok) expect(outcome.error).toEqual({ class: 'User', reason: 'HttpStatus', message: `GET http://127.0.0.1:${server.port}/x answered ${status}: why` });
  });

  test('a connection nobody accepts, one that is cut, one that is no HTTP', async () => {
    const server = await listen('127.0.0.1');
    const { port } = server;
    handle = (request) => { request.socket.destroy(); };
    expect(await call({ url: `http://127.0.0.1:${port}/` }, { httpAllow: LOOPBACK })).toMatchObject({ ok: false, error: { reason: 'HttpError' } });
    handle = (request) => { request.socket.end('SSH-2.0-x\r\n'); };
    expect(await call({ url: `http://127.0.0.1:${port}/` }, { httpAllow: LOOPBACK })).toMatchObject({ ok: false, error: { reason: 'HttpError' } });
    handle = (_, response) => { response.writeHead(200, { 'content-length': '100' }); response.write('short'); response.socket?.destroy(); };
    expect(await call({ url: `http://127.0.0.1:${port}/` }, { httpAllow: LOOPBACK })).toMatchObject({ ok: false, error: { reason: 'HttpError' } });
    server.server.closeAllConnections();
    await new Promise((resolve) => { server.server.close(resolve); });
    expect(await call({ url: `http://127.0.0.1:${port}/?key=s3cret` }, { httpAllow: LOOPBACK })).toMatchObject({ ok: false, error: { reason: 'HttpError', message: expect.not.stringContaining('s3cret') } });
  });
});

describe('requests', () => {
  async function sent(withFields: Readonly<Record<string, unknown>>, changes: Parameters<typeof execution>[0] = {}): Promise<{ request: IncomingMessage | undefined; body: string }> {
    const server = await listen('127.0.0.1');
    let body = '';
    handle = (request, response) => { request.on('data', (bytes) => { body += String(bytes); }).on('end', () => { response.end(); }); };
    outputOf(await call({ url: `http://127.0.0.1:${server.port}/p?q=1`, ...withFields }, { httpAllow: LOOPBACK, ...changes }));
    return { request: server.requests[0], body };
  }

  test('GET without a body is the default', async () => {
    const { request, body } = await sent({});
    expect([request?.method, request?.url, body, request?.headers['content-type']]).toEqual(['GET', '/p?q=1', '', undefined]);
  });

  test.each<[string, unknown, string, string | undefined]>([
    ['an object', { a: 'é' }, '{"a":"é"}', 'application/json'], ['a list', [1], '[1]', 'application/json'], ['null', null, 'null', 'application/json'], ['text', 'a=b', 'a=b', undefined], ['a number', 0, '0', 'application/json'],
  ])('the body: %s', async (_, given, expected, type) => {
    const { request, body } = await sent({ method: 'POST', body: given });
    expect([body, request?.headers['content-type'], request?.headers['content-length']]).toEqual([expected, type, String(Buffer.byteLength(expected))]);
  });

  test('a content type of the node\'s own is kept', async () => {
    const { request } = await sent({ method: 'POST', body: {}, headers: [{ name: 'Content-Type', value: 'application/vnd.x+json' }] });
    expect(request?.headers['content-type']).toBe('application/vnd.x+json');
  });

  test('a header from the environment of the pool, or of the node', async () => {
    const { request } = await sent({ headers: [{ name: 'x-pool', fromEnv: 'POOL_VAR' }, { name: 'x-node', fromEnv: 'MINE' }] }, { env: { MINE: 'm' } });
    expect(request?.headers).toMatchObject({ 'x-pool': 'of the pool', 'x-node': 'm' });
  });

  test.each(['NOPE', 'constructor', '__proto__', 'LD_LIBRARY_PATH_OF_THE_RUNNER'])('a header from %s, which is not set, is an error that names both', async (name) => {
    const server = await listen('127.0.0.1');
    expect(await call({ url: `http://127.0.0.1:${server.port}/`, headers: [{ name: 'X-Key', fromEnv: name }] }, { httpAllow: LOOPBACK })).toEqual({
      ok: false, error: { class: 'User', reason: 'InvalidRequest', message: `with.headers: X-Key: the pool has no environment variable ${name}` },
    });
    expect(server.connections).toBe(0);
  });

  test('a header without a value', async () => {
    expect(await call({ url: 'http://127.0.0.1/', headers: [{ name: 'X-Key' }] })).toMatchObject({ ok: false, error: { message: 'with.headers: X-Key: has no value' } });
  });

  test('a private host is reached when the pool names it, by name or by range', async () => {
    const server = await listen('127.0.0.1');
    const resolve = fixed({ 'db.team.svc': ['127.0.0.1'] });
    for (const allow of ['db.team.svc', 'DB.TEAM.SVC', '*.team.svc', '127.0.0.1', '127.0.0.0/8']) {
      expect(outputOf(await call({ url: `http://db.team.svc:${server.port}/` }, { httpAllow: [allow] }, resolve)).body).toBe('hello');
    }
    for (const allow of ['other.team.svc', '10.0.0.0/8', 'team.svc', '*']) {
      expect(await call({ url: `http://db.team.svc:${server.port}/` }, { httpAllow: [allow] }, resolve)).toMatchObject({ ok: false, error: { reason: 'AddressRefused', message: expect.stringContaining('spec.http.allow') } });
    }
  });

  test('the server the tests count on counts', async () => {
    const server = await listen('127.0.0.1');
    const socket = connect(server.port, '127.0.0.1');
    await until('a connection', () => server.connections === 1);
    socket.destroy();
  });
});
