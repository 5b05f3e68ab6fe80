import { DEMO_ACCOUNTS, DEMO_PROJECT, signIn } from '../../../hack/stack/auth-accounts.ts';
import { accountRules, type AccountRules } from '../../../hack/stack/accounts.ts';
import { Network } from '../../chaos/network.ts';
import { render, the, TRIAL } from '../../chart/helm.ts';
import { TestStack } from '../../harness/test-stack.ts';

/**
 * Least privilege, held from both sides: everything our processes ask of the API server while they do all they can do is
 * recorded on the line. A permission nobody used is one too many; an answer 403 is one too few.
 */

let t: TestStack;
const network = new Network();
const used = { 'controller-0': new Set<string>(), api: new Set<string>() };
/** Refusals of an API server that has just started and does not know its roles yet. */
let early: readonly string[] = [];

beforeAll(async () => {
  t = await TestStack.start({ api: true, signIn: true, network, bundles: { folder: '', env: { RAMBO_POD_NAMESPACE: 'rambo-system', RAMBO_POD_UID: 'a-uid', RAMBO_REPLICA: 'api-pod' } } });
  for (const name of ['controller-0', 'api'] as const) {
    network.of(name).kube.add({ fault: { kind: 'reset' }, match: (request) => {
      used[name].add(permission(request));
      return false;
    } });
  }
  early = forbidden();
}, 1_200_000);
afterAll(() => t.stop());

/** `verb group/resource`, as a rule would say it. */
function permission({ verb, resource, path }: { readonly verb: string; readonly resource: string; readonly path: string }): string {
  return `${verb} ${path.startsWith('/apis/') ? path.split('/')[2] ?? '' : ''}/${resource}`;
}

/** Refusals for want of a permission, so far. */
function forbidden(): readonly string[] {
  return (['controller-0', 'api'] as const).flatMap((name) => {
    const found: string[] = [];
    network.of(name).kube.carried((request) => {
      if (request.code === 403) found.push(`${name}: ${permission(request)}`);
      return false;
    });
    return found;
  });
}

