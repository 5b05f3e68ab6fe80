import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { ManualClock } from '../../platform/clock/manual.ts';
import type { KubeRequest } from '../../platform/kube/client.ts';
import { KubeError } from '../../platform/kube/errors.ts';
import { Reflector, type KubeObject } from './reflector.ts';

function object(name: string, version: number, uid = `uid-${name}`): KubeObject {
  return { metadata: { name, namespace: 'ns', uid, resourceVersion: String(version) } };
}

/** An API server by hand: lists are answered from `objects`, watches are streams the test writes to. */
class Server {
  objects: KubeObject[] = [];
  version = 1;
  pageSize = 500;
  readonly lists: KubeRequest[] = [];
  readonly watches: { readonly request: KubeRequest; readonly out: PassThrough & { complete?: boolean }; readonly signal: AbortSignal }[] = [];
  fail: ((request: KubeRequest) => Error | undefined) | undefined;

  json(request: KubeRequest): Promise<unknown> {
    this.lists.push(request);
    const error = this.fail?.(request);
    if (error !== undefined) return Promise.reject(error);
    const from = Number(request.query?.['continue'] ?? 0);
    const items = this.objects.slice(from, from + this.pageSize);
    const more = from + items.length < this.objects.length;
    return Promise.resolve({ metadata: { resourceVersion: String(this.version), ...(more ? { continue: String(from + items.length) } : {}) }, items });
  }

  stream(request: KubeRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const error = this.fail?.(request);
    if (error !== undefined) return Promise.reject(error);
    const out: PassThrough & { complete?: boolean } = new PassThrough();
    signal.addEventListener('abort', () => { out.destroy(new Error('aborted')); });
    out.on('error', () => undefined);
    this.watches.push({ request, out, signal });
    return Promise.resolve(out as never);
  }

  get watch(): Server['watches'][number] {
    const last = this.watches.at(-1);
    if (last === undefined) throw new Error('nobody watches');
    return last;
  }

  send(type: string, body: unknown): void {
    this.watch.out.write(`${JSON.stringify({ type, object: body })}\n`);
  }

  /** Ends the watch as the server does when its time is up. */
  end(): void {
    this.watch.out.complete = true;
    this.watch.out.end();
  }
}

interface Rig {
  readonly server: Server;
  readonly reflector: Reflector;
  readonly clock: ManualClock;
  readonly told: string[];
  readonly counted: { relists: number; stalls: number };
  /** Lets everything that is ready run, and time pass until `holds`. */
  until(what: string, holds: () => boolean): Promise<void>;
}

const rigs: Rig[] = [];
afterEach(async () => { for (const { reflector } of rigs.splice(0)) await reflector.stop(); });

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => { setImmediate(resolve); });
}

async function start(objects: KubeObject[] = [], more: { fail?: Server['fail']; pageSize?: number; explode?: (name: string) => boolean } = {}): Promise<Rig> {
  const server = new Server();
  server.objects = objects;
  server.fail = more.fail;
  server.pageSize = more.pageSize ?? 500;
  const clock = new ManualClock();
  const told: string[] = [];
  const counted = { relists: 0, stalls: 0 };
  const tell = (text: string, name: string): void => {
    told.push(text);
    if (more.explode?.(name) === true) throw new Error('poison');
  };
  const reflector = new Reflector({
    client: server, path: '/things', resource: 'things', clock, random: () => 0.5, log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    handler: {
      changed: (o, before) => { tell(`${before === undefined ? '+' : '~'}${o.metadata.name}@${o.metadata.resourceVersion}`, o.metadata.name); },
      deleted: (o) => { tell(`-${o.metadata.name}/${o.metadata.uid}`, o.metadata.name); },
      synced: () => { told.push('synced'); },
    },
    observe: { event: () => undefined, relist: () => { counted.relists++; }, stall: () => { counted.stalls++; } },
  });
  const made: Rig = {
    server, reflector, clock, told, counted,
    until: async (what, holds) => {
      for (let i = 0; i < 400; i++) {
        await settle();
        if (holds()) return;
        clock.advance(50);
      }
      throw new Error(`waited in vain for ${what}`);
    },
  };
  rigs.push(made);
  let started = false;
  void reflector.start().then(() => { started = true; });
  await made.until('the first watch', () => started && server.watches.length > 0);
  return made;
}

test('lists in pages, tells of each object, then watches from the version of the list', async () => {
  const { server, told, reflector } = await start([object('a', 3), object('b', 4), object('c', 5)], { pageSize: 2 });
  expect(told).toEqual(['+a@3', '+b@4', '+c@5', 'synced']);
  expect(server.lists.map((list) => list.query?.['continue'])).toEqual([undefined, '2']);
  expect(server.watch.request.query).toMatchObject({ watch: 'true', allowWatchBookmarks: 'true', resourceVersion: '1' });
  expect(reflector.size).toBe(3);
  expect(Object.isFrozen(reflector.get('ns/a'))).toBe(true);
});

test('follows additions, changes and deletions in order', async () => {
  const { server, told, reflector } = await start([object('a', 1)]);
  server.send('ADDED', object('b', 2));
  server.send('MODIFIED', object('a', 3));
  server.send('DELETED', object('b', 4));
  await settle();
  expect(told.slice(2)).toEqual(['+b@2', '~a@3', '-b/uid-b']);
  expect([...reflector.values()].map((o) => o.metadata.name)).toEqual(['a']);
});

