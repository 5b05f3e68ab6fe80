import fc from 'fast-check';
import { operations } from '../modules.ts';
import { parseInput } from './execute.ts';
import { InvalidInput } from './problems.ts';

/* The door of every operation: whatever JSON comes, it is read or refused, never a fault of ours. */

test('an object that pretends to have a length is refused like any other wrong type', () => {
  const operation = operations.find(({ name }) => name === 'createAccessToken');
  if (operation === undefined) throw new Error('no such operation');
  for (const name of [{ length: { toString: false } }, { length: 3 }, { length: null }]) {
    expect(() => parseInput(operation, { name, scopes: ['read'], expiresInDays: 1 })).toThrow(InvalidInput);
  }
});

test.each(operations.map((operation) => [operation.name, operation] as const))('%s: any JSON is read or refused', (_, operation) => {
  const fields = Object.keys('shape' in operation.input ? operation.input.shape : {});
  const odd = fc.oneof(fc.jsonValue(), fc.record({ length: fc.oneof(fc.jsonValue(), fc.constant({ toString: false, valueOf: 1 })) }));
  const input = fields.length === 0 ? fc.jsonValue() : fc.record(Object.fromEntries(fields.map((field) => [field, odd])), { requiredKeys: [] });
  fc.assert(fc.property(input, (raw) => {
    try {
      parseInput(operation, raw);
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidInput);
    }
  }), { numRuns: 60 });
});
