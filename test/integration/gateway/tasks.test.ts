import { type Person, Site } from './site.ts';

let site: Site;
let owner: Person;
beforeAll(async () => {
  site = await Site.start();
  owner = await site.person();
});
afterAll(async () => { await site.stop(); });

test('a task over REST and over GraphQL is the same task', async () => {
  const project = await site.project(owner, { name: 'Alpha', metadata: { a: 1 } });
  const made = await site.rest(owner, 'POST', `/projects/${project.id}/tasks`, { title: 'Write', metadata: { startDate: '2026-01-31' } });
  expect(made).toMatchObject({ status: 201, body: { projectId: project.id, title: 'Write', status: 'TO_DO', version: 1, metadata: { startDate: '2026-01-31' }, deletedAt: null } });
  const read = await site.rest(owner, 'GET', `/tasks/${made.body.id}`);
  expect(read.body).toEqual(made.body);
  const { body } = await site.gql(owner, 'query($id: ID!) { task(id: $id) { id projectId title description status metadata version createdAt updatedAt deletedAt assignedTo agentId workflowId sprintId parentId } }', { id: made.body.id });
  expect(body.data.task).toEqual(made.body);
});

test('pages of tasks hold each one once, in both directions and on both surfaces', async () => {
  const project = await site.project(owner);
  const titles = Array.from({ length: 7 }, (_, i) => `t${i}`);
  for (const title of titles) await site.task(owner, project.id, { title });
  for (const direction of ['ASC', 'DESC']) {
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { body } = await site.rest(owner, 'GET', `/projects/${project.id}/tasks?first=3&direction=${direction}${after === null ? '' : `&after=${after}`}`);
      seen.push(...body.items.map((item: { title: string }) => item.title));
      after = body.nextCursor;
    } while (after !== null);
    expect(seen).toEqual(direction === 'ASC' ? titles : [...titles].reverse());
  }
  const { body } = await site.gql(owner, 'query($p: ID!) { tasks(projectId: $p, first: 100000) { edges { cursor node { title } } pageInfo { hasNextPage } } }', { p: project.id });
  expect(body.data.tasks.edges.map((edge: { node: { title: string } }) => edge.node.title)).toEqual([...titles].reverse());
  const other = await site.rest(owner, 'GET', `/projects/${project.id}/tasks?orderBy=UPDATED_AT&after=${body.data.tasks.edges[0].cursor}`);
  expect(other).toMatchObject({ status: 400, body: { code: 'BAD_USER_INPUT' } });
});

test('an update compares the version; the conflict names the current one', async () => {
  const project = await site.project(owner);
  const task = await site.task(owner, project.id);
  const first = await site.rest(owner, 'PATCH', `/tasks/${task.id}`, { version: 1, status: 'DONE' });
  expect(first).toMatchObject({ status: 200, body: { status: 'DONE', version: 2, title: 'T' } });
  const late = await site.rest(owner, 'PATCH', `/tasks/${task.id}`, { version: 1, status: 'BLOCKED' });
  expect(late).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
  expect(late.body.detail).toContain('version 2');
  const { body } = await site.gql(owner, 'mutation($i: UpdateTaskInput!) { updateTask(input: $i) { __typename ... on ConflictError { message } } }', { i: { id: task.id, version: 1, title: 'x' } });
  expect(body.data.updateTask.__typename).toBe('ConflictError');
});

test('of concurrent updates of one version exactly one wins', async () => {
  const project = await site.project(owner);
  const task = await site.task(owner, project.id);
  const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => site.rest(owner, 'PATCH', `/tasks/${task.id}`, { version: 1, title: `w${i}` })));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409, 409]);
});

test('deleting hides a task until it is restored', async () => {
  const project = await site.project(owner);
  const task = await site.task(owner, project.id);
  expect(await site.rest(owner, 'DELETE', `/tasks/${task.id}`)).toMatchObject({ status: 200, body: { id: task.id } });
  expect((await site.rest(owner, 'GET', `/tasks/${task.id}`)).status).toBe(404);
  expect((await site.rest(owner, 'GET', `/projects/${project.id}/tasks`)).body.items).toEqual([]);
  expect((await site.rest(owner, 'DELETE', `/tasks/${task.id}`)).status).toBe(404);
  expect(await site.rest(owner, 'POST', `/tasks/${task.id}/restore`)).toMatchObject({ status: 200, body: { deletedAt: null } });
  expect((await site.rest(owner, 'GET', `/tasks/${task.id}`)).status).toBe(200);
});

