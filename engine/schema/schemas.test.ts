import { prepared, script } from '../test-kit.ts';
import type { Json } from '../types.ts';
import { compileSchemas, validateInput } from './prepare.ts';
import { checkSchema, isJson } from './schemas.ts';
import { compile } from '../compile/compile.ts';

async function problems(inputs: Json, input: Json): Promise<readonly string[]> {
  const definition = await prepared([script('a')], { inputs });
  return validateInput(definition, input).map((problem) => problem.message);
}

describe('validateInput', () => {
  const schema: Json = {
    type: 'object', required: ['name'], additionalProperties: false,
    properties: { name: { type: 'string', pattern: '^[a-z]+$' }, n: { type: 'integer', minimum: 1 }, tags: { type: 'array', items: { $ref: '#/$defs/tag' }, uniqueItems: true } },
    $defs: { tag: { enum: ['red', 'blue'] } },
  };

  test.each<[Json, string | undefined]>([
    [{ name: 'ada' }, undefined], [{ name: 'ada', n: 1, tags: ['red'] }, undefined], [{}, 'required'], [{ name: 'Ada' }, 'input.name is "Ada" and breaks pattern'], [{ name: 'a', n: 0 }, 'input.n is 0 and breaks minimum: 1'],
    [{ name: 'a', n: 1.5 }, 'breaks type: "integer"'], [{ name: 'a', extra: 1 }, 'input.extra is 1 and breaks additionalProperties: nothing may stand here'], [{ name: 'a', tags: ['red', 'red'] }, 'uniqueItems'],
    [{ name: 'a', tags: ['green'] }, 'input.tags.0 is "green" and breaks enum'], ['text', 'breaks type: "object"'], [null, 'breaks type'],
  ])('%j', async (input, message) => {
    const found = await problems(schema, input);
    if (message === undefined) expect(found).toEqual([]);
    else expect(found.join('\n')).toContain(message);
  });

  test('no schema: every input is valid, and defaults are not filled in', async () => {
    const definition = await prepared([script('a')]);
    expect(validateInput(definition, { anything: 1 })).toEqual([]);
    const input = {};
    expect(await problems({ type: 'object', properties: { a: { default: 1 } } }, input)).toEqual([]);
    expect(input).toEqual({});
  });

  test('keys that are parts of a prototype are keys like others', async () => {
    const closed: Json = { type: 'object', properties: { a: { type: 'string' } }, additionalProperties: false };
    expect(await problems(closed, JSON.parse('{"constructor": 1}'))).toHaveLength(1);
    expect(await problems(closed, JSON.parse('{"__proto__": 1}'))).toHaveLength(1);
    expect(await problems({ type: 'object', properties: { a: { type: 'string' } } }, JSON.parse('{"toString": 1, "hasOwnProperty": 2}'))).toEqual([]);
    expect(await problems(JSON.parse('{"type":"object","properties":{"__proto__":{"type":"string"}}}'), JSON.parse('{"__proto__": 1}'))).toHaveLength(1);
  });

  test('patternProperties and additionalProperties use the same linear patterns', async () => {
    const schema: Json = { type: 'object', properties: { a: {} }, patternProperties: { '^x-': { type: 'number' } }, additionalProperties: false };
    expect(await problems(schema, { a: 1, 'x-b': 2 })).toEqual([]);
    expect(await problems(schema, { 'x-b': 'no' })).toHaveLength(1);
    expect(await problems(schema, { b: 1 })).toHaveLength(1);
  });

  test('a backtracking pattern is linear', async () => {
    const before = performance.now();
    expect(await problems({ type: 'string', pattern: '^(a+)+$' }, `${'a'.repeat(50_000)}!`)).toHaveLength(1);
    expect(performance.now() - before).toBeLessThan(1_000);
  });

  test('unevaluatedProperties sees what properties evaluated', async () => {
    const schema: Json = { type: 'object', allOf: [{ properties: { a: {} } }], unevaluatedProperties: false };
    expect(await problems(schema, { a: 1 })).toEqual([]);
    expect(await problems(schema, { b: 1 })).toHaveLength(1);
  });

  test('schemas that explode or never end are cut off', async () => {
    const defs = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`d${i}`, i === 0 ? { type: 'string' } : { allOf: [{ $ref: `#/$defs/d${i - 1}` }, { $ref: `#/$defs/d${i - 1}` }] }]));
    const before = performance.now();
    expect((await problems({ $ref: '#/$defs/d29', $defs: defs }, 'x')).join()).toContain('more than 100000 steps');
    expect((await problems({ $ref: '#' }, 'x')).join()).toContain('cannot be checked');
    expect(performance.now() - before).toBeLessThan(3_000);
  });

  test('an input nested 300 deep is refused, not overflown', async () => {
    let input: Json = 1;
    for (let i = 0; i < 300; i++) input = [input];
    expect((await problems({ type: 'array' }, input)).join()).toContain('nested');
  });

  test('preparing twice is the same as once', async () => {
    const definition = await prepared([script('a', { outputSchema: { type: 'number' } })], { inputs: { type: 'object' } });
    expect(await compileSchemas(definition)).toBe(definition.validators);
    expect(definition.validators?.outputs.size).toBe(1);
  });
});

