import type { NodeSpec } from '../../crds/node.ts';
import { compiled, dispatches, Harness, META, prepared, script, transform } from '../test-kit.ts';
import type { Json } from '../types.ts';
import { EMPTY } from '../compile/compile.ts';
import { advance } from './advance.ts';
import { createRun } from './state.ts';
import { EMPTY_STEP } from './step.ts';
import { counts, failures, redispatch } from './views.ts';

/** Runs script nodes to their end: names in `failing` fail, all others succeed with their name. */
function runAll(nodes: NodeSpec[], failing: readonly string[] = [], more: Parameters<typeof compiled>[1] = {}): Harness {
  const h = new Harness(compiled(nodes, more));
  h.start();
  for (let guard = 0; guard < 100; guard++) {
    const node = h.state.compiled.nodes.find((plan) => h.status(plan.name) === 'Queued');
    if (node === undefined) break;
    if (failing.includes(node.name)) h.fail(node.name);
    else h.ok(node.name, node.name);
  }
  return h;
}

describe('deciding a node', () => {
  test.each<[string, NodeSpec[], string[], Record<string, string>, string]>([
    ['all succeed', [script('a'), script('b', { dependsOn: ['a'] })], [], { a: 'Succeeded', b: 'Succeeded' }, 'Succeeded'],
    ['a failed dependency omits', [script('a'), script('b', { dependsOn: ['a'] }), script('c', { dependsOn: ['b'] })], ['a'], { a: 'Failed', b: 'Omitted', c: 'Omitted' }, 'Failed'],
    ['continueOnFailure lets dependents go on and the run succeed', [script('a', { continueOnFailure: true }), script('b', { dependsOn: ['a'] })], ['a'], { a: 'Failed', b: 'Succeeded' }, 'Succeeded'],
    ['an omitted dependency omits, even behind continueOnFailure', [script('a'), script('b', { dependsOn: ['a'], continueOnFailure: true }), script('c', { dependsOn: ['b'] })], ['a'], { a: 'Failed', b: 'Omitted', c: 'Omitted' }, 'Failed'],
    ['a skipped dependency goes on', [script('a', { when: 'false' }), script('b', { dependsOn: ['a'] })], [], { a: 'Skipped', b: 'Succeeded' }, 'Succeeded'],
    ['nodes that do not depend on a failure still run', [script('a'), script('b')], ['a'], { a: 'Failed', b: 'Succeeded' }, 'Failed'],
    ['when that names the status is exempt, and true', [script('a'), script('b', { when: 'nodes.a.status == "Failed"' })], ['a'], { a: 'Failed', b: 'Succeeded' }, 'Failed'],
    ['when that names the status is exempt, and false', [script('a'), script('b', { when: 'nodes.a.status == "Failed"' })], [], { a: 'Succeeded', b: 'Skipped' }, 'Succeeded'],
    ['when that names the error is exempt', [script('a'), script('b', { when: 'has(nodes.a.error) && nodes.a.error.class == "User"' })], ['a'], { a: 'Failed', b: 'Succeeded' }, 'Failed'],
    ['exempt in when only, not for the other dependencies', [script('a'), script('c'), script('b', { dependsOn: ['c'], when: 'nodes.a.status == "Failed"' })], ['a', 'c'], { a: 'Failed', c: 'Failed', b: 'Omitted' }, 'Failed'],
    ['a status read in with is no exemption', [script('a'), transform('b', '${{ nodes.a.status }}')], ['a'], { a: 'Failed', b: 'Omitted' }, 'Failed'],
    ['an omitted node can be handled too', [script('a'), script('b', { dependsOn: ['a'] }), script('h', { when: 'nodes.b.status == "Omitted"' })], ['a'], { a: 'Failed', b: 'Omitted', h: 'Succeeded' }, 'Failed'],
    ['when that cannot be evaluated fails the node', [script('a', { when: 'inputs.nope' })], [], { a: 'Failed' }, 'Failed'],
    ['reading the output of a skipped node is a value error', [transform('a', 1, { when: 'false' }), transform('b', '${{ nodes.a.output }}')], [], { a: 'Skipped', b: 'Failed' }, 'Failed'],
    ['has() and the ternary guard against it', [transform('a', 1, { when: 'false' }), transform('b', '${{ has(nodes.a.output) ? nodes.a.output : 7 }}')], [], { a: 'Skipped', b: 'Succeeded' }, 'Succeeded'],
    ['failFast omits what has not started', [script('a'), script('b'), script('c', { dependsOn: ['b'] })], ['a'], { a: 'Failed', b: 'Omitted', c: 'Omitted' }, 'Failed'],
  ])('%s', (name, nodes, failing, statuses, phase) => {
    const h = runAll(nodes, failing, { failFast: name.startsWith('failFast') });
    expect(h.statuses()).toEqual(statuses);
    expect(h.state.run.phase).toBe(phase);
    expect(counts(h.state).done).toBe(counts(h.state).total);
  });

  test('a value error names the node, the field, the expression and what is missing', () => {
    const h = runAll([transform('a', 1, { when: 'false' }), transform('b', 'x ${{ nodes.a.output }}')]);
    expect(h.row('b').error).toEqual({ class: 'Invalid', reason: 'ExpressionFailed', message: 'node "b", with.output: expression "nodes.a.output": No such key: output (node "a" is Skipped and has no output)' });
    expect(failures(h.state, 10)).toEqual([{ node: 'b', reason: 'ExpressionFailed', message: expect.stringContaining('with.output') as string }]);
  });

  test('failFast leaves running nodes to their end and starts nothing new', () => {
    const h = new Harness(compiled([script('a'), script('b'), script('c'), script('d', { dependsOn: ['b'] }), script('e', { retry: { limit: 5 } })], { failFast: true }));
    h.start();
    h.take('b');
    h.take('e');
    const step = h.fail('a');
    expect(h.statuses()).toEqual({ a: 'Failed', b: 'Running', c: 'Omitted', d: 'Omitted', e: 'Running' });
    expect(step.commands).toContainEqual({ type: 'CancelAttempt', node: 'c', item: -1, attempt: 1, graceMs: 0 });
    h.ok('b');
    h.fail('e');
    expect(h.statuses()).toEqual({ a: 'Failed', b: 'Succeeded', c: 'Omitted', d: 'Omitted', e: 'Failed' });
    expect(h.state.run.phase).toBe('Failed');
  });
});

