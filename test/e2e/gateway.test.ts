import { randomUUID } from 'node:crypto';
import { makeAccessToken } from '../../api/auth/access-tokens.ts';
import { type RestAnswer, Site, until } from './site.ts';

/** The gateway as the chart installs it: people with access tokens, a project bound to a namespace, workflows published by the API's own account. */

let site: Site;
beforeAll(() => { site = Site.shared(); });
afterAll(async () => { await site.close(); });

type Answer = RestAnswer<Readonly<Record<string, never>> & { readonly id: string; readonly code?: string; readonly phase?: string; readonly objectName?: string; readonly version?: number }>;
type Call = (method: string, route: string, body?: object) => Promise<Answer>;

/** Somebody with an access token; there is no Firebase in the ring. */
async function person(): Promise<{ readonly id: string; readonly call: Call }> {
  const id = randomUUID();
  const { token, hash } = makeAccessToken();
  await site.sql(`INSERT INTO app_user (id, role, email_verified, created_at, updated_at) VALUES ($1, 'MANAGER', true, now(), now())`, [id]);
  await site.sql(`INSERT INTO profile (user_id, display_name, updated_at) VALUES ($1, 'somebody', now())`, [id]);
  await site.sql(`INSERT INTO access_token (id, user_id, name, hash, scopes, expires_at, created_at) VALUES ($1, $2, 'ring', $3, '{read,write,runs}', now() + interval '1 day', now())`, [randomUUID(), id, hash]);
  return { id, call: (method, route, body) => request(method, route, token, body) };
}

function request(method: string, route: string, token?: string, body?: object): Promise<Answer> {
  return site.rest(method, route, token, body);
}

test('a project, a task, a run of it, a published workflow; nobody else sees any of it', async () => {
  const [owner, stranger] = [await person(), await person()];
  const made = await owner.call('POST', '/projects', { name: 'Ring' });
  expect([made.status, made.body.code]).toEqual([201, undefined]);
  const project = made.body.id;
  // Binding is for administrators with a second factor, of whom the ring has none.
  await site.sql(`UPDATE project SET namespace = 'default' WHERE id = $1`, [project]);
  const task = await owner.call('POST', `/projects/${project}/tasks`, { title: 'Say hello' });
  const definition = { nodes: [{ name: 'hello', type: 'transform', with: { output: 'hello' } }] };
  const run = await owner.call('POST', `/tasks/${task.body.id}/runs`, { definition });
  expect([run.status, run.body.code]).toEqual([201, undefined]);
  await until('the run of the task to succeed', async () => (await owner.call('GET', `/runs/${run.body.id}`)).body.phase === 'Succeeded');
  const workflow = await owner.call('POST', `/projects/${project}/workflows`, { name: 'Greeting', definition });
  const published = await owner.call('POST', `/project-workflows/${workflow.body.id}/publish`);
  expect([published.status, published.body.code]).toEqual([200, undefined]);
  const object = await site.get<{ metadata: { managedFields?: readonly { manager: string }[] } }>('workflow', published.body.objectName ?? '', '-n', 'default', '--show-managed-fields');
  expect(object.metadata.managedFields?.map(({ manager }) => manager)).toContain('rambo-api');
  for (const route of [`/projects/${project}`, `/tasks/${task.body.id}`, `/project-workflows/${workflow.body.id}`]) {
    const [hers, nobodys] = [await stranger.call('GET', route), await stranger.call('GET', route.replace(/[^/]+$/, randomUUID()))];
    expect([hers.status, hers.body.code, nobodys.status, nobodys.body.code]).toEqual([404, 'NOT_FOUND', 404, 'NOT_FOUND']);
  }
  const audited = await site.sql<{ operation: string }>('SELECT operation FROM audit WHERE principal = $1 ORDER BY seq', [`user:${owner.id}`]);
  expect(audited.map(({ operation }) => operation)).toEqual(['createProject', 'createTask', 'startTaskRun', 'createProjectWorkflow', 'publishWorkflow']);
}, 120_000);

test('without a token nothing is told; files say that there is no object store', async () => {
  expect(await request('GET', '/projects')).toMatchObject({ status: 401, type: expect.stringContaining('application/problem+json'), body: { code: 'UNAUTHENTICATED' } });
  const { call } = await person();
  const { body: { id } } = await call('POST', '/projects', { name: 'Files' });
  const file = { name: 'a.txt', area: 'FILES', contentType: 'text/plain', size: 1, sha256: '0'.repeat(64) };
  expect(await call('POST', `/projects/${id}/files`, file)).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE', detail: expect.stringContaining('objectStore') } });
}, 60_000);
