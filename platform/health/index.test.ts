import { UnavailableError } from '../errors/index.ts';
import { ready, serveHealth, type Check, type HealthServer, type Telling } from './index.ts';

const fine: Telling = { checks: {}, metrics: () => Promise.resolve({ type: 'text/plain; version=0.0.4', text: 'up 1\n' }) };
let server: HealthServer | undefined;
afterEach(async () => { await server?.close(); });

async function ask(path: string, telling: Telling = fine): Promise<readonly [number, string]> {
  server ??= await serveHealth({ ...telling, host: '127.0.0.1', port: 0 });
  server.tell(telling);
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
  return [response.status, await response.text()];
}
afterEach(() => { server = undefined; });

test.each<[string, number, string]>([['/healthz', 200, 'ok\n'], ['/healthz?verbose', 200, 'ok\n'], ['/readyz', 200, 'ok\n'], ['/metrics', 200, 'up 1\n'], ['/', 404, 'not found\n'], ['/metrics/', 404, 'not found\n'], ['/healthz/../metrics', 200, 'up 1\n']])('%s', async (path, status, text) => {
  expect(await ask(path)).toEqual([status, text]);
});

test('a page of metrics that cannot be made is an answer, without a password, and the process lives on', async () => {
  const failing: Telling = { ...fine, metrics: () => Promise.reject(new Error('collecting from postgres://u:pass-4711@db failed')) };
  expect(await ask('/metrics', failing)).toEqual([500, 'collecting from postgres://[redacted]@db failed\n']);
  expect(await ask('/metrics')).toEqual([200, 'up 1\n']);
});

test('from the moment it is told otherwise it says otherwise', async () => {
  expect(await ask('/readyz')).toEqual([200, 'ok\n']);
  expect(await ask('/readyz', { ...fine, checks: { Postgres: () => 'is away' } })).toEqual([503, 'Postgres: is away\n']);
});

test.each<[string, Readonly<Record<string, Check>>, number, string]>([
  ['no checks', {}, 200, 'ok\n'], ['one that passes', { a: () => undefined }, 200, 'ok\n'], ['one that passes later', { a: () => Promise.resolve(undefined) }, 200, 'ok\n'], ['one that fails', { a: () => 'no' }, 503, 'a: no\n'],
  ['one that throws', { a: () => { throw new UnavailableError('NATS'); } }, 503, 'a: NATS is not available\n'], ['one that rejects', { a: () => Promise.reject(new UnavailableError('NATS')) }, 503, 'a: NATS is not available\n'],
  ['several: those that fail, in their order', { a: () => 'x', b: () => undefined, c: () => Promise.resolve('y') }, 503, 'a: x\nc: y\n'],
])('readiness with %s', async (_, checks, status, text) => {
  expect(await ready(checks)).toEqual({ status, type: 'text/plain', text });
});
