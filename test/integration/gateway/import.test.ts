import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { openObjects, type ObjectStore } from '../../../platform/objects/index.ts';
import { testObjects, type TestObjects } from '../../harness/objects.ts';
import { prototypeExport, type PrototypeTask } from './prototype-export.ts';
import { type Entry, type Person, Site } from './site.ts';

/** The prototype's data, over HTTP into a real Postgres and a real object store, and read back over GraphQL. */

let site: Site;
let server: TestObjects;
let objects: ObjectStore;
beforeAll(async () => {
  server = await testObjects();
  objects = openObjects(server.options);
  site = await Site.start(() => ({ objects }));
});
afterAll(async () => {
  await site.stop();
  objects.close();
  await server.stop();
});

async function until<T>(probe: () => Promise<T | undefined | false>): Promise<T> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error('timed out');
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

async function imported(who: Person, data: unknown): Promise<Entry> {
  const { status, body } = await site.rest(who, 'POST', '/imports', { export: data });
  if (status !== 201) throw new Error(JSON.stringify(body));
  return until(async () => {
    const now = (await site.rest(who, 'GET', `/imports/${body.id}`)).body;
    return now.status === 'RUNNING' ? undefined : now;
  });
}

async function pages(who: Person, path: string): Promise<Entry[]> {
  const items: Entry[] = [];
  for (let after = ''; ;) {
    const { body, status } = await site.rest(who, 'GET', `${path}${path.includes('?') ? '&' : '?'}first=100${after}`);
    if (status !== 200) throw new Error(JSON.stringify(body));
    items.push(...body.items);
    if (body.nextCursor === null) return items;
    after = `&after=${encodeURIComponent(body.nextCursor)}`;
  }
}

const TASKS = `query($projectId: ID!, $after: String) { tasks(projectId: $projectId, first: 100, after: $after) { pageInfo { hasNextPage endCursor } edges { node {
  id title status description assignedTo agentId workflowId sprintId parentId metadata } } } }`;

async function tasksOf(who: Person, projectId: string): Promise<Entry[]> {
  const out: Entry[] = [];
  for (let after: string | null = null; ;) {
    const { body } = await site.gql(who, TASKS, { projectId, after });
    if (body.errors !== undefined) throw new Error(JSON.stringify([body.errors, site.world.lines.filter((line) => line.level === 'error').map((line) => [line.message, String(line.fields['err']), line.fields])]));
    out.push(...body.data.tasks.edges.map((edge: Entry) => edge.node));
    if (body.data.tasks.pageInfo.hasNextPage !== true) return out;
    after = body.data.tasks.pageInfo.endCursor;
  }
}

