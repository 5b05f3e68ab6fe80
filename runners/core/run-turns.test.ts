import { ManualClock } from '../../platform/clock/manual.ts';
import { RunTurns } from './run-turns.ts';
import { settle } from './test-kit.ts';

function turns(): { readonly clock: ManualClock; readonly turns: RunTurns } {
  const clock = new ManualClock();
  return { clock, turns: new RunTurns(clock) };
}

/** Notes what a promise gives, so that a test can look without waiting. */
function watch<T>(promise: Promise<T>): { value: T | undefined; done: boolean } {
  const seen: { value: T | undefined; done: boolean } = { value: undefined, done: false };
  void promise.then((value) => { seen.value = value; seen.done = true; });
  return seen;
}

test('attempts of one run run side by side', async () => {
  const { turns: t } = turns();
  expect([await t.enter('a'), await t.enter('a')]).toEqual([true, true]);
  const ready = watch(t.ready());
  await settle();
  expect(ready.done).toBe(true);
});

test('another run waits until the last attempt has left, and its attempts then enter together', async () => {
  const { turns: t } = turns();
  await t.enter('a');
  await t.enter('a');
  const [b1, c, b2] = [watch(t.enter('b')), watch(t.enter('c')), watch(t.enter('b'))];
  t.leave();
  await settle();
  expect([b1.done, b2.done, c.done]).toEqual([false, false, false]);
  t.leave();
  await settle();
  expect([b1.value, b2.value, c.done]).toEqual([true, true, false]);
  t.leave();
  t.leave();
  await settle();
  expect(c.value).toBe(true);
});

test('while something waits nothing more is asked for', async () => {
  const { turns: t } = turns();
  await t.enter('a');
  void t.enter('b');
  const ready = watch(t.ready());
  await settle();
  expect(ready.done).toBe(false);
  t.leave();
  await settle();
  expect(ready.done).toBe(true);
});

test('what waits too long goes back, and asking pauses: longer each time, until the pod is free', async () => {
  const { clock, turns: t } = turns();
  await t.enter('a');
  const pauses: number[] = [];
  for (let i = 0; i < 7; i++) {
    const b = watch(t.enter('b'));
    clock.advance(249);
    await settle();
    expect(b.done).toBe(false);
    clock.advance(1);
    await settle();
    expect(b.value).toBe(false);
    const ready = watch(t.ready());
    const from = clock.now();
    while (!ready.done) {
      clock.advance(50);
      await settle();
    }
    pauses.push(clock.now() - from);
  }
  expect(pauses).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 8_000]);
  void t.enter('b');
  clock.advance(250);
  const ready = watch(t.ready());
  t.leave();
  await settle();
  expect(ready.done).toBe(true);
});

test('draining gives back what waits, and what comes', async () => {
  const { turns: t } = turns();
  await t.enter('a');
  const b = watch(t.enter('b'));
  t.close();
  await settle();
  expect([b.value, await t.enter('a')]).toEqual([false, false]);
  const ready = watch(t.ready());
  await settle();
  expect(ready.done).toBe(true);
});
