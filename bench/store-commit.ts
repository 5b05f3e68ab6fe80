/**
 * Throughput of the commit statement alone: batches of runs, each with one result and the next dispatch (2 node rows,
 * 1 attempt, 2 events, 1 outbox insert and 1 delete), fsync on.
 *   node bench/store-commit.ts [batch size] [seconds] [concurrent batches]
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { childrenOf, startPostgres } from '../hack/stack/postgres.ts';
import { systemIds } from '../platform/ids/index.ts';
import { shardOf } from '../platform/messages/subjects.ts';
import { migrate } from '../prisma/migrate.ts';
import { acquireShards, commitBatch, type Db, openStore, type RunWrite, type ShardLease } from '../prisma/store/index.ts';
import { createWrite, nodeRow, progress, write } from '../test/harness/rows.ts';

const [size = 200, seconds = 8, lanes = 1] = process.argv.slice(2).map(Number);
const OUTPUT = Buffer.from(JSON.stringify({ n: 1, text: 'x'.repeat(60) }));
const dir = mkdtempSync('/tmp/rambo-bench-');
const server = await startPostgres({ dir });
try {
  const url = server.url.replace(/postgres$/, 'bench');
  await migrate(url, () => undefined);
  const db = openStore({ url, max: lanes });
  const shards = await acquireShards(db, 'bench', 600_000);
  await bench(db, shards, 2);
  console.log(`measured: ${await bench(db, shards, seconds)}`);
  await db.close();
} finally {
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
}

interface Runner { id: string; version: number; node: number; outbox: readonly string[] }

async function bench(db: Db, shards: readonly ShardLease[], forSeconds: number): Promise<string> {
  const cpu = process.cpuUsage();
  const pgCpu = postgresCpu();
  const start = performance.now();
  const counts = await Promise.all(Array.from({ length: lanes }, () => lane(db, shards, start + forSeconds * 1_000)));
  const ms = performance.now() - start;
  const done = counts.reduce((sum, c) => sum + c.nodes, 0);
  const commits = counts.reduce((sum, c) => sum + c.commits, 0);
  const used = process.cpuUsage(cpu);
  return `batch ${size} x ${lanes}: ${Math.round(done / ms * 1_000)} nodes/s, ${Math.round(commits / ms * 1_000)} commits/s, `
    + `${(ms * lanes / commits).toFixed(1)} ms/commit, driver ${((used.user + used.system) / 1_000 / done).toFixed(4)} ms CPU/node, `
    + `postgres ${((postgresCpu() - pgCpu) / done).toFixed(4)} ms CPU/node`;
}

async function lane(db: Db, shards: readonly ShardLease[], until: number): Promise<{ nodes: number; commits: number }> {
  let nodes = 0;
  let commits = 0;
  let runs: Runner[] = [];
  while (performance.now() < until) {
    if (runs.length === 0) runs = Array.from({ length: size }, () => ({ id: systemIds.uuid(), version: 0, node: 0, outbox: [] }));
    const published = runs.flatMap((run) => run.outbox);
    const writes = runs.map((run) => step(run));
    const used = new Set(writes.map((w) => w.shard));
    const result = await commitBatch(db, { owner: 'bench', shards: shards.filter((s) => used.has(s.id)), writes, published });
    if (result.applied.length !== size) throw new Error(`only ${result.applied.length} of ${size} were written`);
    commits++;
    if ((runs[0]?.node ?? 0) > 0) nodes += size;
    runs = runs.map((run) => ({ ...run, version: run.version + 1, node: run.node + 1, outbox: result.outboxIds.get(run.id) ?? [] })).filter((run) => run.node <= 10);
  }
  return { nodes, commits };
}

function step(run: Runner): RunWrite {
  const at = Date.now();
  const { node } = run;
  const last = node === 10;
  const next = nodeRow(`n${node}`, { status: 'Queued', attempt: 1, queuedAt: at, send: 1, pool: 'default', mode: 'warm' });
  const state = progress({
    phase: last ? 'Succeeded' : 'Running', startedAt: at, finishedAt: last ? at : null, seq: node * 2 + 2, total: 10, done: node, counts: '{"Succeeded":1}',
  });
  const dispatch = last ? [] : [{ node: `n${node}`, item: -1, attempt: 1, send: 1 }];
  if (node === 0) return { ...createWrite(run.id, shardOf(run.id), state), nodes: [next], outbox: dispatch };
  const done = `n${node - 1}`;
  return {
    ...write(run.id, shardOf(run.id), run.version, state),
    nodes: [nodeRow(done, { status: 'Succeeded', attempt: 1, output: OUTPUT, queuedAt: at, startedAt: at, finishedAt: at, send: 1, pool: 'default', mode: 'warm' }), ...(last ? [] : [next])],
    attempts: [{ node: done, item: -1, attempt: 1, status: 'Succeeded', error: null, queuedAt: at, startedAt: at, finishedAt: at, pod: null, runner: 'r1' }],
    events: [
      { seq: node * 2 + 1, at, kind: 'NodeSucceeded', node: done, item: -1, attempt: 1, reason: null, principal: null },
      { seq: node * 2 + 2, at, kind: 'NodeQueued', node: `n${node}`, item: -1, attempt: 1, reason: null, principal: null },
    ],
    outbox: dispatch,
  };
}

/** User and system time of the server's processes alive now, milliseconds (100 ticks per second). */
function postgresCpu(): number {
  const pid = server.pid();
  if (pid === undefined) return 0;
  return childrenOf(pid).reduce((sum, child) => sum + ticksOf(child), 0) * 10;
}

function ticksOf(pid: number): number {
  try {
    const fields = readFileSync(path.join('/proc', String(pid), 'stat'), 'utf8').split(') ')[1]?.split(' ') ?? [];
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return 0;
  }
}
