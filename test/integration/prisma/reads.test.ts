import {
  deadLetter, getRun, getRunByName, getRunDefinition, listAttempts, listDeadLetters, listEvents, listNodes, listRuns, type RunCursor, type RunSummary,
} from '../../../prisma/store/index.ts';
import { createWrite, nodeRow, progress } from '../../harness/rows.ts';
import { type Fixture, newRun, openFixture } from './fixture.ts';

const AT = 1_700_000_000_000;
let fixture: Fixture;
const ids: string[] = [];

beforeAll(async () => {
  fixture = await openFixture();
  const writes = Array.from({ length: 30 }, (_, i) => {
    const { id, shard } = newRun();
    ids.push(id);
    // pairs share a creation time: the id breaks the tie
    return createWrite(id, shard, progress({ phase: i % 3 === 0 ? 'Failed' : 'Running', finishedAt: i % 3 === 0 ? AT : null }), {
      namespace: i % 2 === 0 ? 'even' : 'odd', name: `run-${i % 10}`, workflow: i < 10 ? 'first' : 'second', createdAt: AT + (i >> 1) * 1_000,
    });
  });
  await fixture.commit(writes);
});
afterAll(async () => { await fixture.close(); });

function cursor(row: RunSummary | undefined): RunCursor {
  if (row === undefined) throw new Error('empty page');
  return { createdAt: row.createdAt, id: row.id };
}

async function walk(query: Omit<Parameters<typeof listRuns>[1], 'first'>): Promise<string[]> {
  const found: string[] = [];
  for (let after: RunCursor | undefined; ;) {
    const page = await listRuns(fixture.db, { ...query, first: 4, ...(after === undefined ? {} : { after }) });
    found.push(...page.rows.map((row) => row.id));
    if (!page.hasMore) return found;
    after = cursor(page.rows.at(-1));
  }
}

describe('listRuns', () => {
  test('walks forward over namespaces, newest first, each run once', async () => {
    expect(await walk({ namespaces: ['even', 'odd'] })).toEqual([...ids].reverse());
    expect(await walk({ namespaces: ['even', 'even', 'none'] })).toEqual(ids.filter((_, i) => i % 2 === 0).reverse());
    expect(await walk({ namespaces: [] })).toEqual([]);
  });

  test('filters by workflow, by phase and by both', async () => {
    expect(await walk({ namespaces: ['even', 'odd'], workflow: 'first' })).toEqual(ids.slice(0, 10).reverse());
    expect(await walk({ namespaces: ['even', 'odd'], phase: 'Failed' })).toEqual(ids.filter((_, i) => i % 3 === 0).reverse());
    expect(await walk({ namespaces: ['even'], workflow: 'second', phase: 'Failed' })).toEqual(ids.filter((_, i) => i % 6 === 0 && i >= 10).reverse());
  });

  test('walks back with `before`, still newest first', async () => {
    const all = await listRuns(fixture.db, { namespaces: ['even', 'odd'], first: 100 });
    const before = await listRuns(fixture.db, { namespaces: ['even', 'odd'], first: 5, before: cursor(all.rows[20]) });
    expect(before).toEqual({ rows: all.rows.slice(15, 20), hasMore: true });
    expect(await listRuns(fixture.db, { namespaces: ['even', 'odd'], first: 5, before: cursor(all.rows[3]) })).toEqual({ rows: all.rows.slice(0, 3), hasMore: false });
  });

  test('clamps the size of a page and carries no payloads', async () => {
    for (const first of [0, -1, 0.5]) expect((await listRuns(fixture.db, { namespaces: ['even'], first })).rows).toHaveLength(1);
    const page = await listRuns(fixture.db, { namespaces: ['even'], first: 1e308 });
    expect(page.rows).toHaveLength(15);
    expect(Object.keys(page.rows[0] ?? {})).not.toEqual(expect.arrayContaining(['input']));
  });
});

test('getRun, getRunByName (the newest of that name), getRunDefinition', async () => {
  expect(await getRun(fixture.db, ids[3] ?? '')).toMatchObject({ id: ids[3], namespace: 'odd', name: 'run-3', input: Buffer.from('{}') });
  expect(await getRun(fixture.db, newRun().id)).toBeUndefined();
  expect((await getRunByName(fixture.db, 'odd', 'run-3'))?.id).toBe(ids[23]);
  expect(await getRunByName(fixture.db, 'even', 'run-3')).toBeUndefined();
  expect(String(await getRunDefinition(fixture.db, ids[0] ?? ''))).toBe('{"nodes":[]}');
});

test('nodes, attempts and events of a run by key', async () => {
  const { id, shard } = newRun();
  const attempt = (node: string, item: number, n: number) => ({ node, item, attempt: n, status: 'Failed' as const, error: null, queuedAt: null, startedAt: null, finishedAt: AT, pod: null, runner: null });
  await fixture.commit([{
    ...createWrite(id, shard),
    nodes: [nodeRow('b'), nodeRow('a'), nodeRow('a', { item: 10 }), nodeRow('a', { item: 9 })],
    attempts: [attempt('a', -1, 2), attempt('a', -1, 1), attempt('b', -1, 1)],
    events: [3, 1, 2].map((seq) => ({ seq, at: AT, kind: `K${seq}`, node: null, item: null, attempt: null, reason: null, principal: null })),
  }]);
  const first = await listNodes(fixture.db, id, undefined, 3);
  expect(first).toMatchObject({ rows: [{ node: 'a', item: -1 }, { node: 'a', item: 9 }, { node: 'a', item: 10 }], hasMore: true });
  expect(await listNodes(fixture.db, id, first.rows.at(-1), 3)).toMatchObject({ rows: [{ node: 'b' }], hasMore: false });
  expect((await listAttempts(fixture.db, id, { node: 'a', item: -1, attempt: 1 }, 10)).rows).toMatchObject([{ node: 'a', attempt: 2 }, { node: 'b', attempt: 1 }]);
  expect(await listEvents(fixture.db, id, 1, 1)).toMatchObject({ rows: [{ seq: 2, kind: 'K2', at: AT }], hasMore: true });
  expect((await listEvents(fixture.db, newRun().id, 0, 10)).rows).toEqual([]);
});

test('dead letters keep what fits and refuse nothing', async () => {
  await deadLetter(fixture.db, { subject: 'a\0b', reason: 'x'.repeat(5_000), payload: Buffer.alloc(100_000, 7) });
  await deadLetter(fixture.db, { subject: 'second', reason: 'r', payload: Buffer.alloc(0) });
  const newest = await listDeadLetters(fixture.db, undefined, 1);
  expect(newest).toMatchObject({ rows: [{ subject: 'second' }], hasMore: true });
  const older = await listDeadLetters(fixture.db, newest.rows[0]?.id, 10);
  expect(older.rows[0]?.subject).toBe('a\uFFFDb');
  expect(older.rows[0]?.payload).toHaveLength(65_536);
});
