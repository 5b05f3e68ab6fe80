import { misfit } from './schema.ts';

const A = { name: '1_a', checksum: 'a' };
const B = { name: '2_b', checksum: 'b' };
const C = { name: '3_c', checksum: 'c' };
const RUN = { name: 'run', columns: ['id', 'phase'] };

function backup(migrations: readonly { name: string; checksum: string }[], columns = RUN.columns): Parameters<typeof misfit>[0] {
  return { database: { name: 'd', serverVersion: '18', migrations: [...migrations] }, tables: [{ name: 'run', columns, rows: 1, file: 'f', bytes: 1, sha256: '' }] };
}

test.each<[string, Parameters<typeof misfit>[0], Parameters<typeof misfit>[1], RegExp | undefined]>([
  ['the same', backup([A, B]), { migrations: [A, B], tables: [RUN] }, undefined],
  ['a newer database, which only added', backup([A]), { migrations: [A, B], tables: [{ name: 'run', columns: ['id', 'phase', 'new'] }] }, undefined],
  ['a newer backup', backup([A, B, C]), { migrations: [A], tables: [RUN] }, /migrations 2_b, 3_c, which the database lacks.*newer release/],
  ['no schema at all', backup([A]), { migrations: [], tables: [] }, /which the database lacks/],
  ['another text of a migration', backup([A, B]), { migrations: [A, { ...B, checksum: 'x' }], tables: [RUN] }, /2_b is not the same/],
  ['a migration in between', backup([A, C]), { migrations: [A, B, C], tables: [RUN] }, /2_b, older than the backup's last one/],
  ['a column that is gone', backup([A], ['id', 'phase', 'old']), { migrations: [A, B], tables: [RUN] }, /no column old any more: restore with the release/],
  ['a table that is gone', backup([A]), { migrations: [A, B], tables: [] }, /no table run any more/],
])('%s', (_, manifest, target, problem) => {
  const found = misfit(manifest, target);
  if (problem === undefined) expect(found).toBeUndefined();
  else expect(found).toMatch(problem);
});
