import { createHash, randomBytes } from 'node:crypto';
import { BIN_AGE_MS, sweepFiles, UPLOAD_AGE_MS } from '../../../api/file/sweep.ts';
import { UnavailableError } from '../../../platform/errors/index.ts';
import { openObjects, type ObjectStore } from '../../../platform/objects/index.ts';
import { testObjects, type TestObjects } from '../../harness/objects.ts';
import { type Entry, type Person, type Reply, Site } from './site.ts';

/** Files of projects: over HTTP, with a real Postgres and a real object store. */

let site: Site;
let server: TestObjects;
let objects: ObjectStore;
let who: Person;
let projectId: string;
beforeAll(async () => {
  server = await testObjects();
  objects = openObjects(server.options);
  site = await Site.start(() => ({ objects }));
  who = await site.person('MANAGER');
});
beforeEach(async () => { projectId = (await site.project(who)).id; });
afterAll(async () => {
  await site.stop();
  objects.close();
  await server.stop();
});

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function ok(reply: Promise<Reply>): Promise<Entry> {
  const { status, body } = await reply;
  if (status >= 300) throw new Error(`${status} ${JSON.stringify(body)}`);
  return body;
}

function announce(name: string, content: Uint8Array, over: object = {}): Promise<Reply> {
  return site.rest(who, 'POST', `/projects/${projectId}/files`, { name, contentType: 'text/plain', size: content.length, sha256: sha256(content), ...over });
}

async function put(upload: Entry, content: Uint8Array): Promise<number> {
  const response = await fetch(upload.url, { method: upload.method, headers: upload.headers, body: Buffer.from(content) });
  await response.arrayBuffer();
  return response.status;
}

async function uploaded(name: string, content: Uint8Array = Buffer.from(name), over: object = {}): Promise<Entry> {
  const upload = await ok(announce(name, content, over));
  expect(await put(upload, content)).toBe(200);
  return ok(site.rest(who, 'POST', `/files/${upload.id}/complete`));
}

async function folder(name: string, parentId: string | null = null): Promise<Entry> {
  return ok(site.rest(who, 'POST', `/projects/${projectId}/folders`, { name, parentId }));
}

async function names(parentId?: string): Promise<readonly string[]> {
  return (await ok(site.rest(who, 'GET', `/projects/${projectId}/files?first=100${parentId === undefined ? '' : `&parentId=${parentId}`}`))).items.map((item: Entry) => item.name);
}

describe('an upload', () => {
  const content = randomBytes(20_000);

  test('is announced, uploaded and completed; then it can be downloaded, as an attachment from another origin', async () => {
    const upload = await ok(announce('Bericht ü.html', content, { contentType: 'text/html' }));
    expect(upload.file).toMatchObject({ status: 'PENDING', size: 20_000, sha256: sha256(content) });
    expect(await put(upload, content)).toBe(200);
    const file = await ok(site.rest(who, 'POST', `/files/${upload.id}/complete`));
    expect(file).toMatchObject({ status: 'READY', version: 2 });
    expect(await ok(site.rest(who, 'POST', `/files/${upload.id}/complete`))).toEqual(file);
    const { url } = await ok(site.rest(who, 'GET', `/files/${file.id}/download`));
    expect(new URL(url).origin).not.toBe(site.url);
    const response = await fetch(url);
    expect(Buffer.from(await response.arrayBuffer()).equals(content)).toBe(true);
    expect([response.headers.get('content-type'), response.headers.get('content-disposition')]).toEqual(['application/octet-stream', expect.stringMatching(/^attachment; /) as string]);
  });

  test('of nothing, of half or of something else does not become READY', async () => {
    const upload = await ok(announce('a', content));
    expect(await site.rest(who, 'POST', `/files/${upload.id}/complete`)).toMatchObject({ status: 409, body: { detail: expect.stringMatching(/nothing was uploaded/) as string } });
    expect(await put(upload, content.subarray(0, 100)).catch(() => 0)).not.toBe(200);
    expect(await put(upload, randomBytes(20_000))).toBeGreaterThanOrEqual(400);
    // What reached the store by another way is measured, not believed.
    const row = await site.gateway.read((db) => db.file.findUniqueOrThrow({ where: { id: upload.id } }));
    await objects.put(row.objectKey ?? '', Buffer.from('other'), 'text/plain');
    expect(await site.rest(who, 'POST', `/files/${upload.id}/complete`)).toMatchObject({ status: 409, body: { code: 'CONFLICT', detail: expect.stringMatching(/5 bytes/) as string } });
    expect(await site.rest(who, 'GET', `/files/${upload.id}/download`)).toMatchObject({ status: 409 });
    expect((await ok(site.rest(who, 'GET', `/files/${upload.id}`))).status).toBe('PENDING');
  });

  test.each<[string, object]>([['a size that is negative', { size: -1 }], ['one over 100 MiB', { size: 104_857_601 }], ['no checksum', { sha256: 'x' }], ['a media type with a newline', { contentType: 'text/plain\r\nx: y' }], ['a field of ours', { objectKey: 'k' }]])('with %s is refused', async (_what, over) => {
    expect(await announce('a', content, over)).toMatchObject({ status: 400, body: { code: 'BAD_USER_INPUT' } });
  });
});

