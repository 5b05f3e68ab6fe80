import fc from 'fast-check';
import { nextTurn } from '../clock/index.ts';
import { TurnQueue } from './turn.ts';

/** A queue with what it ran and what was refused. */
function world() {
  const queue = new TurnQueue();
  const ran: string[] = [];
  const refused: string[] = [];
  const add = (name: string, throws = false): void => {
    queue.add(() => {
      if (throws) throw new Error(`${name} is over the limit`);
      ran.push(name);
    }, (error) => { refused.push((error as Error).message); });
  };
  return { queue, ran, refused, add };
}

test('what is added in one turn leaves together, in order, once the turn is over', async () => {
  const { ran, add } = world();
  add('a');
  add('b');
  expect(ran).toEqual([]);
  await nextTurn();
  expect(ran).toEqual(['a', 'b']);
  add('c');
  await nextTurn();
  expect(ran).toEqual(['a', 'b', 'c']);
});

test('a message that the client refuses takes no other with it, and does not end the process', async () => {
  const { ran, refused, add } = world();
  add('a');
  add('b', true);
  add('c');
  await nextTurn();
  expect([ran, refused]).toEqual([['a', 'c'], ['b is over the limit']]);
});

test('a flush sends at once, and nothing twice', async () => {
  const { queue, ran, add } = world();
  add('a');
  queue.flush();
  expect(ran).toEqual(['a']);
  add('b');
  await nextTurn();
  await nextTurn();
  expect(ran).toEqual(['a', 'b']);
});

test('what a send adds leaves with the next turn', async () => {
  const { queue, ran, add } = world();
  queue.add(() => { add('later'); }, () => undefined);
  queue.flush();
  expect(ran).toEqual([]);
  await nextTurn();
  expect(ran).toEqual(['later']);
});

test('whatever fails and however it is flushed, each is sent or refused exactly once, in order', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.record({ throws: fc.boolean(), flush: fc.boolean() }), { maxLength: 20 }), async (steps) => {
    const { queue, ran, refused, add } = world();
    for (const [i, { throws, flush }] of steps.entries()) {
      add(`${i}`, throws);
      if (flush) queue.flush();
    }
    await nextTurn();
    expect(ran).toEqual(steps.flatMap(({ throws }, i) => (throws ? [] : [`${i}`])));
    expect(refused).toEqual(steps.flatMap(({ throws }, i) => (throws ? [`${i} is over the limit`] : [])));
  }), { numRuns: 50 });
});
