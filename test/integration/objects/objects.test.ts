import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { freePort } from '../../../hack/stack/ports.ts';
import { UnavailableError } from '../../../platform/errors/index.ts';
import { openObjects, storeFault, type ObjectStore, type SignedUpload } from '../../../platform/objects/index.ts';
import { testObjects, type TestObjects } from '../../harness/objects.ts';

/** The client of the object store against a real S3 server. */

let server: TestObjects;
let store: ObjectStore;
beforeAll(async () => {
  server = await testObjects();
  store = openObjects(server.options);
});
afterAll(async () => {
  store.close();
  await server.stop();
});

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const key = (): string => `test/${randomBytes(8).toString('hex')}`;

test('what is put is got again, to the byte, with its size, type and checksum', async () => {
  const [at, content] = [key(), randomBytes(300_000)];
  await store.put(at, content, 'text/plain; charset=utf-8');
  const got = await store.get(at);
  expect(got?.size).toBe(content.length);
  expect(Buffer.compare(await buffer(got?.stream ?? Readable.from([])), content)).toBe(0);
  const head = await store.head(at);
  expect(head).toMatchObject({ size: content.length, contentType: 'text/plain; charset=utf-8' });
  expect(Buffer.from(head?.sha256 ?? [])).toEqual(sha256(content));
});

test('an empty object is an object', async () => {
  const at = key();
  await store.put(at, Buffer.alloc(0), 'text/plain');
  expect(await store.measure(at)).toEqual({ size: 0, sha256: sha256(Buffer.alloc(0)) });
});

test('what is not there is undefined, and can be removed', async () => {
  const at = key();
  expect([await store.get(at), await store.head(at), await store.measure(at)]).toEqual([undefined, undefined, undefined]);
  await store.remove([at]);
  await store.put(at, Buffer.from('a'), 'text/plain');
  await store.remove([at]);
  expect(await store.head(at)).toBeUndefined();
});

test('a prefix lists what lies below it, page after page, and run1 is not run10', async () => {
  const at = key();
  for (let from = 0; from < 1_100; from += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, i) => store.put(`${at}/run1/${String(from + i).padStart(5, '0')}`, Buffer.from('x'), 'text/plain')));
  }
  await store.put(`${at}/run10/z`, Buffer.from('x'), 'text/plain');
  const first = await store.list(`${at}/run1/`);
  expect(first.objects).toHaveLength(1_000);
  const second = await store.list(`${at}/run1/`, first.next);
  expect([second.objects.length, second.next]).toEqual([100, undefined]);
  expect(second.objects[0]).toMatchObject({ key: `${at}/run1/01000`, size: 1 });
  await store.remove([...first.objects, ...second.objects].map((entry) => entry.key));
  expect((await store.list(`${at}/`)).objects.map((entry) => entry.key)).toEqual([`${at}/run10/z`]);
});

async function upload(signed: SignedUpload, body: Uint8Array, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  const response = await fetch(signed.url, { method: signed.method, headers: { ...signed.headers, ...headers }, body });
  await response.arrayBuffer();
  return response.status;
}

describe('an upload by its signed request', () => {
  const content = randomBytes(50_000);
  const terms = { size: content.length, sha256: sha256(content), contentType: 'application/pdf', seconds: 60 };

  test('stores what was announced', async () => {
    const at = key();
    expect(await upload(await store.presignPut(at, terms), content)).toBe(200);
    expect(await store.measure(at)).toEqual({ size: content.length, sha256: sha256(content) });
    expect((await store.head(at))?.contentType).toBe('application/pdf');
  });

  test.each<[string, Uint8Array, Readonly<Record<string, string>>]>([
    ['other bytes of the same length', randomBytes(50_000), {}],
    ['other bytes with their own checksum', Buffer.alloc(50_000), { 'x-amz-checksum-sha256': sha256(Buffer.alloc(50_000)).toString('base64') }],
    ['another content type', content, { 'content-type': 'text/html' }],
  ])('is refused with %s, and nothing is there', async (_what, body, headers) => {
    const at = key();
    expect(await upload(await store.presignPut(at, terms), body, headers)).toBeGreaterThanOrEqual(400);
    expect(await store.head(at)).toBeUndefined();
  });

  test.each([['longer', Buffer.alloc(60_000)], ['shorter', Buffer.alloc(10)]])('is refused when it is %s than announced', async (_what, body) => {
    const at = key();
    const { 'content-length': _, ...headers } = (await store.presignPut(at, terms)).headers;
    const signed = { ...(await store.presignPut(at, terms)), headers };
    expect(await upload(signed, body)).toBeGreaterThanOrEqual(400);
    expect(await store.head(at)).toBeUndefined();
  });

  test('is refused without its checksum, and after its time', async () => {
    const at = key();
    const { 'x-amz-checksum-sha256': _, ...headers } = (await store.presignPut(at, terms)).headers;
    expect(await upload({ ...(await store.presignPut(at, terms)), headers }, content)).toBe(403);
    const url = new URL((await store.presignPut(at, terms)).url);
    url.searchParams.set('X-Amz-Expires', '604800');
    expect(await upload({ ...(await store.presignPut(at, terms)), url: url.toString() }, content)).toBe(403);
    expect(await store.head(at)).toBeUndefined();
  });

  test('that is cut off in the middle leaves nothing', async () => {
    const at = key();
    const { url, headers } = await store.presignPut(at, terms);
    const { hostname, port, pathname, search } = new URL(url);
    const socket = connect(Number(port), hostname);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('');
    socket.write(`PUT ${pathname}${search} HTTP/1.1\r\nhost: ${hostname}:${port}\r\n${lines}\r\n`);
    await new Promise<void>((resolve) => { socket.write(content.subarray(0, 20_000), () => { resolve(); }); });
    const closed = new Promise<void>((resolve) => { socket.once('close', () => { resolve(); }); });
    socket.destroy();
    await closed;
    expect(await store.head(at)).toBeUndefined();
    expect(await upload(await store.presignPut(at, terms), content)).toBe(200);
  });
});

