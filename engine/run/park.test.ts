import type { NodeSpec } from '../../crds/node.ts';
import type { WorkflowSpec } from '../../crds/workflow.ts';
import { asAgents, commandsOf, compiled, dispatches, Harness, META, script } from '../test-kit.ts';
import { restoreRun } from './restore.ts';
import { EMPTY_STEP } from './step.ts';
import { pendingTimers } from './timers.ts';
import { counts, liveAttempts, nodeRows, redispatch } from './views.ts';

/** A run whose nodes named `agent…` are agents. */
function agents(nodes: NodeSpec[], more: Partial<WorkflowSpec> = {}): Harness {
  return new Harness(asAgents(compiled(nodes, more), /^agent/));
}

function parked(more: Partial<NodeSpec> = {}, spec: Partial<WorkflowSpec> = {}): Harness {
  const h = agents([script('agent', more)], spec);
  h.start();
  h.take('agent');
  h.park('agent');
  return h;
}

describe('an agent that waits', () => {
  test('its attempt ends as Parked, its row waits without a timer, nothing is in flight', () => {
    const h = agents([script('agent', { timeout: '10s' })]);
    h.start();
    h.take('agent');
    h.now = 5_000;
    const step = h.park('agent', 'approval');
    expect(step.attempts).toEqual([{ node: 'agent', item: -1, attempt: 1, status: 'Parked', queuedAt: 1_000, startedAt: 1_000, finishedAt: 5_000 }]);
    expect(step.commands).toEqual([{ type: 'ClearTimer', timer: 'timeout:agent:-1:1' }]);
    expect(step.history).toMatchObject([{ kind: 'NodeParked', node: 'agent', attempt: 1, reason: 'approval' }]);
    expect(h.row('agent')).toMatchObject({ status: 'Waiting', attempt: 1, retries: 0, infra: 0 });
    expect(h.row('agent').dueAt).toBeUndefined();
    expect(pendingTimers(h.state)).toEqual([]);
    expect([...liveAttempts(h.state)]).toEqual([]);
    expect(redispatch(h.state, 'agent', -1)).toBeUndefined();
    expect(h.state.active).toBe(0);
  });

  test('a wake queues the next attempt at once, which counts neither as retry nor as lost', () => {
    const h = parked();
    const step = h.wake('agent');
    expect(step.history.map((entry) => entry.kind)).toEqual(['NodeWoken', 'NodeQueued']);
    expect(dispatches(step)).toMatchObject([{ node: 'agent', attempt: 2 }]);
    expect(h.row('agent')).toMatchObject({ status: 'Queued', attempt: 2, retries: 0, infra: 0 });
    h.take('agent');
    h.park('agent', 'child');
    h.wake('agent');
    h.ok('agent', 'done');
    expect(h.row('agent')).toMatchObject({ status: 'Succeeded', attempt: 3, output: 'done' });
    expect(h.state.run.phase).toBe('Succeeded');
  });

  test('may park before anybody saw it start', () => {
    const h = agents([script('agent')]);
    h.start();
    h.now = 4_000;
    h.send({ type: 'Parked', node: 'agent', item: -1, attempt: 1, why: 'approval', startedAt: 3_000 });
    expect(h.row('agent')).toMatchObject({ status: 'Waiting', startedAt: 3_000 });
    expect(dispatches(h.wake('agent'))).toHaveLength(1);
  });

  test('what its attempts lost before still counts', () => {
    const h = agents([script('agent', { retry: { infraLimit: 1 } })]);
    h.start();
    h.fail('agent', { class: 'Infra', reason: 'RunnerLost' });
    const [timer] = pendingTimers(h.state);
    if (timer !== undefined) h.fire(timer.timer, timer.at);
    h.park('agent');
    h.wake('agent');
    h.fail('agent', { class: 'Infra', reason: 'RunnerLost' });
    expect(h.row('agent')).toMatchObject({ status: 'Failed', attempt: 3, infra: 1 });
  });

  test.each<[string, (h: Harness) => void]>([
    ['wakes again', (h) => { h.wake('agent'); }], ['wakes while it runs', (h) => { h.wake('agent'); h.take('agent'); }], ['wakes after its end', (h) => { h.wake('agent'); h.ok('agent'); }],
  ])('a wake that comes too often changes nothing: %s', (_name, before) => {
    const h = parked();
    before(h);
    expect(h.wake('agent')).toBe(EMPTY_STEP);
  });

  test.each(['nobody', 'plain'])('a wake of a node that is no parked agent changes nothing: %s', (name) => {
    const h = agents([script('agent'), script('plain', { retry: { limit: 1 } })]);
    h.start();
    h.fail('plain');
    expect(h.wake(name)).toBe(EMPTY_STEP);
  });

  test('a late or repeated park changes nothing', () => {
    const h = parked();
    expect(h.send({ type: 'Parked', node: 'agent', item: -1, attempt: 1, why: 'approval' })).toBe(EMPTY_STEP);
    h.wake('agent');
    expect(h.send({ type: 'Parked', node: 'agent', item: -1, attempt: 1, why: 'approval' })).toBe(EMPTY_STEP);
    expect(h.status('agent')).toBe('Queued');
  });

  test('a runner cannot park what is no agent', () => {
    const h = agents([script('plain')]);
    h.start();
    h.park('plain');
    expect(h.row('plain')).toMatchObject({ status: 'Failed', error: { class: 'Invalid', reason: 'ParkRefused' } });
  });

  test('parallelism: a parked agent holds no slot, and a woken one waits for one', () => {
    const h = agents([script('agent'), script('b')], { parallelism: 1 });
    h.start();
    h.take('agent');
    expect(dispatches(h.park('agent')).map((dispatch) => dispatch.node)).toEqual(['b']);
    expect(dispatches(h.wake('agent'))).toEqual([]);
    expect(h.row('agent')).toMatchObject({ status: 'Waiting', attempt: 1 });
    expect(h.wake('agent')).toBe(EMPTY_STEP);
    expect(dispatches(h.ok('b')).map((dispatch) => [dispatch.node, dispatch.attempt])).toEqual([['agent', 2]]);
  });

  test('items of a forEach park and wake each for itself', () => {
    const h = agents([script('agent', { forEach: 'range(2)' })]);
    h.start();
    h.park('agent', 'approval', 0);
    h.ok('agent', 'one', 1);
    expect(h.status('agent')).toBe('Running');
    expect(h.wake('agent')).toBe(EMPTY_STEP);
    h.wake('agent', 0);
    h.ok('agent', 'zero', 0);
    expect(h.row('agent')).toMatchObject({ status: 'Succeeded', output: ['zero', 'one'] });
  });
});