describe('checkSchema', () => {
  test.each<[unknown, string]>([
    [{ type: 'strin' }, 'meta-schema'], [{ minLength: -1 }, 'meta-schema'], ['text', 'object, true or false'], [[], 'object, true or false'], [{ $ref: 'https://example.com/x.json' }, 'leads nowhere'], [{ $ref: 'file:///etc/passwd' }, 'leads nowhere'],
    [{ $ref: '#/$defs/nope' }, 'leads nowhere'], [{ pattern: '(?=a)' }, 'RE2'], [{ patternProperties: { '(': {} } }, 'RE2'], [{ $schema: 'http://json-schema.org/draft-07/schema#' }, 'only https://json-schema.org/draft/2020-12/schema'], [{ $vocabulary: {} }, '$vocabulary'],
    [{ properties: { a: { $id: 'https://json-schema.org/draft/2020-12/schema' } } }, '$id below the root'], [{ $anchor: 'a', $ref: '#b' }, 'leads nowhere'],
  ])('%j is refused', (schema, message) => {
    expect(checkSchema(schema).join('\n')).toContain(message);
  });

  test.each<unknown>([true, false, {}, { $id: 'https://example.com/x', type: 'object' }, { $schema: 'https://json-schema.org/draft/2020-12/schema' }, { properties: { $ref: { type: 'string' } } }, { $anchor: 'here', items: { $ref: '#here' } }])('%j is accepted', (schema) => {
    expect(checkSchema(schema)).toEqual([]);
  });

  test('depth and size are bounded', () => {
    let deep: unknown = {};
    for (let i = 0; i < 100; i++) deep = { not: deep };
    expect(checkSchema(deep).join()).toContain('nested');
    expect(checkSchema({ enum: Array.from({ length: 30_000 }, (_, i) => i) }).join()).toContain('20000');
  });

  test('a broken schema is a problem of the definition', () => {
    const result = compile({ nodes: [script('a', { outputSchema: { type: 'nope' } })], inputs: { $ref: 'https://example.com' } });
    expect(result.ok ? [] : result.problems.map((problem) => [problem.node, problem.field, problem.reason])).toEqual([[undefined, 'inputs', 'SchemaInvalid'], ['a', 'outputSchema', 'SchemaInvalid'], ['a', 'outputSchema', 'SchemaInvalid'], ['a', 'outputSchema', 'SchemaInvalid']]);
  });

  test.each<[unknown, boolean]>([[{ a: [1, null] }, true], [undefined, false], [{ a: undefined }, false], [Number.NaN, false], [() => 1, false]])('isJson(%p) is %p', (value, expected) => {
    expect(isJson(value)).toBe(expected);
  });
});
