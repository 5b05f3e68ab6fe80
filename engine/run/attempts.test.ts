import type { NodeSpec } from '../../crds/node.ts';
import { commandsOf, compiled, dispatches, Harness, script } from '../test-kit.ts';
import { counts, liveAttempts } from './views.ts';
import { pendingTimers } from './timers.ts';

const noJitter = { jitter: 0 };

function started(node: Partial<NodeSpec> = {}): Harness {
  const h = new Harness(compiled([script('a', node)]));
  h.start();
  return h;
}

/** Fires the only timer of the run. */
function fireNext(h: Harness): void {
  const [timer] = pendingTimers(h.state);
  if (timer !== undefined) h.fire(timer.timer, timer.at);
}

describe('retry', () => {
  test('there is none by default', () => {
    const h = started();
    h.fail('a');
    expect(h.row('a')).toMatchObject({ status: 'Failed', attempt: 1, retries: 0, error: { reason: 'ExitCode' } });
  });

  test('back-off grows by the factor up to maxDuration; the row is Waiting until then', () => {
    const h = started({ retry: { limit: 4, backoff: { duration: '1s', factor: 3, maxDuration: '5s', ...noJitter } } });
    const delays: number[] = [];
    for (let i = 1; i <= 4; i++) {
      const step = h.fail('a');
      expect(h.row('a')).toMatchObject({ status: 'Waiting', attempt: i, retries: i, error: { reason: 'ExitCode' } });
      expect(commandsOf(step, 'SetTimer')).toEqual([{ type: 'SetTimer', timer: `retry:a:-1:${i}`, at: h.row('a').dueAt }]);
      delays.push((h.row('a').dueAt ?? 0) - h.now);
      fireNext(h);
      expect(h.row('a')).toMatchObject({ status: 'Queued', attempt: i + 1 });
    }
    expect(delays).toEqual([1_000, 3_000, 5_000, 5_000]);
    h.fail('a');
    expect(h.row('a')).toMatchObject({ status: 'Failed', attempt: 5, retries: 4 });
    expect(h.steps.flatMap((step) => step.attempts).map((record) => [record.attempt, record.status])).toEqual([[1, 'Failed'], [2, 'Failed'], [3, 'Failed'], [4, 'Failed'], [5, 'Failed']]);
  });

  test('jitter stays within its share, differs between attempts and runs, and is always the same', () => {
    const delay = (id: string): number => {
      const h = new Harness(compiled([script('a', { retry: { limit: 1, backoff: { duration: '10s', jitter: 0.5 } } })]), { id });
      h.start();
      h.fail('a');
      return (h.row('a').dueAt ?? 0) - h.now;
    };
    const delays = Array.from({ length: 50 }, (_, i) => delay(`run-${i}`));
    expect(delays.every((ms) => ms >= 5_000 && ms <= 15_000)).toBe(true);
    expect(new Set(delays).size).toBeGreaterThan(40);
    expect(delay('run-7')).toBe(delays[7]);
  });

  test.each<[string, string | undefined, Parameters<Harness['fail']>[1], boolean]>([
    ['User by default', undefined, { class: 'User' }, true], ['Timeout by default', undefined, { class: 'Timeout' }, true], ['Invalid by default', undefined, { class: 'Invalid' }, false], ['Cancelled by default', undefined, { class: 'Cancelled' }, false],
    ['on: reason matches', 'error.reason == "Flaky"', { reason: 'Flaky' }, true], ['on: reason does not', 'error.reason == "Flaky"', { reason: 'Other' }, false], ['on: message', '${{ error.message.contains("429") }}', { message: 'got 429' }, true],
    ['on: class Invalid, asked for', 'error.class == "Invalid"', { class: 'Invalid' }, true], ['on: attempts', 'attempts < 1', {}, false],
  ])('%s', (_name, on, error, expected) => {
    const h = started({ retry: { limit: 1, ...(on === undefined ? {} : { on }) } });
    h.fail('a', error);
    expect(h.status('a')).toBe(expected ? 'Waiting' : 'Failed');
  });

  test.each(['inputs.nope', 'error.nope == "x"', 'inputs.n'])('an on that cannot be evaluated (%s) fails the node and says so', (on) => {
    const h = started({ retry: { limit: 1, on } });
    h.fail('a');
    expect(h.row('a').error).toMatchObject({ class: 'Invalid', reason: 'ExpressionFailed', message: expect.stringContaining('retry.on') as string });
  });

  test('a success after a retry clears the error and keeps the counts', () => {
    const h = started({ retry: { limit: 1 } });
    h.fail('a');
    fireNext(h);
    h.ok('a', 5);
    expect(h.row('a')).toMatchObject({ status: 'Succeeded', attempt: 2, retries: 1, output: 5 });
    expect(h.row('a').error).toBeUndefined();
  });

  test('results of an older attempt are ignored', () => {
    const h = started({ retry: { limit: 1 } });
    h.fail('a');
    fireNext(h);
    h.send({ type: 'Succeeded', node: 'a', item: -1, attempt: 1, output: 'late' });
    expect(h.row('a')).toMatchObject({ status: 'Queued', attempt: 2 });
  });
});

