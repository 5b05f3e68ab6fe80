import { DEMO_ACCOUNTS, DEMO_PROJECT, signIn } from '../../../hack/stack/auth-accounts.ts';
import { TestStack } from '../../harness/test-stack.ts';
import { prototypeExport } from './prototype-export.ts';
import type { Entry, Reply } from './site.ts';

/** Workflows of projects as they become objects of a real cluster, and an import that is killed, with the API as a process of its own and a person of Firebase. */

let t: TestStack;
let token: string;
beforeAll(async () => {
  t = await TestStack.start({ api: true, signIn: true });
  const developer = DEMO_ACCOUNTS.find((account) => account.role === 'DEVELOPER');
  if (developer === undefined) throw new Error('no developer');
  token = (await signIn(t.addresses.authEmulator, DEMO_PROJECT, developer)).idToken;
}, 600_000);
afterAll(() => t.stop());

async function rest(method: string, path: string, body?: unknown): Promise<Reply> {
  const response = await fetch(`${t.addresses.apiUrl}/api/v1${path}`, {
    method, headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) };
}

async function ok(reply: Promise<Reply>): Promise<Entry> {
  const { status, body } = await reply;
  if (status >= 300) throw new Error(`${status} ${JSON.stringify(body)}`);
  return body;
}

async function project(namespace?: string): Promise<string> {
  const { id } = await ok(rest('POST', '/projects', { name: 'P' }));
  await t.sql('UPDATE project SET namespace = NULL WHERE namespace = $1', [namespace ?? '']);
  if (namespace !== undefined) await t.sql('UPDATE project SET namespace = $2 WHERE id = $1', [id, namespace]);
  return id;
}

const spec = (output: unknown): object => ({ description: 'd', nodes: [{ name: 'a', type: 'transform', with: { output } }, { name: 'b', type: 'transform', dependsOn: ['a'], with: { output: 2 } }] });

async function object(name: string): Promise<Entry> {
  return JSON.parse(await t.stack.kubectl.run('get', 'workflow', name, '-o', 'json', '--show-managed-fields'));
}

test('a draft is published, changed, published again, taken back and published anew; the controller takes it', async () => {
  const projectId = await project('default');
  const made = await ok(rest('POST', `/projects/${projectId}/workflows`, { name: 'Überblick & more', definition: spec(1), metadata: { canvas: { a: { x: 1 } } } }));
  expect(made).toMatchObject({ status: 'DRAFT', problems: [], objectName: null, version: 1 });
  expect((await ok(rest('GET', `/project-workflows/${made.id}/nodes`))).items).toMatchObject([{ name: 'a', position: 0, type: 'transform', configuration: { with: { output: 1 } } }, { name: 'b', configuration: { dependsOn: ['a'] } }]);
  const published = await ok(rest('POST', `/project-workflows/${made.id}/publish`));
  expect(published).toMatchObject({ status: 'PUBLISHED', version: 2, objectName: expect.stringMatching(/^uberblick-more-[0-9a-f]{8}$/) as string });
  const found = await object(published.objectName);
  expect(found.spec).toEqual(spec(1));
  expect(found.metadata.annotations).toMatchObject({ 'rambo.dev/project-workflow': made.id, 'rambo.dev/published-by': expect.stringMatching(/^user:/) as string });
  expect(found.metadata.managedFields).toContainEqual(expect.objectContaining({ manager: 'rambo-api', operation: 'Apply' }));
  await t.stack.kubectl.run('wait', '--for=jsonpath={.status.phase}=Ready', `workflow/${published.objectName}`, '--timeout=30s');
  const changed = await ok(rest('PATCH', `/project-workflows/${made.id}`, { version: 2, definition: { nodes: [{ name: 'only', type: 'transform', with: { output: 7 } }] } }));
  expect([changed.status, (await object(published.objectName)).spec]).toEqual(['PUBLISHED', spec(1)]);
  await ok(rest('POST', `/project-workflows/${made.id}/publish`));
  expect((await object(published.objectName)).spec).toEqual({ nodes: [{ name: 'only', type: 'transform', with: { output: 7 } }] });
  expect(await ok(rest('POST', `/project-workflows/${made.id}/unpublish`))).toMatchObject({ status: 'INACTIVE' });
  await expect(object(published.objectName)).rejects.toThrow(/NotFound/);
  await ok(rest('POST', `/project-workflows/${made.id}/publish`));
  await ok(rest('DELETE', `/project-workflows/${made.id}`));
  await expect(object(published.objectName)).rejects.toThrow(/NotFound/);
  expect(await ok(rest('POST', `/project-workflows/${made.id}/restore`))).toMatchObject({ status: 'INACTIVE', deletedAt: null });
});