describe('inline nodes', () => {
  test('a chain of 1,000 transforms runs within the steps of one start, without recursion', () => {
    const nodes = Array.from({ length: 1_000 }, (_, i) => transform(`n${i}`, i === 0 ? 1 : `\${{ nodes.n${i - 1}.output + 1 }}`));
    const h = new Harness(compiled(nodes, { outputs: { last: '${{ nodes.n999.output }}' } }));
    h.start();
    expect(h.state.run.outputs).toEqual({ last: 1_000 });
    expect(h.steps).toHaveLength(1);
  });

  test('one step does a bounded amount of work and asks to be continued', () => {
    const h = new Harness(compiled([transform('f', '${{ index }}', { forEach: 'range(5000)' })]));
    const step = h.start();
    expect(step.commands).toEqual([{ type: 'SetTimer', timer: 'continue', at: h.now }]);
    expect(step.nodes.length).toBeLessThan(2_500);
    let guard = 0;
    while (h.state.run.phase === 'Running' && guard++ < 10) h.fire('continue', h.now);
    expect(h.state.run.phase).toBe('Succeeded');
    expect((h.row('f').output as Json[]).length).toBe(5_000);
    expect(h.fire('continue', h.now)).toBe(EMPTY_STEP);
  });

  test('expensive expressions end a step early', () => {
    const cost = 'range(240).map(a, range(240).map(b, a * b)).size()';
    const h = new Harness(compiled([transform('f', `\${{ ${cost} }}`, { forEach: 'range(20)' })]));
    const step = h.start();
    expect(step.commands).toContainEqual({ type: 'SetTimer', timer: 'continue', at: h.now });
    expect(step.nodes.length).toBeLessThan(15);
  });

  test.each<[number, Json]>([[1, 'small'], [5, 'big'], [50, { n: 50 }]])('switch with n = %d gives %j', (n, output) => {
    const h = new Harness(compiled([{ name: 's', type: 'switch', with: { cases: [{ when: 'inputs.n < 3', output: 'small' }, { when: 'inputs.n < 10', output: 'big' }], default: { n: '${{ inputs.n }}' } } }]), { input: { n } });
    h.start();
    expect(h.row('s').output).toEqual(output);
  });

  test('switch without a true case and without default gives null; a broken case fails the node', () => {
    const h = new Harness(compiled([{ name: 's', type: 'switch', with: { cases: [{ when: 'false', output: 1 }] } }, { name: 't', type: 'switch', with: { cases: [{ when: 'false', output: 1 }, { when: 'inputs.nope', output: 1 }] } }]));
    h.start();
    expect(h.row('s')).toMatchObject({ status: 'Succeeded', output: null });
    expect(h.row('t').error?.message).toContain('with.cases[1].when');
  });

  test('an inline output over the cap is OutputTooLarge', () => {
    const h = new Harness(compiled([transform('a', '${{ [inputs.big, inputs.big] }}')]), { input: { big: 'x'.repeat(200_000) } });
    h.start();
    expect(h.row('a').error).toMatchObject({ class: 'Invalid', reason: 'OutputTooLarge' });
  });

  test('a warm transform is dispatched with its evaluated output', () => {
    const h = new Harness(compiled([transform('a', { v: '${{ inputs.n }}' }, { runner: { isolation: 'warm' } })]));
    expect(dispatches(h.start())[0]).toMatchObject({ type: 'transform', mode: 'warm', with: { output: { v: 4 } } });
  });
});

