import { nodeSchema, type NodeSpec } from '../../crds/node.ts';
import { workflowSpecSchema, type WorkflowSpec } from '../../crds/workflow.ts';
import { compiled, script, transform } from '../test-kit.ts';
import { compile } from './compile.ts';
import { mergeRunner, modeOf } from './mode.ts';

function found(nodes: NodeSpec[], more: Partial<WorkflowSpec> = {}): readonly string[] {
  const result = compile({ nodes, ...more });
  return result.ok ? [] : result.problems.map((problem) => `${problem.node ?? '-'} ${problem.field} ${problem.reason}`);
}

function messages(nodes: NodeSpec[], more: Partial<WorkflowSpec> = {}): string {
  const result = compile({ nodes, ...more });
  return result.ok ? '' : result.problems.map((problem) => problem.message).join('\n');
}

const as = (type: NodeSpec['type'], more: Partial<NodeSpec> = {}): NodeSpec => ({ name: 'a', type, ...more });

describe('the graph', () => {
  test('dependencies are written or inferred from every expression', () => {
    const definition = compiled([
      transform('a', 1), transform('b', 2), transform('c-d', 3), transform('e', 4),
      script('z', { dependsOn: ['a'], when: 'nodes.b.output == 2', with: { language: 'bash', source: '${{ nodes.zz.output }}', input: ['${{ nodes["c-d"].output }}'], env: [{ name: 'E', value: '${{ nodes.e.output }}' }] }, retry: { on: 'nodes.a.output == 1' } }),
    ]);
    expect(definition.nodes[4]?.deps).toEqual([0, 1, 2, 3]);
    expect(definition.nodes[0]?.dependents).toEqual([4]);
  });

  test.each<[string, NodeSpec[], string]>([
    ['two', [script('a', { dependsOn: ['b'] }), script('b', { dependsOn: ['a'] })], 'a -> b -> a'],
    ['itself', [script('a', { dependsOn: ['a'] })], 'a -> a'],
    ['by expressions', [transform('a', '${{ nodes.c.output }}'), transform('b', '${{ nodes.a.output }}'), transform('c', '${{ nodes.b.output }}')], 'a -> c -> b -> a'],
    ['behind a tail', [script('t', { dependsOn: ['a'] }), script('a', { dependsOn: ['b'] }), script('b', { dependsOn: ['a'] })], 'a -> b -> a'],
  ])('a cycle (%s) shows its path', (_name, nodes, path) => {
    expect(messages(nodes)).toContain(path);
    expect(found(nodes).filter((line) => line.endsWith('Cycle'))).toHaveLength(1);
  });

  test('two cycles are two problems', () => {
    expect(found([script('a', { dependsOn: ['b'] }), script('b', { dependsOn: ['a'] }), script('c', { dependsOn: ['d'] }), script('d', { dependsOn: ['c'] })])).toEqual(['a dependsOn Cycle', 'c dependsOn Cycle']);
  });

  test('a cycle in onExit is found too', () => {
    expect(found([script('m')], { onExit: [script('a', { dependsOn: ['b'] }), script('b', { dependsOn: ['a'] })] })).toEqual(['a dependsOn Cycle']);
  });

  test('a chain of 1,000 nodes compiles', () => {
    const nodes = Array.from({ length: 1_000 }, (_, i) => script(`n${i}`, i === 0 ? {} : { dependsOn: [`n${i - 1}`] }));
    expect(compile({ nodes }).ok).toBe(true);
  });
});

