import { operations, streams } from '../../../api/modules.ts';
import { systemIds } from '../../../platform/ids/index.ts';
import { type Person, type Reply, Site } from './site.ts';

/* Bad input, as the tables 4.2 and 4.3 of the reliability page have it, on the surfaces of operations. */

let site: Site;
let owner: Person;
let project: { id: string };
let task: { id: string };
beforeAll(async () => {
  site = await Site.start();
  owner = await site.person();
  project = await site.project(owner);
  task = await site.task(owner, project.id);
});
afterAll(async () => { await site.stop(); });

const post = (body: unknown) => site.rest(owner, 'POST', `/projects/${project.id}/tasks`, body);

function refused({ status, body }: Reply, field: string, reason = 'FieldInvalid'): void {
  expect({ status, code: body.code }).toEqual({ status: 400, code: 'BAD_USER_INPUT' });
  expect(body.errors).toEqual(expect.arrayContaining([expect.objectContaining({ field, reason })]));
  expect(body.requestId).toMatch(/^[0-9a-f-]{36}$/);
}

test.each([
  ['ownerId', { ownerId: systemIds.uuid() }], ['role', { role: 'ADMIN' }], ['createdAt', { createdAt: '2020-01-01T00:00:00Z' }], ['id', { id: systemIds.uuid() }], ['version', { version: 7 }],
  ['deletedAt', { deletedAt: null }], ['seq', { seq: 1 }], ['$where', { $where: '1' }],
])('%s in an input is an unknown field', async (field, more) => {
  refused(await post({ title: 'x', ...more }), field, 'UnknownField');
  refused(await site.rest(owner, 'POST', '/projects', { name: 'x', ...more }), field, 'UnknownField');
});

test.each([
  ['null', null], ['a list', ['x']], ['an object', { not: '' }], ['a number', 1], ['empty', ''], ['blank', '   '], ['NUL', 'a\0b'], ['a line break', 'a\nb'], ['an escape', 'a\u001b[31m'],
  ['501 characters', 'x'.repeat(501)], ['half of a character', 'a\ud800'],
])('a title that is %s is refused', async (_, title) => {
  refused(await post({ title }), 'title');
});

test('a title at its limit, of any script, is kept as it is', async () => {
  for (const title of ['x'.repeat(500), 'Zürich 東京 🚀', '<script>alert(1)</script>', "'; DROP TABLE task; --", '{{ 1 }} ${{ 2 }}']) {
    expect(await post({ title })).toMatchObject({ status: 201, body: { title } });
  }
});

test.each([
  ['a key __proto__', JSON.parse('{"a":{"__proto__":{"polluted":true}}}')], ['a text', 'x'], ['a list', []], ['null', null], ['too deep', JSON.parse(`${'{"a":'.repeat(30)}1${'}'.repeat(30)}`)], ['too large', { a: 'x'.repeat(70_000) }],
])('metadata that is %s is refused', async (_, metadata) => {
  refused(await post({ title: 'x', metadata }), 'metadata');
});

test('metadata keeps every key as data', async () => {
  const metadata = '{"constructor":{"prototype":{"polluted":true}},"a\\u0000b":"\\u0000","n":1e21}';
  const made = await post(`{"title":"x","metadata":${metadata}}`);
  expect(made.status).toBe(201);
  expect(JSON.stringify(made.body.metadata)).toBe(JSON.stringify(JSON.parse(metadata)));
  expect(JSON.stringify((await site.rest(owner, 'GET', `/tasks/${made.body.id}`)).body.metadata)).toBe(JSON.stringify(JSON.parse(metadata)));
  expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain('polluted');
});

test.each([
  ['status', 'status=NOPE'], ['status', 'status='], ['status', 'status=DONE&status=TO_DO'], ['sprintId', 'sprintId=1'], ['sprintId', "sprintId=' OR 1=1"], ['orderBy', 'orderBy=title'],
  ['assignedTo', 'assignedTo=%00'], ['first', 'first=abc'], ['first', 'first=1e308'], ['first', 'first=NaN'],
])('a filter %s that cannot be (%s) is refused, not dropped', async (field, query) => {
  refused(await site.rest(owner, 'GET', `/projects/${project.id}/tasks?${query}`), field);
});

