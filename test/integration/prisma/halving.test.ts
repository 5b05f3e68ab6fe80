import { UnavailableError } from '../../../platform/errors/index.ts';
import { commitBatch, commitHalving, loadOutbox, loadRuns, openStore, type RunWrite } from '../../../prisma/store/index.ts';
import { createWrite, nodeRow, progress, write } from '../../harness/rows.ts';
import { type Fixture, leasesOf, newRun, openFixture } from './fixture.ts';

let fixture: Fixture;
beforeAll(async () => { fixture = await openFixture(); });
afterAll(async () => { await fixture.close(); });

/** Ways in which one run can make a whole batch fail. */
const POISONS: readonly (readonly [string, (base: RunWrite) => RunWrite])[] = [
  ['NUL in a text', (base) => ({ ...base, nodes: [nodeRow('a\0b')] })],
  ['an output over the limit', (base) => ({ ...base, nodes: [nodeRow('a', { output: Buffer.alloc(4_194_305) })] })],
  ['a number out of range', (base) => ({ ...base, nodes: [nodeRow('a', { attempt: 2 ** 40 })] })],
  ['a fraction for an integer', (base) => ({ ...base, progress: progress({ seq: 1.5 }) })],
  ['a name too long for its index', (base) => ({ ...base, nodes: [nodeRow(Array.from({ length: 4_000 }, () => Math.random().toString(36)).join(''))] })],
  ['more done than there is', (base) => ({ ...base, progress: progress({ done: 2, total: 1 }) })],
  ['a time that is none', (base) => ({ ...base, timers: [{ timer: 't', dueAt: Number.NaN }] })],
  ['a sequence number used before', (base) => ({ ...base, events: [{ seq: 0, at: 1, kind: 'X', node: null, item: null, attempt: null, reason: null, principal: null }] })],
];

test.each(POISONS)('%s: the guilty run is named, the others are written', async (_, spoil) => {
  const runs = Array.from({ length: 13 }, newRun);
  const published = [...(await fixture.commit([{ ...createWriteOf(newRun()), outbox: [{ node: 'a', item: -1, attempt: 1, send: 1 }] }])).outboxIds.values()].flat();
  const writes = runs.map((run, i) => i === 7 ? spoil(createWriteOf(run)) : createWriteOf(run));
  const batch = { owner: 'me', shards: leasesOf(fixture.shards, writes), writes, published };
  let commits = 0;
  const result = await commitHalving(batch, (part) => {
    commits++;
    return commitBatch(fixture.db, part);
  });
  expect([...result.poisoned.keys()]).toEqual([runs[7]?.id]);
  expect([...result.poisoned.values()][0]).toMatch(/\S/);
  expect(result.applied).toEqual(runs.filter((_run, i) => i !== 7).map((run) => run.id));
  expect(await loadRuns(fixture.db, runs.map((run) => run.id))).toHaveLength(12);
  expect((await loadOutbox(fixture.db, [...Array(256).keys()])).filter((row) => published.includes(row.id))).toEqual([]);
  expect(commits).toBeLessThanOrEqual(10);
});

test('a batch of nothing but poison writes nothing and names all', async () => {
  const writes = Array.from({ length: 4 }, newRun).map((run) => ({ ...createWriteOf(run), nodes: [nodeRow('\0')] }));
  const result = await commitHalving({ owner: 'me', shards: leasesOf(fixture.shards, writes), writes, published: [] }, (part) => commitBatch(fixture.db, part));
  expect(result).toMatchObject({ applied: [], conflicts: [] });
  expect(result.poisoned.size).toBe(4);
});

test('the error names no value of the row', async () => {
  const run = newRun();
  const writes = [{ ...createWriteOf(run), nodes: [nodeRow('a', { status: 'Pending', pool: 'hunter2\0' })] }];
  const result = await commitHalving({ owner: 'me', shards: leasesOf(fixture.shards, writes), writes, published: [] }, (part) => commitBatch(fixture.db, part));
  expect(result.poisoned.get(run.id)).not.toContain('hunter2');
});

test('errors that pass are thrown, not halved: a lock, a statement timeout, a database that is away', async () => {
  const run = newRun();
  await fixture.commit([createWriteOf(run)]);
  const impatient = openStore({ url: fixture.url, max: 1, statementTimeoutMs: 150 });
  let commits = 0;
  try {
    await fixture.db.transaction(async (tx) => {
      await tx.query({ name: 'lock', text: 'SELECT 1 FROM run WHERE id = $1::uuid FOR UPDATE' }, [run.id]);
      const writes = [createWriteOf(newRun()), write(run.id, run.shard, 1)];
      await expect(commitHalving({ owner: 'me', shards: leasesOf(fixture.shards, writes), writes, published: [] }, (part) => {
        commits++;
        return commitBatch(impatient, part);
      })).rejects.toBeInstanceOf(UnavailableError);
    });
  } finally {
    await impatient.close();
  }
  expect(commits).toBe(1);
  const nowhere = openStore({ url: 'postgresql://nobody:secret@127.0.0.1:1/none', connectTimeoutMs: 500 });
  const failure: unknown = await commitBatch(nowhere, { owner: 'me', shards: [], writes: [createWriteOf(newRun())], published: [] }).catch((error: unknown) => error);
  await nowhere.close();
  expect(failure).toBeInstanceOf(UnavailableError);
  expect(String(failure)).not.toContain('secret');
});

test('a missing table is no poison: the batch is not taken apart', async () => {
  const writes = [createWriteOf(newRun()), createWriteOf(newRun())];
  const empty = openStore({ url: fixture.server.url, max: 1 });
  try {
    await expect(commitHalving({ owner: 'me', shards: leasesOf(fixture.shards, writes), writes, published: [] }, (part) => commitBatch(empty, part)))
      .rejects.toMatchObject({ code: 'Database' });
  } finally {
    await empty.close();
  }
});

function createWriteOf(run: { readonly id: string; readonly shard: number }): RunWrite {
  return createWrite(run.id, run.shard);
}