describe('problems', () => {
  test.each<[string, NodeSpec[], Partial<WorkflowSpec>, string[]]>([
    ['duplicate name', [script('a'), script('a')], {}, ['a name DuplicateName']],
    ['duplicate name in onExit', [script('a')], { onExit: [script('a')] }, ['a name DuplicateName']],
    ['odd name', [script('A_b')], {}, ['A_b name NameInvalid']],
    ['__proto__ as a name', [script('__proto__')], {}, ['__proto__ name NameInvalid']],
    ['constructor is a fine name', [transform('constructor', 1), transform('b', '${{ nodes.constructor.output }}')], {}, []],
    ['no nodes', [], {}, ['- nodes FieldRequired']],
    ['1,001 nodes', Array.from({ length: 1_001 }, (_, i) => script(`n${i}`)), {}, ['- nodes TooManyNodes']],
    ['unknown node in dependsOn', [script('a', { dependsOn: ['nope'] })], {}, ['a dependsOn[0] UnknownNode']],
    ['unknown node in an expression', [transform('a', '${{ nodes.nope.output }}')], {}, ['a with.output UnknownNode']],
    ['main node that reads an onExit node', [transform('a', '${{ nodes.x.output }}')], { onExit: [script('x')] }, ['a with.output UnknownNode']],
    ['main node that depends on an onExit node', [script('a', { dependsOn: ['x'] })], { onExit: [script('x')] }, ['a dependsOn[0] UnknownNode']],
    ['onExit node that reads a main node', [script('a')], { onExit: [transform('x', '${{ nodes.a.status }}')] }, []],
    ['onExit node that depends on a main node', [script('a')], { onExit: [script('x', { dependsOn: ['a'] })] }, ['x dependsOn[0] UnknownNode']],
    ['expression that does not parse', [transform('a', '${{ 1 + }}')], {}, ['a with.output ExpressionInvalid']],
    ['expression that does not type-check', [script('a', { when: '"x" + 1 == 2' })], {}, ['a when ExpressionInvalid']],
    ['when that is no condition', [script('a', { when: '1 + 1' })], {}, ['a when ExpressionInvalid']],
    ['forEach over a text', [script('a', { forEach: '"abc"' })], {}, ['a forEach ExpressionInvalid']],
    ['item outside of a forEach', [transform('a', '${{ item }}')], {}, ['a with.output UnknownName']],
    ['item in when', [transform('a', '${{ item }}', { forEach: '[1]', when: 'item == 1' })], {}, ['a when UnknownName']],
    ['error outside of retry.on', [script('a', { when: 'error.class == "User"' })], {}, ['a when UnknownName']],
    ['retry.on sees error and attempts', [script('a', { retry: { limit: 1, on: 'error.class == "User" && attempts < 3' } })], {}, []],
    ['unknown input, where the schema is closed', [transform('a', '${{ inputs.nope }}')], { inputs: { type: 'object', properties: { yes: {} }, additionalProperties: false } }, ['a with.output UnknownInput']],
    ['unknown input, where the schema is open', [transform('a', '${{ inputs.nope }}')], { inputs: { type: 'object', properties: { yes: {} } } }, []],
    ['bad durations', [script('a', { timeout: '1.5s', pendingTimeout: 'x', retry: { backoff: { duration: '-1s', maxDuration: '1w' } } })], { timeout: 'soon', defaults: { timeout: '5x' } }, ['- defaults.timeout DurationInvalid', '- timeout DurationInvalid', 'a retry.backoff.duration DurationInvalid', 'a retry.backoff.maxDuration DurationInvalid', 'a timeout DurationInvalid', 'a pendingTimeout DurationInvalid']],
    ['unknown node in outputs', [script('a')], { outputs: { x: '${{ nodes.b.output }}', ok: '${{ nodes.a.output }}' } }, ['- outputs.x UnknownNode']],
    ['odd output name', [script('a')], { outputs: { 'X_': 1 } }, ['- outputs.X_ NameInvalid']],
    ['fields that are not run yet', [script('a', { cache: { key: '"x"' }, locks: [{ name: '"l"' }], artifacts: {} })], { locks: [{ name: '"l"' }], concurrency: { key: '"k"' }, retention: { succeeded: { count: 5 } } }, ['- concurrency UnsupportedField', '- locks UnsupportedField', '- retention UnsupportedField', 'a cache UnsupportedField', 'a locks UnsupportedField', 'a artifacts UnsupportedField']],
    ['parallelism without forEach', [script('a', { parallelism: 2 })], {}, ['a parallelism FieldNotAllowed']],
  ])('%s', (_name, nodes, more, expected) => {
    expect(found(nodes, more)).toEqual(expected);
  });

  test('all problems come at once, sorted by node, and name node, field and value', () => {
    const nodes = [transform('b', '${{ nodes.nope.output }}'), script('a', { dependsOn: ['gone'], when: '1 +' })];
    expect(found(nodes)).toEqual(['b with.output UnknownNode', 'a when ExpressionInvalid', 'a dependsOn[0] UnknownNode']);
    expect(messages(nodes)).toContain('node "a", dependsOn[0]: there is no node "gone"');
    const result = compile({ nodes });
    expect(result.ok ? '' : result.problems[2]?.value).toBe('gone');
  });

  test('a name with a hyphen written with a dot gets a hint', () => {
    expect(messages([script('build-all'), transform('b', '${{ nodes.build.output }}')])).toContain('nodes["build-all"]');
  });
});

