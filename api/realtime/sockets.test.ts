import { io } from 'socket.io-client';
import type { Socket } from 'socket.io-client';
import { runRow, uuid } from '../testing/rows.ts';
import { startTestApi, until, World } from '../testing/world.ts';
import type { TestApi } from '../testing/world.ts';
import { SOCKET_RECHECK_MS, SOCKETS_PER_PRINCIPAL } from './sockets.ts';

/* The door of Socket.IO, over real connections. */

const RUN = uuid(1);
interface Heard { readonly stream: number; readonly value?: { readonly version: number; readonly phase: string }; readonly code?: string }

let world: World;
let api: TestApi;
const open: Socket[] = [];

beforeEach(async () => {
  world = new World();
  world.grantAll('alice', 'team-a');
  world.runs.set(RUN, runRow(RUN));
  api = await startTestApi(world, { corsOrigins: ['https://console.example'] });
});
afterEach(async () => {
  for (const socket of open.splice(0)) socket.disconnect();
  await api.server.stop(100);
});

function connect(options: Parameters<typeof io>[1] = {}): Socket {
  const socket = io(new URL(api.url).origin, { transports: ['websocket'], reconnection: false, forceNew: true, auth: { token: 'alice' }, ...options });
  open.push(socket);
  return socket;
}

/** A connected socket with all it hears. */
async function connected(options?: Parameters<typeof io>[1]): Promise<{ readonly socket: Socket; readonly events: Heard[]; readonly ends: Heard[] }> {
  const socket = connect(options);
  const events: Heard[] = [];
  const ends: Heard[] = [];
  socket.on('event', (event: Heard) => { events.push(event); });
  socket.on('end', (event: Heard) => { ends.push(event); });
  await new Promise<void>((resolve, reject) => { socket.once('connect', resolve).once('connect_error', reject); });
  return { socket, events, ends };
}

async function refusedWith(options: Parameters<typeof io>[1]): Promise<unknown> {
  const socket = connect(options);
  const error = await new Promise<Error & { data?: { code?: string } }>((resolve, reject) => { socket.once('connect_error', resolve).once('connect', () => { reject(new Error('let in')); }); });
  return error.data?.code ?? error.message;
}

const watch = (socket: Socket, ask: unknown): Promise<{ ok: boolean; stream?: number; code?: string; message?: string }> => socket.emitWithAck('watch', ask);

test('a run: its state now, every change, the end', async () => {
  const { socket, events, ends } = await connected();
  expect(await watch(socket, { kind: 'run', id: RUN })).toEqual({ ok: true, stream: 1 });
  await until(() => events.length === 1, 'the state now');
  world.change(runRow(RUN, { version: 2 }));
  await until(() => events.length === 2, 'the change');
  world.change(runRow(RUN, { version: 3, phase: 'Succeeded' }));
  await until(() => ends.length === 1, 'the end');
  expect(events.map(({ stream, value }) => [stream, value?.version, value?.phase])).toEqual([[1, 1, 'Running'], [1, 2, 'Running'], [1, 3, 'Succeeded']]);
  expect(Object.keys(events[0]?.value ?? {})).not.toContain('input');
  expect(ends).toEqual([{ stream: 1 }]);
  expect([world.watching, api.server.streams]).toEqual([0, 0]);
});

test('polling is not served: pages of several replicas would lose their way', async () => {
  const answer = await fetch(`${new URL(api.url).origin}/socket.io/?EIO=4&transport=polling`);
  expect(answer.status).toBe(400);
});

