import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readDefaultPool, readEgress } from './connect.ts';

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

test.each<[string, string | undefined, readonly number[]]>([
  ['no gateway', undefined, [53, 53, 4_333]], ['a port', 'http://gateway:8080', [53, 53, 4_333, 8_080]], ['none, http', 'http://gateway.rambo.svc', [53, 53, 4_333, 80]], ['none, https', 'https://gateway.example', [53, 53, 4_333, 443]],
])('without a file runners reach DNS, NATS and the model gateway: %s', (_, gateway, ports) => {
  expect(readEgress(undefined, 'nats://nats:4333', gateway).flatMap((rule) => (rule['ports'] as readonly { readonly port: number }[]).map(({ port }) => port))).toEqual(ports);
});