describe('what an executor gets', () => {
  test('types are kept, text around makes a string, source is untouched', () => {
    const h = new Harness(compiled([script('a', {
      with: { language: 'bash', source: 'echo ${{ inputs.n }}', input: { n: '${{ inputs.n }}', t: 'n=${{ inputs.n }}', l: ['${{ inputs.list }}'] }, env: [{ name: 'N', value: '${{ inputs.n }}' }] },
      runner: { env: [{ name: 'WHO', value: 'hi ${{ inputs.name }} of ${{ workflow.labels.tier }}' }, { name: 'N', value: 'lower' }, { name: 'EMPTY' }], pool: 'gpu' }, timeout: '5s',
    })]));
    expect(dispatches(h.start())).toEqual([{
      node: 'a', item: -1, attempt: 1, type: 'script', mode: 'warm', pool: 'gpu', timeoutMs: 5_000,
      with: { language: 'bash', source: 'echo ${{ inputs.n }}', input: { n: 4, t: 'n=4', l: [[1, 2, 3]] } }, env: { WHO: 'hi ada of gold', N: '4', EMPTY: '' },
    }]);
  });

  test('names of the run and the workflow', () => {
    const h = new Harness(compiled([transform('a', ['${{ run.id }}', '${{ run.name }}', '${{ run.namespace }}', '${{ run.startedAt }}', '${{ run.phase }}', '${{ workflow.name }}'])]));
    h.start();
    expect(h.row('a').output).toEqual([META.id, 'run-1', 'team-a', '1970-01-01T00:00:01.000Z', 'Running', 'demo']);
  });

  test.each([['image', { image: '${{ inputs.list }}' }], ['args', { image: 'x', args: ['${{ inputs.list }}'] }]])('a container needs texts: %s', (field, given) => {
    const h = new Harness(compiled([{ name: 'c', type: 'container', with: given }]));
    h.start();
    expect(h.row('c').error?.message).toContain(`with.${field}: a text is needed here, not a list`);
  });

  test('numbers in args become texts; a container is a pod', () => {
    const h = new Harness(compiled([{ name: 'c', type: 'container', with: { image: 'x', args: ['-n', '${{ inputs.n }}', '${{ true }}'] } }]));
    expect(dispatches(h.start())[0]).toMatchObject({ mode: 'pod', with: { image: 'x', args: ['-n', '4', 'true'] } });
  });

  test('http: GET by default, headers with their name, fromEnv left to the runner', () => {
    const h = new Harness(compiled([{ name: 'c', type: 'http', with: { url: 'http://x/${{ inputs.n }}', headers: [{ name: 'A', value: 'v${{ inputs.n }}' }, { name: 'B', fromEnv: 'TOKEN' }], expect: { status: [200], condition: 'response.body.ok' } } }]));
    expect(dispatches(h.start())[0]?.with).toEqual({ method: 'GET', url: 'http://x/4', headers: [{ name: 'A', value: 'v4' }, { name: 'B', fromEnv: 'TOKEN' }], expect: { status: [200] } });
    h.ok('c', { status: 200, headers: {}, body: { ok: false } });
    expect(h.row('c').error).toMatchObject({ class: 'User', reason: 'UnexpectedResponse' });
  });

  test('redispatch gives the same again, for queued and running attempts only', () => {
    const h = new Harness(compiled([transform('a', { x: 1 }), script('b', { with: { language: 'bash', source: 'x', input: '${{ nodes.a.output }}' } })]));
    const [sent] = dispatches(h.start());
    expect(redispatch(h.state, 'b', -1)).toEqual(sent);
    h.take('b');
    expect(redispatch(h.state, 'b', -1)).toEqual(sent);
    expect(redispatch(h.state, 'a', -1)).toBeUndefined();
    expect(redispatch(h.state, 'zz', -1)).toBeUndefined();
    h.ok('b');
    expect(redispatch(h.state, 'b', -1)).toBeUndefined();
  });

  test('a with that cannot be evaluated fails the node without an attempt, whatever its retry', () => {
    const h = new Harness(compiled([script('a', { retry: { limit: 5 }, with: { language: 'bash', source: 'x', input: '${{ inputs.nope }}' } })]));
    const step = h.start();
    expect(h.row('a')).toMatchObject({ status: 'Failed', attempt: 0, error: { class: 'Invalid', reason: 'ExpressionFailed' } });
    expect(step.attempts).toEqual([]);
  });
});

