import fc from 'fast-check';
import { DispatchQueue } from './dispatch-queue.ts';

const entry = (run: string, item: number) => ({ run, node: 'n', item, attempt: 1 });
const drain = (queue: DispatchQueue): string[] => {
  const out: string[] = [];
  for (let e = queue.shift(); e !== undefined; e = queue.shift()) out.push(`${e.run}${e.item}`);
  return out;
};

test('runs of one priority take turns', () => {
  const queue = new DispatchQueue();
  for (let i = 0; i < 3; i++) queue.push(0, entry('a', i));
  queue.push(0, entry('b', 0));
  queue.push(0, entry('c', 0));
  queue.push(0, entry('c', 1));
  expect(drain(queue)).toEqual(['a0', 'b0', 'c0', 'a1', 'c1', 'a2']);
  expect(queue.size).toBe(0);
});

test('a higher priority goes first, whenever it came', () => {
  const queue = new DispatchQueue();
  queue.push(0, entry('a', 0));
  queue.push(10, entry('b', 0));
  queue.push(-5, entry('c', 0));
  expect(drain(queue)).toEqual(['b0', 'a0', 'c0']);
});

test('a removed run or attempt never comes out', () => {
  const queue = new DispatchQueue();
  for (let i = 0; i < 3; i++) queue.push(0, entry('a', i));
  queue.push(0, entry('b', 0));
  queue.remove(entry('a', 1));
  expect(queue.size).toBe(3);
  queue.removeRun('b');
  expect(drain(queue)).toEqual(['a0', 'a2']);
});

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('push' as const), run: fc.constantFrom('a', 'b', 'c'), priority: fc.constantFrom(-1, 0, 7) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('shift' as const) }) },
  fc.record({ kind: fc.constant('remove' as const), which: fc.nat(20) }), fc.record({ kind: fc.constant('removeRun' as const), run: fc.constantFrom('a', 'b', 'c') }),
);

test('whatever comes and goes: the highest priority first, a run in order, and nobody twice while another waits', () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const queue = new DispatchQueue();
    let waiting: { readonly run: string; readonly item: number; readonly priority: number; passed: number }[] = [];
    let n = 0;
    for (const one of steps) {
      if (one.kind === 'push') {
        queue.push(one.priority, entry(one.run, n));
        waiting.push({ run: one.run, item: n++, priority: one.priority, passed: 0 });
      } else if (one.kind === 'remove') {
        const gone = waiting.at(one.which % Math.max(1, waiting.length));
        expect(queue.remove(entry(gone?.run ?? 'nobody', gone?.item ?? 0))).toBe(gone !== undefined);
        waiting = waiting.filter((each) => each !== gone);
      } else if (one.kind === 'removeRun') {
        expect(queue.removeRun(one.run)).toBe(waiting.filter(({ run }) => run === one.run).length);
        waiting = waiting.filter(({ run }) => run !== one.run);
      } else {
        const taken = queue.shift();
        const first = waiting.filter(({ priority }) => priority === Math.max(...waiting.map((each) => each.priority)));
        const mine = first.find(({ run }) => run === taken?.run);
        // Of its run the oldest, and no other run of the priority was passed over by this one before.
        expect(taken?.item).toBe(mine?.item);
        const others = first.filter((other) => other.run !== mine?.run && first.find(({ run }) => run === other.run) === other);
        for (const other of others) expect(++other.passed).toBeLessThanOrEqual(2);
        waiting = waiting.filter((each) => each !== mine);
      }
      expect(queue.size).toBe(waiting.length);
    }
  }), { numRuns: 300 });
});
