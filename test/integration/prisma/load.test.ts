import {
  dueTimers, FIRST_ID, getRun, loadLiveRuns, loadOutbox, type LoadedRun, loadRun, markProjected, runByUid, runsByUids, unprojectedRuns,
} from '../../../prisma/store/index.ts';
import { createWrite, nodeRow, progress, write } from '../../harness/rows.ts';
import { type Fixture, newRun, openFixture } from './fixture.ts';

let fixture: Fixture;
beforeAll(async () => { fixture = await openFixture(); });
afterAll(async () => { await fixture.close(); });

const EVERY = [...Array(256).keys()];
const END = progress({ phase: 'Succeeded', finishedAt: 1_700_000_001_000 });

test('live runs come page by page in order of their id, each once, with nodes and one definition buffer', async () => {
  // Counts what a whole database holds: other tests of this file must not have written into it.
  const own = await openFixture();
  const runs = Array.from({ length: 25 }, newRun);
  await own.commit(runs.map(({ id, shard }) => ({ ...createWrite(id, shard), nodes: [nodeRow('a'), nodeRow('b', { item: 0 })] })));
  const ended = runs.slice(0, 5);
  await own.commit(ended.map(({ id, shard }) => write(id, shard, 1, END)));
  const pages: LoadedRun[][] = [];
  for (let after = FIRST_ID; ;) {
    const page = await loadLiveRuns(own.db, EVERY, after, 8);
    if (page.length === 0) break;
    pages.push([...page]);
    after = page.at(-1)?.run.id ?? after;
  }
  const found = pages.flat();
  expect(pages.map((page) => page.length)).toEqual([8, 8, 4]);
  expect(found.map((loaded) => loaded.run.id)).toEqual(runs.slice(5).map((run) => run.id));
  expect(found.every((loaded) => loaded.nodes.length === 2)).toBe(true);
  expect(found[1]?.definition).toBe(found[0]?.definition);
  const mine = runs.slice(5).filter((run) => run.shard === runs[10]?.shard).map((run) => run.id);
  expect((await loadLiveRuns(own.db, [runs[10]?.shard ?? 0], FIRST_ID, 100)).map((loaded) => loaded.run.id)).toEqual(mine);
  await own.close();
});

test('an ended run is loaded by its id; one that never was is undefined', async () => {
  const { id, shard } = newRun();
  await fixture.commit([createWrite(id, shard)]);
  await fixture.commit([write(id, shard, 1, END)]);
  expect((await loadRun(fixture.db, id))?.run).toMatchObject({ phase: 'Succeeded', finishedAt: 1_700_000_001_000, version: 2 });
  expect(await loadRun(fixture.db, newRun().id)).toBeUndefined();
});

test('runs are found by the uid of their WorkflowRun', async () => {
  const [a, b] = [newRun(), newRun()];
  await fixture.commit([createWrite(a.id, a.shard, progress(), { uid: 'uid-a', source: 'cr' }), createWrite(b.id, b.shard, progress(), { uid: 'uid-b', source: 'cr' })]);
  expect(await runByUid(fixture.db, 'uid-a')).toMatchObject({ id: a.id, uid: 'uid-a', source: 'cr' });
  expect((await runsByUids(fixture.db, ['uid-a', 'uid-b', 'uid-c'])).map((run) => run.id).sort()).toEqual([a.id, b.id].sort());
  expect(await runByUid(fixture.db, 'uid-c')).toBeUndefined();
});

test('the outbox of some shards, page by page', async () => {
  const run = newRun();
  const { outboxIds } = await fixture.commit([{ ...createWrite(run.id, run.shard), outbox: Array.from({ length: 7 }, (_, i) => ({ node: 'a', item: i, attempt: 1, send: 1 })) }]);
  const ids = outboxIds.get(run.id) ?? [];
  const first = await loadOutbox(fixture.db, [run.shard], undefined, 5);
  const rest = await loadOutbox(fixture.db, [run.shard], first.at(-1)?.id, 5);
  expect([...first, ...rest].filter((row) => row.runId === run.id).map((row) => row.id)).toEqual(ids);
  expect(await loadOutbox(fixture.db, [])).toEqual([]);
});

test('due timers: only of the shards asked for, only those due, the oldest first', async () => {
  const run = newRun();
  const at = 1_600_000_000_000;
  await fixture.commit([{ ...createWrite(run.id, run.shard), timers: [{ timer: 'later', dueAt: at + 2 }, { timer: 'now', dueAt: at + 1 }, { timer: 'soon', dueAt: at }] }]);
  expect((await dueTimers(fixture.db, EVERY, at + 1, 10)).map((row) => row.timer)).toEqual(['soon', 'now']);
  expect((await dueTimers(fixture.db, EVERY, at + 1, 1)).map((row) => row.timer)).toEqual(['soon']);
  expect(await dueTimers(fixture.db, [(run.shard + 1) % 256], at + 1, 10)).toEqual([]);
});

test('an ended run of a CR stays unprojected until the version of its end is reported; reports never go back', async () => {
  const run = newRun();
  await fixture.commit([createWrite(run.id, run.shard, progress(), { uid: 'uid-projected', source: 'cr' })]);
  await markProjected(fixture.db, [{ run: run.id, version: 1 }]);
  await fixture.commit([write(run.id, run.shard, 1, END)]);
  const ids = async (): Promise<string[]> => (await unprojectedRuns(fixture.db, EVERY)).map((row) => row.id);
  expect(await ids()).toEqual([run.id]);
  await markProjected(fixture.db, [{ run: run.id, version: 1 }]);
  expect(await ids()).toEqual([run.id]);
  await markProjected(fixture.db, [{ run: run.id, version: 1 }, { run: run.id, version: 2 }, { run: newRun().id, version: 1 }]);
  expect(await ids()).toEqual([]);
  await markProjected(fixture.db, [{ run: run.id, version: 1 }]);
  expect(await ids()).toEqual([]);
  expect(await getRun(fixture.db, run.id)).toMatchObject({ projectedVersion: 2, version: 2 });
});
