import { TestStack } from '../../harness/test-stack.ts';

/** `networkPolicy` of a RunnerPool, carried out: one NetworkPolicy that follows the pool. What a CNI makes of it is the CNI's. */

let t: TestStack;
beforeAll(async () => { t = await TestStack.start({ api: true }); }, 120_000);
afterAll(async () => { await t.stop(); });

interface Policy {
  readonly metadata: { readonly uid: string; readonly resourceVersion: string; readonly ownerReferences: readonly object[] };
  readonly spec: { readonly podSelector: object; readonly policyTypes: readonly string[]; readonly ingress?: unknown; readonly egress: readonly { readonly to?: readonly { readonly ipBlock?: { readonly cidr: string } }[] }[] };
}

async function policy(): Promise<Policy | undefined> {
  const text = await t.stack.kubectl.run('get', 'networkpolicy', 'rambo-pool-locked', '--ignore-not-found', '-o', 'json');
  if (text.trim() === '') return undefined;
  const found: Policy = JSON.parse(text);
  return found;
}

const cidrs = (found: Policy | undefined): readonly string[] => found?.spec.egress.flatMap(({ to }) => to?.flatMap(({ ipBlock }) => ipBlock?.cidr ?? []) ?? []) ?? [];
const becomes = (what: readonly string[]): Promise<unknown> => t.until(`the list to be ${what.join(', ')}`, async () => JSON.stringify(cidrs(await policy())) === JSON.stringify(what));
const listing = (...egress: readonly object[]): Promise<void> => t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'RunnerPool', metadata: { name: 'locked', namespace: 'default' }, spec: { minReady: 1, max: 1, networkPolicy: { egress } } });
const labels = async (selector: string): Promise<string> => t.stack.kubectl.run('get', 'pods', '-l', selector, '-o', 'jsonpath={.items[*].metadata.labels.rambo\\.dev/egress}');
const writes = (): Promise<number> => t.metric('rambo_kube_writes_total', /"networkpolicies"/);

/** Resolves when the controller has ended a look at the pool that began after the call: one pass at a time, and each begins with the mirror. */
async function looked(...ttls: readonly string[]): Promise<void> {
  for (const ttl of ttls) {
    await t.stack.kubectl.run('patch', 'runnerpool', 'locked', '--type=merge', '-p', JSON.stringify({ spec: { idleTTL: ttl } }));
    await t.until('the pool to be looked at', async () => (await t.sql(`select 1 from runner_pool where name = 'locked' and convert_from(spec, 'UTF8') like $1`, [`%"${ttl}"%`])).length === 1);
  }
}

test('is there with the first pod, owned by the pool, selects its pods and opens what every runner needs and the list', async () => {
  await listing({ cidr: '10.1.0.0/16', ports: [443] });
  await t.stack.kubectl.run('wait', '--for=condition=Ready', 'runnerpool/locked', '--timeout=60s');
  const found = await policy();
  expect(found?.spec).toMatchObject({ podSelector: { matchLabels: { 'rambo.dev/egress': 'locked' } }, policyTypes: ['Ingress', 'Egress'] });
  expect(found?.spec).not.toHaveProperty('ingress');
  expect(cidrs(found)).toEqual(['10.1.0.0/16']);
  expect(found?.spec.egress).toHaveLength(3);
  expect(found?.metadata.ownerReferences).toMatchObject([{ kind: 'RunnerPool', name: 'locked', controller: true }]);
  expect(await labels('rambo.dev/pool=locked')).toBe('locked');
});

test('holds the pods of single attempts too', async () => {
  const run = await t.startInline([{ name: 'own', type: 'container', runner: { pool: 'locked' }, with: { image: 'local/sh', command: ['sh', '-c', 'sleep 5; echo 1 > "$RAMBO_OUTPUT_FILE"'] } }]);
  await t.until('its pod', async () => await labels(`rambo.dev/run-id=${run.metadata.uid}`) === 'locked');
  await t.finished(run.metadata.name);
});

test('follows the pool, and is put back when somebody changes or deletes it', async () => {
  await listing({ cidr: '10.2.0.0/16' }, { cidr: 'fd00::/8' });
  await becomes(['10.2.0.0/16', 'fd00::/8']);
  await t.stack.kubectl.run('patch', 'networkpolicy', 'rambo-pool-locked', '--type=merge', '-p', '{"spec":{"egress":[{}]}}');
  await becomes(['10.2.0.0/16', 'fd00::/8']);
  const { uid } = (await policy())?.metadata ?? { uid: '' };
  await t.stack.kubectl.run('delete', 'networkpolicy', 'rambo-pool-locked');
  await t.until('another one', async () => (await policy())?.metadata.uid !== uid && cidrs(await policy()).length === 2);
});

test('at rest it is not written, and a restart of the controller does not write it', async () => {
  const version = (await policy())?.metadata.resourceVersion;
  const before = await writes();
  expect(before).toBeGreaterThan(0);
  await looked('6m', '7m');
  expect(await writes()).toBe(before);
  await t.stack.child('controller-0').stop();
  t.stack.startController('controller-0');
  await looked('8m', '9m');
  expect((await policy())?.metadata.resourceVersion).toBe(version);
});

test('goes when the pool lists nothing any more; its pods are replaced by others without the label', async () => {
  await t.stack.kubectl.run('patch', 'runnerpool', 'locked', '--type=json', '-p', '[{"op":"remove","path":"/spec/networkPolicy"}]');
  await t.until('the policy to go', async () => await policy() === undefined);
  await t.until('the pods to be replaced', async () => await labels('rambo.dev/pool=locked') === '');
});