test('a download is always an attachment under the name people gave, and HTML is only bytes', async () => {
  const at = key();
  await store.put(at, Buffer.from('<script>alert(1)</script>'), 'text/html');
  const url = await store.presignGet(at, { filename: 'Bericht "für"\r\nx: y/..\\ 🙂.html', contentType: 'text/html', seconds: 60 });
  const response = await fetch(url);
  expect(await response.text()).toBe('<script>alert(1)</script>');
  expect(response.headers.get('content-type')).toBe('application/octet-stream');
  expect(response.headers.get('content-disposition')).toMatch(/^attachment; filename="[ -~]+"; filename\*=UTF-8''Bericht%20%22f%C3%BCr%22%0D%0Ax%3A%20y%2F\.\.%5C%20%F0%9F%99%82\.html$/);
  expect(response.headers.get('x')).toBeNull();
  const plain = await fetch(await store.presignGet(at, { filename: 'a.txt', contentType: 'text/plain', seconds: 60 }));
  expect(plain.headers.get('content-type')).toBe('text/plain');
  await plain.arrayBuffer();
  const other = new URL(url);
  other.searchParams.set('response-content-disposition', 'inline');
  const inline = await fetch(other);
  await inline.arrayBuffer();
  expect(inline.status).toBe(403);
});

test('a public address of its own is the one that is signed', async () => {
  const elsewhere = openObjects({ ...server.options, publicEndpoint: 'https://files.example.com' });
  expect(await elsewhere.presignGet('a/b', { filename: 'b', contentType: 'text/plain', seconds: 60 })).toMatch(/^https:\/\/files\.example\.com\/rambo\/a\/b\?/);
  elsewhere.close();
});

describe('F24: a store that fails', () => {
  const verbs: readonly [string, (from: ObjectStore) => Promise<unknown>][] = [
    ['put', (from) => from.put('k', Buffer.from('a'), 'text/plain')], ['get', (from) => from.get('k')], ['head', (from) => from.head('k')],
    ['measure', (from) => from.measure('k')], ['remove', (from) => from.remove(['k'])], ['list', (from) => from.list('k')], ['ping', (from) => from.ping()],
  ];

  test('is unavailable while it is down, and answers when it is back', async () => {
    const own = await testObjects();
    const client = openObjects(own.options);
    await client.put('k', Buffer.from('a'), 'text/plain');
    await own.kill();
    for (const [, verb] of verbs) await expect(verb(client)).rejects.toThrow(UnavailableError);
    await own.restart();
    expect((await client.head('k'))?.size).toBe(1);
    client.close();
    await own.stop();
  });

  test.each(verbs)('is unavailable to %s where keys are wrong or the bucket is missing, and the cause says which', async (_name, verb) => {
    const [wrong, missing] = [openObjects({ ...server.options, secretKey: 'not-the-key' }), openObjects({ ...server.options, bucket: 'absent' })];
    const error = await verb(wrong).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(UnavailableError);
    expect(storeFault(error)).toMatchObject({ status: 403 });
    if (_name !== 'head' && _name !== 'measure') await expect(verb(missing)).rejects.toThrow(UnavailableError);
    wrong.close();
    missing.close();
  });

  test('that never answers is given up in time', async () => {
    const port = await freePort();
    const silent = createServer(() => undefined).listen(port, '127.0.0.1');
    const client = openObjects({ ...server.options, endpoint: `http://127.0.0.1:${port}`, timeoutMs: 200 });
    await expect(client.head('k')).rejects.toThrow(UnavailableError);
    client.close();
    silent.closeAllConnections();
    await new Promise((resolve) => { silent.close(resolve); });
  });
});