describe('names (table 4.7)', () => {
  test.each(['../../etc/passwd', '..', '.', '', '/absolute', 'a\\b', 'a\0b', 'a\nb', ' ', 'x'.repeat(1_025), 'ü'.repeat(600)])('%j is refused', async (name) => {
    expect(await site.rest(who, 'POST', `/projects/${projectId}/folders`, { name })).toMatchObject({ status: 400 });
    expect(await announce(name, Buffer.from('x'))).toMatchObject({ status: 400 });
  });

  test.each(['%2e%2e%2f', '<script>alert(1)</script>.svg'.replaceAll('/', '-'), '"; rm -rf ~; "', '--upload-pack=x', 'naïve 🙂.txt'])('%j is a name like any other, and no part of the key', async (name) => {
    const file = await uploaded(name);
    expect(file.name).toBe(name);
    const row = await site.gateway.read((db) => db.file.findUniqueOrThrow({ where: { id: file.id } }));
    expect(row.objectKey).toMatch(/^projects\/[0-9a-f-]{36}\/files\/[0-9a-f-]{36}$/);
    const { url } = await ok(site.rest(who, 'GET', `/files/${file.id}/download`));
    expect((await fetch(url)).headers.get('content-disposition')).toMatch(/^attachment; filename="[ -~]*"; filename\*=UTF-8''[A-Za-z0-9%._~!-]+$/);
  });

  test('twins that only differ in how they are composed are one name', async () => {
    await folder('e\u0301');
    expect(await names()).toEqual(['\u00e9']);
    expect(await site.rest(who, 'POST', `/projects/${projectId}/folders`, { name: '\u00e9' })).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
  });

  test('two at once: one has the name', async () => {
    const replies = await Promise.all(Array.from({ length: 6 }, () => site.rest(who, 'POST', `/projects/${projectId}/folders`, { name: 'same' })));
    expect(replies.map((reply) => reply.status).sort()).toEqual([201, 409, 409, 409, 409, 409]);
  });
});