test('a draft with problems is kept, says what they are, and is not published', async () => {
  const projectId = await project('default');
  const broken = { nodes: [{ name: 'a', type: 'transform', dependsOn: ['b'], with: { output: 1 } }, { name: 'b', type: 'transform', dependsOn: ['a'], with: { output: 1 } }] };
  const made = await ok(rest('POST', `/projects/${projectId}/workflows`, { name: 'ring', definition: broken }));
  expect(made.problems).toMatchObject([{ reason: 'Cycle' }]);
  expect(await rest('POST', `/project-workflows/${made.id}/publish`)).toMatchObject({ status: 400, body: { code: 'BAD_USER_INPUT', errors: [{ reason: 'Cycle' }] } });
  for (const definition of [[], null, 'x', 7]) expect((await rest('POST', `/projects/${projectId}/workflows`, { name: 'x', definition })).status).toBe(400);
  const free = await ok(rest('POST', `/projects/${await project()}/workflows`, { name: 'no namespace', definition: spec(1) }));
  expect(await rest('POST', `/project-workflows/${free.id}/publish`)).toMatchObject({ status: 409, body: { code: 'CONFLICT', detail: expect.stringMatching(/bound to no namespace/) as string } });
  expect((await ok(rest('GET', `/project-workflows/${free.id}`))).status).toBe('DRAFT');
});

test('what GitOps manages is not taken over: the answer names the manager', async () => {
  const projectId = await project('default');
  const made = await ok(rest('POST', `/projects/${projectId}/workflows`, { name: 'owned', definition: spec(1) }));
  const { objectName } = await ok(rest('POST', `/project-workflows/${made.id}/publish`));
  // Somebody takes a field of what we have published.
  const mine = { apiVersion: 'rambo.dev/v1alpha1', kind: 'Workflow', metadata: { name: objectName, namespace: 'default' }, spec: { description: 'theirs' } };
  await t.stack.kubectl.run('patch', 'workflow', objectName, '--type=merge', '--field-manager=argocd-controller', '-p', JSON.stringify({ spec: mine.spec }));
  expect(await rest('POST', `/project-workflows/${made.id}/publish`)).toMatchObject({ status: 409, body: { code: 'CONFLICT', detail: expect.stringMatching(/argocd-controller/) as string } });
  expect((await object(objectName)).spec.description).toBe('theirs');
  // And an object of that name that was never ours.
  const other = await ok(rest('POST', `/projects/${projectId}/workflows`, { name: 'foreign', definition: spec(1) }));
  const name = `foreign-${String(other.id).slice(-8)}`;
  await t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'Workflow', metadata: { name, namespace: 'default' }, spec: { nodes: [{ name: 'z', type: 'transform', with: { output: 0 } }] } });
  expect(await rest('POST', `/project-workflows/${other.id}/publish`)).toMatchObject({ status: 409, body: { code: 'CONFLICT', detail: expect.stringMatching(/is there already and managed by kubectl/) as string } });
  expect((await object(name)).spec.nodes).toMatchObject([{ name: 'z' }]);
});

test('an import that is killed in the middle goes on by itself, and nothing is there twice', async () => {
  const data = prototypeExport(600);
  const begun = await ok(rest('POST', '/imports', { export: data.text }));
  const progress = async (): Promise<Entry> => (await t.sql<{ done: number; status: string; total: number }>('SELECT done, total, status FROM import WHERE id = $1', [begun.id]))[0];
  let kills = 0;
  for (let last = -1; kills < 3;) {
    const { done, status } = await progress();
    if (status !== 'RUNNING') break;
    if (done > last && done > 0) {
      last = done;
      kills += 1;
      t.stack.child('api').kill();
    }
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  expect(kills).toBeGreaterThan(0);
  await t.until('the import to end', async () => (await progress()).status === 'DONE', 120_000);
  await t.until('the API', async () => (await fetch(`${t.stack.apiHealthUrl()}/readyz`).catch(() => undefined))?.ok === true);
  const { total } = await progress();
  const [counts] = await t.sql<{ items: number; tasks: number; twice: number }>(`SELECT (SELECT count(*)::int FROM import_item WHERE import_id = $1) AS items,
    (SELECT count(*)::int FROM task t JOIN imported_id i ON i.entity_id = t.id) AS tasks, (SELECT count(*)::int FROM (SELECT entity_id FROM imported_id GROUP BY entity_id HAVING count(*) > 1) x) AS twice`, [begun.id]);
  expect(counts).toEqual({ items: total, tasks: 1_800, twice: 0 });
  expect(await t.sql('SELECT source IS NULL AS dropped FROM import WHERE id = $1', [begun.id])).toEqual([{ dropped: true }]);
  // The same again changes nothing.
  const again = await ok(rest('POST', '/imports', { export: data.text }));
  await t.until('the second import', async () => (await ok(rest('GET', `/imports/${again.id}`))).status === 'DONE', 120_000);
  expect(await ok(rest('GET', `/imports/${again.id}`))).toMatchObject({ created: 0, updated: 0 });
}, 300_000);
