import fc from 'fast-check';
import { z } from 'zod';
import type { Operation } from './operation.ts';
import { InvalidInput } from './problems.ts';
import { pathFields, restInput } from './rest-input.ts';

const input = z.strictObject({ id: z.string(), first: z.int().nullish(), after: z.string().nullish(), on: z.boolean().optional(), tags: z.array(z.string()).optional(), ns: z.array(z.int()).optional(), meta: z.unknown().optional() });

/** An operation as far as the door of REST looks at it. */
function operation(method: string, path = '/things/{id}'): Operation {
  return { name: 'thing', rest: { method, path }, input } as unknown as Operation;
}

function read(method: string, query: string, body?: unknown, path?: string): unknown {
  return restInput(operation(method, path), { id: 'i' }, new URLSearchParams(query), body);
}

test.each<[string, string, unknown, unknown]>([
  ['GET', '', undefined, { id: 'i' }], ['GET', 'first=5&after=x', undefined, { id: 'i', first: 5, after: 'x' }], ['GET', 'on=true', undefined, { id: 'i', on: true }], ['GET', 'on=false', undefined, { id: 'i', on: false }],
  ['GET', 'tags=a&tags=b', undefined, { id: 'i', tags: ['a', 'b'] }], ['GET', 'tags=a', undefined, { id: 'i', tags: ['a'] }], ['GET', 'ns=1&ns=-2', undefined, { id: 'i', ns: [1, -2] }], ['DELETE', 'first=1', undefined, { id: 'i', first: 1 }],
  // What does not fit is left for the schema to refuse.
  ['GET', 'first=five', undefined, { id: 'i', first: 'five' }], ['GET', 'first=', undefined, { id: 'i', first: '' }], ['GET', 'first=0x10', undefined, { id: 'i', first: '0x10' }], ['GET', 'first=1e3', undefined, { id: 'i', first: '1e3' }], ['GET', 'first= 1', undefined, { id: 'i', first: ' 1' }],
  ['GET', 'on=1', undefined, { id: 'i', on: '1' }], ['GET', 'after=a&after=b', undefined, { id: 'i', after: ['a', 'b'] }], ['GET', 'nope=1', undefined, { id: 'i', nope: '1' }], ['GET', 'first=99999999999999999999', undefined, { id: 'i', first: '99999999999999999999' }],
  ['POST', '', { first: 5, on: 'true' }, { id: 'i', first: 5, on: 'true' }], ['POST', '', {}, { id: 'i' }], ['PATCH', '', undefined, { id: 'i' }], ['PUT', '', { meta: { a: 1 } }, { id: 'i', meta: { a: 1 } }],
])('%s ?%s with %j is %j', (method, query, body, expected) => {
  expect(read(method, query, body)).toEqual(expected);
});

test.each<[string, string, string, unknown, string]>([
  ['a body of a read', 'GET', '', {}, 'the input takes no body: send the fields in the query string'], ['a query of a change', 'POST', 'first=1', {}, 'first is no field of the query string: send it in the body, or where the path has it'],
  ['the id in the query', 'GET', 'id=x', undefined, 'id is no field of the query string: send it in the body, or where the path has it'], ['the id in the body', 'POST', '', { id: 'x' }, 'id stands in the path: leave it out of the body'],
  ['a list', 'POST', '', [1], 'the input is no object: send a JSON object with the fields of the input'], ['null', 'POST', '', null, 'the input is no object: send a JSON object with the fields of the input'], ['a text', 'POST', '', 'x', 'the input is no object: send a JSON object with the fields of the input'],
])('%s is refused', (_, method, query, body, message) => {
  expect(() => read(method, query, body)).toThrow(message);
});

test('a field called __proto__ is data, and refused like any unknown one', () => {
  const given = read('POST', '', JSON.parse('{"__proto__":{"polluted":1}}')) as object;
  expect(Object.hasOwn(given, '__proto__')).toBe(true);
  expect(Reflect.get({}, 'polluted')).toBeUndefined();
  expect(input.safeParse(given).success).toBe(false);
});

test.each([['/a/{id}/b/{name}', ['id', 'name']], ['/a', []], ['/{a}{b}', ['a', 'b']], ['/{a-b}', []]])('%s has the fields %j', (path, fields) => { expect(pathFields(path)).toEqual(fields); });

test('whatever the query string is, it is read or refused', () => {
  fc.assert(fc.property(fc.constantFrom('GET', 'POST', 'DELETE'), fc.string(), fc.option(fc.jsonValue(), { nil: undefined }), (method, query, body) => {
    try {
      expect(read(method, query, body)).toMatchObject({ id: 'i' });
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidInput);
    }
  }));
});