test('a filter that does not exist is refused', async () => {
  refused(await site.rest(owner, 'GET', `/projects/${project.id}/tasks?title=x`), 'title', 'UnknownField');
  refused(await site.rest(owner, 'GET', `/projects/${project.id}/tasks?projectId=${systemIds.uuid()}`), 'projectId', 'UnknownField');
});

test.each([['1000000', 100], ['-1', 1], ['0', 1], ['1', 1]])('a page of %s holds at most %d', async (first, most) => {
  const { status, body } = await site.rest(owner, 'GET', `/projects/${project.id}/tasks?first=${first}`);
  expect(status).toBe(200);
  expect(body.items.length).toBeLessThanOrEqual(most);
});

test.each(['x', 'e30', Buffer.from('["task-createdAt-desc","x","y"]').toString('base64url'), Buffer.from('[]').toString('base64url'), 'A'.repeat(1_025)])('a cursor that is none (%s) is refused', async (after) => {
  const { status, body } = await site.rest(owner, 'GET', `/projects/${project.id}/tasks?after=${after}`);
  expect({ status, code: body.code }).toEqual({ status: 400, code: 'BAD_USER_INPUT' });
});

test.each(['1', 'null', 'a'.repeat(300), '%00', "'%20OR%201=1"])('an id that cannot be (%s) reaches no table', async (id) => {
  site.statements.length = 0;
  const { status } = await site.rest(owner, 'GET', `/tasks/${id}`);
  expect([400, 404]).toContain(status);
  expect(site.statements).toEqual([]);
});

test('an id in capitals is the same id', async () => {
  expect((await site.rest(owner, 'GET', `/tasks/${task.id.toUpperCase()}`)).body.id).toBe(task.id);
});

test.each([
  ['no token', undefined, {}], ['nothing', 'nothing', {}], ['another scheme', undefined, { authorization: 'Basic YTpi' }],
  ['who I say I am', undefined, { 'x-user-id': 'user:1', 'x-forwarded-user': 'admin' }],
])('%s is 401 on every route', async (_, token, headers) => {
  for (const { rest, right } of operations) {
    if (right.on === 'public') continue;
    const { status, body } = await site.rest(token, rest.method, rest.path.replaceAll(/\{[^}]*\}/g, task.id), undefined, headers);
    expect({ route: rest.path, status, code: body.code }).toEqual({ route: rest.path, status: 401, code: 'UNAUTHENTICATED' });
  }
});

test('a token in the query string is no token', async () => {
  expect((await site.rest(undefined, 'GET', `/projects?access_token=${owner.token}`)).status).toBe(401);
});

test.each([
  ['a form', 'application/x-www-form-urlencoded', 'title=x', 415], ['text', 'text/plain', '{"title":"x"}', 415], ['no JSON', 'application/json', '{title:x}', 400], ['a list', 'application/json', '[]', 400],
  ['a text as JSON', 'application/json', '"x"', 400], ['deep JSON', 'application/json', '['.repeat(100_000), 400], ['a large body', 'application/json', `{"title":"${'x'.repeat(300_000)}"}`, 413], ['no UTF-8', 'application/json', Buffer.from([0x22, 0xff, 0x22]), 400],
])('%s as a body is refused and nothing is done', async (_, type, body, expected) => {
  const before = await site.gateway.read((db) => db.task.count());
  const response = await fetch(`${site.url}/api/v1/projects/${project.id}/tasks`, { method: 'POST', headers: { authorization: `Bearer ${owner.token}`, 'content-type': type }, body });
  expect(response.status).toBe(expected);
  expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  expect(await site.gateway.read((db) => db.task.count())).toBe(before);
});

