import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { ConfigError, databaseVariables, duration, flag, list, logLevel, objectsVariables, port, readConfig, readDatabaseUrl, readObjectsConfig, readSecretFile, text, whole } from './index.ts';

let dir: string;
beforeAll(() => { dir = mkdtempSync(path.join(tmpdir(), 'rambo-config-')); });
afterAll(() => { rmSync(dir, { recursive: true }); });

function file(name: string, content: string): string {
  writeFileSync(path.join(dir, name), content);
  return path.join(dir, name);
}

/** What is said about one variable V of a kind. */
function problemOf(kind: z.ZodType, value: string | undefined): string {
  try {
    readConfig(z.object({ V: kind }), { V: value });
    return 'none';
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replace('the environment cannot be used:\n', '');
    throw error;
  }
}

describe('what a person writes, and what the code reads', () => {
  test.each<[string, z.ZodType, string | undefined, unknown]>([
    ['a port', port(8_080), '443', 443], ['no port', port(8_080), undefined, 8_080], ['any port', port(8_080), '0', 0], ['the last port', port(0), '65535', 65_535],
    ['a number', whole(5, 10), '10', 10], ['a number with zeros before it', whole(5, 10), '007', 7], ['true', flag(false), 'true', true], ['false', flag(true), 'false', false], ['no flag', flag(true), undefined, true], ['no flag that is off', flag(false), undefined, false],
    ['a duration', duration('5s'), '1h30m', 5_400_000], ['no duration', duration('5s'), undefined, 5_000], ['no time', duration('5s'), '0s', 0],
    ['a list', list(), 'a, b ,,c', ['a', 'b', 'c']], ['an empty list', list(), '', []], ['no list', list(), undefined, []], ['a level', logLevel(), 'debug', 'debug'], ['no level', logLevel(), undefined, 'info'],
  ])('%s', (_, kind, value, expected) => {
    expect(readConfig(z.object({ V: kind }), { V: value })).toEqual({ V: expected });
  });

  test.each<[string, z.ZodType, string | undefined, string]>([
    ['an empty port, which would be any port', port(8_080), '', '  V (is set): expected a whole number from 0 to 65535'],
    ['an empty number, which would be no limit', whole(500, 1_000), '', '  V (is set): expected a whole number from 0 to 1000'],
    ['a port too far', port(0), '65536', '  V (is set): expected a whole number from 0 to 65535'], ['a negative one', port(0), '-1', '  V (is set): expected a whole number from 0 to 65535'],
    ['half a number', whole(0, 10), '1.5', '  V (is set): expected a whole number from 0 to 10'], ['a number of a programmer', whole(0, 100), '0x10', '  V (is set): expected a whole number from 0 to 100'], ['a number with a blank', whole(0, 100), ' 1', '  V (is set): expected a whole number from 0 to 100'],
    ['a number beyond all digits', whole(0, 100), '9'.repeat(400), '  V (is set): expected a whole number from 0 to 100'],
    ['yes', flag(false), 'yes', '  V (is set): Invalid option: expected one of "true"|"false"'], ['an empty flag', flag(false), '', '  V (is set): Invalid option: expected one of "true"|"false"'],
    ['a duration without a unit', duration('5s'), '10', '  V (is set): expected a duration such as 500ms, 10s, 5m'], ['an empty duration', duration('5s'), '', '  V (is set): expected a duration such as 500ms, 10s, 5m'],
    ['an empty text', text(), '', '  V (is set): Too small: expected string to have >=1 characters'], ['no text', text(), undefined, '  V (is not set): Invalid input: expected string, received undefined'],
  ])('%s is refused', (_, kind, value, problem) => {
    expect(problemOf(kind, value)).toBe(problem);
  });
});

test('everything that is wrong is said at once, and no value is', () => {
  const schema = z.object({ A: port(1), B: text(), C: flag(true), ...objectsVariables });
  let message = '';
  try {
    readConfig(schema, { A: 'secret-1', C: 'secret-2', RAMBO_S3_ENDPOINT: 'secret-3' });
  } catch (error) {
    message = (error as Error).message;
  }
  expect(message.split('\n').map((line) => line.split(':')[0])).toEqual(['the environment cannot be used', '  A (is set)', '  B (is not set)', '  C (is set)', '  RAMBO_S3_ENDPOINT (is set)']);
  expect(message).not.toContain('secret');
});

describe('secrets in files', () => {
  test('come without blanks around them', () => { expect(readSecretFile('V', file('a', '  pass word \n\n'))).toBe('pass word'); });

  test('a file that is not there names the variable, the file and where it should come from', () => {
    expect(() => readSecretFile('RAMBO_X_FILE', `${dir}/secrets/url`)).toThrow(`RAMBO_X_FILE: ${dir}/secrets/url cannot be read; in a cluster it comes from a Secret: it must exist and have the key url`);
  });

  test.each(['', '\n', ' \t\n'])('a file with %j in it is empty: no process starts with an empty password', (content) => {
    expect(() => readSecretFile('RAMBO_X_FILE', file('empty', content))).toThrow(`RAMBO_X_FILE: ${dir}/empty is empty; in a cluster it comes from a Secret`);
  });
});

describe('where Postgres is', () => {
  const read = (env: Record<string, string>): string => readDatabaseUrl(readConfig(z.object(databaseVariables), env));
  test('the URL itself, before its file', () => { expect(read({ RAMBO_DATABASE_URL: 'postgresql://a', RAMBO_DATABASE_URL_FILE: `${dir}/nope` })).toBe('postgresql://a'); });
  test('a file with the URL', () => { expect(read({ RAMBO_DATABASE_URL_FILE: file('url', 'postgresql://b\n') })).toBe('postgresql://b'); });
  test('nowhere', () => { expect(() => read({})).toThrow('RAMBO_DATABASE_URL or RAMBO_DATABASE_URL_FILE must say where Postgres is'); });
});

describe('the object store', () => {
  const read = (env: Record<string, string>): unknown => readObjectsConfig(readConfig(z.object(objectsVariables), env));
  test('there is none unless it has an address', () => { expect(read({ RAMBO_S3_BUCKET: 'b', RAMBO_S3_ACCESS_KEY_FILE: '/nope' })).toBeUndefined(); });
  test.each(['RAMBO_S3_ACCESS_KEY_FILE', 'RAMBO_S3_SECRET_KEY_FILE'])('an address with half a key is refused: only %s', (name) => {
    expect(() => read({ RAMBO_S3_ENDPOINT: 'https://s3', [name]: file('k', 'k') })).toThrow('RAMBO_S3_ENDPOINT is set: RAMBO_S3_ACCESS_KEY_FILE and RAMBO_S3_SECRET_KEY_FILE must say what opens it');
  });
  test('both keys are read, the rest has its defaults', () => {
    expect(read({ RAMBO_S3_ENDPOINT: 'https://s3', RAMBO_S3_ACCESS_KEY_FILE: file('access', 'a\n'), RAMBO_S3_SECRET_KEY_FILE: file('secret', 's\n') }))
      .toEqual({ endpoint: 'https://s3', publicEndpoint: undefined, bucket: 'rambo', region: 'us-east-1', accessKey: 'a', secretKey: 's' });
  });
  test.each(['ftp://s3', 's3', 'javascript:alert(1)'])('%s is no address', (endpoint) => { expect(() => read({ RAMBO_S3_ENDPOINT: endpoint })).toThrow(ConfigError); });
});
