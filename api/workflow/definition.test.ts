import fc from 'fast-check';
import { definitionProblems, definitionText } from './definition.ts';

const node = (more: object = {}): object => ({ name: 'a', type: 'script', with: { language: 'bash', source: 'true' }, ...more });
const nested = (levels: number): unknown => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`);

test.each<[string, unknown]>([['a small workflow', { nodes: [node()] }], ['data of any shape in a leaf', { nodes: [node({ with: { language: 'bash', source: 'true', input: { any: [{ thing: null }] } } })] }], ['a schema of the input', { inputs: { type: 'object', properties: { n: { type: 'integer' } } }, nodes: [node()] }]])('%s has no problems', (_, definition) => {
  expect(definitionProblems(definition)).toEqual([]);
});

test.each<[string, unknown, readonly object[]]>([
  ['nothing', undefined, [{ field: 'definition', reason: 'FieldInvalid' }]], ['a list', [], [{ field: 'definition', reason: 'FieldInvalid' }]], ['no nodes', {}, [{ field: 'definition.nodes', reason: 'FieldInvalid' }]],
  ['a node of no type', { nodes: [{ name: 'a' }] }, [{ field: 'definition.nodes[0].type', reason: 'FieldInvalid' }]], ['a name that is none', { nodes: [node({ name: 'A b' })] }, [{ field: 'definition.nodes[0].name', reason: 'FieldInvalid' }]],
  ['an unknown field', { nodes: [node()], retries: 3 }, [{ field: 'definition.retries', reason: 'UnknownField', message: 'is not a field of a workflow: remove it or correct its name' }]], ['an unknown field of a node', { nodes: [node({ dependOn: ['b'] })] }, [{ field: 'definition.nodes[0].dependOn', reason: 'UnknownField' }]],
  ['a field of the pod', { nodes: [node({ runner: { hostNetwork: true } })] }, [{ field: 'definition.nodes[0].runner.hostNetwork', reason: 'UnknownField' }]], ['a field with a dot', { nodes: [node()], 'a.b': 1 }, [{ field: 'definition["a.b"]', reason: 'UnknownField' }]],
  ['a cycle', { nodes: [node({ dependsOn: ['b'] }), node({ name: 'b', dependsOn: ['a'] })] }, [{ field: expect.stringMatching(/^definition\./), reason: 'Cycle' }]], ['an expression that does not parse', { nodes: [node({ when: '1 +' })] }, [{ node: 'a', field: 'definition.when', reason: 'ExpressionInvalid' }]],
  ['something that is nested too deep', { nodes: [node({ with: { input: nested(200) } })] }, [{ field: 'definition', reason: 'TooDeep', message: 'is nested deeper than 100 levels: flatten it' }]],
])('%s is told with its field', (_, definition, problems) => {
  expect(definitionProblems(definition)).toMatchObject(problems);
});

test('at most 20 problems are told', () => {
  expect(definitionProblems({ nodes: [node()], ...Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`x${i}`, 1])) })).toHaveLength(20);
});

test('whatever JSON comes, it is judged and never thrown at', () => {
  fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (value, leaf) => {
    for (const definition of [value, { nodes: value }, { nodes: [node({ with: leaf })] }, { nodes: [node({ when: leaf, forEach: value })] }, { nodes: [node()], outputs: value, defaults: leaf }]) {
      for (const { field, reason, message } of definitionProblems(definition)) expect([field.startsWith('definition'), /^[A-Z][A-Za-z]+$/.test(reason), message.length > 3]).toEqual([true, true, true]);
    }
  }), { numRuns: 150 });
});

test('the text of a definition does not depend on the order of its fields', () => {
  expect(definitionText({ b: 1, a: { d: [1, 2], c: null } })).toBe(definitionText({ a: { c: null, d: [1, 2] }, b: 1 }));
});
