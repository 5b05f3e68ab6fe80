import { COMMON } from '../compile/references.ts';
import type { Root } from './environment.ts';
import type { Json } from '../types.ts';
import { parseTemplate, parseText, render } from './template.ts';
import { fromCel, jsonBytes, sizeOf, toCel } from './values.ts';

const VISIBLE: ReadonlySet<Root> = new Set<Root>(COMMON);
const scope = { spent: 0, context: () => ({ inputs: toCel({ n: 4, s: 'ada', nothing: null, obj: { a: [1] }, trick: '${{ inputs.n }}' }) }) };

function run(value: unknown): Json {
  return render(parseTemplate(value, VISIBLE), scope);
}

describe('templates', () => {
  test.each<[unknown, Json]>([
    ['plain', 'plain'], ['${{ inputs.n }}', 4], ['${{ inputs.obj }}', { a: [1] }], ['n=${{ inputs.n }}', 'n=4'], ['${{ inputs.n }}${{ inputs.n }}', '44'], ['${{ inputs.s }}!', 'ada!'],
    ['x ${{ inputs.obj }} y', 'x {"a":[1]} y'], ['${{ inputs.nothing }}', null], ['<${{ inputs.nothing }}>', '<null>'], [{ a: ['${{ inputs.n }}', { b: 'v${{ inputs.n }}' }], c: true }, { a: [4, { b: 'v4' }], c: true }],
    ['${{ {"a": {"b": inputs.n}} }}', { a: { b: 4 } }], ['${{ "}}" }}', '}}'], ["${{ '}} ' + inputs.s }}.", '}} ada.'], ['$${ {{ }} }', '$${ {{ }} }'], [5, 5], [null, null], [{ '${{ inputs.n }}': 1 }, { '${{ inputs.n }}': 1 }],
  ])('%j becomes %j', (value, expected) => {
    expect(run(value)).toEqual(expected);
  });

  test('data that looks like an expression is not evaluated', () => {
    expect(run('${{ inputs.trick }}')).toBe('${{ inputs.n }}');
    expect(run('<${{ inputs.trick }}>')).toBe('<${{ inputs.n }}>');
  });

  test('keys of a prototype stay data', () => {
    const value = run(JSON.parse('{"__proto__": "${{ inputs.n }}", "constructor": 1}'));
    expect(JSON.stringify(value)).toBe('{"__proto__":4,"constructor":1}');
    expect(({} as Record<string, unknown>)['n']).toBeUndefined();
  });

  test.each([['a ${{ inputs.n', 'without its }}'], ['${{ }}', 'empty'], ['${{ inputs. }}', 'does not parse']])('%j is refused', (text, message) => {
    expect(() => parseText(text, VISIBLE)).toThrow(message);
  });

  test('where only a whole element may be an expression, text around it is refused', () => {
    expect(() => parseText('--n=${{ inputs.n }}', VISIBLE, true)).toThrow('must be the whole element');
    expect(render(parseText('${{ inputs.n }}', VISIBLE, true), scope)).toBe(4);
    expect(render(parseText('literal', VISIBLE, true), scope)).toBe('literal');
  });

  test('nesting beyond 100 is refused', () => {
    let value: unknown = '${{ inputs.n }}';
    for (let i = 0; i < 150; i++) value = [value];
    expect(() => parseTemplate(value, VISIBLE)).toThrow('nested');
  });
});

describe('values', () => {
  test.each<Json>([0, -1, 1.5, 9007199254740991, 1e300, 'x', true, null, [], {}, [1, [2.5, { a: null }]], { a: { b: [] } }])('%j survives the way to CEL and back', (value) => {
    expect(fromCel(toCel(value), 10_000)).toEqual(value);
  });

  test('numbers without a fraction are ints, others doubles', () => {
    expect(toCel([1, 1.5, 2 ** 53, -0])).toEqual([1n, 1.5, 2 ** 53, 0n]);
  });

  test('sizes are exact for lists and maps', () => {
    expect(sizeOf(toCel({ a: [1, 2, 3], b: 'xyz' }))).toMatchObject({ len: 2, below: 4 });
    expect(sizeOf('abc').len).toBe(3);
    expect(jsonBytes({ a: [1, 'xyz'] })).toBeGreaterThanOrEqual(JSON.stringify({ a: [1, 'xyz'] }).length);
  });

  test('a result that shares one part very often is refused by its size', () => {
    const part = Array.from({ length: 100 }, () => 1n);
    expect(() => fromCel(Array.from({ length: 100_000 }, () => part), 1_000_000)).toThrow('over 1000000 bytes');
  });
});
