import { acquireShards, commitBatch, dueTimers, findIdempotent, getRun, listAttempts, listEvents, listNodes, loadOutbox, loadRun, type RunWrite } from '../../../prisma/store/index.ts';
import { createWrite, nodeRow, progress, write } from '../../harness/rows.ts';
import { type Fixture, leasesOf, newRun, openFixture } from './fixture.ts';

let fixture: Fixture;
beforeAll(async () => { fixture = await openFixture(); });
afterAll(async () => { await fixture.close(); });

const AT = 1_700_000_000_123;

/** A write with a row of every kind. */
function full(base: RunWrite, seq: number): RunWrite {
  return {
    ...base,
    nodes: [nodeRow('a', { status: 'Queued', attempt: 1, queuedAt: AT, send: 1, pool: 'default', mode: 'warm' })],
    attempts: [{ node: 'z', item: -1, attempt: seq, status: 'Succeeded', error: null, queuedAt: AT, startedAt: AT, finishedAt: AT, pod: null, runner: 'r' }],
    events: [{ seq, at: AT, kind: 'NodeQueued', node: 'a', item: -1, attempt: 1, reason: null, principal: 'alice' }],
    outbox: [{ node: 'a', item: -1, attempt: 1, send: 1 }, { node: 'b', item: 3, attempt: 1, send: 1 }],
    timers: [{ timer: 'timeout', dueAt: AT }],
  };
}

async function everything(id: string): Promise<unknown> {
  const { db } = fixture;
  return {
    run: await loadRun(db, id), attempts: await listAttempts(db, id, undefined, 100), events: await listEvents(db, id, 0, 100),
    outbox: (await loadOutbox(db, [...Array(256).keys()])).filter((row) => row.runId === id),
    timers: (await dueTimers(db, [...Array(256).keys()], AT + 1e9, 10_000)).filter((row) => row.runId === id),
  };
}