describe('months of work in a browser', () => {
  const data = prototypeExport();
  let who: Person;
  let done: Entry;
  let projects: Entry[];
  beforeAll(async () => {
    who = await site.person('DEVELOPER');
    done = await imported(who, data.text);
    projects = await pages(who, '/projects');
  });

  test('come over whole: every record has an item, and only what cannot be read is kept as text', async () => {
    expect(done).toMatchObject({ status: 'DONE', done: done.total, unchanged: 0, updated: 0, preferences: 2, drafts: 3 });
    const items = await pages(who, `/imports/${done.id}/items`);
    expect(items).toHaveLength(done.total);
    expect([done.created, done.preferences, done.keptRaw].reduce((sum: number, part: number) => sum + part)).toBe(done.total);
    const kept = await pages(who, `/imports/${done.id}/items?status=KEPT_RAW`);
    expect(kept.map((item) => item.key).sort()).toEqual(['projects', 'ramboAgentTasks_project_proj-broken', ...data.projects.map(({ id }) => `ramboAgentTickets_project_${id}`)].sort());
    const broken = kept.find((item) => item.key === 'ramboAgentTasks_project_proj-broken');
    expect((await site.rest(who, 'GET', `/imports/${done.id}/items/${broken.position}`)).body).toMatchObject({ raw: '[{"id": "cut o', message: 'this is no JSON' });
  });

  test('projects are as they were', () => {
    const mine = projects.filter((project) => project.name !== 'proj-broken');
    expect(mine.map(({ name, description, status, metadata, thumbnailUrl }) => ({ name, description, status, metadata, thumbnailUrl })).sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual(data.projects.map(({ name, description, status, lastUpdated, agentCount }) => ({
      name, description, status: status.toUpperCase().replace(' ', '_'), metadata: { lastUpdated, agentCount }, thumbnailUrl: 'https://placehold.co/600x400.png',
    })));
  });

  test('hundreds of tasks are as they were, field by field, with their links', async () => {
    for (const { id, name } of data.projects) {
      const project = projects.find((each) => each.name === name);
      const tasks = new Map((await tasksOf(who, project.id)).map((task) => [task.title, task]));
      const given = data.tasks[id] ?? [];
      expect(tasks.size).toBe(given.length);
      const byOldId = new Map(given.map((task) => [task.id, tasks.get(task.title)]));
      for (const task of given) expectTask(byOldId.get(task.id), task, byOldId);
    }
  });

  function expectTask(found: Entry, given: PrototypeTask, byOldId: ReadonlyMap<string, Entry>): void {
    const { id: _id, projectId: _project, title, status, assignedTo, description, parentId, sprintId, ...rest } = given;
    expect(found).toMatchObject({ title, status: status.toUpperCase().replace(' ', '_'), assignedTo, description: description ?? '', parentId: parentId === undefined ? null : byOldId.get(parentId).id });
    expect(found.sprintId === null).toBe(sprintId === undefined);
    expect([found.agentId !== null, found.workflowId !== null]).toEqual([assignedTo === 'Tester', assignedTo === 'Deploy']);
    expect(found.metadata).toEqual({ ...rest, ...(rest.dependencies === undefined ? {} : { dependencyIds: rest.dependencies.filter((each) => each !== 'task-gone').map((each) => byOldId.get(each).id) }) });
  }

  test('agents, workflows, tickets, sprints and requirements are as they were', async () => {
    const project = projects.find((each) => each.name === data.projects[0]?.name);
    expect((await pages(who, '/agents'))[0]).toMatchObject({ projectId: null, name: 'Everywhere', type: 'Analysis Agent', status: 'IDLE', configuration: { depth: 2 }, metadata: { lastActivity: '5 minutes ago' } });
    expect((await pages(who, `/projects/${project.id}/agents`))).toMatchObject([{ name: 'Tester', status: 'RUNNING', metadata: { logs: ['one', 'two'], performance: { cpuUsage: 12 } } }]);
    const workflows = await pages(who, `/projects/${project.id}/workflows`);
    const [deploy, ring] = ['Deploy', 'Ring'].map((name) => workflows.find((each) => each.name === name));
    expect(deploy).toMatchObject({ status: 'DRAFT', definition: { nodes: [{ name: 'plan', type: 'agent', with: { agentRef: { name: 'analysis-agent' }, input: { a: 1 } } }, { name: 'ship-it', dependsOn: ['plan'] }] }, metadata: { status: 'Active', lastRun: 'yesterday', canvas: { plan: { x: 1, y: 2 } } } });
    expect(ring.problems.map((problem: Entry) => problem.reason)).toEqual(expect.arrayContaining(['Cycle', 'DanglingEdge']));
    expect((await pages(who, `/project-workflows/${deploy.id}/nodes`)).map(({ name, type }) => [name, type])).toEqual([['plan', 'agent'], ['ship-it', 'agent']]);
    expect(await pages(who, `/projects/${project.id}/tickets`)).toMatchObject([{ title: 'Broken', status: 'IN_PROGRESS', priority: 'HIGH', type: 'BUG', assignee: 'Tester', createdAt: '2024-01-02T00:00:00.000Z', metadata: { updatedDate: '1 hour ago', aiMetadata: { tags: ['a'] } } }]);
    expect(await pages(who, `/projects/${project.id}/sprints`)).toMatchObject([{ name: 'First', goal: 'Begin', status: 'ACTIVE', startDate: '2024-03-01', endDate: '2024-03-14' }]);
    expect(await pages(who, `/projects/${project.id}/requirements`)).toMatchObject([{ title: 'It works', status: 'APPROVED', revision: '1.1', metadata: { updatedDate: 'now' } }]);
  });

  test('files lie in the object store, in their folders', async () => {
    const project = projects.find((each) => each.name === data.projects[1]?.name);
    const [readme, src] = await pages(who, `/projects/${project.id}/files`);
    expect([readme, src]).toMatchObject([{ name: 'README.md', kind: 'FILE', contentType: 'text/markdown', status: 'READY' }, { name: 'src', kind: 'FOLDER' }]);
    const [main] = await pages(who, `/projects/${project.id}/files?parentId=${src.id}`);
    const { body } = await site.rest(who, 'GET', `/files/${main.id}/download`);
    expect(await (await fetch(body.url)).text()).toBe('// proj-lx2k9a-q8f3z\nexport {};\n');
    expect(main.metadata).toEqual({ path: '/src/main.ts', size: '1.2 MB', lastModified: 'today' });
    expect((await pages(who, `/projects/${project.id}/files?area=REQUIREMENTS`)).map((file) => file.name)).toEqual(['reqs.json']);
  });

  test('other keys are preferences of the profile', async () => {
    const [row] = await site.gateway.read((db) => db.profile.findMany({ where: { userId: who.userId } }));
    expect(row?.preferences).toEqual({ theme: 'dark', ramboAgentDraft_form: '{"a":1}' });
  });

  test('a second import changes nothing and makes nothing twice; a third changes what has changed', async () => {
    const counts = (): Promise<Entry> => site.gateway.read(async (db) => [await db.task.count(), await db.project.count(), await db.file.count(), await db.projectAgent.count(), await db.projectWorkflow.count(), await db.sprint.count(), await db.ticket.count()]);
    const before = await counts();
    const second = await imported(who, data.text);
    expect(second).toMatchObject({ status: 'DONE', created: 0, updated: 0, drafts: 0, keptRaw: done.keptRaw, preferences: 2, unchanged: done.created });
    expect(await counts()).toEqual(before);
    const changed = prototypeExport().text.replace('Task 7 ', 'Task seven ').replace('# Grüße', '# Hallo');
    const third = await imported(who, JSON.parse(changed));
    expect(third).toMatchObject({ status: 'DONE', created: 0, updated: 2 });
    expect(await counts()).toEqual(before);
    const items = await pages(who, `/imports/${third.id}/items?status=UPDATED`);
    const file = items.find((item) => item.kind === 'file');
    const { body } = await site.rest(who, 'GET', `/files/${file.entityId}/download`);
    expect(await (await fetch(body.url)).text()).toBe('# Hallo');
    const task = items.find((item) => item.kind === 'task');
    expect((await site.rest(who, 'GET', `/tasks/${task.entityId}`)).body).toMatchObject({ title: 'Task seven ', version: 2 });
  });

  test('another person\'s import of the same export is theirs alone', async () => {
    const other = await site.person('MANAGER');
    const theirs = await imported(other, data.text);
    expect(theirs).toMatchObject({ status: 'DONE', created: done.created });
    expect((await site.rest(other, 'GET', `/imports/${done.id}`)).status).toBe(404);
    expect((await site.rest(other, 'GET', `/imports/${done.id}/items`)).status).toBe(404);
    expect((await pages(other, '/imports')).map((each) => each.id)).toEqual([theirs.id]);
  });
});

test('what the bucket holds of a file is what its row says', async () => {
  const rows = await site.gateway.read((db) => db.file.findMany({ where: { kind: 'FILE' }, take: 20 }));
  for (const row of rows) {
    const found = await objects.get(row.objectKey ?? '');
    expect(BigInt((await buffer(found?.stream ?? Readable.from([]))).length)).toBe(row.size);
  }
  expect(rows.length).toBeGreaterThan(5);
});

describe('who and what may not', () => {
  test.each(['VIEWER', 'AGENT'] as const)('a %s imports nothing', async (role) => {
    const who = await site.person(role);
    expect((await site.rest(who, 'POST', '/imports', { export: {} })).status).toBe(403);
  });

  test.each([['a list', []], ['a number', 7], ['a text that is no JSON', '{'], ['null', null], ['a text that is a list', '[1]']])('%s is no export', async (_what, data) => {
    const who = await site.person();
    const { status, body } = await site.rest(who, 'POST', '/imports', { export: data });
    expect([status, body.code]).toEqual([400, 'BAD_USER_INPUT']);
  });

  test('a body of 3 MB is taken here and nowhere else; one of 21 MiB is not', async () => {
    const who = await site.person();
    const big = JSON.stringify({ a: 'x'.repeat(3_000_000) });
    const done = await imported(who, big);
    expect(done).toMatchObject({ status: 'DONE', keptRaw: 1 });
    expect((await site.rest(who, 'POST', '/projects', { name: 'x', description: 'x'.repeat(300_000) })).status).toBe(413);
    expect((await site.rest(who, 'POST', '/imports', { export: 'x'.repeat(21 * 1_048_576) })).status).toBe(413);
  });

  test('a project that somebody else owns by now is not written to; the records are kept', async () => {
    const [who, heir] = [await site.person(), await site.person()];
    const text = (title: string): string => JSON.stringify({ ramboAgentProjects: [{ id: 'p', name: 'P' }], ramboAgentTasks_project_p: [{ id: 't', title }] });
    expect(await imported(who, text('one'))).toMatchObject({ created: 2 });
    await site.gateway.read((db) => db.project.updateMany({ where: { ownerId: who.userId }, data: { ownerId: heir.userId } }));
    expect(await imported(who, text('two'))).toMatchObject({ created: 0, updated: 0, keptRaw: 2 });
    expect((await site.gateway.read((db) => db.task.findMany({ where: { project: { ownerId: heir.userId } } }))).map((task) => task.title)).toEqual(['one']);
  });

  test('what cannot be stored in Postgres does not stop the rest', async () => {
    const who = await site.person();
    const odd = '{"ramboAgentProjects": [{"id": "a\\u0000b", "name": "N\\u0000\\ud800", "description": "\\u0000", "x\\u0000": "\\ud800", "__proto__": {"y": 1}, "constructor": 1}, '
      + `{"id": "${'x'.repeat(5_000)}", "name": "${'y'.repeat(5_000)}", "status": "\\u0000"}], "key\\u0000": "v\\u0000"}`;
    expect(await imported(who, odd)).toMatchObject({ status: 'DONE', created: 2, preferences: 1, keptRaw: 0 });
    // What a column cannot hold is still in the record.
    const [{ id }] = (await site.rest(who, 'GET', '/imports')).body.items;
    expect((await site.rest(who, 'GET', `/imports/${id}/items/0`)).body.raw).toContain('"__proto__": {"y": 1}');
    expect(await imported(who, odd)).toMatchObject({ status: 'DONE', created: 0, unchanged: 2 });
  });
});
