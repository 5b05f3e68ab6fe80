import { RELEASE, Site, SYSTEM, until } from './site.ts';

/** What the kubelet does to pods, and what becomes of their nodes. Side by side, each with pools of its own: most of it is waiting. */

// At once: tests that run side by side do not wait for `beforeAll`.
const site = Site.shared();
afterAll(async () => { await site.close(); });

const IMAGE = 'rambo/runner:dev';

interface AttemptRow { readonly node: string; readonly attempt: number; readonly status: string; readonly error: { class: string; reason: string; message: string } | null }

/** Attempts of a run that have ended, in order. */
async function attempts(uid: string): Promise<readonly AttemptRow[]> {
  const rows = await site.sql<{ node: string; attempt: number; status: string; error: Buffer | null }>(
    'SELECT node, attempt, status, error FROM attempt WHERE run_id = $1 ORDER BY node, item, attempt', [uid]);
  return rows.map((row) => ({ ...row, error: row.error === null ? null : JSON.parse(row.error.toString('utf8')) as AttemptRow['error'] }));
}

/** A pool of one runner, so that it is known who has the node. Its pod. */
async function onlyRunner(name: string): Promise<string> {
  await site.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'RunnerPool', metadata: { name, namespace: 'default' }, spec: { minReady: 1, max: 1 } });
  const [pod] = await until('its runner', async () => {
    const pods = await site.pods('default', `rambo.dev/pool=${name}`);
    return pods.length === 1 && pods[0]?.status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') === true ? pods : undefined;
  });
  return pod?.metadata.name ?? '';
}

async function running(uid: string): Promise<void> {
  await until('the node to run', async () => (await site.sql(`SELECT 1 FROM node_run WHERE run_id = $1 AND status = 'Running'`, [uid])).length === 1);
}

const slow = (seconds: number, pool: string): object => ({
  name: 'slow', type: 'script', runner: { pool }, with: { language: 'bash', source: `sleep ${seconds}; echo '"done"' > "$RAMBO_OUTPUT_FILE"` },
});

test.concurrent('kubectl delete pod of a busy runner: it ends its node within its grace, and nothing runs twice', async () => {
  const pod = await onlyRunner('gentle');
  const run = await site.start([slow(6, 'gentle')]);
  await running(run.metadata.uid);
  await site.kubectl.run('delete', 'pod', pod, '-n', 'default', '--wait=false');
  expect((await site.finished(run.metadata.name)).status?.phase).toBe('Succeeded');
  expect(await attempts(run.metadata.uid)).toMatchObject([{ attempt: 1, status: 'Succeeded' }]);
});

test.concurrent('kubectl delete pod --force of a busy runner: the node runs again elsewhere, not counted as a retry', async () => {
  const pod = await onlyRunner('harsh');
  const run = await site.start([slow(8, 'harsh')]);
  await running(run.metadata.uid);
  await site.kubectl.run('delete', 'pod', pod, '-n', 'default', '--force', '--grace-period=0');
  expect((await site.finished(run.metadata.name)).status?.phase).toBe('Succeeded');
  const rows = await attempts(run.metadata.uid);
  expect(rows.at(-1)).toMatchObject({ status: 'Succeeded' });
  // The object is gone before the container is: in between the runner may take the next attempt, too, and dies with it.
  const lost = rows.slice(0, -1).map((row) => row.error?.class);
  expect([['Infra'], ['Infra', 'Infra']]).toContainEqual(lost);
  const [node] = await site.sql<{ retries: number }>('SELECT retries FROM node_run WHERE run_id = $1', [run.metadata.uid]);
  expect(node?.retries).toBe(0);
});

test.concurrent('kubectl delete pod of a node\'s own pod: the node runs again in another one', async () => {
  const run = await site.start([{ name: 'own', type: 'container', with: { image: IMAGE, command: ['bash', '-c', 'sleep 8; echo 1 > "$RAMBO_OUTPUT_FILE"'] } }]);
  const [pod] = await until('the pod to run', async () => {
    const pods = await site.pods('default', `rambo.dev/run-id=${run.metadata.uid}`);
    return pods[0]?.status.phase === 'Running' ? pods : undefined;
  });
  await site.kubectl.run('delete', 'pod', pod?.metadata.name ?? '', '-n', 'default', '--grace-period=1');
  expect((await site.finished(run.metadata.name)).status?.phase).toBe('Succeeded');
  expect(await attempts(run.metadata.uid)).toMatchObject([{ attempt: 1, error: { class: 'Infra' } }, { attempt: 2, status: 'Succeeded' }]);
});