describe('commitBatch', () => {
  test('writes a new run with all its rows and gives them back as they were', async () => {
    const { id, shard } = newRun();
    const base = createWrite(id, shard, progress({ seq: 1, total: 2, counts: '{"Queued":1}', failures: Buffer.from('[]') }), { uid: `uid-${id}`, traceparent: '00-1', createdAt: AT });
    const result = await fixture.commit([full(base, 1)]);
    expect(result).toMatchObject({ shardLost: [], applied: [id], conflicts: [] });
    const ids = result.outboxIds.get(id) ?? [];
    expect(ids).toHaveLength(2);
    const loaded = await loadRun(fixture.db, id);
    expect(loaded?.run).toMatchObject({ id, shard, version: 1, phase: 'Running', createdAt: AT, startedAt: 1_700_000_000_000, finishedAt: null, uid: `uid-${id}`, projectedVersion: null });
    expect(String(loaded?.definition)).toBe('{"nodes":[]}');
    expect(loaded?.nodes).toMatchObject([{ node: 'a', item: -1, status: 'Queued', attempt: 1, queuedAt: AT, dueAt: null, output: null, pool: 'default' }]);
    const outbox = (await loadOutbox(fixture.db, [shard])).filter((row) => row.runId === id);
    expect(outbox).toMatchObject([{ id: ids[0], node: 'a', item: -1, send: 1, shard }, { id: ids[1], node: 'b', item: 3 }]);
  });

  test('keeps bytes as they are, NUL and invalid UTF-8 included', async () => {
    const { id, shard } = newRun();
    const bytes = Buffer.from([0x7b, 0x00, 0xff, 0x7d]);
    await fixture.commit([{ ...createWrite(id, shard, progress(), { input: bytes }), nodes: [nodeRow('n', { output: bytes, error: Buffer.alloc(0) })] }]);
    const loaded = await loadRun(fixture.db, id);
    expect(loaded?.run.input).toEqual(bytes);
    expect(loaded?.nodes[0]).toMatchObject({ output: bytes, error: Buffer.alloc(0) });
  });

  test('moves a run on from the expected version only; a run that lost writes nothing, its neighbours do', async () => {
    const [good, late] = [newRun(), newRun()];
    await fixture.commit([full(createWrite(good.id, good.shard), 1), full(createWrite(late.id, late.shard), 1)]);
    const before = await everything(late.id);
    const result = await fixture.commit([full(write(late.id, late.shard, 7), 2), full(write(good.id, good.shard, 1, progress({ done: 1 })), 2)]);
    expect(result).toMatchObject({ applied: [good.id], conflicts: [late.id], shardLost: [] });
    expect([...result.outboxIds.keys()]).toEqual([good.id]);
    expect(await everything(late.id)).toEqual(before);
    expect(await getRun(fixture.db, good.id)).toMatchObject({ version: 2, done: 1 });
  });

  test('of two commits on one version exactly one wins', async () => {
    const { id, shard } = newRun();
    await fixture.commit([createWrite(id, shard)]);
    const results = await Promise.all(Array.from({ length: 8 }, (_, i) => fixture.commit([full(write(id, shard, 1), i + 1)])));
    expect(results.filter((result) => result.applied.length === 1)).toHaveLength(1);
    expect(await getRun(fixture.db, id)).toMatchObject({ version: 2 });
    expect((await listEvents(fixture.db, id, 0, 100)).rows).toHaveLength(1);
  });

  test('a repeated creation, by id or by uid, is a conflict and changes nothing', async () => {
    const [a, b] = [newRun(), newRun()];
    await fixture.commit([full(createWrite(a.id, a.shard, progress(), { uid: `cr-${a.id}` }), 1)]);
    const before = await everything(a.id);
    expect(await fixture.commit([full(createWrite(a.id, a.shard, progress(), { uid: `cr-${a.id}` }), 9)])).toMatchObject({ applied: [], conflicts: [a.id] });
    expect(await fixture.commit([full(createWrite(b.id, b.shard, progress(), { uid: `cr-${a.id}` }), 1)])).toMatchObject({ applied: [], conflicts: [b.id] });
    expect(await everything(a.id)).toEqual(before);
    expect(await loadRun(fixture.db, b.id)).toBeUndefined();
  });

  test('rows named twice count once, the last one; a run named twice is refused', async () => {
    const { id, shard } = newRun();
    const base = createWrite(id, shard);
    await fixture.commit([{
      ...base, nodes: [nodeRow('a', { status: 'Queued' }), nodeRow('b'), nodeRow('a', { status: 'Running' })],
      timers: [{ timer: 't', dueAt: 1 }, { timer: 't', dueAt: AT }], clearTimers: ['t', 'u'],
      attempts: [1, 1].map((attempt) => ({ node: 'a', item: -1, attempt, status: 'Failed', error: null, queuedAt: null, startedAt: null, finishedAt: AT, pod: null, runner: null })),
    }]);
    expect((await listNodes(fixture.db, id, undefined, 10)).rows).toMatchObject([{ node: 'a', status: 'Running' }, { node: 'b' }]);
    expect((await listAttempts(fixture.db, id, undefined, 10)).rows).toHaveLength(1);
    expect((await dueTimers(fixture.db, [shard], AT, 1_000)).filter((row) => row.runId === id)).toEqual([{ runId: id, shard, timer: 't', dueAt: AT }]);
    await expect(fixture.commit([write(id, shard, 1), write(id, shard, 1)])).rejects.toMatchObject({ code: 'RowRefused' });
  });

  test('items are kept when a later row does not bring them; a recorded attempt never changes', async () => {
    const { id, shard } = newRun();
    const attempt = { node: 'a', item: -1, attempt: 1, status: 'Failed', error: null, queuedAt: null, startedAt: null, finishedAt: AT, pod: null, runner: null } as const;
    await fixture.commit([{ ...createWrite(id, shard), nodes: [nodeRow('a', { items: Buffer.from('[1,2]') })], attempts: [attempt] }]);
    await fixture.commit([{ ...write(id, shard, 1), nodes: [nodeRow('a', { status: 'Running' })], attempts: [{ ...attempt, status: 'Succeeded' }] }]);
    expect((await loadRun(fixture.db, id))?.nodes).toMatchObject([{ status: 'Running', items: Buffer.from('[1,2]') }]);
    expect((await listAttempts(fixture.db, id, undefined, 10)).rows).toMatchObject([{ status: 'Failed' }]);
  });

  test('timers are set, moved and cleared, and end with their run', async () => {
    const { id, shard } = newRun();
    const names = async (): Promise<string[]> => (await dueTimers(fixture.db, [shard], AT + 10, 1_000)).filter((row) => row.runId === id).map((row) => row.timer);
    await fixture.commit([{ ...createWrite(id, shard), timers: [{ timer: 'a', dueAt: AT }, { timer: 'b', dueAt: AT + 1 }, { timer: 'c', dueAt: AT + 2 }] }]);
    await fixture.commit([{ ...write(id, shard, 1), timers: [{ timer: 'a', dueAt: AT + 3 }], clearTimers: ['b'] }]);
    expect(await names()).toEqual(['c', 'a']);
    await fixture.commit([{ ...write(id, shard, 2, progress({ phase: 'Succeeded', finishedAt: AT })), timers: [{ timer: 'late', dueAt: AT }] }]);
    expect(await names()).toEqual([]);
  });

  test('published rows leave the outbox, with or without runs beside them, twice without harm', async () => {
    const { id, shard } = newRun();
    const first = await fixture.commit([full(createWrite(id, shard), 1)]);
    const [one, two] = first.outboxIds.get(id) ?? [];
    await fixture.commit([write(id, shard, 1)], [one ?? '', one ?? '']);
    expect((await loadOutbox(fixture.db, [shard])).filter((row) => row.runId === id).map((row) => row.id)).toEqual([two]);
    await fixture.commit([], [one ?? '', two ?? '']);
    expect((await loadOutbox(fixture.db, [shard])).filter((row) => row.runId === id)).toEqual([]);
  });
});