test('what is no route is 404, and no method of it 405 with those that are', async () => {
  expect(await site.rest(owner, 'GET', '/nothing')).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
  const put = await site.rest(owner, 'PUT', `/tasks/${task.id}`);
  expect(put).toMatchObject({ status: 405, body: { code: 'METHOD_NOT_ALLOWED' } });
  expect(put.headers.get('allow')?.split(', ').sort()).toEqual(['DELETE', 'GET', 'PATCH']);
});

test.each([['empty', ''], ['long', 'x'.repeat(257)], ['with a tab', 'a\tb']])('an idempotency key that is %s is refused', async (_, key) => {
  const { status } = await site.rest(owner, 'POST', `/projects/${project.id}/tasks`, { title: 'x' }, { 'idempotency-key': key });
  expect(status).toBe(400);
});

test('an update that changes nothing, or lacks its version, is refused', async () => {
  refused(await site.rest(owner, 'PATCH', `/tasks/${task.id}`, { version: 1 }), '', 'Required');
  refused(await site.rest(owner, 'PATCH', `/tasks/${task.id}`, { title: 'y' }), 'version', 'Required');
  refused(await site.rest(owner, 'PATCH', `/tasks/${task.id}`, { version: 1, id: task.id, title: 'y' }), 'id', 'UnknownField');
});

test('GraphQL refuses the same input in the same words', async () => {
  const rest = await post({ title: '', metadata: 'x' });
  const { body } = await site.gql(owner, 'mutation($i: CreateTaskInput!) { createTask(input: $i) { __typename ... on InvalidInputError { message problems { field reason value message } } } }', { i: { projectId: project.id, title: '', metadata: 'x' } });
  expect(body.data.createTask.problems).toEqual(rest.body.errors);
  expect(body.data.createTask.message).toBe(rest.body.detail);
  const unknown = await site.gql(owner, 'mutation($i: CreateTaskInput!) { createTask(input: $i) { __typename } }', { i: { projectId: project.id, title: 'x', ownerId: owner.userId } });
  expect(unknown.status).toBe(400);
});

test.each([['first: 1000000'], ['first: -1'], ['first: null'], ['']])('the price of a nested page counts its size (%s)', async (args) => {
  const list = (name: string, inner: string) => `${name}${args === '' ? '' : `(${args})`} { edges { node { ${inner} } } }`;
  const { status, body } = await site.gql(owner, `{ projects${args === '' ? '' : `(${args})`} { edges { node { ${list('tasks', list('children', 'id'))} } } } }`);
  if (args === 'first: -1') expect(status).toBe(200);
  else expect({ status, code: body.errors[0].extensions.code }).toEqual({ status: 400, code: 'QUERY_TOO_COMPLEX' });
});

test('no answer tells of tables, statements or files', async () => {
  const answers = await Promise.all([post({ title: null }), site.rest(owner, 'GET', '/tasks/x'), site.rest(owner, 'POST', `/projects/${project.id}/tasks`, { title: 'x', sprintId: systemIds.uuid() })]);
  for (const { body } of answers) expect(JSON.stringify(body)).not.toMatch(/prisma|postgres|select |\.ts|node_modules|at .*\(/i);
});

test('the page of the documentation runs no inline script and loads only its own files', async () => {
  const page = await fetch(`${site.url}/docs`);
  const html = await page.text();
  expect(page.headers.get('content-security-policy')).toContain("script-src 'self';");
  expect(html).not.toMatch(/<script(?![^>]*src=)/);
  for (const [, file] of html.matchAll(/(?:src|href)="(\/docs\/[^"]+)"/g)) expect((await fetch(`${site.url}${file}`)).status).toBe(200);
  expect((await fetch(`${site.url}/docs/..%2fpackage.json`)).status).toBe(404);
  const document: { readonly paths: object } = JSON.parse(await (await fetch(`${site.url}/api/v1/openapi.json`)).text());
  expect(Object.keys(document.paths).sort()).toEqual([...new Set([...operations.map(({ rest }) => rest.path), ...streams.map(({ path }) => path)])].sort());
});
