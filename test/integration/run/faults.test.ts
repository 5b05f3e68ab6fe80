import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { script, TestStack } from '../../harness/test-stack.ts';

let t: TestStack;
let ledger: string;
beforeAll(async () => {
  t = await TestStack.start();
  await t.pool({ minReady: 2, slots: 4 });
}, 120_000);
afterAll(async () => { await t.stop(); });
beforeEach(() => { ledger = mkdtempSync(path.join(tmpdir(), 'rambo-ledger-')); });
afterEach(() => { rmSync(ledger, { recursive: true }); });

/** A chain whose nodes take a moment and each leave one keyed effect in the ledger. */
function effects(n: number, ms = 150): object[] {
  const source = `import { appendFileSync, openSync } from 'node:fs';
export default async ({ input }) => {
  await new Promise((r) => setTimeout(r, ${ms}));
  appendFileSync(input.ledger + '/attempts', process.env.RAMBO_NODE + ' ' + process.env.RAMBO_ATTEMPT + '\\n');
  try { openSync(input.ledger + '/' + process.env.RAMBO_IDEMPOTENCY_KEY, 'wx'); } catch {}
  return input.i;
};`;
  return Array.from({ length: n }, (_, i) => script(`n${i}`, source, i === 0 ? {} : { dependsOn: [`n${i - 1}`] }, { i, ledger: `\${{ inputs.ledger }}` }));
}

function start(n: number, ms?: number): ReturnType<TestStack['startInline']> {
  return t.startInline(effects(n, ms), { spec: { input: { ledger } } });
}

async function midway(uid: string, node: string): Promise<void> {
  await t.until(`${node} to succeed`, async () => (await t.sql('select 1 from node_run where run_id = $1 and node = $2 and status = $3', [uid, node, 'Succeeded'])).length === 1);
}

/** I1, I2, I3, I7 of the reliability page, for one run that has ended. */
async function checkInvariants(uid: string, n: number): Promise<void> {
  const nodes = await t.sql<{ node: string; status: string; attempt: number }>('select node, status, attempt from node_run where run_id = $1', [uid]);
  expect(nodes).toHaveLength(n);
  for (const node of nodes) expect(node).toMatchObject({ status: 'Succeeded' });
  const attempts = await t.sql<{ node: string; attempt: number; status: string }>('select node, attempt, status from attempt where run_id = $1', [uid]);
  for (const node of nodes) {
    const own = attempts.filter((a) => a.node === node.node);
    expect(own.filter((a) => a.status === 'Succeeded')).toHaveLength(1);
    expect(own.map((a) => a.attempt).sort((a, b) => a - b)).toEqual(Array.from({ length: node.attempt }, (_, i) => i + 1));
  }
  const events = await t.sql<{ kind: string; node: string; attempt: number; n: string }>(
    'select kind, node, attempt, count(*) n from run_event where run_id = $1 and kind = $2 group by kind, node, attempt having count(*) > 1', [uid, 'NodeSucceeded']);
  expect(events).toEqual([]);
  const seqs = await t.sql<{ seq: number }>('select seq from run_event where run_id = $1 order by seq', [uid]);
  expect(seqs.map((row) => row.seq)).toEqual(seqs.map((_, i) => i + 1));
  await t.until('the outbox to drain', async () => (await t.sql('select 1 from outbox where run_id = $1', [uid])).length === 0);
}

test('a controller that is killed in the middle of a run: the next one goes on within seconds', async () => {
  const { metadata } = await start(8);
  await midway(metadata.uid, 'n2');
  t.stack.child('controller-0').kill();
  const run = await t.finished(metadata.name);
  expect(run.status).toMatchObject({ phase: 'Succeeded', progress: '8/8' });
  await checkInvariants(metadata.uid, 8);
});

test('a runner that is killed in the middle of a node: a new attempt, counted apart from retries', async () => {
  // Long enough that a slow machine still finds it running when the pods go.
  const { metadata } = await start(2, 4_000);
  const pod = await t.until('n0 to run', async () => {
    const [row] = await t.sql<{ status: string }>('select status from node_run where run_id = $1 and node = $2', [metadata.uid, 'n0']);
    return row?.status === 'Running';
  }).then(async () => t.stack.kubectl.run('get', 'pods', '-l', 'rambo.dev/pool=default', '-o', 'name'));
  for (const name of pod.trim().split('\n')) await t.stack.kubectl.run('delete', name, '--grace-period=0', '--force', '--wait=false');
  const run = await t.finished(metadata.name);
  expect(run.status?.phase).toBe('Succeeded');
  const [n0] = await t.sql<{ infra: number; retries: number }>('select infra, retries from node_run where run_id = $1 and node = $2', [metadata.uid, 'n0']);
  expect(n0).toEqual({ infra: 1, retries: 0 });
  await checkInvariants(metadata.uid, 2);
});

test('NATS killed, its store with it: what it held is sent again', async () => {
  const { metadata } = await start(8);
  await midway(metadata.uid, 'n1');
  t.stack.child('nats').kill();
  const run = await t.finished(metadata.name);
  expect(run.status?.phase).toBe('Succeeded');
  await checkInvariants(metadata.uid, 8);
});

test('Postgres killed and restarted in the middle of a run', async () => {
  const { metadata } = await start(8);
  await midway(metadata.uid, 'n1');
  await t.stack.postgres.kill();
  await t.stack.postgres.restart();
  const run = await t.finished(metadata.name);
  expect(run.status?.phase).toBe('Succeeded');
  await checkInvariants(metadata.uid, 8);
});

test('the API server killed in the middle of a run: the run goes on, its status follows', async () => {
  const { metadata } = await start(8);
  await midway(metadata.uid, 'n1');
  const state: { pids: Record<string, number> } = JSON.parse(readFileSync(path.join(path.dirname(t.addresses.kubeconfig), 'state.json'), 'utf8'));
  process.kill(state.pids['kube-apiserver'] ?? 0, 'SIGKILL');
  await t.until('the run to end in Postgres', async () => (await t.sql('select 1 from run where id = $1 and phase = $2', [metadata.uid, 'Succeeded'])).length === 1);
  const run = await t.until('the status', async () => {
    const object = await t.getRun(metadata.name).catch(() => undefined);
    return object?.status?.phase === 'Succeeded' ? object : undefined;
  });
  expect(run.status?.progress).toBe('8/8');
  await checkInvariants(metadata.uid, 8);
});

test('a run deleted while no controller runs is cancelled by the next one', async () => {
  const { metadata } = await start(50, 500);
  await midway(metadata.uid, 'n0');
  await t.stack.child('controller-0').stop();
  await t.stack.kubectl.run('delete', 'wfr', metadata.name);
  t.stack.startController('controller-0');
  await t.until('the run to be cancelled', async () => (await t.sql('select 1 from run where id = $1 and phase = $2', [metadata.uid, 'Cancelled'])).length === 1);
});