describe('outputs', () => {
  test('are evaluated at the end; a broken one fails a succeeded run and leaves the others', () => {
    const h = new Harness(compiled([transform('a', 1)], { outputs: { good: '${{ nodes.a.output + 1 }}', text: 'n: ${{ inputs.n }}', bad: '${{ inputs.nope }}', phase: '${{ run.phase }}' } }));
    h.start();
    expect(h.state.run).toMatchObject({ phase: 'Failed', outputs: { good: 2, text: 'n: 4', phase: 'Succeeded' }, error: { class: 'Invalid', reason: 'ExpressionFailed' } });
    expect(h.state.run.error?.message).toContain('outputs.bad');
  });

  test('a failed run gives those that can be', () => {
    const h = runAll([script('a'), script('b')], ['a'], { outputs: { a: '${{ nodes.a.output }}', b: '${{ nodes.b.output }}', why: '${{ nodes.a.error.message }}' } });
    expect(h.state.run).toMatchObject({ phase: 'Failed', outputs: { b: 'b', why: 'exit code 1' } });
    expect(h.state.run.error).toBeUndefined();
  });

  test('outputSchema is checked on success and is no reason to retry', async () => {
    const h = new Harness(await prepared([script('a', { outputSchema: { type: 'object', required: ['v'] }, retry: { limit: 3 } })]));
    h.start();
    h.ok('a', { w: 1 });
    expect(h.row('a')).toMatchObject({ status: 'Failed', error: { class: 'Invalid', reason: 'OutputSchema' } });
    expect(h.steps.at(-1)?.attempts).toMatchObject([{ status: 'Failed' }]);
  });
});

