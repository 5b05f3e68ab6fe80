import type { NodeSpec } from '../../crds/node.ts';
import { commandsOf, compiled, Harness, script, transform } from '../test-kit.ts';
import { EMPTY_STEP } from './step.ts';
import { pendingTimers } from './timers.ts';
import { counts } from './views.ts';

const wait: NodeSpec = { name: 'w', type: 'wait', with: { duration: '1h' } };

describe('cancel', () => {
  test('Graceful starts nothing, gives running nodes 30 s, then onExit runs', () => {
    const h = new Harness(compiled([script('run'), script('queued'), wait, script('later', { dependsOn: ['run'] })], { onExit: [script('x', { with: { language: 'bash', source: 'x', input: '${{ run.phase }}' } })], outputs: { p: '${{ run.phase }}' } }));
    h.start();
    h.take('run');
    const step = h.send({ type: 'Cancel', mode: 'Graceful' });
    expect(h.statuses()).toEqual({ run: 'Running', queued: 'Cancelled', w: 'Cancelled', later: 'Cancelled', x: 'Pending' });
    expect(commandsOf(step, 'CancelAttempt')).toEqual([{ type: 'CancelAttempt', node: 'run', item: -1, attempt: 1, graceMs: 30_000 }, { type: 'CancelAttempt', node: 'queued', item: -1, attempt: 1, graceMs: 0 }]);
    expect(h.row('run').dueAt).toBe(31_000);
    expect(pendingTimers(h.state)).toEqual([{ timer: 'cancel:run:-1:1', at: 31_000 }]);
    expect(h.state.run.phase).toBe('Running');
    h.fail('run', { class: 'Cancelled', reason: 'Cancelled' });
    expect(h.status('run')).toBe('Cancelled');
    expect(h.status('x')).toBe('Queued');
    expect(h.state.run).toMatchObject({ phase: 'Running', exitPhase: 'Cancelled' });
    h.ok('x');
    expect(h.state.run).toMatchObject({ phase: 'Cancelled', outputs: { p: 'Cancelled' } });
  });

  test('a node that does not stop is given up after the grace', () => {
    const h = new Harness(compiled([script('a', { timeout: '5s', retry: { limit: 9 } })]));
    h.start();
    h.take('a');
    h.send({ type: 'Cancel', mode: 'Graceful' });
    h.fire('cancel:a:-1:1', 31_000);
    expect(h.row('a')).toMatchObject({ status: 'Cancelled', error: { reason: 'GraceExceeded' } });
    expect(h.state.run.phase).toBe('Cancelled');
  });

  test('a result within the grace counts, a failure is a cancellation', () => {
    const h = new Harness(compiled([script('a'), script('b', { retry: { limit: 9 } })], { outputs: { a: '${{ nodes.a.output }}' } }));
    h.start();
    h.take('a');
    h.take('b');
    h.send({ type: 'Cancel', mode: 'Graceful' });
    h.ok('a', 'made it');
    h.fail('b');
    expect(h.statuses()).toEqual({ a: 'Succeeded', b: 'Cancelled' });
    expect(h.state.run).toMatchObject({ phase: 'Cancelled', outputs: { a: 'made it' } });
  });

  test('Now kills and runs no onExit', () => {
    const h = new Harness(compiled([script('a'), script('b', { dependsOn: ['a'] }), script('f', { forEach: 'range(5)', parallelism: 2 })], { onExit: [script('x')] }));
    h.start();
    h.take('a');
    const step = h.send({ type: 'Cancel', mode: 'Now' });
    expect(h.statuses()).toEqual({ a: 'Cancelled', b: 'Cancelled', f: 'Cancelled', x: 'Cancelled' });
    expect(commandsOf(step, 'CancelAttempt').map((command) => [command.node, command.item, command.graceMs])).toEqual([['a', -1, 0], ['f', 0, 0], ['f', 1, 0]]);
    expect(h.state.run).toMatchObject({ phase: 'Cancelled', finishedAt: 1_000, cancel: 'Now' });
    expect(counts(h.state)).toMatchObject({ total: 9, done: 9, byStatus: { Cancelled: 9 } });
    expect(pendingTimers(h.state)).toEqual([]);
  });

  test('only Graceful to Now may change; cancel is never unset', () => {
    const h = new Harness(compiled([script('a')]));
    h.start();
    h.take('a');
    h.send({ type: 'Cancel', mode: 'Graceful' });
    expect(h.send({ type: 'Cancel', mode: 'Graceful' })).toBe(EMPTY_STEP);
    expect(h.send({ type: 'Suspend' })).toBe(EMPTY_STEP);
    h.send({ type: 'Cancel', mode: 'Now' });
    expect(h.state.run.phase).toBe('Cancelled');
    expect(h.send({ type: 'Cancel', mode: 'Graceful' })).toBe(EMPTY_STEP);
  });

  test('before the start nothing has to be cleaned up', () => {
    const h = new Harness(compiled([script('a')], { onExit: [script('x')] }));
    h.send({ type: 'Cancel', mode: 'Graceful' });
    expect(h.statuses()).toEqual({ a: 'Cancelled', x: 'Cancelled' });
    expect(h.state.run.phase).toBe('Cancelled');
    expect(h.start()).toBe(EMPTY_STEP);
  });

  test('during onExit: Graceful lets it end, Now does not; both end Cancelled', () => {
    for (const mode of ['Graceful', 'Now'] as const) {
      const h = new Harness(compiled([transform('a', 1)], { onExit: [script('x')] }));
      h.start();
      h.send({ type: 'Cancel', mode });
      expect(h.status('x')).toBe(mode === 'Now' ? 'Cancelled' : 'Queued');
      if (mode === 'Graceful') h.ok('x');
      expect(h.state.run.phase).toBe('Cancelled');
    }
  });

  test('a suspended run that is cancelled goes on to its onExit', () => {
    const h = new Harness(compiled([script('a')], { onExit: [script('x')] }));
    h.send({ type: 'Suspend' });
    h.start();
    expect(h.state.run.phase).toBe('Suspended');
    h.send({ type: 'Cancel', mode: 'Graceful' });
    expect(h.status('x')).toBe('Queued');
    expect(h.state.run.suspended).toBe(false);
  });

  test('a forEach that is cancelled ends with its last running item', () => {
    const h = new Harness(compiled([script('f', { forEach: 'range(5)', parallelism: 2 })]));
    h.start();
    h.take('f', 0);
    h.send({ type: 'Cancel', mode: 'Graceful' });
    expect([h.status('f'), h.status('f', 0), h.status('f', 1)]).toEqual(['Running', 'Running', 'Cancelled']);
    h.ok('f', 1, 0);
    expect(h.status('f')).toBe('Cancelled');
    expect(counts(h.state)).toMatchObject({ total: 6, done: 6, byStatus: { Cancelled: 5, Succeeded: 1 } });
  });
});

