import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readDefaultPool } from './connect.ts';

const dir = mkdtempSync(path.join(tmpdir(), 'rambo-pool-'));
afterAll(() => { rmSync(dir, { recursive: true }); });

function file(text: string): string {
  const name = path.join(dir, 'default.json');
  writeFileSync(name, text);
  return name;
}

test('without a file the kind\'s own defaults hold; pools nobody asked for keep no pod warm', () => {
  expect(readDefaultPool(undefined)).toEqual({ minReady: 0 });
  expect(readDefaultPool(file('{"minReady": 3, "max": 9}'))).toEqual({ minReady: 0, max: 9 });
});

test.each<[string, string, RegExp]>([
  ['no JSON', '{', /RAMBO_DEFAULT_POOL_FILE: .*default\.json holds no spec of a RunnerPool/],
  ['a field out of range', '{"slots": 0}', /RAMBO_DEFAULT_POOL_FILE: .*: slots: /],
])('%s is refused with the file and the field', (_name, text, message) => {
  expect(() => readDefaultPool(file(text))).toThrow(message);
});

test('a file that is not there is refused by name', () => {
  expect(() => readDefaultPool(path.join(dir, 'nowhere.json'))).toThrow(/RAMBO_DEFAULT_POOL_FILE: .*nowhere\.json/);
});
