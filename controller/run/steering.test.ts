import type { RunCr } from './intake.ts';
import { decision, seenOf, wishes, type Seen } from './steering.ts';

function cr(spec: RunCr['spec'] | undefined, more: Partial<RunCr> = {}): RunCr {
  return { namespace: 'ns', name: 'r', uid: 'u', generation: 1, createdAt: 0, ...(spec === undefined ? {} : { spec }), ...more };
}
const seen = (suspend = false, cancel?: string): Seen => ({ generation: 1, suspend, cancel });
const SUSPEND = { type: 'Suspend' };
const RESUME = { type: 'Resume' };
const GRACEFUL = { type: 'Cancel', mode: 'Graceful' };
const NOW = { type: 'Cancel', mode: 'Now' };

describe('what an object asks for', () => {
  test.each<[string, RunCr['spec'], Seen | undefined, readonly object[]]>([
    ['nothing, looked at for the first time', {}, undefined, []],
    ['suspend: false says no more than nothing the first time', { suspend: false }, undefined, []],
    ['suspended from the start', { suspend: true }, undefined, [SUSPEND]],
    ['cancelled from the start', { cancel: 'Now' }, undefined, [NOW]],
    ['both from the start', { suspend: true, cancel: 'Graceful' }, undefined, [SUSPEND, GRACEFUL]],
    ['still suspended: somebody may have resumed over the API meanwhile, and the last change wins', { suspend: true }, seen(true), []],
    ['now suspended', { suspend: true }, seen(false), [SUSPEND]],
    ['no longer suspended', { suspend: false }, seen(true), [RESUME]],
    ['suspend taken away', {}, seen(true), [RESUME]],
    ['suspend: false after nothing', { suspend: false }, seen(false), []],
    ['now cancelled', { cancel: 'Graceful' }, seen(), [GRACEFUL]],
    ['still cancelled', { cancel: 'Graceful' }, seen(false, 'Graceful'), []],
    ['cancelled harder', { cancel: 'Now' }, seen(false, 'Graceful'), [NOW]],
    ['cancel taken away (admission refuses it) changes nothing', {}, seen(false, 'Now'), []],
    ['resumed and cancelled in one edit', { suspend: false, cancel: 'Now' }, seen(true), [RESUME, NOW]],
  ])('%s', (_, spec, before, events) => {
    expect(wishes(cr(spec), before)).toEqual(events);
  });

  test('an object that cannot be parsed asks for nothing new', () => {
    expect(wishes(cr(undefined, { problem: 'spec: is wrong' }), undefined)).toEqual([]);
    expect(wishes(cr(undefined), seen(true))).toEqual([RESUME]);
  });

  test.each<[RunCr['spec'] | undefined, Seen]>([[{}, seen()], [{ suspend: true }, seen(true)], [{ suspend: false, cancel: 'Now' }, seen(false, 'Now')], [undefined, seen()]])('what was seen of %j asks for nothing again', (spec, expected) => {
    expect(seenOf(cr(spec))).toEqual(expected);
    expect(wishes(cr(spec), seenOf(cr(spec)))).toEqual([]);
  });
});

describe('a decision about a run that waits for a person', () => {
  const waits = { needsReview: true };
  test.each<[string, RunCr, Seen | undefined, readonly object[]]>([
    ['none where the object never said that it waits', cr({ suspend: false }), undefined, []],
    ['none by what was asked for before', cr({ suspend: true }, waits), seen(true), []],
    ['none by nothing', cr({}, waits), undefined, []],
    ['none by an object that cannot be parsed', cr(undefined, waits), undefined, []],
    ['suspend: false lets it go on', cr({ suspend: false }, waits), undefined, [RESUME]],
    ['suspend: false after a change lets it go on', cr({ suspend: false }), seen(true), [RESUME]],
    ['suspend: false of a run that was cancelled cancels it', cr({ suspend: false, cancel: 'Graceful' }, waits), seen(false, 'Graceful'), [GRACEFUL]],
    ['a cancel', cr({ cancel: 'Now' }, waits), undefined, [NOW]],
    ['a harder cancel', cr({ cancel: 'Now' }), seen(false, 'Graceful'), [NOW]],
    ['a cancel before suspend: false', cr({ suspend: false, cancel: 'Now' }, waits), seen(), [NOW]],
    ['the same cancel is none', cr({ cancel: 'Now' }, waits), seen(false, 'Now'), []],
    ['suspend: true is none', cr({ suspend: true }, waits), seen(), []],
  ])('%s', (_, object, before, events) => {
    expect(decision(object, before)).toEqual(events);
  });
});
