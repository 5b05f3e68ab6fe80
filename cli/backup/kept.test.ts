import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nameAt, outdated, removeOutdated } from './kept.ts';

const AT = Date.UTC(2026, 10, 26, 9, 30, 5, 250);

test('names carry the moment, and sort by it', () => {
  expect(nameAt('/b/rambo-{time}.tar.gz', AT)).toBe('/b/rambo-2026-11-26T09-30-05Z.tar.gz');
  expect(nameAt('/b/fixed', AT)).toBe('/b/fixed');
  const later = nameAt('{time}', AT + 86_400_000 * 40);
  expect([later, nameAt('{time}', AT)].sort()).toEqual([nameAt('{time}', AT), later]);
});

test('the newest stay; nothing goes that does not match the whole pattern', () => {
  const days = [22, 26, 23, 25, 24].map((day) => `rambo-2026-11-${day}T09-30-05Z.tar.gz`);
  const others = ['rambo-2026-11-01T09-30-05Z.tar.gz.part', 'xrambo-2026-11-01T09-30-05Z.tar.gz', 'rambo-mine.tar.gz', 'rambo-2026-11-01T09-30-05Zxtar.gz'];
  expect(outdated([...days, ...others], 'rambo-{time}.tar.gz', 2)).toEqual([22, 23, 24].map((day) => `rambo-2026-11-${day}T09-30-05Z.tar.gz`));
  expect(outdated(days, 'rambo-{time}.tar.gz', 5)).toEqual([]);
});

test('they are removed from the folder, folders among them', async () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'rambo-kept-'));
  try {
    const [old, young] = [nameAt('{time}', AT), nameAt('{time}', AT + 1_000)];
    mkdirSync(path.join(dir, old));
    writeFileSync(path.join(dir, old, 'manifest.json'), '{}');
    writeFileSync(path.join(dir, young), '');
    expect(await removeOutdated(path.join(dir, '{time}'), 1)).toEqual([old]);
    expect(readdirSync(dir)).toEqual([young]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
