import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { capped, guardedFetch, NotSentError, type GuardOptions } from './fetch.ts';

let server: Server;
let base: string;
const seen: string[] = [];
beforeAll(async () => {
  server = createServer((request, response) => {
    seen.push(`${request.method ?? ''} ${request.url ?? ''} ${request.headers.host ?? ''}`);
    if (request.url === '/away') response.writeHead(302, { location: '/' }).end();
    else if (request.url === '/empty') response.writeHead(204).end();
    else if (request.url === '/broken') response.destroy();
    else if (request.url === '/long') response.writeHead(200).end('x'.repeat(100_000));
    else {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => { chunks.push(chunk); }).on('end', () => {
        response.writeHead(200, { 'content-type': 'application/json', 'set-cookie': ['a=1', 'b=2'] }).end(JSON.stringify({ method: request.method, body: Buffer.concat(chunks).toString(), key: request.headers['x-key'] }));
      });
    }
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => { server.closeAllConnections(); server.close(); });
beforeEach(() => { seen.length = 0; });

async function using<T>(options: Partial<GuardOptions>, use: (fetch: ReturnType<typeof guardedFetch>) => Promise<T>): Promise<T> {
  const fetch = guardedFetch({ allow: ['127.0.0.1'], ...options });
  try {
    return await use(fetch);
  } finally {
    fetch.close();
  }
}

test('body, headers and answer go through', async () => {
  await using({}, async (fetch) => {
    const response = await fetch(`${base}/x`, { method: 'POST', headers: { 'x-key': 'k' }, body: 'héllo' });
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect(await response.json()).toEqual({ method: 'POST', body: 'héllo', key: 'k' });
    expect((await fetch(`${base}/empty`)).status).toBe(204);
  });
});

test('a redirect is an answer and is not followed', async () => {
  await using({}, async (fetch) => {
    const response = await fetch(`${base}/away`);
    expect([response.status, response.headers.get('location')]).toEqual([302, '/']);
    expect(seen).toHaveLength(1);
  });
});

test.each<readonly [string, string, Partial<GuardOptions>]>([
  ['a private address', 'http://10.0.0.1/', {}], ['loopback that is not allowed', 'http://127.0.0.1/', { allow: [] }], ['IPv6 loopback', 'http://[::1]/', {}], ['link-local, allowed or not', 'http://169.254.169.254/', { allow: ['169.254.0.0/16', '169.254.169.254'] }],
  ['link-local of IPv6', 'http://[fe80::1]/', { allow: ['fe80::/10'] }], ['mapped link-local', 'http://[::ffff:169.254.169.254]/', { allow: ['169.254.0.0/16'] }],
  ['a name that leads to a private address', 'http://example.com/', { resolve: async () => [{ address: '192.168.1.1', family: 4 }] }],
  ['a name that leads to the cloud', 'http://example.com/', { allow: ['example.com'], resolve: async () => [{ address: '169.254.169.254', family: 4 }] }],
  ['a Service of another namespace', 'http://db.team-b.svc/', { serviceNamespace: 'team-a', resolve: async () => [{ address: '10.1.1.1', family: 4 }] }],
  ['a name that only ends like a Service', 'http://evil.team-a.svc.example.com/', { serviceNamespace: 'team-a', resolve: async () => [{ address: '10.1.1.1', family: 4 }] }],
  ['another protocol', 'data:text/plain,x', {}],
])('%s is refused before anything is sent', async (_what, url, options) => {
  await using(options, async (fetch) => { await expect(fetch(url)).rejects.toMatchObject({ constructor: NotSentError, code: 'AddressRefused' }); });
});

test.each(['db.team-a.svc', 'db.team-a.svc.cluster.local'])('%s, a Service of the own namespace, is dialled at the address that was checked', async (host) => {
  let asked = 0;
  const resolve = async (): Promise<readonly { address: string; family: number }[]> => [{ address: asked++ === 0 ? '127.0.0.1' : '169.254.169.254', family: 4 }];
  await using({ allow: [], serviceNamespace: 'team-a', resolve }, async (fetch) => {
    expect((await fetch(`http://${host}:${new URL(base).port}/x`)).status).toBe(200);
    expect(seen).toEqual([`GET /x ${host}:${new URL(base).port}`]);
    // The name answers differently now: what was kept open does not help.
    await expect(fetch(`http://${host}:${new URL(base).port}/x`)).rejects.toMatchObject({ code: 'AddressRefused' });
  });
});

test('nobody there: nothing was sent; a connection that breaks: something may have been', async () => {
  await using({}, async (fetch) => {
    await expect(fetch('http://127.0.0.1:9/')).rejects.toMatchObject({ constructor: NotSentError, code: 'Unreachable' });
    const broken = await fetch(`${base}/broken`).catch((error: unknown) => error);
    expect(broken).toMatchObject({ code: 'ECONNRESET' });
    expect(broken).not.toBeInstanceOf(NotSentError);
  });
});

test('an abort ends the request', async () => {
  await using({}, async (fetch) => { await expect(fetch(`${base}/x`, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i); });
});

test('an answer over its cap cannot be read', async () => {
  await using({}, async (fetch) => {
    expect((await capped(await fetch(`${base}/long`), 100_000).text()).length).toBe(100_000);
    await expect(capped(await fetch(`${base}/long`), 99_999).text()).rejects.toMatchObject({ code: 'ResultTooLarge' });
  });
});