describe('a parked agent and the verbs of its run', () => {
  test.each(['Graceful', 'Now'] as const)('cancel %s ends it at once', (mode) => {
    const h = parked();
    const step = h.send({ type: 'Cancel', mode });
    expect(h.row('agent')).toMatchObject({ status: 'Cancelled', error: { reason: 'RunCancelled' } });
    expect(commandsOf(step, 'CancelAttempt')).toEqual([]);
    expect(step.attempts).toEqual([]);
    expect(h.state.run.phase).toBe('Cancelled');
    expect(h.wake('agent')).toBe(EMPTY_STEP);
  });

  test('an attempt that was asked to stop and parks instead is cancelled', () => {
    const h = agents([script('agent')]);
    h.start();
    h.take('agent');
    h.send({ type: 'Cancel', mode: 'Graceful' });
    h.park('agent');
    expect(h.row('agent')).toMatchObject({ status: 'Cancelled' });
    expect(h.state.run.phase).toBe('Cancelled');
  });

  test('a suspended run wakes it once it is resumed', () => {
    const h = parked();
    h.send({ type: 'Suspend' });
    expect(dispatches(h.wake('agent'))).toEqual([]);
    expect(dispatches(h.send({ type: 'Resume' }))).toHaveLength(1);
  });

  test('the timeout of the run ends it', () => {
    const h = parked({}, { timeout: '1m' });
    h.fire('run-timeout', 61_000);
    expect(h.row('agent')).toMatchObject({ status: 'Cancelled', error: { reason: 'RunTimeout' } });
    expect(h.state.run).toMatchObject({ phase: 'Failed', error: { class: 'Timeout' } });
  });

  test('failFast cancels it, and one that parks afterwards', () => {
    const h = agents([script('agent1'), script('agent2'), script('b')], { failFast: true });
    h.start();
    for (const name of ['agent1', 'agent2', 'b']) h.take(name);
    h.park('agent1');
    h.fail('b');
    expect(h.row('agent1')).toMatchObject({ status: 'Cancelled', error: { class: 'Cancelled', reason: 'FailFast' } });
    h.park('agent2');
    expect(h.row('agent2')).toMatchObject({ status: 'Cancelled', error: { reason: 'FailFast' } });
    expect(h.state.run.phase).toBe('Failed');
  });

  test('a held run hears no wake; when a person lets it go on its parked agents look for themselves', () => {
    const h = parked();
    h.send({ type: 'Hold', why: 'older' });
    expect(h.wake('agent')).toBe(EMPTY_STEP);
    const step = h.send({ type: 'Resume' });
    expect(dispatches(step)).toMatchObject([{ node: 'agent', attempt: 2 }]);
  });
});

test('a parked row is restored as parked, a woken one as waiting for a slot', () => {
  const h = agents([script('agent'), script('b')], { parallelism: 1 });
  h.start();
  h.park('agent');
  const restored = (): Harness['state'] => restoreRun(h.state.compiled, META, h.state.run, nodeRows(h.state), h.state.seq);
  expect(restored().due.size).toBe(0);
  expect(counts(restored())).toEqual(counts(h.state));
  h.wake('agent');
  expect(restored().due.size).toBe(1);
});
