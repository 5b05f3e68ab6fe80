import { Puller } from './puller.ts';

/** A consumer whose pulls the test answers by hand. */
class Pulls {
  readonly counts: number[] = [];
  readonly #open: { push: (message: number) => void; end: (error?: Error) => void }[] = [];

  readonly pull = (count: number): Promise<AsyncIterable<number>> => {
    this.counts.push(count);
    const queue: number[] = [];
    let wake = Promise.withResolvers<undefined>();
    let over: { error?: Error } | undefined;
    const tell = (): void => {
      wake.resolve(undefined);
      wake = Promise.withResolvers();
    };
    this.#open.push({
      push: (message) => { queue.push(message); tell(); },
      end: (error) => { over = error === undefined ? {} : { error }; tell(); },
    });
    async function* messages(): AsyncGenerator<number> {
      for (;;) {
        const next = queue.shift();
        if (next !== undefined) yield next;
        else if (over !== undefined) {
          if (over.error !== undefined) throw over.error;
          return;
        } else await wake.promise;
      }
    }
    return Promise.resolve(messages());
  };

  of(i: number): { push: (message: number) => void; end: (error?: Error) => void } {
    const open = this.#open[i];
    if (open === undefined) throw new Error(`pull ${i} was not made`);
    return open;
  }
}

async function turns(n = 3): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise((resolve) => { setImmediate(resolve); });
}

test('takers of one turn share a pull; each gets one message, in order', async () => {
  const pulls = new Pulls();
  const puller = new Puller(pulls.pull);
  const taken = [puller.next(1), puller.next(1), puller.next(1)];
  await turns();
  expect(pulls.counts).toEqual([3]);
  for (const message of [1, 2, 3]) pulls.of(0).push(message);
  expect(await Promise.all(taken)).toEqual([1, 2, 3]);
});

test('never asks for more than somebody waits for', async () => {
  const pulls = new Pulls();
  const puller = new Puller(pulls.pull);
  const first = puller.next(1);
  void puller.next(1);
  await turns();
  pulls.of(0).push(1);
  await first;
  void puller.next(1);
  await turns();
  expect(pulls.counts).toEqual([2, 1]);
});

test('a pull that expires lets as many takers go as it had places left', async () => {
  const pulls = new Pulls();
  const puller = new Puller(pulls.pull);
  const taken = [puller.next(1), puller.next(1)];
  await turns();
  pulls.of(0).push(7);
  pulls.of(0).end();
  expect(await Promise.all(taken)).toEqual([7, undefined]);
  void puller.next(1);
  await turns();
  expect(pulls.counts).toEqual([2, 1]);
});

test('a pull that fails fails its takers, and the next taker asks again', async () => {
  const pulls = new Pulls();
  const puller = new Puller(pulls.pull);
  const taken = puller.next(1);
  await turns();
  pulls.of(0).end(new Error('no such consumer'));
  await expect(taken).rejects.toThrow('no such consumer');
  const again = puller.next(1);
  await turns();
  pulls.of(1).push(9);
  expect(await again).toBe(9);
});

test('a consumer that cannot even be asked', async () => {
  const puller = new Puller<number>(() => Promise.reject(new Error('away')));
  await expect(puller.next(1)).rejects.toThrow('away');
});
