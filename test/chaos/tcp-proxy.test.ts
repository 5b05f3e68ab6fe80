import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { TcpProxy } from './tcp-proxy.ts';

/* A server that answers each request with itself in capitals, and remembers what it got. */
let server: Server;
let got: string[];
let proxy: TcpProxy;
beforeEach(async () => {
  got = [];
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => { got.push(chunk.toString()); socket.write(chunk.toString().toUpperCase()); });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  proxy = await TcpProxy.start((server.address() as AddressInfo).port);
});
afterEach(async () => {
  await proxy.close();
  await new Promise((resolve) => { server.close(resolve); });
});

function client(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(proxy.port, '127.0.0.1', () => { resolve(socket); });
    socket.once('error', reject);
  });
}

/** What comes back within a moment: text, or how the connection ended. */
function answer(socket: Socket, withinMs = 2_000): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const timer = setTimeout(() => { resolve(text === '' ? 'silence' : text); }, withinMs);
    socket.on('data', (chunk) => { text += chunk.toString(); if (text.length >= 5) { clearTimeout(timer); resolve(text); } });
    socket.on('error', (error: NodeJS.ErrnoException) => { clearTimeout(timer); resolve(`${text}|${error.code ?? ''}`); });
  });
}

async function ask(text = 'hello', withinMs?: number): Promise<string> {
  const socket = await client();
  const heard = answer(socket, withinMs);
  socket.write(text);
  const result = await heard;
  socket.destroy();
  return result;
}

test('passes requests and answers when nothing is wrong', async () => {
  expect(await ask()).toBe('HELLO');
});

test('a lost request is not carried out', async () => {
  proxy.loseRequest();
  expect(await ask()).toBe('|ECONNRESET');
  expect(got).toEqual([]);
  expect(await ask()).toBe('HELLO');
  expect(proxy.sprung).toBe(1);
});

test('a lost answer: the request was carried out, and only once', async () => {
  proxy.loseAnswer();
  expect(await ask()).toBe('|ECONNRESET');
  expect(got).toEqual(['hello']);
  expect(await ask()).toBe('HELLO');
});

test('an answer that breaks off in the middle', async () => {
  proxy.cutAnswer();
  expect(['HEL|ECONNRESET', '|ECONNRESET']).toContain(await ask());
  expect(got).toEqual(['hello']);
});

test('frozen: silence, then everything arrives', async () => {
  const socket = await client();
  proxy.freeze(true);
  socket.write('hello');
  expect(await answer(socket, 150)).toBe('silence');
  const later = answer(socket);
  proxy.freeze(false);
  expect(await later).toBe('HELLO');
  socket.destroy();
});

test('a connection that comes while it is frozen is frozen too', async () => {
  proxy.freeze(true);
  const socket = await client();
  socket.write('hello');
  expect(await answer(socket, 150)).toBe('silence');
  expect(got).toEqual([]);
  const later = answer(socket);
  proxy.heal();
  expect(await later).toBe('HELLO');
  socket.destroy();
});

test('cut resets what stands; refused resets what comes', async () => {
  const socket = await client();
  const heard = answer(socket);
  socket.write('hello');
  expect(await heard).toBe('HELLO');
  const end = answer(socket);
  proxy.cut();
  expect(await end).toBe('|ECONNRESET');
  proxy.refuse(true);
  expect(await ask('hello', 500).catch((error: unknown) => `|${String(Reflect.get(Object(error), 'code'))}`)).toBe('|ECONNRESET');
  proxy.heal();
  expect(await ask()).toBe('HELLO');
});

test('delay holds every chunk up', async () => {
  proxy.delay(100);
  const began = performance.now();
  expect(await ask()).toBe('HELLO');
  expect(performance.now() - began).toBeGreaterThan(190);
});
