import { ManualClock } from '../../platform/clock/manual.ts';
import { UnavailableError } from '../../platform/errors/index.ts';
import type { RunRecord } from '../../prisma/store/index.ts';
import { ApiError } from '../errors.ts';
import { runRow, uuid } from '../testing/rows.ts';
import { RunFeed } from './run-feed.ts';
import { RECHECK_MS } from './watched-feed.ts';
import { Streams, STREAMS_PER_PRINCIPAL } from './streams.ts';

const RUN = uuid(1);
const flush = async (): Promise<void> => { for (let i = 0; i < 20; i++) await Promise.resolve(); };

function setUp(first = runRow(RUN)) {
  const clock = new ManualClock();
  const world = {
    row: first as RunRecord | undefined, allowed: true, reads: 0, order: [] as string[], closed: 0, ended: 0,
    wake: (): void => { throw new Error('nobody listens'); },
    beforeRead: (): Promise<void> => Promise.resolve(),
    watch: (): Promise<void> => Promise.resolve(),
  };
  const feed = new RunFeed({
    clock,
    runs: { run: async () => {
      world.order.push('read');
      world.reads += 1;
      const { row } = world; // what the database had when it was asked
      await world.beforeRead();
      return row;
    } },
    notices: { watch: async (_, wake) => {
      world.order.push('watch');
      await world.watch();
      world.wake = wake;
      return { close: () => { world.closed += 1; } };
    } },
    mayWatch: () => Promise.resolve(world.allowed),
  }, RUN, () => { world.ended += 1; });
  const change = (over: Partial<RunRecord>): void => {
    world.row = runRow(RUN, { version: (world.row?.version ?? 0) + 1, ...over });
    world.wake();
  };
  return { clock, world, feed, change };
}

const version = async (next: Promise<IteratorResult<RunRecord, undefined>>): Promise<number | undefined> => (await next).value?.version;

test('subscribes before it reads, and emits the row as it stands', async () => {
  const { world, feed } = setUp();
  expect(await version(feed.next())).toBe(1);
  expect(world.order).toEqual(['watch', 'read']);
});

test('a change between subscribing and reading is not lost, and not emitted twice', async () => {
  const { world, feed, change } = setUp();
  world.beforeRead = () => {
    world.beforeRead = () => Promise.resolve();
    change({});
    return Promise.resolve();
  };
  expect(await version(feed.next())).toBe(1);
  expect(await version(feed.next())).toBe(2);
  const third = feed.next();
  await flush();
  expect(world.reads).toBe(2);
  change({});
  expect(await version(third)).toBe(3);
});

test('coalesces: a thousand notices, one read, the newest state', async () => {
  const { world, feed, change } = setUp();
  await feed.next();
  for (let i = 0; i < 1_000; i++) change({});
  expect(await version(feed.next())).toBe(1_001);
  expect(world.reads).toBe(2);
});

test('a notice without news is not emitted', async () => {
  const { world, feed, change } = setUp();
  await feed.next();
  const next = feed.next();
  world.wake();
  await flush();
  expect(world.reads).toBe(2);
  change({});
  expect(await version(next)).toBe(2);
});

test.each(['Succeeded', 'Failed', 'Cancelled'] as const)('ends after %s', async (phase) => {
  const { world, feed, change } = setUp();
  await feed.next();
  change({ phase });
  expect((await feed.next()).value?.phase).toBe(phase);
  expect(await feed.next()).toEqual({ done: true, value: undefined });
  expect([world.closed, world.ended]).toEqual([1, 1]);
});

test('a run that has ended is emitted once', async () => {
  const { feed } = setUp(runRow(RUN, { phase: 'Failed' }));
  expect((await feed.next()).done).toBe(false);
  expect((await feed.next()).done).toBe(true);
});