describe('infrastructure', () => {
  const lost = { class: 'Infra', reason: 'LeaseExpired', message: 'lost' } as const;

  test('a lost attempt is a new one, costs no retry, and is bounded by infraLimit', () => {
    const h = started({ retry: { limit: 1, infraLimit: 2 } });
    for (let i = 1; i <= 2; i++) {
      h.fail('a', lost);
      expect(h.row('a')).toMatchObject({ status: 'Waiting', infra: i, retries: 0 });
      fireNext(h);
    }
    h.fail('a');
    fireNext(h);
    expect(h.row('a')).toMatchObject({ status: 'Queued', attempt: 4, infra: 2, retries: 1 });
    h.fail('a', lost);
    expect(h.row('a')).toMatchObject({ status: 'Failed', error: { class: 'Infra', reason: 'LeaseExpired' } });
  });

  test('back-off goes from 1 s to 1 min', () => {
    const h = started({ retry: { infraLimit: 8 } });
    const delays: number[] = [];
    for (let i = 0; i < 8; i++) {
      h.fail('a', lost);
      delays.push(Math.round(((h.row('a').dueAt ?? 0) - h.now) / 1_000));
      fireNext(h);
    }
    expect(delays[0]).toBe(1);
    expect(delays.at(-1)).toBeGreaterThan(50);
    expect(Math.max(...delays)).toBeLessThanOrEqual(60);
  });

  test('five by default', () => {
    const h = started();
    for (let i = 0; i < 5; i++) { h.fail('a', lost); fireNext(h); }
    h.fail('a', lost);
    expect(h.row('a')).toMatchObject({ status: 'Failed', attempt: 6, infra: 5 });
  });

  test('an out-of-memory kill is repeated once, also with another loss in between', () => {
    const oom = { class: 'Infra', reason: 'OOMKilled', message: 'oom' } as const;
    const h = started();
    h.fail('a', oom);
    fireNext(h);
    h.fail('a', lost);
    fireNext(h);
    h.fail('a', oom);
    expect(h.row('a')).toMatchObject({ status: 'Failed', attempt: 3, error: { reason: 'OOMKilled' } });
  });

  test('an image that does not arrive waits until pendingTimeout, which then says why', () => {
    const h = started({ pendingTimeout: '1m' });
    const step = h.fail('a', { class: 'Infra', reason: 'ImagePullBackOff', message: 'no such image' });
    expect(h.row('a')).toMatchObject({ status: 'Queued', attempt: 1, infra: 0, error: { reason: 'ImagePullBackOff' } });
    expect(step.history.map((entry) => entry.kind)).toEqual(['NodeImageWaiting']);
    expect(h.fail('a', { class: 'Infra', reason: 'ImagePullBackOff', message: 'no such image' }).nodes).toEqual([]);
    h.fire('pending:a:-1:1', 61_000);
    expect(h.row('a')).toMatchObject({ status: 'Failed', attempt: 1, error: { class: 'Infra', reason: 'ImagePullBackOff' } });
    expect(h.row('a').error?.message).toContain('no such image');
  });
});

describe('pendingTimeout with a known hindrance', () => {
  const hindrance = { reason: 'PodsFailing', message: 'the pool has no pods' };
  const fire = (h: ReturnType<typeof started>, at: number): void => {
    h.now = at;
    h.send({ type: 'Timer', timer: 'pending:a:-1:1', hindrance });
  };

  test('is Infra, names it, and is final: a new attempt would meet the same', () => {
    const h = started({ pendingTimeout: '1m', retry: { limit: 3 } });
    fire(h, 61_000);
    expect(h.row('a')).toMatchObject({ status: 'Failed', attempt: 1, error: { class: 'Infra', reason: 'PodsFailing' } });
    expect(h.row('a').error?.message).toMatch(/did not start within 60000 ms.*the pool has no pods/);
  });

  test('counts for nothing once the attempt was taken', () => {
    const h = started({ pendingTimeout: '1m' });
    h.take('a');
    fire(h, 61_000);
    expect(h.row('a')).toMatchObject({ status: 'Running' });
  });
});

