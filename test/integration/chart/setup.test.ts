import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect, credsAuthenticator } from '@nats-io/transport-node';
import { SCHEMA_ANNOTATION, SCHEMA_VERSION } from '../../../crds/names.ts';
import { GATEWAY_INBOX_PREFIX } from '../../../platform/messages/subjects.ts';
import { Child } from '../../../hack/stack/child.ts';
import { freePort } from '../../../hack/stack/ports.ts';
import { readTools } from '../../../hack/stack/stack.ts';
import { render, ROOT, the, TRIAL } from '../../chart/helm.ts';
import { TestStack } from '../../harness/test-stack.ts';

/** The setup Job's program, under the account the chart gives it, on a real API server. */

let t: TestStack;
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'rambo-setup-'));
  t = await TestStack.start({ controllers: 0 });
  const kinds = ['ServiceAccount', 'Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding'];
  for (const object of render(TRIAL).filter(({ kind, metadata }) => kinds.includes(kind) && metadata.name === 'rambo-setup')) await t.apply(object);
  await t.stack.kubectl.kubeconfigFor('rambo-system', 'rambo-setup', path.join(dir, 'kubeconfig'));
}, 1_200_000);
afterAll(async () => {
  await t.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Runs the program as the Job would. */
function setup(): { readonly status: number | null; readonly output: string; readonly results: Readonly<Record<string, string>> } {
  const job = the(render(TRIAL), 'Job', 'rambo-setup')['spec'].template.spec.containers[0] as { readonly env: readonly { readonly name: string; readonly value?: string }[] };
  const env = Object.fromEntries(job.env.filter(({ value }) => value !== undefined).map(({ name, value }) => [name, value]));
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(ROOT, 'dist/setup.mjs')], {
    encoding: 'utf8', env: { PATH: process.env['PATH'], ...env, RAMBO_POD_NAMESPACE: 'rambo-system', RAMBO_KUBECONFIG: path.join(dir, 'kubeconfig') },
  });
  const lines = stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as { readonly name?: string; readonly result?: string });
  return { status, output: stdout + stderr, results: Object.fromEntries(lines.map(({ name = '', result = '' }) => [name, result])) };
}

async function secret(name: string): Promise<Readonly<Record<string, string>>> {
  const { data } = JSON.parse(await t.stack.kubectl.run('get', 'secret', name, '-n', 'rambo-system', '-o', 'json')) as { readonly data: Readonly<Record<string, string>> };
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
}

const annotate = (name: string, version: number | undefined): Promise<string> =>
  t.stack.kubectl.run('annotate', '--overwrite', 'crd', name, version === undefined ? `${SCHEMA_ANNOTATION}-` : `${SCHEMA_ANNOTATION}=${version}`);
const versionOf = async (name: string): Promise<string | undefined> => {
  const crd = JSON.parse(await t.stack.kubectl.run('get', 'crd', name, '-o', 'json')) as { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } };
  return crd.metadata.annotations?.[SCHEMA_ANNOTATION];
};

test('makes what is missing once, and leaves it alone the second time', async () => {
  const first = setup();
  expect({ status: first.status, results: first.results }).toEqual({ status: 0, results: {
    'workflows.rambo.dev': 'Applied', 'workflowruns.rambo.dev': 'Applied', 'runnerpools.rambo.dev': 'Applied', 'models.rambo.dev': 'Applied', 'toolservers.rambo.dev': 'Applied', 'agents.rambo.dev': 'Applied', 'rambo-nats': 'Created', 'rambo-postgres': 'Created',
  } });
  const made = [await secret('rambo-nats'), await secret('rambo-postgres')];
  expect(Object.keys(made[0] ?? {}).sort()).toEqual(['account.seed', 'api.creds', 'controller.creds', 'modelgateway.creds', 'nats.conf']);
  expect(made[1]?.['url']).toBe(`postgresql://rambo:${made[1]?.['password'] ?? ''}@rambo-postgres.rambo-system.svc:5432/rambo`);
  for (const value of [made[0]?.['account.seed'], made[1]?.['password']]) expect(first.output).not.toContain(value);
  const second = setup();
  expect(second.status).toBe(0);
  expect(second.results).toMatchObject({ 'rambo-nats': 'Kept', 'rambo-postgres': 'Kept' });
  expect([await secret('rambo-nats'), await secret('rambo-postgres')]).toEqual(made);
});

