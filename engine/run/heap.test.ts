import fc from 'fast-check';
import { Heap } from './heap.ts';

test('the smallest comes first, each once', () => {
  const heap = new Heap();
  for (const n of [5, 1, 4, 1, 5, 9, 2, 6]) heap.push(n);
  const out: (number | undefined)[] = [];
  while (heap.size > 0) out.push(heap.pop());
  expect(out).toEqual([1, 2, 4, 5, 6, 9]);
  expect([heap.pop(), heap.peek()]).toEqual([undefined, undefined]);
});

test('what was taken out, or forgotten, may come again', () => {
  const heap = new Heap();
  heap.push(3);
  heap.pop();
  heap.push(3);
  expect(heap.peek()).toBe(3);
  heap.clear();
  heap.push(3);
  expect([heap.size, heap.pop(), heap.size]).toEqual([1, 3, 0]);
});

test('whatever is done to it, it is a sorted set', () => {
  const act = fc.oneof({ weight: 6, arbitrary: fc.nat(30) }, { weight: 4, arbitrary: fc.constant('pop' as const) }, fc.constant('clear' as const));
  fc.assert(fc.property(fc.array(act, { maxLength: 80 }), (acts) => {
    const heap = new Heap();
    const set = new Set<number>();
    for (const one of acts) {
      const least = set.size === 0 ? undefined : Math.min(...set);
      if (one === 'clear') {
        heap.clear();
        set.clear();
      } else if (one === 'pop') {
        expect(heap.pop()).toBe(least);
        if (least !== undefined) set.delete(least);
      } else {
        heap.push(one);
        set.add(one);
      }
      expect([heap.size, heap.peek()]).toEqual([set.size, set.size === 0 ? undefined : Math.min(...set)]);
    }
  }), { numRuns: 300 });
});
