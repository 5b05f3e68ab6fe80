import { isClosed, isStrict } from './closed-schema.ts';

const closed = (properties: object, required: readonly string[] = []): object => ({ type: 'object', properties, required, additionalProperties: false });

test.each<[string, unknown, boolean, boolean]>([
  ['closed, all required', closed({ a: { type: 'string' } }, ['a']), true, true],
  ['closed, one optional', closed({ a: { type: 'string' }, b: { type: 'number' } }, ['a']), true, false],
  ['open', { type: 'object', properties: { a: {} }, required: ['a'] }, false, false],
  ['open below', closed({ a: { type: 'array', items: { type: 'object' } } }, ['a']), false, false],
  ['open in a definition', { ...closed({ a: { $ref: '#/$defs/x' } }, ['a']), $defs: { x: { type: 'object' } } }, false, false],
  ['a keyword they do not know', closed({ a: { type: 'string', minLength: 3 } }, ['a']), false, false],
  ['a condition', { ...closed({ a: {} }, ['a']), if: {}, then: {} }, false, false],
  ['properties that are called like keywords', closed({ properties: { type: 'string' }, if: { type: 'string' } }, ['properties', 'if']), true, true],
  ['a list at the root', { type: 'array', items: { type: 'string' } }, true, false],
  ['either of two', closed({ a: { anyOf: [{ type: 'string' }, { type: 'null' }] } }, ['a']), true, true],
  ['no schema', true, false, false],
])('%s', (_, schema, isIt, strict) => {
  expect([isClosed(schema), isStrict(schema)]).toEqual([isIt, strict]);
});

test('a schema without an end is none', () => {
  let schema: object = { type: 'string' };
  for (let i = 0; i < 100; i++) schema = { type: 'array', items: schema };
  expect(isClosed(schema)).toBe(false);
});