describe('folders', () => {
  test('hold files, are listed page by page, and are moved and renamed with what is in them', async () => {
    const [a, b] = [await folder('a'), await folder('b')];
    const file = await uploaded('f.txt', Buffer.from('x'), { parentId: a.id });
    expect([await names(), await names(a.id)]).toEqual([['a', 'b'], ['f.txt']]);
    const first = await ok(site.rest(who, 'GET', `/projects/${projectId}/files?first=1`));
    expect((await ok(site.rest(who, 'GET', `/projects/${projectId}/files?first=1&after=${first.nextCursor}`))).items).toMatchObject([{ name: 'b' }]);
    const renamed = await ok(site.rest(who, 'PATCH', `/files/${a.id}`, { version: 1, name: 'A' }));
    await ok(site.rest(who, 'POST', `/files/${a.id}/move`, { version: renamed.version, parentId: b.id }));
    expect([await names(), await names(b.id), await names(a.id)]).toEqual([['b'], ['A'], ['f.txt']]);
    expect(await site.rest(who, 'POST', `/files/${a.id}/move`, { version: 1, parentId: null })).toMatchObject({ status: 409, body: { detail: expect.stringMatching(/version 3, not 1/) as string } });
    expect(await site.rest(who, 'POST', `/files/${b.id}/move`, { version: 1, parentId: a.id })).toMatchObject({ status: 409, body: { detail: expect.stringMatching(/lies in it/) as string } });
    expect(await site.rest(who, 'POST', `/files/${b.id}/move`, { version: 1, parentId: file.id })).toMatchObject({ status: 404 });
  });

  test('two moves at once never close a ring', async () => {
    for (let round = 0; round < 5; round++) {
      const [a, b] = [await folder(`a${round}`), await folder(`b${round}`)];
      const moves = await Promise.all([site.rest(who, 'POST', `/files/${a.id}/move`, { version: 1, parentId: b.id }), site.rest(who, 'POST', `/files/${b.id}/move`, { version: 1, parentId: a.id })]);
      expect(moves.map((move) => move.status).sort()).toEqual([200, 409]);
    }
  });

  test('of another project or area are out of reach', async () => {
    const other = (await site.project(who)).id;
    const foreign = await ok(site.rest(who, 'POST', `/projects/${other}/folders`, { name: 'x' }));
    const documents = await ok(site.rest(who, 'POST', `/projects/${projectId}/folders`, { name: 'x', area: 'REQUIREMENTS' }));
    for (const parentId of [foreign.id, documents.id]) expect(await announce('a', Buffer.from('x'), { parentId })).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
  });

  test('33 of them within one another are too many', async () => {
    let parentId: string | null = null;
    for (let level = 0; level < 32; level++) parentId = (await folder('f', parentId)).id;
    expect(await site.rest(who, 'POST', `/projects/${projectId}/folders`, { name: 'f', parentId })).toMatchObject({ status: 409 });
    const top = await folder('top');
    const below = await folder('below', top.id);
    expect(await site.rest(who, 'POST', `/files/${top.id}/move`, { version: 1, parentId: (await site.gateway.read((db) => db.file.findUniqueOrThrow({ where: { id: parentId ?? '' } }))).parentId })).toMatchObject({ status: 409 });
    expect(below.parentId).toBe(top.id);
  });

  test('are deleted and restored with what is in them, but for what was deleted before', async () => {
    const top = await folder('top');
    const inner = await folder('inner', top.id);
    const [kept, gone] = [await uploaded('kept', Buffer.from('k'), { parentId: inner.id }), await uploaded('gone', Buffer.from('g'), { parentId: inner.id })];
    await ok(site.rest(who, 'DELETE', `/files/${gone.id}`));
    await ok(site.rest(who, 'DELETE', `/files/${top.id}`));
    for (const { id } of [top, inner, kept, gone]) expect((await site.rest(who, 'GET', `/files/${id}`)).status).toBe(404);
    expect(await site.rest(who, 'POST', `/files/${inner.id}/restore`)).toMatchObject({ status: 409, body: { detail: expect.stringMatching(/restore that first/) as string } });
    await folder('top');
    expect(await site.rest(who, 'POST', `/files/${top.id}/restore`)).toMatchObject({ status: 409, body: { detail: expect.stringMatching(/named "top"/) as string } });
    await ok(site.rest(who, 'DELETE', `/files/${(await ok(site.rest(who, 'GET', `/projects/${projectId}/files`))).items[0].id}`));
    await ok(site.rest(who, 'POST', `/files/${top.id}/restore`));
    expect([await names(), await names(inner.id)]).toEqual([['top'], ['kept']]);
  });
});

describe('the wrong user', () => {
  const cases = (file: Entry, folderId: string): readonly (readonly [string, string, object?])[] => [
    ['GET', `/files/${file.id}`], ['GET', `/files/${file.id}/download`], ['GET', `/projects/${projectId}/files`], ['POST', `/projects/${projectId}/folders`, { name: 'x' }],
    ['POST', `/projects/${projectId}/files`, { name: 'x', contentType: 'text/plain', size: 1, sha256: '0'.repeat(64) }], ['POST', `/files/${file.id}/complete`], ['PATCH', `/files/${file.id}`, { version: 1, name: 'y' }],
    ['POST', `/files/${file.id}/move`, { version: 1, parentId: folderId }], ['DELETE', `/files/${file.id}`], ['POST', `/files/${file.id}/restore`],
  ];

  test('owner of another project: nothing is there', async () => {
    const [file, { id }] = [await uploaded('f'), await folder('d')];
    const stranger = await site.person('MANAGER');
    for (const [method, path, body] of cases(file, id)) expect([path, (await site.rest(stranger, method, path, body)).status]).toEqual([path, 404]);
    for (const [method, path, body] of cases(file, id)) expect([path, (await site.rest(undefined, method, path, body)).status]).toEqual([path, 401]);
  });

  test('a viewer of the project reads, an agent uploads too, neither changes', async () => {
    const [file, { id }] = [await uploaded('f'), await folder('d')];
    for (const [role, allowed] of [['VIEWER', [200, 200, 200]], ['AGENT', [200, 200, 200, 201, 201, 200]]] as const) {
      const member = await site.person('DEVELOPER');
      await site.member(projectId, member, role);
      const statuses = [];
      for (const [method, path, body] of cases(file, id)) statuses.push((await site.rest(member, method, path, body === undefined ? undefined : 'name' in body ? { ...body, name: role } : body)).status);
      // What is not deleted cannot be restored, so the last one is not there for anybody.
      const least = [...allowed, ...Array.from({ length: 9 - allowed.length }, () => 403), 404];
      expect(statuses.map((status, i) => (role === 'AGENT' && i === 4 ? 201 : status))).toEqual(least);
    }
  });
});

