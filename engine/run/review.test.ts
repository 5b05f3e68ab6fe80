import { compiled, dispatches, Harness, script } from '../test-kit.ts';
import { restoreRun } from './restore.ts';
import { EMPTY_STEP } from './step.ts';
import { nodeRows } from './views.ts';

const WHY = 'the database was restored';

function halfway(): Harness {
  const h = new Harness(compiled([script('a'), script('b', { dependsOn: ['a'] }), script('c', { dependsOn: ['b'] })], { onExit: [script('x')] }));
  h.start();
  h.take('a');
  h.ok('a');
  h.take('b');
  return h;
}

test('a held run hears nothing: no result, no timer, no suspension, no second hold', () => {
  const h = halfway();
  const step = h.send({ type: 'Hold', why: WHY });
  expect(step).toMatchObject({ run: { phase: 'Running', review: WHY }, nodes: [], commands: [], history: [{ kind: 'RunHeld', reason: 'NeedsReview' }] });
  expect(h.ok('b')).toBe(EMPTY_STEP);
  expect(h.fail('b', { class: 'Infra' })).toBe(EMPTY_STEP);
  expect(h.fire('timeout:b:-1:1', 10_000_000)).toBe(EMPTY_STEP);
  expect(h.send({ type: 'Suspend' })).toBe(EMPTY_STEP);
  expect(h.send({ type: 'Hold', why: 'again' })).toBe(EMPTY_STEP);
  expect(h.statuses()).toEqual({ a: 'Succeeded', b: 'Running', c: 'Pending', x: 'Pending' });
});

test('resumed, it goes on from its rows', () => {
  const h = halfway();
  h.send({ type: 'Hold', why: WHY });
  const step = h.send({ type: 'Resume' });
  expect(step.history.map((entry) => entry.kind)).toEqual(['RunReleased']);
  expect(step.run).toEqual({ phase: 'Running', suspended: false, startedAt: 1_000 });
  h.ok('b');
  expect(h.status('c')).toBe('Queued');
});

test('resumed, it starts what was ready and had not started', () => {
  const h = halfway();
  h.ok('b');
  // The rows of a database that has not seen `c` being queued.
  const rows = nodeRows(h.state).filter((row) => row.node !== 'c');
  const held = new Harness(h.state.compiled);
  Object.assign(held, { state: restoreRun(h.state.compiled, h.state.meta, { ...h.state.run, review: WHY }, rows, h.state.seq) });
  expect(dispatches(held.send({ type: 'Resume' })).map((dispatch) => dispatch.node)).toEqual(['c']);
});

test('a held run that was suspended runs when it is resumed', () => {
  const h = halfway();
  h.send({ type: 'Suspend' });
  h.send({ type: 'Hold', why: WHY });
  expect(h.send({ type: 'Resume' }).run).toMatchObject({ phase: 'Running', suspended: false });
});

test('a run held before it began starts when it is resumed', () => {
  const h = new Harness(compiled([script('a')]));
  expect(h.send({ type: 'Hold', why: WHY }).run).toEqual({ phase: 'Pending', suspended: false, review: WHY });
  expect(h.start()).toBe(EMPTY_STEP);
  const step = h.send({ type: 'Resume' });
  expect(step.history.map((entry) => entry.kind)).toEqual(['RunReleased', 'RunStarted', 'NodeQueued']);
});

test.each(['Now', 'Graceful'] as const)('cancelled %s, it ends without a node being started', (mode) => {
  const h = halfway();
  h.send({ type: 'Hold', why: WHY });
  const step = h.send({ type: 'Cancel', mode });
  expect(step.run?.review).toBeUndefined();
  expect(step.run?.cancel).toBe(mode);
  expect(h.status('c')).toBe('Cancelled');
  expect(dispatches(step)).toEqual([]);
  if (mode === 'Now') expect(step.run).toMatchObject({ phase: 'Cancelled' });
});

test('a run that was being cancelled as it was held goes on with that, whatever mode is asked for again', () => {
  const h = halfway();
  h.send({ type: 'Cancel', mode: 'Graceful' });
  h.send({ type: 'Hold', why: WHY });
  expect(h.send({ type: 'Cancel', mode: 'Graceful' }).history.map((entry) => entry.kind)).toEqual(['RunReleased']);
  h.fail('b', { class: 'Cancelled' });
  expect(h.state.run).toMatchObject({ exitPhase: 'Cancelled' });
});

test('what has ended is not held', () => {
  const h = halfway();
  h.send({ type: 'Cancel', mode: 'Now' });
  expect(h.send({ type: 'Hold', why: WHY })).toBe(EMPTY_STEP);
});
