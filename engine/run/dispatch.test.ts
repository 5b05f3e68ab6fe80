import fc from 'fast-check';
import type { NodeSpec } from '../../crds/node.ts';
import { LIMITS } from '../../crds/names.ts';
import { dispatches, compiled, Harness, script } from '../test-kit.ts';
import type { Dispatch, Json } from '../types.ts';
import { redispatch } from './views.ts';

/** A run whose only node is `node`, started. */
function started(node: Partial<NodeSpec> & Pick<NodeSpec, 'type' | 'with'>, input: Json = { n: 4, s: 'ada', list: [1, 'x'], nothing: null, obj: { a: 1 } }): Harness {
  const h = new Harness(compiled([{ name: 'a', ...node }]), { input });
  h.start();
  return h;
}

function sent(h: Harness): Dispatch {
  const [first] = h.steps.flatMap(dispatches);
  if (first === undefined) throw new Error(`nothing was sent: ${JSON.stringify(h.row('a'))}`);
  return first;
}

const http = (fields: NodeSpec['with']): Harness => started({ type: 'http', with: { method: 'GET', url: 'http://x', ...fields } });
const container = (fields: NodeSpec['with']): Harness => started({ type: 'container', with: { image: 'busybox', ...fields } });

describe('what a runner gets', () => {
  test.each<[string, Harness, Json]>([
    ['a number in the place of a URL is text', http({ url: '${{ inputs.n }}' }), { url: '4' }],
    ['text around an expression stays', http({ url: 'http://x/${{ inputs.s }}?n=${{ inputs.n }}' }), { url: 'http://x/ada?n=4' }],
    ['a body keeps its type', http({ body: '${{ inputs.obj }}' }), { body: { a: 1 } }],
    ['an image is text', container({ image: '${{ inputs.s }}' }), { image: 'ada' }],
    ['each argument is text, whatever it was', container({ args: ['${{ inputs.n }}', '-x', '${{ inputs.n > 3 }}'] }), { args: ['4', '-x', 'true'] }],
    ['a command is a list of texts', container({ command: ['sh', '-c', '${{ inputs.s }}'] }), { command: ['sh', '-c', 'ada'] }],
    ['an input may be anything', started({ type: 'script', with: { language: 'bash', source: 'true', input: { deep: ['${{ inputs.list }}', '${{ inputs.nothing }}'] } } }), { input: { deep: [[1, 'x'], null] } }],
    ['a source is never looked into', started({ type: 'script', with: { language: 'bash', source: 'echo ${{ inputs.n }}' } }), { source: 'echo ${{ inputs.n }}' }],
  ])('%s', (_, h, fields) => {
    expect(sent(h).with).toMatchObject(fields as object);
  });

  test.each<[string, Harness, string]>([
    ['a URL that is null', http({ url: '${{ inputs.nothing }}' }), 'node "a", with.url: a text is needed here, not null'],
    ['a URL that is a list', http({ url: '${{ inputs.list }}' }), 'node "a", with.url: a text is needed here, not a list'],
    ['an image that is an object', container({ image: '${{ inputs.obj }}' }), 'node "a", with.image: a text is needed here, not an object'],
    ['an argument that is a list', container({ args: ['x', '${{ inputs.list }}'] }), 'node "a", with.args: a text is needed here, not a list'],
    ['an input that is not there', started({ type: 'script', with: { language: 'bash', source: 'true', input: '${{ inputs.zz }}' } }), 'node "a", with.input: expression "inputs.zz": No such key: zz'],
    ['a variable that is not there', started({ type: 'script', with: { language: 'bash', source: 'true' }, runner: { env: [{ name: 'KEY', value: 'x${{ inputs.zz }}' }] } }), 'node "a", env KEY: expression "inputs.zz": No such key: zz'],
  ])('%s fails the node, names the field, and nothing is sent', (_, h, message) => {
    expect(h.row('a')).toMatchObject({ status: 'Failed', error: { class: 'Invalid', reason: 'ExpressionFailed', message } });
    expect(h.steps.flatMap(dispatches)).toEqual([]);
  });

  test('variables are texts: others as JSON', () => {
    const env = [{ name: 'N', value: '${{ inputs.n }}' }, { name: 'O', value: '${{ inputs.obj }}' }, { name: 'S', value: '${{ inputs.s }}' }, { name: 'Z', value: '${{ inputs.nothing }}' }, { name: 'P', value: 'plain' }];
    expect(sent(started({ type: 'script', with: { language: 'bash', source: 'true' }, runner: { env } })).env).toEqual({ N: '4', O: '{"a":1}', S: 'ada', Z: 'null', P: 'plain' });
  });

  test('where it runs, and how long', () => {
    expect(sent(started({ type: 'script', with: { language: 'bash', source: 'true' } }))).toMatchObject({ mode: 'warm', pool: 'default', attempt: 1, item: -1 });
    expect(sent(started({ type: 'script', with: { language: 'bash', source: 'true' } }))).not.toHaveProperty('timeoutMs');
    expect(sent(started({ type: 'script', with: { language: 'bash', source: 'true' }, timeout: '90s', runner: { pool: 'gpu', isolation: 'pod' } }))).toMatchObject({ mode: 'pod', pool: 'gpu', timeoutMs: 90_000 });
  });

  test('sent again it is the same, to the byte', () => {
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
      const input = JSON.parse(JSON.stringify({ value })) as Json;
      const h = started({ type: 'script', with: { language: 'bash', source: 'true', input: '${{ inputs.value }}' } }, input);
      expect(JSON.stringify(redispatch(h.state, 'a', -1))).toBe(JSON.stringify(sent(h)));
      expect(sent(h).with['input']).toEqual((input as { value: Json }).value);
    }), { numRuns: 100 });
  });
});