describe('fencing', () => {
  test('a stale epoch, another owner or an unknown shard writes nothing and names the shards', async () => {
    const [a, b] = [newRun(), newRun()];
    const writes = [full(createWrite(a.id, a.shard), 1), full(createWrite(b.id, b.shard), 1)];
    const good = leasesOf(fixture.shards, writes);
    const stale = good.map((lease) => lease.id === a.shard ? { ...lease, epoch: lease.epoch - 1n } : lease);
    expect(await commitBatch(fixture.db, { owner: 'me', shards: stale, writes, published: [] })).toMatchObject({ shardLost: [a.shard], applied: [], conflicts: [] });
    expect(await commitBatch(fixture.db, { owner: 'other', shards: good, writes, published: [] })).toMatchObject({ shardLost: [...new Set([a.shard, b.shard])].sort((x, y) => x - y) });
    expect(await commitBatch(fixture.db, { owner: 'me', shards: [...good, { id: 999, epoch: 1n }], writes, published: [] })).toMatchObject({ shardLost: [999] });
    expect(await loadRun(fixture.db, a.id)).toBeUndefined();
    expect(await loadRun(fixture.db, b.id)).toBeUndefined();
  });

  test('after a takeover the old owner writes nothing, though its lease had not been told', async () => {
    const other = await openFixture();
    try {
      const { id, shard } = newRun();
      await other.commit([createWrite(id, shard)]);
      await other.db.query({ name: 'expire', text: `UPDATE shard SET lease_until = now() - interval '1 s'` }, []);
      const taken = await acquireShards(other.db, 'heir', 4_000);
      expect(taken).toHaveLength(257);
      expect(await other.commit([full(write(id, shard, 1), 1)])).toMatchObject({ shardLost: [shard], applied: [] });
      const heir = await commitBatch(other.db, { owner: 'heir', shards: taken, writes: [full(write(id, shard, 1), 1)], published: [] });
      expect(heir.applied).toEqual([id]);
    } finally {
      await other.close();
    }
  });
});

describe('idempotency keys', () => {
  const idempotency = { key: 'k', bodyHash: 'h', expiresAt: Date.now() + 7 * 86_400_000 };

  test('the first start has the key; a second one, at once or in the same batch, writes no run', async () => {
    const runs = [newRun(), newRun(), newRun()] as const;
    const starts = runs.map(({ id, shard }) => full(createWrite(id, shard, progress(), { principal: 'bob', idempotency }), 1));
    const results = await Promise.all([fixture.commit(starts.slice(0, 2)), fixture.commit(starts.slice(2))]);
    const applied = results.flatMap((result) => result.applied);
    expect(applied).toHaveLength(1);
    expect(results.flatMap((result) => result.conflicts)).toHaveLength(2);
    expect(await findIdempotent(fixture.db, 'default', 'bob', 'k')).toMatchObject({ runId: applied[0], bodyHash: 'h', key: 'k' });
    const stored = await Promise.all(runs.map(({ id }) => loadRun(fixture.db, id)));
    expect(stored.filter((run) => run !== undefined)).toHaveLength(1);
    expect(await findIdempotent(fixture.db, 'other', 'bob', 'k')).toBeUndefined();
  });

  test('an expired key is free again', async () => {
    const [a, b] = [newRun(), newRun()];
    const start = (run: { id: string; shard: number }, expiresAt: number): RunWrite => createWrite(run.id, run.shard, progress(), { idempotency: { key: 'old', bodyHash: 'h', expiresAt } });
    await fixture.commit([start(a, Date.now() - 1_000)]);
    expect(await findIdempotent(fixture.db, 'default', 'alice', 'old')).toBeUndefined();
    expect((await fixture.commit([start(b, Date.now() + 60_000)])).applied).toEqual([b.id]);
    expect(await findIdempotent(fixture.db, 'default', 'alice', 'old')).toMatchObject({ runId: b.id });
  });
});