test('not there and not yours end alike', async () => {
  const absent = setUp();
  absent.world.row = undefined;
  const foreign = setUp();
  foreign.world.allowed = false;
  const [one, two] = await Promise.all([absent, foreign].map(({ feed }) => feed.next().catch((error: unknown) => error)));
  expect(one).toBeInstanceOf(ApiError);
  expect(one).toMatchObject({ publicCode: 'NOT_FOUND' });
  expect(String(two)).toBe(String(one));
  expect(await foreign.feed.next()).toEqual({ done: true, value: undefined });
  expect(foreign.world.closed).toBe(1);
});

test('a permission taken away ends the stream with the next change', async () => {
  const { world, feed, change } = setUp();
  await feed.next();
  world.allowed = false;
  const next = feed.next();
  change({});
  await expect(next).rejects.toMatchObject({ publicCode: 'NOT_FOUND' });
});

test('and without any change, at the next look', async () => {
  const { clock, world, feed } = setUp();
  await feed.next();
  const next = feed.next();
  await flush();
  world.allowed = false;
  clock.advance(RECHECK_MS);
  await expect(next).rejects.toMatchObject({ publicCode: 'NOT_FOUND' });
  expect(clock.pending).toBe(0);
});

test('a lost notice is made good by the next look', async () => {
  const { clock, world, feed } = setUp();
  await feed.next();
  const next = feed.next();
  await flush();
  world.row = runRow(RUN, { version: 2 });
  clock.advance(RECHECK_MS);
  expect(await version(next)).toBe(2);
});

test('return() ends a feed that waits', async () => {
  const { clock, world, feed } = setUp();
  await feed.next();
  const next = feed.next();
  await flush();
  await feed.return();
  expect(await next).toEqual({ done: true, value: undefined });
  expect([world.closed, world.ended, clock.pending]).toEqual([1, 1, 0]);
});

test('closed while it subscribes, it does not stay subscribed', async () => {
  const { world, feed } = setUp();
  world.watch = () => {
    feed.close();
    return Promise.resolve();
  };
  expect(await feed.next()).toEqual({ done: true, value: undefined });
  expect([world.closed, world.reads]).toEqual([1, 0]);
});

test('a database that is away ends the stream with its error, and leaves nothing behind', async () => {
  const { clock, world, feed, change } = setUp();
  await feed.next();
  world.beforeRead = () => Promise.reject(new UnavailableError('postgres'));
  const next = feed.next();
  change({});
  await expect(next).rejects.toBeInstanceOf(UnavailableError);
  expect([world.closed, world.ended, clock.pending]).toEqual([1, 1, 0]);
});

describe('Streams', () => {
  const open: number[] = [];
  const metrics = { operation: () => undefined, refused: () => undefined, answer: () => undefined, swept: () => undefined, review: () => undefined, signIn: () => undefined, streams: (n: number) => { open.push(n); } };
  const stream = (onClose: () => void) => {
    const self = { closed: 0, close: () => {
      self.closed += 1;
      onClose();
    } };
    return self;
  };

  test('nobody takes more than a share; what ends makes room', () => {
    const streams = new Streams(metrics);
    const mine = Array.from({ length: STREAMS_PER_PRINCIPAL }, () => streams.add('alice', stream));
    expect(() => streams.add('alice', stream)).toThrow(expect.objectContaining({ publicCode: 'TOO_MANY_STREAMS' }));
    streams.add('bob', stream);
    mine[0]?.close();
    mine[0]?.close();
    streams.add('alice', stream);
    expect(streams.size).toBe(STREAMS_PER_PRINCIPAL + 1);
  });

  test('closeAll completes all and lets no more in', () => {
    const streams = new Streams(metrics);
    const all = [streams.add('alice', stream), streams.add('alice', stream), streams.add('bob', stream)];
    streams.closeAll();
    expect(all.map(({ closed }) => closed)).toEqual([1, 1, 1]);
    expect([streams.size, open.at(-1)]).toEqual([0, 0]);
    expect(() => streams.add('bob', stream)).toThrow(expect.objectContaining({ publicCode: 'UNAVAILABLE' }));
  });
});
