import { PassThrough } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import { ManualClock } from '../../platform/clock/manual.ts';
import { KubeError } from '../../platform/kube/errors.ts';
import type { KubeRequest } from '../../platform/kube/client.ts';
import { Reflector, type KubeObject } from './reflector.ts';

const META = { namespace: 'a', resourceVersion: '1' };
const object = (name: string, uid: string, version: number): KubeObject => ({ metadata: { ...META, name, uid, resourceVersion: String(version) } });
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** A watch as the server holds it. */
interface Open { readonly stream: PassThrough; readonly from: string; readonly signal: AbortSignal }

/** A reflector against a server that does what the test says. */
class World {
  readonly clock = new ManualClock();
  readonly told: string[] = [];
  readonly watches: Open[] = [];
  readonly lists: string[] = [];
  stalls = 0;
  relists = 0;
  items: KubeObject[] = [];
  version = 1;
  broken: 'none' | 'list' | 'watch' = 'none';
  poison = '';
  readonly reflector: Reflector;

  constructor() {
    this.reflector = new Reflector({
      client: { json: (request) => this.#list(request), stream: (request, signal) => this.#watch(request, signal) },
      path: '/apis/x', resource: 'things', clock: this.clock, random: () => 0.5, log: silent,
      observe: { event: () => undefined, relist: () => { this.relists++; }, stall: () => { this.stalls++; } },
      handler: {
        changed: (now, before) => { if (now.metadata.name === this.poison) throw new Error('bug'); this.told.push(`${before === undefined ? 'add' : 'change'} ${now.metadata.uid}`); },
        deleted: (last) => { this.told.push(`delete ${last.metadata.uid}`); },
        synced: () => { this.told.push('synced'); },
      },
    });
  }

  async #list(request: KubeRequest): Promise<unknown> {
    this.lists.push(request.path);
    if (this.broken === 'list') throw new KubeError(500, 'InternalError', 'broken');
    return { metadata: { resourceVersion: String(this.version) }, items: this.items };
  }

  async #watch(request: KubeRequest, signal: AbortSignal): Promise<IncomingMessage> {
    if (this.broken === 'watch') throw new KubeError(500, 'InternalError', 'broken');
    const stream = Object.assign(new PassThrough(), { complete: true });
    signal.addEventListener('abort', () => { stream.destroy(new Error('aborted')); });
    stream.on('error', () => undefined);
    this.watches.push({ stream, from: request.query?.['resourceVersion'] ?? '', signal });
    // The reflector reads it as a stream of bytes and asks whether it is complete.
    return stream as unknown as IncomingMessage;
  }

  get watch(): Open {
    const last = this.watches.at(-1);
    if (last === undefined) throw new Error('no watch is open');
    return last;
  }

  send(type: string, what: object): void {
    this.watch.stream.write(`${JSON.stringify({ type, object: what })}\n`);
  }

  /** Lets everything happen that needs no time. */
  async turn(): Promise<void> {
    for (let i = 0; i < 10; i++) await new Promise((resolve) => { setImmediate(resolve); });
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.turn();
  }

  async start(...items: KubeObject[]): Promise<void> {
    this.items = items;
    await this.reflector.start();
    await this.turn();
  }
}

let world: World;
beforeEach(() => { world = new World(); });
afterEach(async () => { await world.reflector.stop(); });

test('tells what is there, then every change, from the version of the list on', async () => {
  await world.start(object('x', 'x1', 1));
  expect(world.told).toEqual(['add x1', 'synced']);
  expect(world.watch.from).toBe('1');
  world.send('ADDED', object('y', 'y1', 2));
  world.send('MODIFIED', object('x', 'x1', 3));
  world.send('DELETED', object('y', 'y1', 4));
  await world.turn();
  expect(world.told.slice(2)).toEqual(['add y1', 'change x1', 'delete y1']);
  expect(world.reflector.size).toBe(1);
});

test.each<[string, () => void]>([
  ['a line that is no JSON', () => world.watch.stream.write('{"type":"MODIFIED","object":{"kind":"Half\n')],
  ['the word that our version is too old', () => { world.send('ERROR', { kind: 'Status', code: 410 }); }],
  ['an object without metadata', () => { world.send('ADDED', { kind: 'Thing' }); }],
])('%s: the list is read again; what was made anew under its name is told as deleted and new', async (_, spoil) => {
  await world.start(object('x', 'x1', 1), object('z', 'z1', 1));
  world.items = [object('x', 'x2', 8), object('z', 'z1', 1)];
  world.version = 9;
  spoil();
  await world.turn();
  await world.pass(1_000);
  expect(world.told.slice(3)).toEqual(['delete x1', 'add x2', 'synced']);
  expect(world.watch.from).toBe('9');
  expect(world.relists).toBe(1);
});

test('a watch that breaks is opened again from the last version seen, a bookmark counts', async () => {
  await world.start(object('x', 'x1', 1));
  world.send('BOOKMARK', { metadata: { name: '', resourceVersion: '17' } });
  await world.turn();
  world.watch.stream.destroy(new Error('reset'));
  await world.turn();
  await world.pass(1_000);
  expect(world.watches.map(({ from }) => from)).toEqual(['1', '17']);
  expect(world.lists).toHaveLength(1);
});

test('a watch that is open and says nothing is noticed within a minute', async () => {
  await world.start(object('x', 'x1', 1));
  await world.pass(54_000);
  expect(world.watches).toHaveLength(1);
  await world.pass(1_000);
  await world.pass(100);
  expect(world.watches).toHaveLength(2);
  expect([world.stalls, world.lists.length]).toEqual([1, 1]);
  expect(world.watches[0]?.signal.aborted).toBe(true);
});

test('an event that never arrived comes to light when the list is read anew', async () => {
  await world.start(object('x', 'x1', 1));
  world.items = [object('x', 'x1', 1), object('lost', 'l1', 5)];
  world.version = 30;
  for (let passed = 0; passed < 600_000; passed += 20_000) {
    world.send('BOOKMARK', { metadata: { name: '', resourceVersion: '20' } });
    await world.turn();
    expect(world.told).toEqual(['add x1', 'synced']);
    await world.pass(20_000);
  }
  await world.pass(100);
  expect(world.told.slice(2)).toEqual(['add l1', 'synced']);
});

test('a server that refuses, or ends every watch at once, is asked ever more slowly', async () => {
  await world.start();
  for (const [broken, most] of [['watch', 25], ['none', 61]] as const) {
    world.broken = broken;
    const before = world.watches.length;
    for (let i = 0; i < 600; i++) {
      if (broken === 'none') world.watch.stream.end();
      await world.pass(100);
    }
    expect(world.watches.length - before).toBeLessThanOrEqual(most);
  }
});

test('a list that fails is asked for again, and start resolves once it worked', async () => {
  world.broken = 'list';
  let started = false;
  void world.reflector.start().then(() => { started = true; });
  await world.turn();
  expect(started).toBe(false);
  world.broken = 'none';
  await world.pass(100);
  expect(started).toBe(true);
});

test('what a handler throws costs one object and nothing else', async () => {
  world.poison = 'bad';
  await world.start(object('bad', 'b1', 1), object('x', 'x1', 1));
  world.send('MODIFIED', object('bad', 'b1', 2));
  world.send('MODIFIED', object('x', 'x1', 3));
  await world.turn();
  expect(world.told).toEqual(['add x1', 'synced', 'change x1']);
  expect(world.lists).toHaveLength(1);
});