describe('with, by type', () => {
  test.each<[string, NodeSpec, string[]]>([
    ['container', as('container', { with: { image: 'x', command: ['a'], args: ['${{ inputs.n }}'], input: { a: 1 } } }), []],
    ['container without image', as('container', { with: { command: ['a'] } }), ['a with.image FieldRequired']],
    ['container with source', as('container', { with: { image: 'x', source: 'y' } }), ['a with.source FieldNotAllowed']],
    ['container with text around an expression', as('container', { with: { image: 'x:${{ inputs.n }}', command: ['a ${{ inputs.n }}'], args: ['-n${{ inputs.n }}'], env: [{ name: 'A', value: 'x${{ inputs.n }}' }] } }), ['a with.image TemplateNotWhole', 'a with.command[0] TemplateNotWhole', 'a with.args[0] TemplateNotWhole', 'a with.env[0].value TemplateNotWhole']],
    ['runner.env with text around an expression', script('a', { runner: { env: [{ name: 'A', value: 'x${{ inputs.n }}' }] } }), []],
    ['script', script('a'), []],
    ['script without anything', as('script'), ['a with.language FieldRequired', 'a with.source FieldRequired']],
    ['script with an expression in its source, kept as it is', script('a', { with: { language: 'bash', source: '${{ nope' } }), []],
    ['http', as('http', { with: { url: 'https://x/${{ inputs.n }}', method: 'POST', headers: [{ name: 'A', fromEnv: 'B' }], body: { a: '${{ inputs }}' }, expect: { status: [200], condition: 'response.status == 200' } } }), []],
    ['http without url', as('http', { with: {} }), ['a with.url FieldRequired']],
    ['http with a header of two values', as('http', { with: { url: 'x', headers: [{ name: 'A', fromEnv: 'B', value: 'c' }, { name: 'D' }] } }), ['a with.headers[0] FieldRequired', 'a with.headers[1] FieldRequired']],
    ['http with a bad condition', as('http', { with: { url: 'x', expect: { condition: 'response +' } } }), ['a with.expect.condition ExpressionInvalid']],
    ['transform', transform('a', { deep: ['${{ inputs.n }}'] }), []],
    ['transform without output', as('transform'), ['a with.output FieldRequired']],
    ['transform with input', as('transform', { with: { output: 1, input: 2 } }), ['a with.input FieldNotAllowed']],
    ['switch', as('switch', { with: { cases: [{ when: 'inputs.n > 1', output: 1 }], default: 2 } }), []],
    ['switch with a case that is no condition', as('switch', { with: { cases: [{ when: '1', output: 1 }] } }), ['a with.cases[0].when ExpressionInvalid']],
    ['wait for', as('wait', { with: { duration: '5s' } }), []],
    ['wait until', as('wait', { with: { until: '2026-01-01T00:00:00Z' } }), []],
    ['wait until an expression', as('wait', { with: { until: '${{ inputs.at }}' } }), []],
    ['wait for nothing', as('wait', { with: {} }), ['a with FieldRequired']],
    ['wait for both', as('wait', { with: { duration: '1s', until: '2026-01-01T00:00:00Z' } }), ['a with FieldRequired']],
    ['wait for nonsense', as('wait', { with: { duration: '1' } }), ['a with.duration DurationInvalid']],
    ['wait until nonsense', as('wait', { with: { until: 'tomorrow' } }), ['a with.until InstantInvalid']],
    ['agent by name', as('agent', { with: { agentRef: { name: 'triage' }, input: { a: '${{ inputs.n }}' }, conversation: 'c-${{ inputs.n }}' } }), []],
    ['agent inline, its expressions kept as they are', as('agent', { with: { inline: { modelRef: { name: 'small' }, instructions: { text: '${{ nope' } } } }), []],
    ['agent of nobody', as('agent'), ['a with FieldRequired']],
    ['agent of two', as('agent', { with: { agentRef: { name: 'x' }, inline: { modelRef: { name: 'small' } } } }), ['a with FieldRequired']],
    ['agent with an inline text', as('agent', { with: { inline: 'x' } }), ['a with.inline AgentInvalid']],
    ['agent with an inline spec that is none', as('agent', { with: { inline: { instructions: { text: 'a' } } } }), ['a with.inline.modelRef AgentInvalid']],
    ['agent with an inline budget of nothing', as('agent', { with: { inline: { modelRef: { name: 'm' }, budget: { usd: 0 } } } }), ['a with.inline.budget.usd AgentInvalid']],
    ['agent with a field of others', as('agent', { with: { agentRef: { name: 'x' }, source: 'y' } }), ['a with.source FieldNotAllowed']],
    ['agent that is tried again', as('agent', { with: { agentRef: { name: 'x' } }, retry: { limit: 1 } }), ['a retry.limit FieldNotAllowed']],
    ['agent with a limit of 0 and one of infrastructure', as('agent', { with: { agentRef: { name: 'x' } }, retry: { limit: 0, infraLimit: 9 } }), []],
    ['approval', as('approval'), ['a type UnsupportedType']], ['signal', as('signal'), ['a type UnsupportedType']],
    ['workflow', as('workflow'), ['a type UnsupportedType']], ['resource', as('resource'), ['a type UnsupportedType']],
  ])('%s', (_name, node, expected) => {
    expect(found([node])).toEqual(expected);
  });
});

