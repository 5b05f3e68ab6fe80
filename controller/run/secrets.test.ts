import { createHmac, hkdfSync } from 'node:crypto';
import fc from 'fast-check';
import { AttemptSecrets, idempotencyKey } from './secrets.ts';

const secrets = new AttemptSecrets('seed');

test('an attempt secret is the HMAC of the attempt under a key derived from the seed', () => {
  const key = Buffer.from(hkdfSync('sha256', 'seed', 'rambo', 'attempt-secret-v1', 32));
  fc.assert(fc.property(fc.uuid(), fc.string(), fc.nat(), fc.nat(), (run, node, item, attempt) => {
    const expected = createHmac('sha256', key).update(`${run}/${node}/${item}/${attempt}`).digest('hex').slice(0, 32);
    return secrets.of(run, node, item, attempt) === expected && secrets.verify(run, node, item, attempt, expected);
  }));
});

test.each(['', 'x', secrets.of('r', 'n', 0, 2), secrets.of('r', 'n', 0, 1).toUpperCase(), `${secrets.of('r', 'n', 0, 1)}0`, new AttemptSecrets('other').of('r', 'n', 0, 1)])('%j is refused', (secret) => {
  expect(secrets.verify('r', 'n', 0, 1, secret)).toBe(false);
});

test('an idempotency key is the same over attempts and differs by run, node and item', () => {
  const keys = [idempotencyKey('r', 'n', 0), idempotencyKey('r2', 'n', 0), idempotencyKey('r', 'n2', 0), idempotencyKey('r', 'n', 1)];
  expect(new Set(keys).size).toBe(4);
  expect(idempotencyKey('r', 'n', 0)).toBe(keys[0]);
});