test.concurrent('a container over its memory limit is Infra, repeated once, and says so', async () => {
  const run = await site.start([{
    name: 'greedy', type: 'container', runner: { resources: { limits: { memory: '48Mi' } } },
    with: { image: IMAGE, command: ['python3', '-c', 'x = bytearray(200 << 20)'] },
  }]);
  const { status } = await site.finished(run.metadata.name);
  expect(status).toMatchObject({ phase: 'Failed', failures: [{ node: 'greedy', reason: 'OOMKilled' }] });
  const rows = await attempts(run.metadata.uid);
  expect(rows.map((row) => row.error?.class)).toEqual(['Infra', 'Infra']);
  expect(rows[0]?.error?.message).toContain('memory');
});

test.concurrent('a script over the memory limit of its pod is Infra, repeated once, and says so', async () => {
  const run = await site.start([{
    name: 'greedy', type: 'script', runner: { isolation: 'pod', resources: { limits: { memory: '192Mi' } } },
    with: { language: 'python', source: 'x = bytearray(400 << 20)' },
  }]);
  const { status } = await site.finished(run.metadata.name);
  expect(status).toMatchObject({ phase: 'Failed', failures: [{ node: 'greedy', reason: 'OOMKilled' }] });
  expect((await attempts(run.metadata.uid)).map((row) => row.error?.class)).toEqual(['Infra', 'Infra']);
});

test.concurrent('an image that cannot be pulled is Infra at pendingTimeout, and names the image', async () => {
  const image = 'registry.example.com/nothing:1';
  const run = await site.start([{ name: 'pull', type: 'container', pendingTimeout: '8s', with: { image, command: ['true'] } }]);
  const { status } = await site.finished(run.metadata.name);
  expect(status).toMatchObject({ phase: 'Failed', failures: [{ node: 'pull', reason: expect.stringMatching(/^(ErrImagePull|ImagePullBackOff)$/) as string, message: expect.stringContaining(image) as string }] });
  expect((await attempts(run.metadata.uid)).map((row) => row.error?.class)).toEqual(['Infra']);
});

/** Images that are no runner, where the node runs, and what it has to say in the end. */
const NO_RUNNERS = [
  { image: 'rambo/migrate:dev', isolation: 'pod', says: /exit code/ },
  { image: 'rambo/migrate:dev', isolation: 'warm', says: /runner pool is stalled/ },
  { image: 'rambo/trial-nats:dev', isolation: 'pod', says: /start RamBo's runner|exit code/ },
  { image: 'rambo/nothing:dev', isolation: 'warm', says: /runner pool is stalled.*rambo\/nothing:dev/ },
] as const;

test.concurrent('an image without the runner is Infra, and the node says so: one that ends, another server, one that does not exist; in pods of their own and in warm pools', async () => {
  const ended = await Promise.all(NO_RUNNERS.map(async ({ image, isolation }, i) => {
    const pool = `no-runner-${i}`;
    await site.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'RunnerPool', metadata: { name: pool, namespace: 'default' }, spec: { image, minReady: 0, max: 1 } });
    const run = await site.start([{ name: 'lost', type: 'script', pendingTimeout: '25s', retry: { infraLimit: 1 }, runner: { pool, isolation }, with: { language: 'bash', source: 'true' } }]);
    const { status } = await site.finished(run.metadata.name, 100_000);
    await site.kubectl.run('delete', 'pool', pool, '-n', 'default');
    return { phase: status?.phase, error: (await attempts(run.metadata.uid)).at(-1)?.error };
  }));
  expect(ended).toEqual(NO_RUNNERS.map(({ says }) => ({ phase: 'Failed', error: expect.objectContaining({ class: 'Infra', message: expect.stringMatching(says) as string }) as object })));
});

test.concurrent('a namespace that is deleted in the middle of a run takes its pods along, and the controller goes on', async () => {
  await site.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'doomed' } });
  const nodes = [
    { name: 'own', type: 'container', with: { image: IMAGE, command: ['bash', '-c', 'trap exit TERM; sleep 300 & wait'] } },
    { name: 'warm', type: 'script', with: { language: 'bash', source: 'sleep 300' } },
    { name: 'after', type: 'transform', dependsOn: ['own'], with: { output: 1 } },
  ];
  const run = await site.start(nodes, { namespace: 'doomed' });
  await until('both nodes to run', async () => (await site.sql(`SELECT 1 FROM node_run WHERE run_id = $1 AND status = 'Running'`, [run.metadata.uid])).length === 2);
  await site.kubectl.run('delete', 'namespace', 'doomed', '--timeout=90s');
  await until('the run to be cancelled', async () => (await site.sql(`SELECT 1 FROM run WHERE id = $1 AND phase = 'Cancelled'`, [run.metadata.uid])).length === 1);
  const restarts = (await site.pods(SYSTEM, `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=controller`)).flatMap((pod) => pod.status.containerStatuses?.map((c) => c.restartCount) ?? []);
  expect(restarts.every((count) => count === 0)).toBe(true);
  const next = await site.start([{ name: 'one', type: 'transform', with: { output: 1 } }]);
  expect((await site.finished(next.metadata.name)).status?.phase).toBe('Succeeded');
}, 180_000);