test('a Secret of a release before the model gateway gets its user, and keeps all it has', async () => {
  const made = await secret('rambo-nats');
  await t.stack.kubectl.run('patch', 'secret', 'rambo-nats', '-n', 'rambo-system', '--type=json', '-p', '[{"op":"remove","path":"/data/modelgateway.creds"}]');
  expect(setup().results).toMatchObject({ 'rambo-nats': 'Applied' });
  const { 'modelgateway.creds': user, ...rest } = await secret('rambo-nats');
  expect(user).toMatch(/BEGIN NATS USER JWT/);
  expect(rest).toEqual(Object.fromEntries(Object.entries(made).filter(([name]) => name !== 'modelgateway.creds')));
});

test('what it made is one NATS: the server starts with it and lets its users in, with what each may do', async () => {
  const made = await secret('rambo-nats');
  const port = await freePort();
  const config = path.join(dir, 'nats.conf');
  writeFileSync(config, (made['nats.conf'] ?? '').replace('0.0.0.0:4222', `127.0.0.1:${port}`).replace('/data/jetstream', path.join(dir, 'store')));
  const ready = Promise.withResolvers<undefined>();
  const server = new Child({
    name: 'nats', command: readTools().natsServer, args: ['-c', config], restart: false, logFile: path.join(dir, 'nats.log'), env: {}, log: () => undefined,
    onLine: (line) => { if (line.includes('Server is ready')) ready.resolve(undefined); },
  });
  server.start();
  try {
    await ready.promise;
    const login = (creds: string | undefined, inboxPrefix?: string): ReturnType<typeof connect> => connect({
      servers: `nats://127.0.0.1:${port}`, reconnect: false, authenticator: credsAuthenticator(Buffer.from(`${creds ?? ''}\n`)), ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
    });
    const controller = await login(made['controller.creds']);
    const api = await login(made['api.creds'], '_INBOX_api');
    controller.subscribe('rambo.cmd.3', { callback: (_error, message) => { message.respond('yes'); } });
    await controller.flush();
    expect((await api.request('rambo.cmd.3', '', { timeout: 5_000 })).string()).toBe('yes');
    await expect(api.request('$JS.API.INFO', '', { timeout: 5_000 })).rejects.toThrow(/permission/i);
    const gateway = await login(made['modelgateway.creds'], GATEWAY_INBOX_PREFIX);
    expect((await gateway.request('rambo.cmd.3', '', { timeout: 5_000 })).string()).toBe('yes');
    await expect(gateway.request('$JS.API.INFO', '', { timeout: 5_000 })).rejects.toThrow(/permission/i);
    await Promise.all([controller.close(), api.close(), gateway.close()]);
  } finally {
    await server.stop();
  }
});

test('definitions of a newer release stay; old and foreign ones come up to this one', async () => {
  await annotate('workflows.rambo.dev', SCHEMA_VERSION + 1);
  await annotate('workflowruns.rambo.dev', undefined);
  const { results } = setup();
  expect(results).toMatchObject({ 'workflows.rambo.dev': 'Kept', 'workflowruns.rambo.dev': 'Applied' });
  expect([await versionOf('workflows.rambo.dev'), await versionOf('workflowruns.rambo.dev')]).toEqual([String(SCHEMA_VERSION + 1), String(SCHEMA_VERSION)]);
});

test('a definition that is gone is made again', async () => {
  await t.stack.kubectl.run('delete', 'crd', 'runnerpools.rambo.dev', '--wait=true');
  expect(setup().results).toMatchObject({ 'runnerpools.rambo.dev': 'Created' });
  await t.stack.kubectl.established('runnerpools.rambo.dev');
});

test('its account reads and changes no Secret but that of NATS, and touches no other definition', async () => {
  const can = async (...what: readonly string[]): Promise<string> => t.stack.kubectl.run('auth', 'can-i', ...what, '--as=system:serviceaccount:rambo-system:rambo-setup').then((out) => out.trim(), () => 'no');
  expect(await can('create', 'secrets', '-n', 'rambo-system')).toBe('yes');
  for (const verb of ['get', 'list', 'update', 'patch', 'delete']) expect([verb, await can(verb, 'secrets', '-n', 'rambo-system')]).toEqual([verb, 'no']);
  for (const verb of ['get', 'patch']) expect(await can(verb, 'secret/rambo-nats', '-n', 'rambo-system')).toBe('yes');
  for (const verb of ['update', 'delete']) expect(await can(verb, 'secret/rambo-nats', '-n', 'rambo-system')).toBe('no');
  expect(await can('get', 'secret/rambo-postgres', '-n', 'rambo-system')).toBe('no');
  expect(await can('create', 'secrets', '-n', 'default')).toBe('no');
  expect(await can('patch', 'crd/workflows.rambo.dev')).toBe('yes');
  expect(await can('patch', 'crd/others.example.dev')).toBe('no');
  expect(await can('delete', 'crd/workflows.rambo.dev')).toBe('no');
});