test('an idempotency key gives the same answer again, to concurrent requests too, and a conflict for another body', async () => {
  const project = await site.project(owner);
  const send = (title: string) => site.rest(owner, 'POST', `/projects/${project.id}/tasks`, { title }, { 'idempotency-key': 'k-1' });
  const answers = await Promise.all([send('once'), send('once'), send('once')]);
  expect(new Set(answers.map(({ status, body }) => `${status} ${body.id}`)).size).toBe(1);
  expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(2);
  expect(await send('twice')).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
  expect((await site.rest(owner, 'GET', `/projects/${project.id}/tasks`)).body.items).toHaveLength(1);
  const stranger = await site.person();
  const theirs = await site.project(stranger);
  expect((await site.rest(stranger, 'POST', `/projects/${theirs.id}/tasks`, { title: 'mine' }, { 'idempotency-key': 'k-1' })).status).toBe(201);
});

test('every change is one event and one line of the audit; a refused one is a line too', async () => {
  const project = await site.project(owner);
  const task = await site.task(owner, project.id);
  await site.rest(owner, 'PATCH', `/tasks/${task.id}`, { version: 1, title: 'x' });
  const viewer = await site.person();
  await site.member(project.id, viewer, 'VIEWER');
  expect(await site.rest(viewer, 'DELETE', `/tasks/${task.id}`)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
  const events = await site.gateway.read((db) => db.projectEvent.findMany({ where: { projectId: project.id }, orderBy: { seq: 'asc' } }));
  expect(events.map(({ seq, kind, entity, entityId }) => [seq, kind, entity, entityId])).toEqual([
    [1, 'CREATED', 'Project', project.id], [2, 'CREATED', 'Task', task.id], [3, 'UPDATED', 'Task', task.id],
  ]);
  const audit = await site.gateway.read((db) => db.audit.findMany({ where: { projectId: project.id }, orderBy: { seq: 'asc' } }));
  expect(audit.map(({ operation, outcome, code, resourceId }) => [operation, outcome, code, resourceId])).toEqual([
    ['createProject', 'DONE', 'OK', project.id], ['createTask', 'DONE', 'OK', task.id], ['updateTask', 'DONE', 'OK', task.id], ['deleteTask', 'REFUSED', 'FORBIDDEN', null],
  ]);
});

test('what is not yours is answered like what is not there, and ids of another project do not fit', async () => {
  const stranger = await site.person();
  const mine = await site.project(owner);
  const theirs = await site.project(stranger);
  const task = await site.task(owner, mine.id);
  const foreign = await site.rest(stranger, 'GET', `/tasks/${task.id}`);
  const none = await site.rest(stranger, 'GET', `/tasks/${theirs.id}`);
  const strip = ({ body }: typeof foreign, id: string) => JSON.stringify({ ...body, requestId: '' }).replaceAll(id, 'X');
  expect(strip(foreign, task.id)).toBe(strip(none, theirs.id));
  expect(foreign.status).toBe(404);
  expect((await site.rest(stranger, 'GET', `/projects/${mine.id}/tasks`)).status).toBe(404);
  expect((await site.rest(stranger, 'POST', `/projects/${mine.id}/tasks`, { title: 'x' })).status).toBe(404);
  expect((await site.rest(stranger, 'POST', `/projects/${theirs.id}/tasks`, { title: 'x', parentId: task.id })).status).toBe(404);
  expect((await site.rest(stranger, 'GET', `/projects/${theirs.id}/tasks?parentId=${task.id}`)).body.items).toEqual([]);
});

test('a task cannot become a part of itself', async () => {
  const project = await site.project(owner);
  const a = await site.task(owner, project.id);
  const b = await site.task(owner, project.id, { parentId: a.id });
  expect((await site.rest(owner, 'PATCH', `/tasks/${a.id}`, { version: 1, parentId: b.id })).status).toBe(409);
  expect((await site.rest(owner, 'GET', `/projects/${project.id}/tasks?parentId=${a.id}`)).body.items).toMatchObject([{ id: b.id }]);
});
