import { approvalHash, argumentsHash, callKey, childRunId } from './agent-call.ts';

const KEY = ['a0b1', 2, 's2c1', { to: 'ada', n: 1 }] as const;

test('the key of a call is the same whatever the order of its arguments, and another for everything else', () => {
  const key = callKey(...KEY);
  expect(key).toMatch(/^[0-9a-f]{64}$/);
  expect(callKey('a0b1', 2, 's2c1', { n: 1, to: 'ada' })).toBe(key);
  const others = [callKey('a0b2', 2, 's2c1', KEY[3]), callKey('a0b1', 3, 's2c1', KEY[3]), callKey('a0b1', 2, 's2c2', KEY[3]), callKey('a0b1', 2, 's2c1', { to: 'ada', n: 2 }), callKey('a0b1', 2, 's2c1', { to: 'ada', n: '1' })];
  expect(new Set([key, ...others]).size).toBe(6);
});

test('an approval is bound to revision, tool, schema and arguments', () => {
  const approved = { revision: 'r', tool: 'bank/pay', schemaHash: 's', arguments: { amount: 1 } };
  const hashes = [approved, { ...approved, revision: 'r2' }, { ...approved, tool: 'bank/payAll' }, { ...approved, schemaHash: 's2' }, { ...approved, arguments: { amount: 2 } }].map(approvalHash);
  expect(new Set(hashes).size).toBe(5);
  expect(approvalHash({ ...approved })).toBe(hashes[0]);
});

test('a child has a UUID that follows from the key', () => {
  expect(childRunId('k')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-9[0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(childRunId('k')).toBe(childRunId('k'));
  expect(childRunId('k')).not.toBe(childRunId('l'));
  expect(argumentsHash({ a: 1, b: undefined })).toBe(argumentsHash({ a: 1 }));
});