describe('timeouts', () => {
  test('timeout runs per attempt from its start; the attempt is asked to stop', () => {
    const h = started({ timeout: '10s', retry: { limit: 1 } });
    expect(pendingTimers(h.state)).toEqual([{ timer: 'pending:a:-1:1', at: 601_000 }]);
    h.now = 5_000;
    const taken = h.take('a');
    expect(taken.commands).toEqual([{ type: 'ClearTimer', timer: 'pending:a:-1:1' }, { type: 'SetTimer', timer: 'timeout:a:-1:1', at: 15_000 }]);
    h.now = 13_999;
    const early = h.send({ type: 'Timer', timer: 'timeout:a:-1:1' });
    expect([early.nodes, early.commands]).toEqual([[], [{ type: 'SetTimer', timer: 'timeout:a:-1:1', at: 15_000 }]]);
    const step = h.fire('timeout:a:-1:1', 15_000);
    expect(commandsOf(step, 'CancelAttempt')).toEqual([{ type: 'CancelAttempt', node: 'a', item: -1, attempt: 1, graceMs: 30_000 }]);
    expect(h.row('a')).toMatchObject({ status: 'Waiting', retries: 1, error: { class: 'Timeout', reason: 'Timeout' } });
    fireNext(h);
    h.take('a');
    fireNext(h);
    expect(h.row('a')).toMatchObject({ status: 'Failed', attempt: 2, error: { class: 'Timeout' } });
  });

  test('pendingTimeout is 10 minutes from queueing by default', () => {
    const h = started();
    h.fire('pending:a:-1:1', 601_000);
    expect(h.row('a')).toMatchObject({ status: 'Failed', error: { class: 'Timeout', reason: 'PendingTimeout' } });
  });

  test('a result clears the timer', () => {
    const h = started({ timeout: '10s' });
    h.take('a');
    expect(h.ok('a').commands).toEqual([{ type: 'ClearTimer', timer: 'timeout:a:-1:1' }]);
    expect(pendingTimers(h.state)).toEqual([]);
  });
});

describe('waiting', () => {
  const wait = (given: NonNullable<NodeSpec['with']>): NodeSpec => ({ name: 'w', type: 'wait', with: given });

  test('duration', () => {
    const h = new Harness(compiled([wait({ duration: '5s' }), script('a', { dependsOn: ['w'] })]));
    expect(h.start().commands).toEqual([{ type: 'SetTimer', timer: 'wait:w:-1:1', at: 6_000 }]);
    expect(h.row('w')).toMatchObject({ status: 'Waiting', dueAt: 6_000 });
    h.fire('wait:w:-1:1', 6_000);
    expect(h.statuses()).toEqual({ w: 'Succeeded', a: 'Queued' });
    expect(h.row('w').output).toBeNull();
  });

  test('until, from an expression', () => {
    const h = new Harness(compiled([wait({ until: '${{ inputs.at }}' })]), { input: { at: '1970-01-01T00:00:07Z' } });
    h.start();
    expect(h.row('w').dueAt).toBe(7_000);
  });

  test.each<[string, string]>([['1970-01-01T00:00:00Z', 'Succeeded'], ['soon', 'Failed']])('until %s', (at, status) => {
    const h = new Harness(compiled([wait({ until: '${{ inputs.at }}' })]), { input: { at } });
    h.start();
    expect(h.status('w')).toBe(status);
    expect(h.row('w').error?.reason).toBe(status === 'Failed' ? 'InstantInvalid' : undefined);
  });
});

describe('parallelism of the run', () => {
  test('bounds dispatched attempts, not inline or waiting ones; the next starts in the same step', () => {
    const h = new Harness(compiled([script('a'), script('b'), script('c'), { name: 'w', type: 'wait', with: { duration: '1s' } }], { parallelism: 2 }));
    expect(dispatches(h.start()).map((dispatch) => dispatch.node)).toEqual(['a', 'b']);
    expect(h.status('w')).toBe('Waiting');
    expect(dispatches(h.ok('a')).map((dispatch) => dispatch.node)).toEqual(['c']);
  });

  test('an attempt whose back-off is over waits for a slot and goes first', () => {
    const h = new Harness(compiled([script('a', { retry: { limit: 1 } }), script('b'), script('c')], { parallelism: 1 }));
    h.start();
    h.fail('a');
    expect(h.statuses()).toEqual({ a: 'Waiting', b: 'Queued', c: 'Pending' });
    h.fire('retry:a:-1:1', 10_000);
    expect(h.row('a')).toMatchObject({ status: 'Waiting' });
    expect(h.row('a').dueAt).toBeUndefined();
    expect(pendingTimers(h.state).map((timer) => timer.timer)).toEqual(['pending:b:-1:1']);
    h.ok('b');
    expect(h.statuses()).toEqual({ a: 'Queued', b: 'Succeeded', c: 'Pending' });
  });

  test('live attempts and counts', () => {
    const h = new Harness(compiled([script('a'), script('b'), { name: 'c', type: 'container', with: { image: 'x' } }]));
    h.start();
    h.take('b');
    expect([...liveAttempts(h.state)].map((live) => [live.node, live.status, live.mode, live.pool, live.attempt])).toEqual([['a', 'Queued', 'warm', 'default', 1], ['b', 'Running', 'warm', 'default', 1], ['c', 'Queued', 'pod', 'default', 1]]);
    expect(counts(h.state)).toMatchObject({ total: 3, done: 0, byStatus: { Queued: 2, Running: 1 } });
  });
});
