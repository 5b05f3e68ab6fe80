import { UnavailableError } from '../errors/index.ts';
import { createLog, type Fault, type Log } from './index.ts';
import { scrub } from './scrub.ts';

/** What JSON.parse says of a text. */
function parseError(text: string): string {
  try {
    JSON.parse(text);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

function world(level = 'info') {
  const lines: Record<string, unknown>[] = [];
  const faults: Fault[] = [];
  const log: Log = createLog('test', level, (fault) => { faults.push(fault); }, { write: (line) => { lines.push(JSON.parse(line)); } });
  return { log, lines, faults };
}

test('a line has level, time, process and message; facts stand beside them', () => {
  const { log, lines } = world();
  log.info({ run: 'r1', node: 'build' }, 'done');
  log.debug({}, 'not at this level');
  expect(lines).toEqual([{ level: 'info', time: expect.stringMatching(/^\d{4}-.*Z$/), process: 'test', run: 'r1', node: 'build', msg: 'done' }]);
});

test('an error is a text whatever was given; of level error it has its stack, and the fault is told with the error itself', () => {
  const { log, lines, faults } = world();
  const error = new TypeError('x is undefined at postgres://u:pass-4711@db/x');
  log.warn({ err: new UnavailableError('Postgres') }, 'not now');
  log.child({ run: 'r1' }).error({ err: error, node: 'n' }, 'a fault');
  log.error({ err: 'a text' }, 'another');
  expect(lines).toMatchObject([{ err: 'Postgres is not available' }, { run: 'r1', node: 'n', err: 'x is undefined at postgres://[redacted]@db/x', stack: expect.stringContaining('log.test') }, { err: 'a text' }]);
  expect(lines[0]).not.toHaveProperty('stack');
  expect(JSON.stringify(lines)).not.toContain('pass-4711');
  expect(faults).toEqual([{ message: 'a fault', error, facts: { err: error, node: 'n' } }, { message: 'another', error: 'a text', facts: { err: 'a text' } }]);
});

test('values under names of secrets never reach a line, wherever they stand', () => {
  const { log, lines } = world();
  log.info({ token: 's-4711', at: { password: 's-4711', deeper: { seed: 's-4711' } }, headers: { authorization: 's-4711', cookie: 's-4711' } }, 'x');
  expect(JSON.stringify(lines)).not.toContain('s-4711');
});

test.each([
  ['postgres://rambo:pass-4711@db:5432/x', 'pass-4711'], ['connect to postgres://rambo:a/b@c-4711@db:5432/x failed', 'c-4711'], ['(postgres://rambo:pa?ss#4711@db)', 'ss#4711'], ['nats://token-4711@nats', 'token-4711'], ['Authorization: Bearer abcdefgh4711', 'abcdefgh4711'],
  ['the token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln is bad', 'eyJzdWIiOiJ4In0'], ['seed SAAGNJOZTRPYYXG2NJX3ZNGXYUSDYX2BWO447W3SHG6XQ7U66RWHQ3JUXM', 'SAAGNJ'],
  ['-----BEGIN PRIVATE KEY-----\nMIIEvQ4711\n-----END PRIVATE KEY-----', 'MIIEvQ4711'], ['{"password":"hunter2"}', 'hunter2'], ['password=hunter2&x=1', 'hunter2'], ["api_key: 'k-4711'", 'k-4711'],
  [parseError('{"x": hunter2-4711}'), 'hunter2'], [parseError('hunter2-4711'), 'hunter2'],
])('in %j the secret is replaced', (text, secret) => {
  expect(scrub(text)).not.toContain(secret);
  expect(scrub(text)).toContain('[redacted]');
});

test.each(['connect ECONNREFUSED 127.0.0.1:5432', 'create /api/v1/namespaces/team-a/pods: 403 exceeded quota', 'node build: with.image is required', 'the token expired'])('%j stays as it is', (text) => {
  expect(scrub(text)).toBe(text);
});
