import { Agent, request, type IncomingMessage } from 'node:http';
import { runRow, uuid } from '../testing/rows.ts';
import { startTestApi, until, World } from '../testing/world.ts';
import type { TestApi } from '../testing/world.ts';

/* The subscription over real HTTP and server-sent events. */

const RUN = uuid(1);
const SUBSCRIPTION = 'subscription($id: ID!) { runChanged(id: $id) { version phase progress { done } } }';

let world: World;
let api: TestApi;
beforeEach(async () => {
  world = new World();
  world.grantAll('alice', 'team-a');
  world.runs.set(RUN, runRow(RUN));
  api = await startTestApi(world);
});
afterEach(() => api.server.stop(100));

test('the state now, every change, the end', async () => {
  const stream = await api.subscribe(SUBSCRIPTION, { id: RUN });
  expect((await stream.next()).value).toEqual({ data: { runChanged: { version: 1, phase: 'Running', progress: { done: 1 } } } });
  world.change(runRow(RUN, { version: 2, done: 2 }));
  expect((await stream.next()).value).toMatchObject({ data: { runChanged: { version: 2, progress: { done: 2 } } } });
  world.change(runRow(RUN, { version: 3, phase: 'Succeeded' }));
  expect((await stream.next()).value).toMatchObject({ data: { runChanged: { version: 3, phase: 'Succeeded' } } });
  expect((await stream.next()).done).toBe(true);
  expect([world.watching, api.server.streams]).toEqual([0, 0]);
  await until(() => world.counted.length === 1, 'one count for the whole stream');
  expect(world.counted).toEqual(['subscription runChanged OK']);
});

test('a client that goes away leaves nothing behind', async () => {
  const leave = new AbortController();
  const stream = await api.subscribe(SUBSCRIPTION, { id: RUN }, 'alice', leave.signal);
  await stream.next();
  expect([world.watching, api.server.streams]).toEqual([1, 1]);
  leave.abort();
  await until(() => world.watching === 0 && api.server.streams === 0, 'the feed is closed');
});

test('the second change is authorised like the first', async () => {
  const stream = await api.subscribe(SUBSCRIPTION, { id: RUN });
  await stream.next();
  world.grants.clear();
  world.clock.advance(10_000);
  world.change(runRow(RUN, { version: 2 }));
  expect((await stream.next()).value).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
  expect((await stream.next()).done).toBe(true);
  await until(() => world.counted.length === 1, 'counted');
  expect(world.counted).toEqual(['subscription runChanged NOT_FOUND']);
});

test('a revoked token ends a quiet stream within 60 s', async () => {
  const stream = await api.subscribe(SUBSCRIPTION, { id: RUN });
  await stream.next();
  world.tokensValid = false;
  const next = stream.next();
  let ended = false;
  void next.then(() => { ended = true; });
  for (let looks = 0; looks < 4 && !ended; looks++) {
    const before = world.reads.length;
    world.clock.advance(15_000);
    await until(() => ended || world.reads.length > before, 'it looked again');
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  expect((await next).value).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
});

test('an id that is none, a run that is none', async () => {
  for (const id of ['x', uuid(9)]) {
    const stream = await api.subscribe(SUBSCRIPTION, { id });
    expect((await stream.next()).value).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
  }
});

test('an event that fails by a fault of ours is masked too', async () => {
  world.runs.set(RUN, runRow(RUN, { counts: 'no JSON: hunter2' }));
  const stream = await api.subscribe('subscription($id: ID!) { runChanged(id: $id) { version counts { running } } }', { id: RUN });
  const { value } = await stream.next();
  expect(value).toMatchObject({ errors: [{ extensions: { code: 'INTERNAL' } }] });
  expect(JSON.stringify(value)).not.toMatch(/hunter2/);
});

test('while it lingers every request is answered, and each answer ends its connection', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = (): Promise<IncomingMessage> => new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port: api.server.port, path: '/nothing', agent }, (answer) => { answer.resume().once('end', () => { resolve(answer); }); }).once('error', reject).end();
  });
  expect((await ask()).headers.connection).toBe('keep-alive');
  api.server.linger();
  const last = await ask();
  expect([last.statusCode, last.headers.connection]).toEqual([404, 'close']);
  expect((await ask()).statusCode).toBe(404);
  agent.destroy();
});

test('shutdown completes streams and lets operations under way end', async () => {
  const stream = await api.subscribe(SUBSCRIPTION, { id: RUN });
  await stream.next();
  let release = (): void => undefined;
  world.beforeRead = () => new Promise((resolve) => { release = resolve; });
  const before = world.reads.length;
  const slow = api.query(`{ run(id: "${RUN}") { id } }`);
  await until(() => world.reads.length > before, 'the operation is under way');
  const stopped = api.server.stop(5_000);
  expect((await stream.next()).done).toBe(true);
  release();
  expect((await slow).body).toEqual({ data: { run: { id: RUN } } });
  await stopped;
  await expect(api.query('{ __typename }')).rejects.toThrow();
});
