import { parseRunnerPool, parseWorkflow, parseWorkflowRun } from './parse.ts';
import type { Parsed } from './parse.ts';

const metadata = { name: 'w', namespace: 'ns', uid: 'u-1', resourceVersion: '7', generation: 2, creationTimestamp: '2026-01-01T00:00:00Z' };
const transform = { name: 'a', type: 'transform', with: { output: 1 } };

function workflow(spec: unknown, more: Readonly<Record<string, unknown>> = {}): unknown {
  return { apiVersion: 'rambo.dev/v1alpha1', kind: 'Workflow', metadata, spec, ...more };
}

function problems(parsed: Parsed<unknown>): unknown {
  return parsed.ok ? [] : parsed.problems;
}

describe('parseWorkflow', () => {
  test('gives metadata, spec and status; unknown fields are dropped', () => {
    const parsed = parseWorkflow(workflow({ nodes: [{ ...transform, hostNetwork: true }] }, { status: { phase: 'Ready' } }));
    expect(parsed).toEqual({ ok: true, value: { metadata, spec: { nodes: [transform] }, status: { phase: 'Ready' } } });
  });

  test('an object of a list lacks kind and may carry dates', () => {
    const parsed = parseWorkflow({ metadata: { ...metadata, creationTimestamp: new Date(0), labels: null }, spec: { nodes: [transform] } });
    expect(parsed).toMatchObject({ ok: true, value: { metadata: { creationTimestamp: '1970-01-01T00:00:00.000Z' } } });
  });

  test('a problem names its path and its node; metadata says where to write the condition', () => {
    const parsed = parseWorkflow(workflow({ nodes: [transform, { name: 'b', type: 'container' }], timeout: '10' }));
    expect(parsed).toMatchObject({ ok: false, metadata: { uid: 'u-1' } });
    expect(problems(parsed)).toEqual(expect.arrayContaining([expect.objectContaining({ path: 'spec.timeout' })]));
    const node = parseWorkflow(workflow({ nodes: [transform, { name: 'b', type: 'container' }] }));
    expect(problems(node)).toEqual([{ path: 'spec.nodes[1]', node: 'b', message: 'with.image is required for type container' }]);
  });

  test.each([null, undefined, 1, 'x', [], {}, { metadata: null }, { metadata: { name: 'x' } }])('never throws: %j', (object) => {
    expect(parseWorkflow(object).ok).toBe(false);
  });

  test('another kind is refused', () => {
    expect(problems(parseWorkflow({ ...Object(workflow({ nodes: [transform] })), kind: 'WorkflowRun' }))).toMatchObject([{ path: 'kind' }]);
  });

  test('1,001 nodes, 1 MiB and deep nesting name their limit', () => {
    const many = Array.from({ length: 1_001 }, (_, i) => ({ ...transform, name: `n${i}` }));
    expect(problems(parseWorkflow(workflow({ nodes: many })))).toMatchObject([{ path: 'spec.nodes', message: expect.stringContaining('1000') }]);
    const big = workflow({ nodes: [transform], inputs: 'x'.repeat(1_048_576) });
    expect(problems(parseWorkflow(big))).toMatchObject([{ path: 'spec', message: expect.stringContaining('the limit is 1048576') }]);
    const deep: unknown = JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`);
    expect(problems(parseWorkflow(workflow({ nodes: [transform], inputs: deep })))).toMatchObject([
      { path: 'spec.inputs[0][0][0][0][0][0][0]', message: expect.stringContaining('deeper than 100 levels') },
    ]);
  });

  test('odd names are quoted and cut in paths', () => {
    const parsed = parseWorkflow(workflow({ nodes: [transform], outputs: { ['a b'.repeat(1_000)]: 1 } }));
    expect(problems(parsed)).toMatchObject([{ path: expect.stringMatching(/^spec\.outputs\["a ba b.{50,60}"\]$/) }]);
  });

  test('dangerous keys are literal and change no prototype', () => {
    const object: unknown = JSON.parse(JSON.stringify(workflow({ nodes: [transform] })).replace('"output":1', '"output":{"__proto__":{"polluted":1},"constructor":2}'));
    const parsed = parseWorkflow(object);
    const output = parsed.ok ? parsed.value.spec.nodes[0]?.with?.output : undefined;
    expect(JSON.stringify(output)).toBe('{"__proto__":{"polluted":1},"constructor":2}');
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
    const named: unknown = JSON.parse(JSON.stringify(workflow({ nodes: [transform] })).replace('"spec":{', '"spec":{"__proto__":{"suspend":true},'));
    const read = parseWorkflow(named);
    expect(read.ok && read.value.spec.suspend).toBeUndefined();
  });

  test('a status that does not fit is as good as none', () => {
    const parsed = parseWorkflow(workflow({ nodes: [transform] }, { status: { phase: 'Odd' } }));
    expect(parsed.ok && 'status' in parsed.value).toBe(false);
  });
});

describe('parseWorkflowRun', () => {
  const run = (spec: unknown): Parsed<unknown> => parseWorkflowRun({ metadata, spec });

  test.each([
    [{ workflowRef: { name: 'w' }, input: null }], [{ workflow: { nodes: [transform] } }], [{ retryFrom: { run: 'r' } }],
  ])('takes %j', (spec) => {
    expect(run(spec).ok).toBe(true);
  });

  test.each([[{}], [{ workflowRef: { name: 'w' }, workflow: { nodes: [transform] } }], [{ workflowRef: { name: 'w' }, retryFrom: { run: 'r' } }]])('refuses %j', (spec) => {
    expect(problems(run(spec))).toMatchObject([{ path: 'spec', message: expect.stringContaining('set exactly one of') }]);
  });

  test('names the node of an inline workflow', () => {
    expect(problems(run({ workflow: { nodes: [transform], onExit: [{ name: 'z', type: 'wait', with: {} }] } }))).toMatchObject([{ path: 'spec.workflow.onExit[0]', node: 'z' }]);
  });
});

describe('parseRunnerPool', () => {
  test('applies the defaults', () => {
    expect(parseRunnerPool({ metadata, spec: {} })).toMatchObject({
      ok: true, value: { spec: { minReady: 1, max: 4, idleTTL: '5m', slots: 8, reuse: 'Run' } },
    });
  });

  test('minReady above max', () => {
    expect(problems(parseRunnerPool({ metadata, spec: { minReady: 9 } }))).toMatchObject([{ path: 'spec.minReady' }]);
  });
});
