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
