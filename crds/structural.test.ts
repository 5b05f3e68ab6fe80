import { RE2JS } from 're2js';
import { z } from 'zod';
import { crdOf } from './crd.ts';
import { KINDS } from './kinds.ts';
import { withRules } from './rules.ts';
import { ConversionError, toStructural } from './structural.ts';

const anyJson = z.unknown().meta({ 'x-kubernetes-preserve-unknown-fields': true });

describe('toStructural', () => {
  test('keeps bounds, patterns, descriptions, defaults and enums', () => {
    const schema = z.object({
      name: z.string().min(1).max(63).regex(/^a$/).describe('Name.'),
      count: z.int().min(0).max(4).default(2),
      mode: z.enum(['A', 'B']).default('A'),
      share: z.number().min(0).max(1).optional(),
      on: z.boolean().optional(),
    });
    expect(toStructural(schema)).toEqual({
      type: 'object',
      required: ['name'],
      properties: {
        name: { type: 'string', minLength: 1, maxLength: 63, pattern: '^a$', description: 'Name.' },
        count: { type: 'integer', minimum: 0, maximum: 4, default: 2 },
        mode: { type: 'string', enum: ['A', 'B'], default: 'A' },
        share: { type: 'number', minimum: 0, maximum: 1 },
        on: { type: 'boolean' },
      },
    });
  });

  test('a list merges by the keys of its metadata', () => {
    const list = z.array(z.object({ name: z.string().max(9) })).max(3).optional()
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] });
    expect(toStructural(z.object({ list }))).toMatchObject({
      properties: { list: { type: 'array', maxItems: 3, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] } },
    });
  });

  test('a leaf of any JSON has no type and may be null; a map of them keeps no schema of its values', () => {
    expect(toStructural(anyJson)).toEqual({ 'x-kubernetes-preserve-unknown-fields': true, nullable: true });
    expect(toStructural(z.record(z.string(), anyJson).meta({ 'x-kubernetes-preserve-unknown-fields': true })))
      .toEqual({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true });
  });

  test('a time is left to the format, with a length', () => {
    expect(toStructural(z.iso.datetime({ offset: true }))).toEqual({ type: 'string', format: 'date-time', maxLength: 64 });
  });

  test('rules stand beside what they judge', () => {
    const schema = withRules(z.object({ a: z.int().optional() }), [{ cel: 'has(self.a)', message: 'a is needed', holds: (v) => v.a !== undefined }]);
    expect(toStructural(schema.optional())).toMatchObject({ 'x-kubernetes-validations': [{ rule: 'has(self.a)', message: 'a is needed' }] });
    expect(schema.safeParse({}).success).toBe(false);
  });

  test.each([
    ['a string without maxLength', z.object({ a: z.string() }), '$.a'],
    ['a list without maxItems', z.array(z.boolean()), '$'],
    ['a map without maxProperties', z.record(z.string(), z.boolean()), '$'],
    ['a union', z.object({ a: z.object({ b: z.union([z.boolean(), z.int()]) }) }), '$.a.b'],
    ['a nullable type', z.object({ a: z.boolean().nullable() }), '$.a'],
    ['an unknown without metadata', z.object({ a: z.unknown() }), '$.a'],
    ['a literal', z.object({ a: z.literal('x') }), '$.a'],
    ['an open object', z.object({ a: z.boolean() }).catchall(z.boolean()), '$'],
    ['a merge key that may be missing', z.array(z.object({ name: z.string().max(1).optional() })).max(1)
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }), '$'],
  ])('refuses %s', (_what, schema, path) => {
    const failed = (): unknown => toStructural(schema);
    expect(failed).toThrow(ConversionError);
    expect(failed).toThrow(expect.objectContaining({ code: 'ConversionFailed', path }));
  });
});

describe('the CRDs', () => {
  const MARKS = ['$ref', 'oneOf', 'anyOf', 'allOf', 'not', 'propertyNames', '$schema', 'const'];

  test.each(KINDS)('$kind is structural, bounded and small', (kind) => {
    const crd = JSON.stringify(crdOf(kind));
    expect(crd.length).toBeLessThan(250_000);
    for (const mark of MARKS) expect(crd).not.toContain(`"${mark}":`);
  });

  test.each(KINDS)('every pattern of $kind is one RE2 takes', (kind) => {
    const patterns = [...JSON.stringify(crdOf(kind)).matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)].map((match) => String(JSON.parse(match[1] ?? '""')));
    expect(patterns.length).toBeGreaterThan(0);
    for (const pattern of new Set(patterns)) expect(() => RE2JS.compile(pattern)).not.toThrow();
  });

  test('short names and categories', () => {
    expect(KINDS.map((kind) => kind.shortName)).toEqual(['wf', 'wfr', 'pool', 'mdl', 'tools', 'ag']);
    for (const kind of KINDS) expect(crdOf(kind)).toMatchObject({ spec: { scope: 'Namespaced', names: { categories: ['rambo'] }, versions: [{ subresources: { status: {} } }] } });
  });
});