function granted(rules: AccountRules): readonly string[] {
  const all = [...(rules.watched ?? []), ...(rules.cluster ?? []), ...rules.own];
  const names = all.flatMap(({ apiGroups, resources, verbs }) => apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`))));
  return [...new Set(names)].sort();
}

const workflow = (name: string, nodes: readonly object[]): object => ({ apiVersion: 'rambo.dev/v1alpha1', kind: 'Workflow', metadata: { name, namespace: 'default' }, spec: { nodes } });

/** A person publishes a workflow of a project and takes it back. */
async function published(): Promise<void> {
  const developer = DEMO_ACCOUNTS.find((account) => account.role === 'DEVELOPER');
  if (developer === undefined) throw new Error('no developer');
  const { idToken } = await signIn(t.addresses.authEmulator, DEMO_PROJECT, developer);
  const rest = async (path: string, body: object = {}): Promise<string> => {
    const response = await fetch(`${t.addresses.apiUrl}/api/v1${path}`, { method: 'POST', headers: { authorization: `Bearer ${idToken}`, 'content-type': 'application/json' }, body: JSON.stringify(body) });
    const answer: { readonly id?: string } = JSON.parse(await response.text());
    if (answer.id === undefined) throw new Error(`${path}: ${JSON.stringify(answer)}`);
    return answer.id;
  };
  const project = await rest('/projects', { name: 'P' });
  await t.sql("UPDATE project SET namespace = 'default' WHERE id = $1", [project]);
  const id = await rest(`/projects/${project}/workflows`, { name: 'W', definition: { nodes: [{ name: 'a', type: 'transform', with: { output: 1 } }] } });
  await rest(`/project-workflows/${id}/publish`);
  await rest(`/project-workflows/${id}/unpublish`);
}

/** An agent with instructions from a ConfigMap, and a tool server over stdio that moves. */
async function agents(): Promise<void> {
  const put = (kind: string, spec: object): Promise<void> => t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind, metadata: { name: 'helper', namespace: 'default' }, spec });
  const services = async (): Promise<boolean> => (await t.stack.kubectl.run('get', 'service', '-o', 'name')).includes('rambo-tools-helper');
  await put('Model', { model: 'm', baseUrl: 'http://models.example.com/v1' });
  await put('ToolServer', { mcp: { stdio: { image: 'example.com/tools', args: ['serve'] } } });
  await put('Agent', { modelRef: { name: 'helper' }, instructions: { configMapKeyRef: { name: 'helper', key: 'text' } } });
  await t.until('its service', services);
  await put('ToolServer', { mcp: { url: 'http://tools.example.com/mcp' } });
  await t.until('its service to go', async () => !await services());
  await t.stack.kubectl.run('wait', '--for=condition=ResolvedRefs=false', 'agent/helper', '--timeout=30s');
  await t.until('its policy to go', async () => !(await t.stack.kubectl.run('get', 'networkpolicy', '-o', 'name')).includes('rambo-tools-helper'));
}

/** Everything that makes a process ask the API server for something. */
async function everything(): Promise<void> {
  const { kube } = network.of('controller-0');
  // A second creation finds the pod there, a conflict has the object read anew.
  kube.add({ fault: { kind: 'repeat' }, match: ({ verb, resource }) => verb === 'create' && resource === 'pods', times: 4 });
  kube.add({ fault: { kind: 'answer', code: 409, reason: 'Conflict' }, match: ({ verb, resource }) => verb === 'patch' && resource === 'workflowruns/status', times: 2 });
  await t.apply(workflow('work', [
    { name: 'warm', type: 'script', with: { language: 'javascript', source: 'export default () => 1;' } },
    { name: 'pod', type: 'container', with: { image: 'local/sh', command: ['sh', '-c', 'echo 7 > $RAMBO_OUTPUT_FILE; echo said'] } },
    { name: 'bad', type: 'container', dependsOn: ['pod'], with: { image: 'local/sh', command: ['sh', '-c', 'exit 3'] } },
  ]));
  const run = await t.create({ apiVersion: 'rambo.dev/v1alpha1', kind: 'WorkflowRun', metadata: { generateName: 'w-', namespace: 'default' }, spec: { workflowRef: { name: 'work' } } });
  expect((await t.finished(run.metadata.name)).status?.phase).toBe('Failed');
  await t.ask('{ runs(namespace: "default", first: 5) { edges { node { id } } } }');
  // A pool that lists what its pods may reach, for a while.
  const pool = (spec: object): object => ({ apiVersion: 'rambo.dev/v1alpha1', kind: 'RunnerPool', metadata: { name: 'locked', namespace: 'default' }, spec: { minReady: 0, ...spec } });
  await t.apply(pool({ networkPolicy: { egress: [{ cidr: '10.0.0.0/8' }] } }));
  await t.until('its policy', async () => (await t.stack.kubectl.run('get', 'networkpolicy', '-o', 'name')).includes('rambo-pool-locked'));
  await t.apply(pool({}));
  await t.until('its policy to go', async () => !(await t.stack.kubectl.run('get', 'networkpolicy', '-o', 'name')).includes('rambo-pool-locked'));
  await published();
  await agents();
  // Both begin anew while NATS is away: they look at the definitions and tell of their waiting.
  for (const name of ['controller-0', 'api']) {
    network.of(name).nats.refuse(true);
    network.of(name).nats.cut();
    t.stack.child(name).kill();
  }
  await t.until('both to tell of their waiting', async () => ['controller-0', 'api'].every((name) => used[name as 'api'].has('create /events')
    && network.of(name).kube.carried(({ path, code }) => path.includes('rambo-system/events') && code === 201) > 0));
  for (const name of ['controller-0', 'api']) network.of(name).nats.refuse(false);
  await t.until('the definitions to be looked at', async () => used['controller-0'].has('get apiextensions.k8s.io/customresourcedefinitions'));
  await t.until('a controller', async () => (await fetch(`${t.stack.controllerUrl()}/readyz`).catch(() => undefined))?.ok === true);
}

test('what the processes use is what they are given', async () => {
  await everything();
  for (const name of ['controller-0', 'api'] as const) {
    network.of(name).kube.carried((request) => {
      // Server-side apply of what is not there creates it, and needs that permission too.
      if (request.verb === 'patch' && request.code === 201) used[name].add(permission({ ...request, verb: 'create' }));
      return false;
    });
  }
  expect(forbidden()).toEqual(early);
  expect([...used['controller-0']].sort()).toEqual(granted(accountRules().controller));
  expect([...used.api].sort()).toEqual(granted(accountRules().api));
}, 300_000);

test('they get no wildcard, no listing of secrets, nothing that leads to more', () => {
  const { modelgateway, ...rest } = accountRules();
  // Only the model gateway reads Secrets, by name: whose label does not say that they are for it, it refuses.
  for (const permission of Object.values(rest).flatMap(granted)) expect(permission).not.toMatch(/^get \/secrets$/);
  expect(granted(modelgateway)).toEqual(['create /events', 'get /configmaps', 'get /secrets']);
  for (const permission of Object.values(accountRules()).flatMap(granted)) {
    expect(permission).not.toContain('*');
    expect(permission).not.toMatch(/^(escalate|bind|impersonate|deletecollection|update) /);
    expect(permission).not.toMatch(/^(list|watch|delete) \/secrets$/);
    expect(permission).not.toMatch(/(pods\/(exec|attach|portforward)|roles|rolebindings|serviceaccounts)/);
  }
});

test('the chart gives exactly these', () => {
  const objects = render(TRIAL);
  const { controller, api, modelgateway } = accountRules();
  expect(the(objects, 'ClusterRole', 'rambo-controller')['rules']).toEqual([...(controller.cluster ?? []), ...(controller.watched ?? [])]);
  expect(the(objects, 'ClusterRole', 'rambo-api')['rules']).toEqual([...(api.cluster ?? []), ...(api.watched ?? [])]);
  expect(the(objects, 'Role', 'rambo-controller-own')['rules']).toEqual(controller.own);
  expect(the(objects, 'Role', 'rambo-api-own')['rules']).toEqual(api.own);
  expect(the(objects, 'ClusterRole', 'rambo-modelgateway')['rules']).toEqual(modelgateway.watched);
  expect(the(objects, 'Role', 'rambo-modelgateway-own')['rules']).toEqual(modelgateway.own);
});
