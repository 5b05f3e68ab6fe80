import fc from 'fast-check';
import { ManualClock } from '../../platform/clock/manual.ts';
import { TimerWheel } from './wheel.ts';

function setup(): { clock: ManualClock; wheel: TimerWheel; fired: string[] } {
  const clock = new ManualClock(0);
  const fired: string[] = [];
  const wheel = new TimerWheel(clock, (run, timer) => fired.push(`${run}/${timer}@${clock.now()}`));
  return { clock, wheel, fired };
}

test('timers fire in order of their time, once', () => {
  const { clock, wheel, fired } = setup();
  wheel.set('a', 't', 30);
  wheel.set('b', 't', 10);
  wheel.set('c', 't', 20);
  clock.advance(25);
  expect(fired).toEqual(['b/t@10', 'c/t@20']);
  clock.advance(100);
  expect(fired).toEqual(['b/t@10', 'c/t@20', 'a/t@30']);
  expect(wheel.size).toBe(0);
});

test('setting again replaces, clearing forgets', () => {
  const { clock, wheel, fired } = setup();
  wheel.set('a', 'x', 10);
  wheel.set('a', 'x', 50);
  wheel.set('a', 'y', 20);
  wheel.clear('a', 'y');
  wheel.set('b', 'z', 5);
  wheel.clearRun('b');
  clock.advance(100);
  expect(fired).toEqual(['a/x@50']);
});

test('a timer that is due already fires at once', () => {
  const { clock, wheel, fired } = setup();
  clock.advance(100);
  wheel.set('a', 't', 10);
  clock.advance(0);
  expect(fired).toEqual(['a/t@100']);
});

test('any mix of set, replace and clear fires exactly what is left, in time order', () => {
  const op = fc.record({ run: fc.integer({ min: 0, max: 3 }), timer: fc.integer({ min: 0, max: 3 }), at: fc.integer({ min: 1, max: 50 }), clear: fc.boolean() });
  fc.assert(fc.property(fc.array(op, { maxLength: 60 }), (ops) => {
    const { clock, wheel, fired } = setup();
    const model = new Map<string, number>();
    for (const { run, timer, at, clear } of ops) {
      if (clear) {
        wheel.clear(`r${run}`, `t${timer}`);
        model.delete(`r${run}/t${timer}`);
      } else {
        wheel.set(`r${run}`, `t${timer}`, at);
        model.set(`r${run}/t${timer}`, at);
      }
    }
    expect(wheel.size).toBe(model.size);
    clock.advance(100);
    expect([...fired].sort()).toEqual([...model].map(([key, at]) => `${key}@${at}`).sort());
    const times = fired.map((f) => Number(f.split('@')[1]));
    expect(times).toEqual([...times].sort((a, b) => a - b));
  }));
});