describe('events that change nothing', () => {
  test('late, repeated and unknown ones', () => {
    const h = new Harness(compiled([script('a'), script('b', { dependsOn: ['a'] })]));
    expect(h.send({ type: 'Succeeded', node: 'a', item: -1, attempt: 1, output: 1 })).toBe(EMPTY_STEP);
    h.start();
    expect(h.start()).toBe(EMPTY_STEP);
    h.take('a');
    expect(h.take('a')).toBe(EMPTY_STEP);
    h.ok('a', 1);
    for (const event of [
      { type: 'Succeeded', node: 'a', item: -1, attempt: 1, output: 2 }, { type: 'Succeeded', node: 'b', item: -1, attempt: 2, output: 2 }, { type: 'Succeeded', node: 'b', item: 0, attempt: 1, output: 2 },
      { type: 'Succeeded', node: 'zz', item: -1, attempt: 1, output: 2 }, { type: 'Failed', node: 'a', item: -1, attempt: 1, error: { class: 'User', reason: 'x', message: 'y' } }, { type: 'Taken', node: 'b', item: -1, attempt: 0, at: 1 },
      { type: 'Timer', timer: 'nonsense' }, { type: 'Timer', timer: 'retry:a:-1:1' }, { type: 'Timer', timer: 'pending:b:-1:2' }, { type: 'Timer', timer: 'pending:zz:-1:1' }, { type: 'Timer', timer: 'run-timeout' }, { type: 'Timer', timer: 'exit-timeout' }, { type: 'Timer', timer: 'continue' },
      { type: 'Resume' }, { type: 'Timer', timer: 'pending:__proto__:-1:1' },
    ] as const) expect(h.send(event)).toBe(EMPTY_STEP);
    expect(h.row('a').output).toBe(1);
  });

  test('the result of an attempt that was not yet reported as taken counts', () => {
    const h = new Harness(compiled([script('a')]));
    h.start();
    h.now = 5_000;
    const step = h.send({ type: 'Succeeded', node: 'a', item: -1, attempt: 1, output: 1, startedAt: 2_000 });
    expect(step.attempts).toEqual([{ node: 'a', item: -1, attempt: 1, status: 'Succeeded', queuedAt: 1_000, startedAt: 2_000, finishedAt: 5_000 }]);
    expect(step.history.map((entry) => [entry.seq, entry.kind])).toEqual([[3, 'NodeSucceeded'], [4, 'RunSucceeded']]);
  });

  test('a runner with a wrong clock cannot move a start before queueing or into the future', () => {
    const h = new Harness(compiled([script('a'), script('b')]));
    h.start();
    h.now = 2_000;
    h.send({ type: 'Taken', node: 'a', item: -1, attempt: 1, at: 5 });
    h.send({ type: 'Taken', node: 'b', item: -1, attempt: 1, at: 999_999 });
    expect([h.row('a').startedAt, h.row('b').startedAt]).toEqual([1_000, 2_000]);
  });

  test('a run without a definition only takes Reject', () => {
    const state = createRun(EMPTY, META);
    const step = advance(state, { type: 'Reject', error: { class: 'Invalid', reason: 'Invalid', message: 'cycle a -> a' } }, 5);
    expect(step.run).toMatchObject({ phase: 'Failed', finishedAt: 5, error: { reason: 'Invalid' } });
    expect(advance(state, { type: 'Start' }, 6)).toBe(EMPTY_STEP);
  });
});