describe('what no message could carry', () => {
  const big = (input: Json): Harness => started({ type: 'script', with: { language: 'bash', source: 'true', input: ['${{ inputs.a }}', '${{ inputs.b }}'] } }, input);

  test.each<[string, string, number]>([['plain text', 'x', 450_000], ['text that JSON writes with six characters each', '\u0001', 75_000], ['text of two bytes a character', 'é', 225_000]])('%s: up to the limit it is sent', (_, char, length) => {
    expect(sent(big({ a: char.repeat(length), b: char.repeat(length) })).with['source']).toBe('true');
  });

  test.each<[string, string, number]>([['plain text', 'x', 460_000], ['text that JSON writes with six characters each', '\u0001', 77_000], ['text of two bytes a character', 'é', 230_000]])('%s: beyond it the node fails at once, and says why', (_, char, length) => {
    const h = big({ a: char.repeat(length), b: char.repeat(length) });
    expect(h.row('a')).toMatchObject({ status: 'Failed', attempt: 0, error: { class: 'Invalid', reason: 'InputTooLarge', message: expect.stringMatching(/^node "a", with and env: what they come to is 9\d{5} bytes; an attempt may be given 917504$/) } });
    expect(h.steps.flatMap(dispatches)).toEqual([]);
    expect(h.state.run.phase).toBe('Failed');
  });

  test('variables count too', () => {
    const env = [{ name: 'A', value: '${{ inputs.a }}' }, { name: 'B', value: '${{ inputs.a }}' }];
    const h = started({ type: 'script', with: { language: 'bash', source: 'true' }, runner: { env } }, { a: 'x'.repeat(LIMITS.dispatchBytes / 2) });
    expect(h.row('a').error).toMatchObject({ reason: 'InputTooLarge' });
  });

  test('an item that is too large fails alone', () => {
    const h = new Harness(compiled([script('a', { forEach: 'inputs.list', with: { language: 'bash', source: 'true', input: ['${{ item }}', '${{ item }}'] } })]), { input: { list: ['x'.repeat(500_000), 'y'] } });
    h.start();
    expect([h.status('a', 0), h.status('a', 1)]).toEqual(['Failed', 'Queued']);
  });
});