describe('F24: the object store', () => {
  test('is away: files say so, folders and lists go on', async () => {
    const file = await uploaded('f');
    const upload = await ok(announce('late', Buffer.from('late')));
    await server.kill();
    try {
      expect(await site.rest(who, 'POST', `/files/${upload.id}/complete`)).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } });
      expect((await folder('still')).name).toBe('still');
      expect(await names()).toEqual(['f', 'late', 'still']);
      expect((await ok(site.rest(who, 'GET', `/files/${file.id}`))).status).toBe('READY');
    } finally {
      await server.restart();
    }
    expect(await put(upload, Buffer.from('late'))).toBe(200);
    expect((await ok(site.rest(who, 'POST', `/files/${upload.id}/complete`))).status).toBe('READY');
  });

  test('was never set up: uploads and downloads say who can change that', async () => {
    const bare = await Site.start(() => ({ objects: undefined }));
    const owner = await bare.person();
    const { id } = await bare.project(owner);
    const reply = await bare.rest(owner, 'POST', `/projects/${id}/files`, { name: 'a', contentType: 'text/plain', size: 1, sha256: '0'.repeat(64) });
    expect(reply).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE', detail: expect.stringMatching(/no object store.*values of the chart/) as string } });
    expect((await bare.rest(owner, 'POST', `/projects/${id}/folders`, { name: 'a' })).status).toBe(201);
    await bare.stop();
  });
});

describe('the sweep', () => {
  const sweep = (ms: number): Promise<number> => sweepFiles({ gateway: site.gateway, objects, clock: { now: () => Date.now() + ms } });

  test('takes uploads that were never completed after a day, with what was uploaded', async () => {
    await sweep(10 * BIN_AGE_MS);
    const [ready, pending] = [await uploaded('ready'), await ok(announce('never', Buffer.from('never')))];
    expect(await put(pending, Buffer.from('never'))).toBe(200);
    const key = `projects/${projectId}/files/${pending.id}`;
    expect(await sweep(UPLOAD_AGE_MS - 60_000)).toBe(0);
    expect(await objects.head(key)).toBeDefined();
    expect(await sweep(UPLOAD_AGE_MS + 60_000)).toBe(1);
    expect([await names(), await objects.head(key)]).toEqual([['ready'], undefined]);
    expect(await objects.head(`projects/${projectId}/files/${ready.id}`)).toBeDefined();
  });

  test('takes what lay in the bin for 30 days, folders after what is in them', async () => {
    await sweep(10 * BIN_AGE_MS);
    const top = await folder('top');
    const file = await uploaded('f', Buffer.from('f'), { parentId: (await folder('inner', top.id)).id });
    await ok(site.rest(who, 'DELETE', `/files/${top.id}`));
    expect(await sweep(BIN_AGE_MS - 60_000)).toBe(0);
    expect(await sweep(BIN_AGE_MS + 60_000)).toBe(3);
    expect(await objects.head(`projects/${projectId}/files/${file.id}`)).toBeUndefined();
    expect(await site.gateway.read((db) => db.file.count({ where: { projectId } }))).toBe(0);
  });

  test('takes nothing while the store is away', async () => {
    const pending = await ok(announce('never', Buffer.from('never')));
    await server.kill();
    try {
      await expect(sweep(10 * UPLOAD_AGE_MS)).rejects.toThrow(UnavailableError);
      expect((await site.rest(who, 'GET', `/files/${pending.id}`)).status).toBe(200);
    } finally {
      await server.restart();
    }
  });
});
