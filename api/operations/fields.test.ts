import fc from 'fast-check';
import { z } from 'zod';
import { day, id, line, metadata, METADATA_LIMIT, oneOf, text, webAddress } from './fields.ts';
import { bare, descriptionOf, fieldsOf } from './shape.ts';

const said = (schema: z.ZodType, value: unknown): string => schema.safeParse(value).error?.issues[0]?.message ?? 'fine';
const nested = (levels: number): unknown => JSON.parse(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`);

test.each<[string, z.ZodType, unknown, string]>([
  ['an id', id('x'), '01234567-89AB-7def-8123-456789abcdef', 'fine'], ['an id without dashes', id('x'), '0123456789ab7def8123456789abcdef', 'is no id: an id is a UUID'], ['an id with a line break', id('x'), '01234567-89ab-7def-8123-456789abcdef\n', 'is no id: an id is a UUID'],
  ['a line', line(5, 'x'), 'a b', 'fine'], ['a line with an accent', line(5, 'x'), 'é日😀', 'fine'], ['a blank line', line(5, 'x'), '  ', 'is blank, or holds a line break or another control character: write one line of text'], ['two lines', line(5, 'x'), 'a\nb', 'is blank, or holds a line break or another control character: write one line of text'],
  ['a line with a bell', line(5, 'x'), 'a\u0007', 'is blank, or holds a line break or another control character: write one line of text'], ['half a character', line(5, 'x'), 'a\ud83d', 'is blank, or holds a line break or another control character: write one line of text'], ['a long line', line(2, 'x'), 'abc', 'Too big: expected string to have <=2 characters'],
  ['a text', text(9, 'x'), 'a\n\tb', 'fine'], ['no text', text(9, 'x'), '', 'fine'], ['NUL', text(9, 'x'), 'a\u0000', 'holds NUL, or half of a character: remove it'], ['half a character in a text', text(9, 'x'), '\udc00', 'holds NUL, or half of a character: remove it'],
  ['a day', day('x'), '2024-02-29', 'fine'], ['a day that is none', day('x'), '2026-02-29', 'is no day: write it like 2026-01-31'], ['a moment', day('x'), '2026-01-31T00:00:00Z', 'is no day: write it like 2026-01-31'],
  ['an address', webAddress('x'), 'https://example.com/x?y#z', 'fine'], ['a script', webAddress('x'), 'javascript:alert(1)', 'is no web address: it begins with https://'], ['a file', webAddress('x'), 'file:///etc/passwd', 'is no web address: it begins with https://'], ['a word', webAddress('x'), 'example', 'is no web address: it begins with https://'],
  ['metadata', metadata('x'), { a: [{ constructor: 1 }] }, 'fine'], ['a list', metadata('x'), [1], 'is no object: give an object'], ['null', metadata('x'), null, 'is no object: give an object'], ['20 levels', metadata('x'), nested(20), 'fine'], ['21 levels', metadata('x'), nested(21), 'is nested deeper than 20 levels: flatten it'],
  ['100,000 levels', metadata('x'), nested(5_000), 'is nested deeper than 20 levels: flatten it'], ['a key of a prototype', metadata('x'), JSON.parse('{"a":[{"__proto__":{}}]}'), 'holds the key __proto__, which programs confuse with something else: rename it'],
  ['as much as may be', metadata('x'), { a: 'x'.repeat(METADATA_LIMIT - 8) }, 'fine'], ['a byte more', metadata('x'), { a: 'x'.repeat(METADATA_LIMIT - 7) }, `is larger than ${METADATA_LIMIT} bytes of JSON: keep less in it`], ['bytes, not characters', metadata('x'), { a: 'é'.repeat(METADATA_LIMIT / 2) }, `is larger than ${METADATA_LIMIT} bytes of JSON: keep less in it`],
  ['a word of a set', oneOf('E', 'x', { A: 'a', B: 'b' }), 'B', 'fine'], ['another word', oneOf('E', 'x', { A: 'a', B: 'b' }), 'a', 'Invalid option: expected one of "A"|"B"'], ['a word every object has', oneOf('E', 'x', { A: 'a' }), 'constructor', 'Invalid input: expected "A"'],
])('%s', (_, schema, value, message) => {
  expect(said(schema, value)).toBe(message);
});

test('what a line takes is what its pattern in the OpenAPI document takes', () => {
  const pattern = new RegExp(String(bare(line(50, 'x')).shape.json?.['pattern']));
  fc.assert(fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }), (value) => {
    if (value.length <= 50) expect([value, pattern.test(value)]).toEqual([value, line(50, 'x').safeParse(value).success]);
  }), { numRuns: 500 });
});

test.each<[string, z.ZodType, object]>([
  ['as it is', z.string(), { optional: false, nullable: false }], ['optional', z.string().optional(), { optional: true, nullable: false }], ['nullable', z.string().nullable(), { optional: false, nullable: true }], ['both', z.string().nullish(), { optional: true, nullable: true }],
  ['with a default', z.string().default('x'), { optional: true, nullable: false, defaultValue: 'x' }], ['with a default that is null', z.string().nullable().default(null), { optional: true, nullable: true, defaultValue: null }],
])('a schema without its wrappers: %s', (_, schema, expected) => {
  const { schema: inner, shape, ...rest } = bare(schema);
  expect([inner instanceof z.ZodString, shape, rest]).toEqual([true, {}, expected]);
});

test('a wrapper keeps what surfaces know of what is inside, and the outer sentence comes first', () => {
  expect(bare(id('An id.').optional()).shape.scalar).toBe('ID');
  expect([descriptionOf('x', id('An id.').optional()), descriptionOf('x', id('An id.').optional().describe('Another.'))]).toEqual(['An id.', 'Another.']);
  expect(() => descriptionOf('createTask.title', z.string().optional())).toThrow('createTask.title has no description');
  expect(fieldsOf(z.object({ a: z.string(), b: z.int() })).map(([name]) => name)).toEqual(['a', 'b']);
});