describe('suspend and resume', () => {
  test('nothing new starts, running nodes finish, timers go on', () => {
    const h = new Harness(compiled([script('a'), script('b', { dependsOn: ['a'] }), script('r', { retry: { limit: 1 } }), wait, transform('t', 1, { dependsOn: ['w'] })]));
    h.start();
    h.take('a');
    h.send({ type: 'Suspend' });
    expect(h.state.run).toMatchObject({ phase: 'Suspended', suspended: true });
    expect(h.send({ type: 'Suspend' })).toBe(EMPTY_STEP);
    h.ok('a');
    h.fail('r');
    h.fire('retry:r:-1:1', 10_000);
    h.fire('wait:w:-1:1', 3_601_000);
    expect(h.statuses()).toEqual({ a: 'Succeeded', b: 'Pending', r: 'Waiting', w: 'Succeeded', t: 'Pending' });
    h.send({ type: 'Resume' });
    expect(h.state.run.phase).toBe('Running');
    expect(h.statuses()).toEqual({ a: 'Succeeded', b: 'Queued', r: 'Queued', w: 'Succeeded', t: 'Succeeded' });
    expect(h.send({ type: 'Resume' })).toBe(EMPTY_STEP);
  });

  test('before the start', () => {
    const h = new Harness(compiled([script('a')]));
    h.send({ type: 'Suspend' });
    expect(h.state.run).toMatchObject({ phase: 'Pending', suspended: true });
    h.start();
    expect(h.status('a')).toBe('Pending');
    h.send({ type: 'Resume' });
    expect(h.status('a')).toBe('Queued');
  });

  test('a suspended run whose last node ends is done', () => {
    const h = new Harness(compiled([script('a')]));
    h.start();
    h.send({ type: 'Suspend' });
    h.ok('a');
    expect(h.state.run).toMatchObject({ phase: 'Succeeded', suspended: false });
  });
});

