import fc from 'fast-check';
import { ManualClock } from '../../platform/clock/manual.ts';
import { RamboError, TerminalError } from '../../platform/errors/index.ts';
import { WorkQueue, type Outcome, type QueueParts } from './queue.ts';

interface Rig {
  readonly queue: WorkQueue;
  readonly clock: ManualClock;
  /** Keys in the order in which passes began. */
  readonly began: string[];
  readonly warned: string[];
  /** Ends the oldest open pass over a key. */
  end(key: string, outcome?: Outcome | Error): Promise<void>;
  open(): number;
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

function rig(parts: Partial<QueueParts> = {}): Rig {
  const clock = new ManualClock();
  const began: string[] = [];
  const warned: string[] = [];
  const passes: { key: string; pass: PromiseWithResolvers<Outcome> }[] = [];
  const queue = new WorkQueue({
    name: 'q', concurrency: 2, clock, log: { warn: (_, message) => { warned.push(message); }, error: (_, message) => { warned.push(message); } },
    worker: (key) => {
      began.push(key);
      const pass = Promise.withResolvers<Outcome>();
      passes.push({ key, pass });
      return pass.promise;
    }, ...parts,
  });
  return {
    queue, clock, began, warned, open: () => passes.length,
    end: async (key, outcome = 'done') => {
      const at = passes.findIndex((p) => p.key === key);
      const [found] = passes.splice(at, 1);
      if (at < 0 || found === undefined) throw new Error(`no pass over ${key} is open`);
      if (outcome instanceof Error) found.pass.reject(outcome);
      else found.pass.resolve(outcome);
      await settle();
    },
  };
}

test('one worker per key; added again meanwhile, it is looked at once more', async () => {
  const { queue, began, end } = rig();
  queue.add('a');
  for (let i = 0; i < 5; i++) queue.add('a');
  expect(began).toEqual(['a']);
  await end('a');
  expect(began).toEqual(['a', 'a']);
  await end('a');
  expect(began).toHaveLength(2);
});

test('no more workers than allowed; the rest wait and are counted', async () => {
  const { queue, began, end } = rig();
  for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
  expect(began).toEqual(['a', 'b']);
  expect(queue.depth).toBe(2);
  await end('b');
  expect(began).toEqual(['a', 'b', 'c']);
  expect(queue.depth).toBe(1);
});

test('again after a time', async () => {
  const { queue, began, clock, end } = rig();
  queue.add('a');
  await end('a', { afterMs: 1_000, reason: 'waits' });
  clock.advance(999);
  expect(began).toHaveLength(1);
  clock.advance(1);
  expect(began).toHaveLength(2);
});

test('of two times the earlier counts; adding at once takes the timer away', async () => {
  const { queue, began, clock, end } = rig();
  queue.addAfter('a', 500);
  queue.addAfter('a', 900);
  queue.addAfter('a', 100);
  clock.advance(100);
  expect(began).toEqual(['a']);
  await end('a');
  clock.advance(10_000);
  expect(began).toHaveLength(1);
  queue.addAfter('a', 500);
  queue.add('a');
  await end('a');
  clock.advance(10_000);
  expect(began).toHaveLength(2);
});

test('errors repeat, each time later, up to half a minute; success forgets them', async () => {
  const { queue, began, clock, end, warned } = rig();
  queue.add('a');
  const waits: number[] = [];
  for (let i = 0; i < 12; i++) {
    await end('a', new RamboError('X', 'no'));
    const before = began.length;
    let waited = 0;
    while (began.length === before) { clock.advance(10); waited += 10; }
    waits.push(waited);
  }
  expect(waits.slice(0, 5)).toEqual([50, 100, 200, 400, 800]);
  expect(waits.at(-1)).toBe(30_000);
  expect(warned).toHaveLength(12);
  await end('a');
  queue.add('a');
  await end('a', new RamboError('X', 'no'));
  const before = began.length;
  clock.advance(50);
  expect(began.length).toBe(before + 1);
});

test('a terminal error is reported and not repeated', async () => {
  const { queue, began, clock, end, warned } = rig();
  queue.add('a');
  await end('a', new TerminalError('Never', 'no use'));
  clock.advance(3_600_000);
  expect(began).toHaveLength(1);
  expect(warned).toEqual(['gave up on this object']);
});

test('quiet errors repeat without a word', async () => {
  const { queue, began, clock, end, warned } = rig({ quiet: (error) => error instanceof RamboError && error.code === 'Conflict' });
  queue.add('a');
  await end('a', new RamboError('Conflict', 'somebody was faster'));
  clock.advance(50);
  expect(began).toHaveLength(2);
  expect(warned).toEqual([]);
});

test('stop waits for the workers and takes nothing more', async () => {
  const { queue, began, clock, end } = rig();
  for (const key of ['a', 'b', 'c']) queue.add(key);
  queue.addAfter('d', 10);
  let stopped = false;
  void queue.stop().then(() => { stopped = true; });
  queue.add('e');
  await end('a', { afterMs: 1, reason: 'again' });
  clock.advance(60_000);
  expect([stopped, began]).toEqual([false, ['a', 'b']]);
  await end('b', new RamboError('X', 'no'));
  expect(stopped).toBe(true);
  clock.advance(60_000);
  expect(began).toEqual(['a', 'b']);
});

test('whatever is added in whatever order: never two workers on a key, and every key is looked at after its last add', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.boolean()), { maxLength: 60 }), async (steps) => {
    const running = new Set<string>();
    let clashes = 0;
    let time = 0;
    const added = new Map<string, number>();
    const seen = new Map<string, number>();
    const gate: (() => void)[] = [];
    const queue = new WorkQueue({
      name: 'q', concurrency: 3, clock: new ManualClock(), log: { warn: () => undefined, error: () => undefined },
      worker: async (key) => {
        if (running.has(key)) clashes++;
        running.add(key);
        seen.set(key, ++time);
        await new Promise<void>((resolve) => { gate.push(resolve); });
        running.delete(key);
        return 'done';
      },
    });
    for (const [key, release] of steps) {
      added.set(key, ++time);
      queue.add(key);
      if (release) gate.shift()?.();
      await settle();
    }
    while (gate.length > 0) { gate.shift()?.(); await settle(); }
    expect(clashes).toBe(0);
    for (const [key, at] of added) expect(seen.get(key)).toBeGreaterThan(at);
  }), { numRuns: 100 });
});

test('a pass that fails by a fault of ours is told as one, even where errors are quiet; it is repeated all the same', async () => {
  const { queue, began, warned, clock, end } = rig({ quiet: () => true });
  queue.add('a');
  await end('a', new TypeError('x is undefined'));
  expect(warned).toEqual(['a pass failed by a fault of ours; it is repeated']);
  clock.advance(50);
  expect(began).toEqual(['a', 'a']);
});
