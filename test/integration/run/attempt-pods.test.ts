import { createServer, type Server } from 'node:http';
import { script, TestStack } from '../../harness/test-stack.ts';

/** Nodes that a runner executes, each in a fresh pod of its own: `isolation: pod`, or fields only a pod can give. */

let t: TestStack;
beforeAll(async () => { t = await TestStack.start(); }, 120_000);
afterAll(async () => { await t.stop(); });

const OWN_POD = { runner: { isolation: 'pod' } };

interface PodList { readonly items: readonly { readonly metadata: { readonly name: string }; readonly spec: { readonly containers: readonly object[]; readonly nodeSelector?: object }; readonly status: { readonly phase: string } }[] }

async function podsOf(uid: string): Promise<PodList['items']> {
  const pods: PodList = JSON.parse(await t.stack.kubectl.run('get', 'pods', '-l', `rambo.dev/run-id=${uid}`, '-o', 'json'));
  return pods.items;
}

test('a script in a pod of its own: input, output, log; the default pool is made, the pod goes', async () => {
  const nodes = [script('own', 'export default ({ input, log }) => { log("from a pod"); return { twice: input.n * 2, pod: true }; };', OWN_POD, { n: 21 })];
  const { metadata } = await t.startInline(nodes, { workflow: { outputs: { got: '${{ nodes.own.output.twice }}' } } });
  const run = await t.finished(metadata.name);
  expect(run.status).toMatchObject({ phase: 'Succeeded', outputs: { got: 42 } });
  const [attempt] = await t.sql<{ pod: string; runner: string }>('select pod, runner from attempt where run_id = $1', [metadata.uid]);
  expect(attempt?.pod).toMatch(/^own-/);
  expect(attempt?.runner).toBe(attempt?.pod);
  expect(await t.stack.kubectl.run('get', 'runnerpool', 'default', '-o', 'jsonpath={.spec.minReady}')).toBe('0');
  await t.until('the pod to be removed', async () => (await podsOf(metadata.uid)).length === 0);
});

test('fields that only a pod can give: environment from a ConfigMap, resources, a fresh process per attempt', async () => {
  await t.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'greeting', namespace: 'default' }, data: { GREETING: 'hello' } });
  const runner = { envFrom: [{ configMapRef: { name: 'greeting' } }], resources: { requests: { cpu: '10m' } } };
  const source = 'if (process.env.RAMBO_ATTEMPT === "1") process.exit(3); export default () => [process.env.GREETING, process.env.RAMBO_FETCH_SECRET ?? "no secret", process.env.RAMBO_ATTEMPT];';
  const { metadata } = await t.startInline([script('own', source, { runner, retry: { limit: 1, backoff: { duration: '10ms' } } })], { workflow: { outputs: { got: '${{ nodes.own.output }}' } } });
  const run = await t.finished(metadata.name);
  expect(run.status).toMatchObject({ phase: 'Succeeded', outputs: { got: ['hello', 'no secret', '2'] } });
});

describe('http in a pod of its own', () => {
  let server: Server;
  beforeAll(async () => {
    server = createServer((_, response) => { response.setHeader('content-type', 'application/json').end('{"ok":true}'); });
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  });
  afterAll(() => { server.close(); });

  test('is held to the allow list of its pool', async () => {
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'RunnerPool', metadata: { name: 'local', namespace: 'default' }, spec: { minReady: 0, http: { allow: ['127.0.0.0/8'] } } });
    const call = (name: string, pool: string): object => ({ name, type: 'http', with: { url: `http://127.0.0.1:${port}/` }, runner: { isolation: 'pod', pool } });
    const { metadata } = await t.startInline([call('allowed', 'local'), call('refused', 'default')], { workflow: { outputs: { status: '${{ nodes.allowed.output.status }}' } } });
    const run = await t.finished(metadata.name);
    expect(run.status).toMatchObject({ phase: 'Failed', outputs: { status: 200 } });
    expect(run.status?.failures).toEqual([expect.objectContaining({ node: 'refused' })]);
  });
});

const SLOW = 'import { appendFileSync } from "node:fs"; export default async ({ input }) => { appendFileSync(input.file, process.env.RAMBO_ATTEMPT + "\\n"); await new Promise((r) => setTimeout(r, input.ms)); return 1; };';

async function running(uid: string): Promise<string> {
  return t.until('the pod to run the node', async () => {
    const rows = await t.sql('select 1 from node_run where run_id = $1 and status = $2', [uid, 'Running']);
    return rows.length === 1 && (await podsOf(uid))[0]?.metadata.name;
  });
}

test('a pod that is deleted while it runs costs an infra attempt, not a retry', async () => {
  const { metadata } = await t.startInline([script('own', SLOW, OWN_POD, { file: '/dev/null', ms: 2_000 })]);
  const pod = await running(metadata.uid);
  await t.stack.kubectl.run('delete', 'pod', pod, '--grace-period=0', '--force', '--wait=false');
  const run = await t.finished(metadata.name);
  expect(run.status?.phase).toBe('Succeeded');
  const attempts = await t.sql<{ attempt: number; status: string; error: Buffer | null }>('select attempt, status, error from attempt where run_id = $1 order by attempt', [metadata.uid]);
  expect(attempts).toMatchObject([{ attempt: 1, status: 'Failed' }, { attempt: 2, status: 'Succeeded', error: null }]);
  expect(JSON.parse(String(attempts[0]?.error))).toMatchObject({ class: 'Infra' });
});

test('a controller that is killed meanwhile: the node goes on in its pod and is recorded once', async () => {
  const { metadata } = await t.startInline([script('own', SLOW, OWN_POD, { file: '/dev/null', ms: 3_000 })]);
  await running(metadata.uid);
  t.stack.child('controller-0').kill();
  const run = await t.finished(metadata.name);
  expect(run.status?.phase).toBe('Succeeded');
  expect(await t.sql('select attempt, status from attempt where run_id = $1', [metadata.uid])).toEqual([{ attempt: 1, status: 'Succeeded' }]);
});

test('cancel ends the node and its pod', async () => {
  const { metadata } = await t.startInline([script('own', SLOW, OWN_POD, { file: '/dev/null', ms: 60_000 })]);
  await running(metadata.uid);
  await t.stack.kubectl.run('patch', 'wfr', metadata.name, '--type=merge', '-p', '{"spec":{"cancel":"Now"}}');
  const run = await t.finished(metadata.name);
  expect(run.status?.phase).toBe('Cancelled');
  await t.until('the pod to be removed', async () => (await podsOf(metadata.uid)).length === 0);
});
