import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './files.ts';

/** docs/threat-model.md: every row is there, and every test it names exists. A bare name lies beside the one before it. */

const rows = readFileSync(path.join(ROOT, 'docs/threat-model.md'), 'utf8').split('\n').filter((line) => /^\| T\d+ /.test(line));

test('34 rows, in order', () => {
  expect(rows.map((row) => /^\| (T\d+) /.exec(row)?.[1])).toEqual(Array.from({ length: 34 }, (_, i) => `T${i + 1}`));
});

test.each(rows.map((row) => [/^\| (T\d+) /.exec(row)?.[1], row] as const))('tests that %s names exist, and a row without one says what is open', (_, row) => {
  const [, , , , , shown = '', open = ''] = row.split('|').map((cell) => cell.trim());
  let folder = '';
  const named = [...shown.matchAll(/`([\w./-]+\.test\.ts)`/g)].map((match) => {
    const name = match[1] ?? '';
    if (name.includes('/')) folder = path.dirname(name);
    return name.includes('/') ? name : `${folder}/${name}`;
  });
  expect(named.filter((file) => !existsSync(path.join(ROOT, file)))).toEqual([]);
  if (named.length === 0) expect(`${shown} ${open}`).toMatch(/with |T19|T1\b/);
});
