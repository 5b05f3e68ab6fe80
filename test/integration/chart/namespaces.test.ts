import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { render, TRIAL } from '../../chart/helm.ts';
import { OwnProcess } from '../../harness/own-process.ts';
import { TestStack } from '../../harness/test-stack.ts';

/** watchNamespaces: a controller with the Roles the chart gives it then, and nothing in the rest of the cluster. */

const VALUES = { ...TRIAL, fullnameOverride: 'narrow', watchNamespaces: ['team-a', 'team-b'] };
let t: TestStack;
let dir: string;
let controller: OwnProcess;
beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'rambo-narrow-'));
  t = await TestStack.start({ controllers: 0, api: true });
  for (const name of ['team-a', 'team-b', 'team-c']) await t.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  const kinds = ['ServiceAccount', 'Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding'];
  for (const object of render(VALUES).filter(({ kind, metadata }) => kinds.includes(kind) && /^narrow-controller/.test(metadata.name))) await t.apply(object);
  // The person of the tour may use these namespaces too.
  for (const namespace of ['team-a', 'team-c']) {
    await t.apply({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name: 'demo', namespace }, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'rambo-view-and-run' }, subjects: [{ kind: 'ServiceAccount', name: 'rambo-demo', namespace: 'default' }] });
  }
  await t.apply({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'rambo-view-and-run' }, rules: [{ apiGroups: ['rambo.dev'], resources: ['workflowruns', 'workflows'], verbs: ['get', 'list', 'create'] }] });
  const kubeconfig = path.join(dir, 'kubeconfig');
  await t.stack.kubectl.kubeconfigFor('rambo-system', 'narrow-controller', kubeconfig);
  const template = path.join(dir, 'default.json');
  writeFileSync(template, JSON.stringify({ minReady: 2, max: 3, slots: 5 }));
  controller = await OwnProcess.start(t, dir, 'controller', { RAMBO_KUBECONFIG: kubeconfig, RAMBO_DEFAULT_POOL_FILE: template, RAMBO_WATCH_NAMESPACES: 'team-a,team-b' });
  await controller.becomesReady();
}, 1_200_000);
afterAll(async () => {
  await controller.stop();
  await t.stop();
  rmSync(dir, { recursive: true, force: true });
});

const NODES = [
  { name: 'here', type: 'transform', with: { output: 1 } },
  { name: 'warm', type: 'script', with: { language: 'javascript', source: 'export default () => 2;' } },
  { name: 'pod', type: 'container', with: { image: 'local/sh', command: ['sh', '-c', 'echo 3 > $RAMBO_OUTPUT_FILE'] } },
];
const run = (namespace: string, nodes: readonly object[] = NODES): Promise<{ readonly metadata: { readonly name: string } }> => t.create({
  apiVersion: 'rambo.dev/v1alpha1', kind: 'WorkflowRun', metadata: { generateName: 't-', namespace }, spec: { workflow: { nodes } },
});
const start = (namespace: string): Promise<{ readonly data?: { readonly r: { readonly __typename: string; readonly message?: string } }; readonly errors?: readonly { readonly message: string }[] }> => t.ask(
  'mutation($i: StartRunInput!) { r: startRun(input: $i) { __typename ... on UserError { message } } }', { i: { namespace, definition: { nodes: NODES.slice(0, 1) } } });

test.each(['team-a', 'team-b'])('runs in %s end, in all three modes', async (namespace) => {
  const { metadata } = await run(namespace);
  await t.stack.kubectl.run('wait', '-n', namespace, '--for=condition=Completed', `wfr/${metadata.name}`, '--timeout=60s');
  expect(await t.stack.kubectl.run('get', '-n', namespace, 'wfr', metadata.name, '-o', 'jsonpath={.status.phase}')).toBe('Succeeded');
  const pool = JSON.parse(await t.stack.kubectl.run('get', '-n', namespace, 'pool', 'default', '-o', 'json')) as { readonly spec: object };
  expect(pool.spec).toMatchObject({ minReady: 0, max: 3, slots: 5 });
});

test('a run elsewhere stays untouched', async () => {
  const { metadata } = await run('team-c');
  // One that came later, in a namespace that is watched, is done: the other had its time.
  const later = await run('team-a', NODES.slice(0, 1));
  await t.stack.kubectl.run('wait', '-n', 'team-a', '--for=condition=Completed', `wfr/${later.metadata.name}`, '--timeout=60s');
  expect(await t.stack.kubectl.run('get', '-n', 'team-c', 'wfr', metadata.name, '-o', 'jsonpath={.status.phase}')).toBe('');
});

test('the API is refused a run elsewhere, with the way out, and starts one here', async () => {
  expect((await start('team-a')).errors).toBeUndefined();
  expect(JSON.stringify(await start('team-c'))).toMatch(/namespace team-c is not one this installation runs workflows of \(team-a, team-b\)/);
});

test('nothing was asked for that is not allowed', () => {
  expect(controller.log).not.toMatch(/is forbidden|403/);
});
