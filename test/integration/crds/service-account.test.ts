import { GOOD_SPEC } from './bad-input.ts';
import { manifest, startCrdCluster } from './cluster.ts';
import type { CrdCluster, Way } from './cluster.ts';
import { eventually } from '../../harness/kube-api.ts';

const USER = 'crds-test-mallory';
/** Nobody but the admin may use this account; another test of this file is granted `deployer`. */
const UNOWNED = { workflowRef: { name: 'w' }, serviceAccountName: 'unowned' };
const RUN = { workflowRef: { name: 'w' }, serviceAccountName: 'deployer' };
let cluster: CrdCluster;
beforeAll(async () => {
  cluster = await startCrdCluster('crds-account');
  await allow('writer', [{ apiGroups: ['rambo.dev'], resources: ['workflowruns', 'runnerpools'], verbs: ['create', 'patch', 'update', 'get'] }]);
  await eventually('the writer role', async () => {
    const answer = await cluster.write(manifest('WorkflowRun', 'probe', GOOD_SPEC.WorkflowRun), { user: USER });
    return answer.status === 201 ? true : undefined;
  });
  // The policies come into force one by one, a moment after they were applied.
  await eventually('the policy on service accounts', async () => {
    const answer = await cluster.write(manifest('WorkflowRun', 'probe', UNOWNED), { user: USER });
    return answer.status === 403 ? true : undefined;
  });
}, 60_000);
afterAll(async () => { await cluster.remove(); });

/** Gives the test user a role in the namespace under test. */
async function allow(name: string, rules: unknown): Promise<void> {
  const base = `/apis/rbac.authorization.k8s.io/v1/namespaces/${cluster.namespace}`;
  const role = await cluster.api.request({ method: 'POST', path: `${base}/roles`, body: { metadata: { name }, rules } });
  const binding = await cluster.api.request({
    method: 'POST',
    path: `${base}/rolebindings`,
    body: {
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'User', name: USER }],
    },
  });
  expect([role.status, binding.status]).toEqual([201, 201]);
}

const REFUSAL = /crds-test-mallory may not impersonate service account crds-account-[0-9-]+\/unowned: leave the field out, or grant/;

describe.each<Way>(['create', 'apply'])('a service account named by somebody without rights on it: %s', (way) => {
  test('is refused, for a run and for a pool', async () => {
    for (const object of [manifest('WorkflowRun', 'x', UNOWNED), manifest('RunnerPool', 'x', { serviceAccountName: 'unowned' })]) {
      const answer = await cluster.write(object, { way, user: USER });
      expect(answer.message).toMatch(REFUSAL);
      expect(answer.status).toBe(403);
    }
  });

  test('is no matter for who names none, or may do everything', async () => {
    expect((await cluster.write(manifest('WorkflowRun', 'x', GOOD_SPEC.WorkflowRun), { way, user: USER })).status).toBe(201);
    expect((await cluster.write(manifest('WorkflowRun', 'x', RUN), { way })).status).toBe(201);
  });
});

test('a pool keeps an account an admin gave it, and takes no other from the user', async () => {
  await cluster.write(manifest('RunnerPool', 'kept', { serviceAccountName: 'deployer' }), { dryRun: false });
  const patch = async (spec: unknown): Promise<string> => (await cluster.api.request({
    method: 'PATCH', path: cluster.path('RunnerPool', 'kept'), body: { spec }, contentType: 'application/merge-patch+json', user: USER,
  })).message;
  expect(await patch({ max: 7 })).toBe('');
  expect(await patch({ serviceAccountName: 'root' })).toMatch(/may not impersonate/);
});

test('a run can be suspended by somebody who could not have named its account', async () => {
  await cluster.write(manifest('WorkflowRun', 'named', RUN), { dryRun: false });
  const answer = await cluster.api.request({
    method: 'PATCH', path: cluster.path('WorkflowRun', 'named'), body: { spec: { suspend: true } },
    contentType: 'application/merge-patch+json', user: USER,
  });
  expect(answer).toMatchObject({ status: 200, message: '' });
});

test('impersonate on that one account is enough, and for that one only', async () => {
  await allow('impersonator', [{ apiGroups: [''], resources: ['serviceaccounts'], resourceNames: ['deployer'], verbs: ['impersonate'] }]);
  await eventually('the impersonator role', async () =>
    ((await cluster.write(manifest('WorkflowRun', 'x', RUN), { user: USER })).status === 201 ? true : undefined));
  const other = manifest('WorkflowRun', 'x', { ...RUN, serviceAccountName: 'other' });
  expect((await cluster.write(other, { user: USER })).message).toMatch(/may not impersonate/);
});