describe('modes', () => {
  test.each<[NodeSpec['type'], NodeSpec['runner'], string]>([
    ['container', undefined, 'pod'], ['resource', undefined, 'pod'], ['script', undefined, 'warm'], ['http', undefined, 'warm'], ['agent', undefined, 'warm'], ['transform', undefined, 'inline'], ['switch', undefined, 'inline'], ['wait', undefined, 'inline'],
    ['script', { isolation: 'pod' }, 'pod'], ['script', { isolation: 'warm' }, 'warm'], ['script', { resources: { limits: { cpu: '1' } } }, 'pod'], ['script', { nodeSelector: { a: 'b' } }, 'pod'], ['http', { tolerations: [{}] }, 'pod'], ['script', { envFrom: [{}] }, 'pod'], ['script', { volumes: [] }, 'pod'],
    ['script', { env: [{ name: 'A' }], pool: 'gpu' }, 'warm'], ['transform', { isolation: 'warm' }, 'warm'],
  ])('%s with %j is %s', (type, runner, mode) => {
    expect(modeOf({ type, runner })).toBe(mode);
  });

  test.each<[NodeSpec, string]>([
    [as('container', { with: { image: 'x' }, runner: { isolation: 'warm' } }), 'a runner.isolation IsolationInvalid'], [script('a', { runner: { isolation: 'warm', resources: {} } }), 'a runner.isolation IsolationInvalid'],
    [transform('a', 1, { runner: { isolation: 'pod' } }), 'a runner.isolation IsolationInvalid'], [transform('a', 1, { runner: { resources: {} } }), 'a runner.resources IsolationInvalid'], [as('wait', { with: { duration: '1s' }, runner: { isolation: 'warm' } }), 'a runner.isolation IsolationInvalid'],
    [as('switch', { with: { cases: [] }, runner: { isolation: 'pod' } }), 'a runner.isolation IsolationInvalid'],
  ])('%j breaks the isolation rules', (node, expected) => {
    expect(found([node])).toEqual([expected]);
  });

  test('defaults reach dispatched nodes only, and a node wins', () => {
    const definition = compiled([script('a'), transform('b', 1), script('c', { timeout: '1s', retry: { limit: 1 }, runner: { pool: 'own', env: [{ name: 'A', value: 'own' }] } })], {
      defaults: { retry: { limit: 3, backoff: { duration: '5s' } }, timeout: '9s', runner: { isolation: 'pod', pool: 'shared', env: [{ name: 'A', value: 'x' }, { name: 'B', value: 'y' }] } },
    });
    const [a, b, c] = definition.nodes;
    expect([a?.mode, a?.pool, a?.timeoutMs, a?.retry.limit, a?.retry.durationMs]).toEqual(['pod', 'shared', 9_000, 3, 5_000]);
    expect(b?.mode).toBe('inline');
    expect([c?.mode, c?.pool, c?.timeoutMs, c?.retry.limit, c?.retry.durationMs]).toEqual(['pod', 'own', 1_000, 1, 5_000]);
    expect(c?.env.map(([name]) => name)).toEqual(['A', 'B']);
    expect(mergeRunner('transform', { pool: 'x' }, undefined)).toBeUndefined();
  });

  test('a default retry does not reach an agent, which goes on from its journal', () => {
    const [node] = compiled([as('agent', { with: { agentRef: { name: 'x' } } })], { defaults: { retry: { limit: 3, infraLimit: 7 } } }).nodes;
    expect([node?.retry.limit, node?.retry.infraLimit, node?.mode]).toEqual([0, 7, 'warm']);
  });

  test('defaults of a retry and of timeouts', () => {
    const [node] = compiled([script('a')]).nodes;
    expect(node?.retry).toEqual({ limit: 0, durationMs: 1_000, factor: 2, maxMs: 60_000, jitter: 0.1, infraLimit: 5 });
    expect([node?.pendingTimeoutMs, node?.timeoutMs, node?.inFlight, node?.pool]).toEqual([600_000, undefined, 500, 'default']);
  });
});

test('the builders of these tests make what the CRD schema accepts', () => {
  expect(nodeSchema.safeParse(script('a')).success).toBe(true);
  expect(workflowSpecSchema.safeParse({ nodes: [transform('a', { b: 1 })] }).success).toBe(true);
});
