import fc from 'fast-check';
import { z } from 'zod';
import { InvalidInput, invalidField, problemsOf, shortened } from './problems.ts';

const schema = z.strictObject({
  title: z.string().min(2).max(5), count: z.int().min(1).max(9).optional(), on: z.boolean().optional(), kind: z.enum(['A', 'B']).optional(), tags: z.array(z.string().max(3)).max(2).optional(),
  deep: z.strictObject({ list: z.array(z.strictObject({ n: z.number() })) }).optional(), day: z.iso.date('is no day: write it like 2026-01-31').optional(), any: z.union([z.string(), z.number()]).optional(),
});

function told(raw: unknown): unknown {
  const parsed = schema.safeParse(raw);
  return parsed.success ? [] : problemsOf(parsed.error, raw).map(({ field, reason, value, message }) => [field, reason, ...(value === undefined ? [] : [value]), message]);
}

test.each<[unknown, unknown]>([
  [{}, [['title', 'Required', 'is needed: give it']]],
  [{ title: 'a' }, [['title', 'FieldInvalid', '"a"', 'is too short: at least 2 characters']]],
  [{ title: 'abcdef' }, [['title', 'FieldInvalid', '"abcdef"', 'is too long: at most 5 characters']]],
  [{ title: null }, [['title', 'FieldInvalid', 'null', 'has another type: give a string']]],
  [{ title: 'ab', count: 0 }, [['count', 'FieldInvalid', '0', 'is too small: at least 1']]],
  [{ title: 'ab', count: 10 }, [['count', 'FieldInvalid', '10', 'is too large: at most 9']]],
  [{ title: 'ab', count: 1.5 }, [['count', 'FieldInvalid', '1.5', 'has another type: give an int']]],
  [{ title: 'ab', on: 'true' }, [['on', 'FieldInvalid', '"true"', 'has another type: give a boolean']]],
  [{ title: 'ab', kind: 'C' }, [['kind', 'FieldInvalid', '"C"', 'is none of the values allowed: give one of A, B']]],
  [{ title: 'ab', tags: ['abcd'] }, [['tags[0]', 'FieldInvalid', '"abcd"', 'is too long: at most 3 characters']]],
  [{ title: 'ab', tags: ['a', 'b', 'c'] }, [['tags', 'FieldInvalid', '["a","b","c"]', 'is too long: at most 2 entries']]],
  [{ title: 'ab', deep: { list: [{ n: 1 }, { n: 'x', m: 1 }] } }, [['deep.list[1].n', 'FieldInvalid', '"x"', 'has another type: give a number'], ['deep.list[1].m', 'UnknownField', 'is no field of this input: remove it or correct its name']]],
  [{ title: 'ab', day: '31.1.2026' }, [['day', 'FieldInvalid', '"31.1.2026"', 'is no day: write it like 2026-01-31']]],
  [{ title: 'ab', ownerId: 1, role: 2 }, [['ownerId', 'UnknownField', 'is no field of this input: remove it or correct its name'], ['role', 'UnknownField', 'is no field of this input: remove it or correct its name']]],
  [[], [['', 'FieldInvalid', '[]', 'has another type: give an object']]],
  [undefined, [['', 'Required', 'is needed: give it']]],
])('of %j people are told %j', (raw, problems) => {
  expect(told(raw)).toEqual(problems);
});

test('at most 20 problems are told', () => {
  expect(told({ title: 'ab', ...Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`x${i}`, 1])) })).toHaveLength(20);
});

test.each<[readonly Parameters<typeof invalidField>[], string]>([
  [[['title', 'x', 'is taken']], 'title "x" is taken'], [[['', {}, 'is no list']], 'the input {} is no list'], [[['a', 1, 'is odd'], ['b', 2, 'is odd'], ['c', 3, 'is odd']], 'a 1 is odd (and 2 more)'], [[], 'the input does not fit'],
])('the message of %j', (fields, message) => {
  expect(new InvalidInput(fields.flatMap((field) => invalidField(...field).problems)).message).toBe(message);
});

test('a value is shown as JSON in at most 80 characters, whatever it is', () => {
  expect([shortened('x'), shortened(undefined), shortened('x'.repeat(200))]).toEqual(['"x"', 'undefined', `"${'x'.repeat(78)}…`]);
  fc.assert(fc.property(fc.jsonValue(), (value) => { expect(shortened(value).length).toBeLessThanOrEqual(80); }));
});

test('whatever JSON comes, every problem has a field path and a sentence', () => {
  fc.assert(fc.property(fc.jsonValue(), (raw) => {
    const parsed = schema.safeParse(raw);
    if (parsed.success) return;
    for (const { field, reason, message } of problemsOf(parsed.error, raw)) {
      expect(['Required', 'FieldInvalid', 'UnknownField']).toContain(reason);
      expect([typeof field, message.length > 5]).toEqual(['string', true]);
    }
  }));
});