describe('who may', () => {
  test.each([
    ['no token', { auth: {} }], ['a token nobody has', { auth: { token: 'mallory' } }], ['no text', { auth: { token: { not: '' } } }], ['an empty one', { auth: { token: '' } }],
    ['two of them', { auth: { token: 'alice' }, extraHeaders: { authorization: 'Bearer bob' } }], ['one in the address', { auth: {}, query: { token: 'alice' } }],
  ])('%s: refused', async (_, options) => {
    expect(await refusedWith(options)).toBe('UNAUTHENTICATED');
    expect(world.counted).toContain('refused UNAUTHENTICATED');
  });
  test('a bearer header does too', async () => { expect((await connected({ auth: {}, extraHeaders: { authorization: 'Bearer alice' } })).socket.connected).toBe(true); });
  test('nobody can tell: refused as away', async () => {
    world.apiServerAway = true;
    expect(await refusedWith({})).toBe('UNAVAILABLE');
  });
  test('a page of a strange origin never gets as far as a token', async () => {
    expect(String(await refusedWith({ extraHeaders: { origin: 'https://evil.example' } }))).toMatch(/error/);
    expect(world.reviews).toBe(0);
  });
  test('a listed origin may', async () => { expect((await connected({ extraHeaders: { origin: 'https://console.example' } })).socket.connected).toBe(true); });
  test('a run of somebody else and one that is not there end alike', async () => {
    const { socket, ends } = await connected({ auth: { token: 'bob' } });
    await watch(socket, { kind: 'run', id: RUN });
    await watch(socket, { kind: 'run', id: uuid(99) });
    await until(() => ends.length === 2, 'both ends');
    expect(ends.map(({ code }) => code)).toEqual(['NOT_FOUND', 'NOT_FOUND']);
  });
  test('a right that is gone ends the stream at the next change', async () => {
    const { socket, events, ends } = await connected();
    await watch(socket, { kind: 'run', id: RUN });
    await until(() => events.length === 1, 'the state now');
    world.grants.clear();
    world.clock.advance(10_000);
    world.change(runRow(RUN, { version: 2 }));
    await until(() => ends.length === 1, 'the end');
    expect(ends[0]).toMatchObject({ code: 'NOT_FOUND' });
    expect(events).toHaveLength(1);
  });
  test('a token that is no longer valid closes the socket', async () => {
    const { socket } = await connected();
    world.tokensValid = false;
    await until(() => {
      world.clock.advance(SOCKET_RECHECK_MS);
      return !socket.connected;
    }, 'disconnected');
  });
  test('so many sockets and no more', async () => {
    for (let i = 0; i < SOCKETS_PER_PRINCIPAL; i++) await connected();
    expect(await refusedWith({})).toBe('TOO_MANY_STREAMS');
    expect((await connected({ auth: { token: 'bob' } })).socket.connected).toBe(true);
  });
});

describe('bad input', () => {
  test.each([
    [undefined], [null], ['run'], [[]], [{}], [{ kind: 'run' }], [{ kind: 'run', id: 7 }], [{ kind: '__proto__', id: RUN }], [{ kind: 'constructor', id: RUN }], [{ kind: 'run', id: RUN, extra: 1 }],
    [{ kind: 'run', id: RUN, after: -1 }], [{ kind: 'run', id: 'x'.repeat(65) }],
  ])('%j is answered, and watches nothing', async (ask) => {
    const { socket } = await connected();
    expect(await watch(socket, ask)).toMatchObject({ ok: false, code: 'BAD_USER_INPUT' });
    expect(api.server.streams).toBe(0);
  });
  test('what can be no id', async () => { expect(await watch((await connected()).socket, { kind: 'run', id: "' OR 1=1" })).toMatchObject({ ok: false, code: 'NOT_FOUND' }); });
  test('without somewhere to answer to', async () => {
    const { socket, ends } = await connected();
    socket.emit('watch', { kind: 'nothing', id: RUN });
    socket.emit('unwatch', 'x');
    socket.emit('unwatch', { stream: 9 });
    socket.emit('watch', { kind: 'run', id: uuid(99) });
    await until(() => ends.length === 1, 'still served');
  });
  test('a message that is too large costs the socket', async () => {
    const { socket } = await connected();
    socket.emit('watch', { kind: 'run', id: 'x'.repeat(100_000) });
    await until(() => !socket.connected, 'disconnected');
  });
});

test('unwatch ends one stream and not the others', async () => {
  const { socket, events, ends } = await connected();
  await watch(socket, { kind: 'run', id: RUN });
  await watch(socket, { kind: 'run', id: RUN });
  await until(() => events.length === 2, 'both states');
  socket.emit('unwatch', { stream: 1 });
  await until(() => ends.length === 1, 'the end of one');
  world.change(runRow(RUN, { version: 2 }));
  await until(() => events.length === 3, 'the other goes on');
  expect([ends[0]?.stream, events[2]?.stream, api.server.streams]).toEqual([1, 2, 1]);
});

test('a page that goes away leaves nothing behind', async () => {
  const { socket, events } = await connected();
  await watch(socket, { kind: 'run', id: RUN });
  await until(() => events.length === 1, 'the state now');
  socket.disconnect();
  await until(() => world.watching === 0 && api.server.streams === 0, 'nothing watched');
});

test('a server that stops tells the pages', async () => {
  const { socket } = await connected();
  const why = new Promise((resolve) => { socket.once('disconnect', resolve); });
  await api.server.stop(100);
  expect(await why).toMatch(/disconnect|close/);
});