test('a watch that ends goes on from the last version seen, bookmarks included; nothing is listed or told again', async () => {
  const { server, told, until } = await start([object('a', 1)]);
  server.send('MODIFIED', object('a', 7));
  server.send('BOOKMARK', { kind: 'Thing', metadata: { resourceVersion: '19' } });
  await settle();
  server.end();
  await until('the next watch', () => server.watches.length === 2);
  expect(server.watch.request.query?.['resourceVersion']).toBe('19');
  expect(server.lists).toHaveLength(1);
  expect(told).toEqual(['+a@1', 'synced', '~a@7']);
});

test.each<[string, (rig: Rig) => void]>([
  ['is cut', ({ server }) => { server.watch.out.destroy(new Error('ECONNRESET')); }],
  ['ends in the middle of an answer', ({ server }) => { server.watch.out.end(); }],
])('a watch that %s is taken up again after a moment, without a list', async (_, fault) => {
  const made = await start([object('a', 1)]);
  fault(made);
  await settle();
  expect(made.server.watches).toHaveLength(1);
  await made.until('the next watch', () => made.server.watches.length === 2);
  expect(made.server.lists).toHaveLength(1);
});

test.each<[string, (server: Server) => void]>([
  ['410 in the stream', (server) => { server.send('ERROR', { kind: 'Status', code: 410 }); }],
  ['a line that is no JSON', (server) => { server.watch.out.write('{"type":"MODI\n'); }],
  ['an event of no known type', (server) => { server.send('WAT', {}); }],
  ['an object without metadata', (server) => { server.send('ADDED', { kind: 'Thing' }); }],
])('%s leads to a list: what vanished, what is new and what changed is told', async (_, fault) => {
  const made = await start([object('same', 1), object('gone', 2), object('changed', 3), object('again', 4)]);
  made.server.objects = [object('same', 1), object('changed', 9), object('again', 10, 'other-uid'), object('new', 11)];
  made.server.version = 12;
  made.told.length = 0;
  fault(made.server);
  await made.until('the next watch', () => made.server.watches.length === 2);
  expect(made.told).toEqual(['-gone/uid-gone', '-again/uid-again', '~changed@9', '+again@10', '+new@11', 'synced']);
  expect(made.server.watch.request.query?.['resourceVersion']).toBe('12');
  expect(made.counted.relists).toBe(1);
});

test('410 as the answer to a watch leads to a list as well', async () => {
  const made = await start([object('a', 1)]);
  let refused = false;
  made.server.fail = (request) => {
    if (request.verb !== 'watch' || refused) return undefined;
    refused = true;
    return new KubeError(410, 'Expired', 'too old');
  };
  made.server.end();
  await made.until('the next watch', () => made.server.watches.length === 2);
  expect(made.server.lists).toHaveLength(2);
});

test('an object that was deleted and made anew under its name is told as both, within one watch too', async () => {
  const { server, told } = await start([object('a', 1)]);
  server.send('MODIFIED', object('a', 5, 'second'));
  await settle();
  expect(told.slice(2)).toEqual(['-a/uid-a', '+a@5']);
});

test('500s are waited out, longer each time, and it never gives up', async () => {
  let failures = 0;
  const made = await start([], { fail: () => (failures++ < 8 ? new KubeError(500, 'InternalError', 'down') : undefined) });
  expect(failures).toBeGreaterThan(8);
  expect(made.told).toEqual(['synced']);
});

test('a watch that is open and silent is noticed and taken up again', async () => {
  const made = await start([object('a', 1)]);
  made.clock.advance(50_000);
  made.server.send('BOOKMARK', { metadata: { resourceVersion: '2' } });
  await settle();
  made.clock.advance(50_000);
  await settle();
  expect(made.counted.stalls).toBe(0);
  made.clock.advance(5_000);
  await made.until('the next watch', () => made.server.watches.length === 2);
  expect(made.counted.stalls).toBe(1);
  expect(made.server.watches[0]?.signal.aborted).toBe(true);
});

test('a handler that fails on one object does not end the watch, nor the list', async () => {
  const made = await start([object('bad', 1), object('good', 2)], { explode: (name) => name === 'bad' });
  expect(made.told).toEqual(['+bad@1', '+good@2', 'synced']);
  made.server.send('MODIFIED', object('bad', 3));
  made.server.send('MODIFIED', object('good', 4));
  await settle();
  expect(made.told.slice(3)).toEqual(['~bad@3', '~good@4']);
  expect(made.server.watches).toHaveLength(1);
});

test('poison objects by the hundred: none ends it, the next good one is seen', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.json(), { minLength: 1, maxLength: 20 }), async (bodies) => {
    const made = await start([object('a', 1)]);
    for (const body of bodies) if (!made.server.watch.out.destroyed) made.server.watch.out.write(`{"type":"MODIFIED","object":${body}}\n`);
    await settle();
    await made.until('a watch that stands', () => !made.server.watch.signal.aborted && !made.server.watch.out.destroyed);
    made.server.send('MODIFIED', object('a', 99));
    await made.until('the good one', () => made.told.includes('~a@99'));
    await made.reflector.stop();
  }), { numRuns: 20 });
});

test('stop ends the watch and leaves nothing behind', async () => {
  const { server, reflector, clock } = await start([object('a', 1)]);
  await reflector.stop();
  expect(server.watch.signal.aborted).toBe(true);
  expect(clock.pending).toBe(0);
});