describe('onExit', () => {
  const exit: Parameters<typeof compiled>[1] = { onExit: [transform('why', '${{ run.phase }} after ${{ nodes.a.status }}'), script('x', { dependsOn: ['why'] }), script('y', { dependsOn: ['x'] })] };

  test.each<[boolean, string, string]>([[true, 'Succeeded after Succeeded', 'Succeeded'], [false, 'Failed after Failed', 'Failed']])('runs after success %p', (good, text, phase) => {
    const h = new Harness(compiled([script('a')], exit));
    h.start();
    const step = good ? h.ok('a') : h.fail('a');
    expect(h.row('why').output).toBe(text);
    expect(step.commands).toContainEqual({ type: 'SetTimer', timer: 'exit-timeout', at: 601_000 });
    expect(h.state.run).toMatchObject({ phase: 'Running', exitPhase: phase });
    h.ok('x');
    h.ok('y');
    expect(h.state.run.phase).toBe(phase);
  });

  test('its failure turns Succeeded into Failed', () => {
    const h = new Harness(compiled([script('a')], exit));
    h.start();
    h.ok('a');
    h.fail('x');
    expect(h.state.run.phase).toBe('Failed');
    expect(h.statuses()).toMatchObject({ x: 'Failed', y: 'Omitted' });
  });

  test('it times out after 10 minutes', () => {
    const h = new Harness(compiled([script('a')], exit));
    h.start();
    h.ok('a');
    h.take('x');
    h.fire('exit-timeout', 601_000);
    expect(h.statuses()).toMatchObject({ x: 'Running', y: 'Cancelled' });
    expect(h.fire('exit-timeout', 602_000)).toBe(EMPTY_STEP);
    h.fire('cancel:x:-1:1', 631_000);
    expect(h.state.run).toMatchObject({ phase: 'Failed', error: { class: 'Timeout', reason: 'OnExitTimeout' } });
  });

  test('failFast of the main graph does not stop onExit', () => {
    const h = new Harness(compiled([script('a'), script('b')], { ...exit, failFast: true }));
    h.start();
    h.fail('a');
    expect(h.status('x')).toBe('Queued');
    h.ok('x');
    h.ok('y');
    expect(h.state.run.phase).toBe('Failed');
  });
});

describe('the timeout of the run', () => {
  test('counts from startedAt, cancels what runs, and onExit still runs', () => {
    const h = new Harness(compiled([script('a'), script('b', { dependsOn: ['a'] })], { timeout: '1m', onExit: [script('x')] }));
    expect(commandsOf(h.start(), 'SetTimer')).toContainEqual({ type: 'SetTimer', timer: 'run-timeout', at: 61_000 });
    h.take('a');
    h.now = 59_999;
    expect(h.send({ type: 'Timer', timer: 'run-timeout' }).commands).toEqual([{ type: 'SetTimer', timer: 'run-timeout', at: 61_000 }]);
    h.fire('run-timeout', 60_400);
    expect(h.statuses()).toEqual({ a: 'Running', b: 'Cancelled', x: 'Pending' });
    h.fail('a', { class: 'Cancelled' });
    expect(h.status('x')).toBe('Queued');
    expect(h.state.run.exitPhase).toBe('Failed');
    h.ok('x');
    expect(h.state.run).toMatchObject({ phase: 'Failed', error: { class: 'Timeout', reason: 'Timeout' } });
  });

  test('goes on while the run is suspended', () => {
    const h = new Harness(compiled([script('a')], { timeout: '1m', onExit: [script('x')] }));
    h.send({ type: 'Suspend' });
    h.start();
    h.fire('run-timeout', 61_000);
    expect(h.statuses()).toEqual({ a: 'Cancelled', x: 'Queued' });
  });

  test('Cancelled goes before Failed', () => {
    const h = new Harness(compiled([script('a')], { timeout: '1m' }));
    h.start();
    h.take('a');
    h.fire('run-timeout', 61_000);
    h.send({ type: 'Cancel', mode: 'Now' });
    expect(h.state.run.phase).toBe('Cancelled');
  });
});

test('Reject fails a live run at once', () => {
  const h = new Harness(compiled([script('a'), script('b', { dependsOn: ['a'] })], { onExit: [script('x')] }));
  h.start();
  const step = h.send({ type: 'Reject', error: { class: 'Invalid', reason: 'WorkflowMissing', message: 'gone' } });
  expect(h.state.run).toMatchObject({ phase: 'Failed', error: { reason: 'WorkflowMissing' } });
  expect(h.statuses()).toEqual({ a: 'Cancelled', b: 'Omitted', x: 'Omitted' });
  expect(commandsOf(step, 'CancelAttempt')).toHaveLength(1);
});
