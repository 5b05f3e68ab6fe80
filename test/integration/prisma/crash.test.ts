import { UnavailableError } from '../../../platform/errors/index.ts';
import { commitBatch, type RunWrite } from '../../../prisma/store/index.ts';
import { createWrite, nodeRow, progress, write } from '../../harness/rows.ts';
import { type Fixture, leasesOf, newRun, openFixture, until } from './fixture.ts';

let fixture: Fixture;
beforeAll(async () => { fixture = await openFixture({ own: true }); }, 60_000);
afterAll(async () => { await fixture.close(); });

interface Lane { readonly runs: readonly { readonly id: string; readonly shard: number }[]; acked: number }

/** Version n of a run has exactly n events, n attempts, n outbox rows and node `a` at attempt n. */
function step(run: { readonly id: string; readonly shard: number }, version: number): RunWrite {
  const state = progress({ seq: version, total: 1_000_000, done: version });
  const base = version === 1 ? createWrite(run.id, run.shard, state) : write(run.id, run.shard, version - 1, state);
  return {
    ...base, nodes: [nodeRow('a', { attempt: version, output: Buffer.alloc(200, version) })], outbox: [{ node: 'a', item: -1, attempt: version, send: 1 }],
    attempts: [{ node: 'a', item: -1, attempt: version, status: 'Failed', error: null, queuedAt: null, startedAt: null, finishedAt: 1, pod: null, runner: null }],
    events: [{ seq: version, at: 1, kind: 'X', node: 'a', item: -1, attempt: version, reason: null, principal: null }],
  };
}

/** Commits one version after the other until the server is gone. */
async function drive(lane: Lane): Promise<unknown> {
  for (;;) {
    const writes = lane.runs.map((run) => step(run, lane.acked + 1));
    try {
      const result = await commitBatch(fixture.db, { owner: 'me', shards: leasesOf(fixture.shards, writes), writes, published: [] });
      if (result.applied.length !== writes.length) throw new Error(`${result.conflicts.length} conflicts`);
      lane.acked++;
    } catch (error) {
      return error;
    }
  }
}

const STATE = {
  name: 'state',
  text: `SELECT r.id, r.version, r.seq, r.done, n.attempt,
    (SELECT count(*)::int FROM run_event e WHERE e.run_id = r.id) AS events, (SELECT count(*)::int FROM attempt a WHERE a.run_id = r.id) AS attempts,
    (SELECT count(*)::int FROM outbox o WHERE o.run_id = r.id) AS outbox FROM run r JOIN node_run n ON n.run_id = r.id`,
};

test('Postgres killed in the middle of commits: nothing acknowledged is lost, nothing is there by half', async () => {
  const { own } = fixture.server;
  if (own === undefined) throw new Error('this test needs a server of its own');
  for (let round = 0; round < 4; round++) {
    const lanes: Lane[] = Array.from({ length: 3 }, () => ({ runs: Array.from({ length: 40 }, newRun), acked: 0 }));
    const driving = lanes.map(drive);
    await until(() => Promise.resolve(lanes.every((lane) => lane.acked >= 3 + round)), 'commits are going through');
    await own.kill();
    for (const error of await Promise.all(driving)) expect(error).toBeInstanceOf(UnavailableError);
    await own.restart();
    const rows = await fixture.db.query<{ id: string; version: number }>(STATE, []);
    for (const row of rows) {
      const { version } = row;
      expect(row).toEqual({ id: row.id, version, seq: version, done: version, attempt: version, events: version, attempts: version, outbox: version });
    }
    const versions = new Map(rows.map((row) => [row.id, row.version] as const));
    for (const lane of lanes) {
      const found = new Set(lane.runs.map((run) => versions.get(run.id)));
      expect(found.size).toBe(1); // a batch is one transaction: all its runs or none
      expect([lane.acked, lane.acked + 1]).toContain([...found][0]);
    }
  }
}, 120_000);
