import type { NodeSpec } from '../../crds/node.ts';
import { compiled, dispatches, Harness, script, transform } from '../test-kit.ts';
import type { Json } from '../types.ts';
import { counts, failures } from './views.ts';

function fan(more: Partial<NodeSpec> = {}): NodeSpec {
  return script('f', { forEach: 'inputs.list', with: { language: 'bash', source: 'x', input: '${{ item }}' }, ...more });
}

describe('forEach', () => {
  test('items have rows, attempts and inputs of their own; the output is in item order', () => {
    const h = new Harness(compiled([fan(), transform('sum', '${{ nodes.f.output }}')]));
    expect(dispatches(h.start()).map((dispatch) => [dispatch.item, dispatch.with['input']])).toEqual([[0, 1], [1, 2], [2, 3]]);
    expect(h.row('f')).toMatchObject({ status: 'Running', items: [1, 2, 3], attempt: 0 });
    expect(counts(h.state)).toMatchObject({ total: 5, done: 0, byStatus: { Queued: 3, Running: 1, Pending: 1 } });
    h.ok('f', 'c', 2);
    h.ok('f', 'a', 0);
    h.ok('f', 'b', 1);
    expect(h.row('f')).toMatchObject({ status: 'Succeeded', output: ['a', 'b', 'c'] });
    expect(h.row('sum').output).toEqual(['a', 'b', 'c']);
    expect(counts(h.state)).toMatchObject({ total: 5, done: 5 });
  });

  test('an empty list succeeds with []', () => {
    const h = new Harness(compiled([fan({ forEach: '[]' }), transform('n', '${{ size(nodes.f.output) }}')]));
    h.start();
    expect(h.row('f')).toMatchObject({ status: 'Succeeded', output: [] });
    expect(h.row('n').output).toBe(0);
  });

  test.each<[string, Json, string]>([['inputs.list', 'text', 'the result is a string'], ['inputs.list', { a: 1 }, 'the result is an object'], ['inputs.nope', [], 'No such key'], ['inputs.list', null, 'the result is null']])('forEach over %s = %j fails the node', (forEach, list, message) => {
    const h = new Harness(compiled([fan({ forEach })]), { input: { list } });
    h.start();
    expect(h.row('f')).toMatchObject({ status: 'Failed', error: { class: 'Invalid' } });
    expect(h.row('f').error?.message).toContain(message);
  });

  test('a failed item does not stop the others; the parent fails at the end and names it', () => {
    const h = new Harness(compiled([fan(), script('next', { dependsOn: ['f'] })]));
    h.start();
    h.fail('f', { message: 'boom' }, 1);
    expect(h.status('f')).toBe('Running');
    h.ok('f', 1, 0);
    h.ok('f', 3, 2);
    expect(h.row('f')).toMatchObject({ status: 'Failed', error: { class: 'User', reason: 'ItemsFailed' } });
    expect(h.row('f').error?.message).toBe('1 of 3 items failed: f[1] (ExitCode). First: boom');
    expect(h.row('f').output).toBeUndefined();
    expect(h.status('next')).toBe('Omitted');
    expect(failures(h.state, 10).map((failure) => failure.node)).toEqual(['f']);
  });

  test('with continueOnFailure the output has null in failed places', () => {
    const h = new Harness(compiled([fan({ continueOnFailure: true }), transform('n', '${{ nodes.f.output }}')]));
    h.start();
    h.ok('f', 'a', 0);
    h.fail('f', {}, 1);
    h.ok('f', 'c', 2);
    expect(h.row('f')).toMatchObject({ status: 'Failed', output: ['a', null, 'c'] });
    expect(h.row('n').output).toEqual(['a', null, 'c']);
    expect(h.state.run.phase).toBe('Succeeded');
  });

  test('at most 10 items are named', () => {
    const h = new Harness(compiled([fan({ forEach: 'range(15)' })]));
    h.start();
    for (let i = 0; i < 15; i++) h.fail('f', {}, i);
    expect(h.row('f').error?.message).toContain('15 of 15 items failed: f[0] (ExitCode)');
    expect(h.row('f').error?.message).toContain('f[9] (ExitCode), …');
  });

  test('retry and timeouts are per item', () => {
    const h = new Harness(compiled([fan({ retry: { limit: 1, backoff: { jitter: 0 } }, timeout: '5s' })]));
    h.start();
    h.fail('f', {}, 1);
    expect(h.row('f', 1)).toMatchObject({ status: 'Waiting', dueAt: 2_000 });
    h.fire('retry:f:1:1', 2_000);
    expect(h.row('f', 1)).toMatchObject({ status: 'Queued', attempt: 2 });
    h.take('f', 0);
    h.fire('timeout:f:0:1', 7_000);
    expect(h.row('f', 0)).toMatchObject({ status: 'Waiting', error: { class: 'Timeout' } });
  });

  test('parallelism bounds items in flight; items without rows count as Pending', () => {
    const h = new Harness(compiled([fan({ forEach: 'range(10)', parallelism: 3 })]));
    expect(dispatches(h.start())).toHaveLength(3);
    expect(counts(h.state)).toMatchObject({ total: 11, byStatus: { Pending: 7, Queued: 3, Running: 1 } });
    expect(dispatches(h.ok('f', 0, 1)).map((dispatch) => dispatch.item)).toEqual([3]);
    expect(dispatches(h.fail('f', {}, 0)).map((dispatch) => dispatch.item)).toEqual([4]);
  });

  test('at most 500 in flight, and 100,000 items work', () => {
    const h = new Harness(compiled([fan({ forEach: 'range(100000)' })]));
    expect(dispatches(h.start())).toHaveLength(500);
    for (let i = 0; i < 100_000; i++) h.send({ type: 'Succeeded', node: 'f', item: i, attempt: 1, output: i });
    expect(h.state.run.phase).toBe('Succeeded');
    // 690 kB do not fit into the row of the parent; its readers get the list all the same.
    expect(h.row('f').output).toBeUndefined();
    expect(counts(h.state)).toMatchObject({ total: 100_001, done: 100_001 });
  });

  test('a list too long for the parent is read by expressions all the same', () => {
    const h = new Harness(compiled([transform('f', '${{ index }}', { forEach: 'range(50000)' })], { outputs: { last: '${{ nodes.f.output[49999] }}' } }));
    h.start();
    for (let guard = 0; guard < 60 && h.state.run.phase === 'Running'; guard++) h.fire('continue', h.now);
    expect(h.state.run).toMatchObject({ phase: 'Succeeded', outputs: { last: 49_999 } });
    expect(h.row('f').output).toBeUndefined();
  });

  test('100,001 items are refused', () => {
    const h = new Harness(compiled([fan({ forEach: 'range(60000) + range(60000)' })]));
    h.start();
    expect(h.row('f').error).toMatchObject({ reason: 'ForEachInvalid', message: expect.stringContaining('120000 items') as string });
  });

  test('when is tested once, before the list is looked at', () => {
    const h = new Harness(compiled([fan({ when: 'false', forEach: 'inputs.nope' })]));
    h.start();
    expect(h.status('f')).toBe('Skipped');
  });

  test('a run of parallelism 2 shares its slots', () => {
    const h = new Harness(compiled([fan({ forEach: 'range(4)' }), script('z')], { parallelism: 2 }));
    expect(dispatches(h.start()).map((dispatch) => dispatch.item)).toEqual([0, 1]);
    for (const item of [0, 1, 2, 3]) h.ok('f', null, item);
    expect(h.status('z')).toBe('Queued');
  });

  test('events for the parent itself change nothing', () => {
    const h = new Harness(compiled([fan()]));
    h.start();
    expect(h.send({ type: 'Succeeded', node: 'f', item: -1, attempt: 0, output: 1 }).nodes).toEqual([]);
    expect(h.send({ type: 'Succeeded', node: 'f', item: 99, attempt: 1, output: 1 }).nodes).toEqual([]);
  });

  test('failFast: in-flight items finish, further ones never start', () => {
    const h = new Harness(compiled([fan({ forEach: 'range(10)', parallelism: 2 }), script('b')], { failFast: true }));
    h.start();
    h.take('f', 0);
    h.fail('b');
    expect([h.status('f'), h.status('f', 0), h.status('f', 1)]).toEqual(['Running', 'Running', 'Omitted']);
    h.ok('f', 1, 0);
    expect(h.status('f')).toBe('Omitted');
    expect(h.state.run.phase).toBe('Failed');
    expect(counts(h.state)).toMatchObject({ total: 12, done: 12, byStatus: { Omitted: 10, Succeeded: 1, Failed: 1 } });
  });
});
