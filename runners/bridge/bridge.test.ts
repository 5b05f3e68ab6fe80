import { librariesOf, namesOf } from './install.ts';
import { BridgeServer } from './serve.ts';

/** A server over stdio in a few lines: says who it is, echoes, counts, prints nonsense, asks back, dies and never answers on command. */
const SERVER = `
let seen = 0;
const say = (message) => process.stdout.write(JSON.stringify(message) + '\\n');
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  seen++;
  if (method === 'die') process.exit(3);
  if (method === 'ask') return say({ jsonrpc: '2.0', id: 'q', method: params.method });
  if (id === 'q') return say({ jsonrpc: '2.0', method: 'note' });
  if (id === undefined || method === 'silence') return;
  process.stdout.write('no message\\n');
  say({ jsonrpc: '2.0', id, result: { pid: process.pid, seen, echo: params ?? null } });
});`;

let bridge: BridgeServer;
let url: string;
beforeEach(async () => {
  bridge = new BridgeServer([process.execPath, '-e', SERVER]);
  url = `http://127.0.0.1:${await bridge.listen(0, '127.0.0.1')}/mcp`;
});
afterEach(() => bridge.stop());

interface Answer { readonly status: number; readonly session: string | undefined; readonly body: { readonly id?: unknown; readonly result?: { readonly pid: number; readonly seen: number; readonly echo: unknown }; readonly error?: { readonly code: number; readonly message: string } } }

async function post(message: unknown, session?: string, more: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, { method: 'POST', body: typeof message === 'string' ? message : JSON.stringify(message), headers: session === undefined ? {} : { 'mcp-session-id': session }, ...more });
  const text = await response.text();
  return { status: response.status, session: response.headers.get('mcp-session-id') ?? undefined, body: text === '' ? {} : JSON.parse(text) };
}

const ask = (id: unknown, method = 'x', params?: unknown): object => ({ jsonrpc: '2.0', id, method, ...(params === undefined ? {} : { params }) });

test('a question gets its answer under its own id, whatever the server prints besides', async () => {
  expect(await post(ask('a', 'x', { n: 1 }))).toMatchObject({ status: 200, body: { id: 'a', result: { echo: { n: 1 } } } });
});

test('callers that use one id at once get their own answers', async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => post(ask(1, 'x', n))));
  expect(answers.map(({ body }) => body.result?.echo)).toEqual(Array.from({ length: 20 }, (_, n) => n));
  expect(answers.every(({ body }) => body.id === 1)).toBe(true);
});

test('each session has a process of its own, which ends with it', async () => {
  const [a, b] = [await post(ask(1, 'initialize')), await post(ask(1, 'initialize'))];
  expect(a.session).toBeDefined();
  expect(a.body.result?.pid).not.toBe(b.body.result?.pid);
  expect((await post(ask(2), a.session)).body.result).toMatchObject({ pid: a.body.result?.pid, seen: 2 });
  expect((await fetch(url, { method: 'DELETE', headers: { 'mcp-session-id': a.session ?? '' } })).status).toBe(204);
  let last = await post(ask(3), a.session);
  for (let tries = 0; last.status !== 404 && tries < 100; tries++) last = await post(ask(3), a.session);
  expect([last.status, (await post(ask(3), b.session)).status]).toEqual([404, 200]);
});

test('a notification is taken without an answer, and arrives', async () => {
  const { session } = await post(ask(1, 'initialize'));
  expect((await post({ jsonrpc: '2.0', method: 'notifications/initialized' }, session)).status).toBe(202);
  expect((await post(ask(2), session)).body.result?.seen).toBe(3);
});

test('a server that dies fails what waits, and the next caller gets a new process', async () => {
  const waiting = post(ask(1, 'silence'));
  await post(ask(2));
  await Promise.all([waiting, post(ask(3, 'die'))]).then((answers) => {
    for (const { body } of answers) expect(body.error).toMatchObject({ code: -32_000, message: 'the server ended with code 3' });
  });
  expect((await post(ask(4))).body.result?.seen).toBe(1);
});

test('a program that is not there is said', async () => {
  await bridge.stop();
  bridge = new BridgeServer(['/no/such/program']);
  url = `http://127.0.0.1:${await bridge.listen(0, '127.0.0.1')}/mcp`;
  expect((await post(ask(1))).body.error?.message).toContain('the server cannot be started');
});

test('a caller that goes away is reported to the server, which may stop', async () => {
  const { session } = await post(ask(1, 'initialize'));
  const gone = new AbortController();
  const waiting = post(ask(2, 'silence'), session, { signal: gone.signal });
  await post(ask(3), session);
  gone.abort();
  await expect(waiting).rejects.toThrow();
  let seen = 0;
  for (let tries = 0; seen < 5 && tries < 100; tries++) seen = (await post(ask(4), session)).body.result?.seen ?? 0;
  expect(seen).toBeGreaterThanOrEqual(5);
});

test('questions of the server are answered for the caller: ping with yes, others with no', async () => {
  const { session } = await post(ask(1, 'initialize'));
  for (const method of ['ping', 'sampling/createMessage']) await post({ jsonrpc: '2.0', method: 'ask', params: { method } }, session);
  let seen = 0;
  for (let tries = 0; seen < 6 && tries < 100; tries++) seen = (await post(ask(2), session)).body.result?.seen ?? 0;
  expect(seen).toBeGreaterThanOrEqual(6);
});

test.each<[string, string, RequestInit, number]>([
  ['another path', '/other', { method: 'POST', body: '{}' }, 404], ['a stream', '/mcp', { method: 'GET' }, 405], ['a page of a browser', '/mcp', { method: 'POST', body: '{}', headers: { origin: 'https://evil.example.com' } }, 403],
  ['no JSON', '/mcp', { method: 'POST', body: 'text' }, 400], ['a list', '/mcp', { method: 'POST', body: '[]' }, 400], ['a session nobody has', '/mcp', { method: 'POST', body: '{"id":1,"method":"x"}', headers: { 'mcp-session-id': 'x' } }, 404],
  ['a message too long', '/mcp', { method: 'POST', body: 'x'.repeat(9 * 1024 * 1024) }, 413],
])('%s is refused', async (_what, path, init, status) => {
  const response = await fetch(url.replace('/mcp', path), init).catch(() => undefined);
  expect(response?.status ?? 413).toBe(status);
});

test('what Node is linked against is found in its memory map, and named as a loader asks for it', () => {
  const maps = '7f00-7f01 r-xp 00000000 00:1 1 /usr/lib/libstdc++.so.6.0.30\n7f01-7f02 rw-p 0 0:0 0 [heap]\n7f02-7f03 r--p 00000000 00:1 2 /lib64/ld-linux-x86-64.so.2\n7f03-7f04 r-xp 0 0:1 3 /usr/bin/node\n';
  expect(librariesOf(maps)).toEqual(['/usr/lib/libstdc++.so.6.0.30', '/lib64/ld-linux-x86-64.so.2']);
  expect(namesOf('/usr/lib/libstdc++.so.6.0.30')).toEqual(['libstdc++.so.6.0.30', 'libstdc++.so.6']);
});
