import { randomUUID } from 'node:crypto';
import { type ApiServer, startApi } from '../../../api/server.ts';
import { systemClock } from '../../../platform/clock/index.ts';
import { systemIds } from '../../../platform/ids/index.ts';
import { runRow } from '../../../api/testing/rows.ts';
import type { Ports } from '../../../api/ports.ts';
import { type Entry, type Person, Site } from './site.ts';

/** Answers that are given again: over HTTP, with a real Postgres, and a second replica that writes without a word. */

let site: Site;
let replica: ApiServer;
let who: Person;
let projectId: string;
let taskId: string;

beforeAll(async () => {
  let ports: Ports | undefined;
  site = await Site.start((base) => {
    // Runs of this test are of its world: what they rest on is asked of the same.
    ports = { ...base, runs: { ...base.runs, run: (id) => Promise.resolve(site.world.runs.get(id)), stand: (versions) => Promise.resolve([...versions].every(([id, version]) => site.world.runs.get(id)?.version === version)) } };
    return ports;
  }, { answers: { maxAgeMs: 3_600_000, maxBytes: 1_048_576 } });
  if (ports === undefined) throw new Error('no ports');
  replica = await startApi({
    ports, clock: systemClock, ids: systemIds, log: site.world.log(), metrics: site.world.metrics(), tracing: { span: (_name, parent, work) => work(parent) }, settings: { introspection: false, corsOrigins: [] },
  }, '127.0.0.1', 0);
});
afterAll(async () => {
  await replica.stop(1_000);
  await site.stop();
});
beforeEach(async () => {
  who = await site.person('MANAGER');
  projectId = (await site.project(who)).id;
  taskId = (await site.task(who, projectId, { title: 'one' })).id;
  site.world.counted.length = 0;
});

const TASK = 'query($id: ID!) { task(id: $id) { id title status project { name } } }';
const PROJECT = 'query($id: ID!) { project(id: $id) { name tasks(first: 20) { edges { node { title } } } } }';
const task = async (person: Person = who): Promise<Entry> => (await site.gql(person, TASK, { id: taskId })).body;
const results = (): readonly string[] => site.world.counted.filter((line) => line.startsWith('answer ')).map((line) => line.slice('answer '.length));

/** Asks until the answer is one that was at hand. */
async function warm(ask: () => Promise<Entry>): Promise<void> {
  for (let i = 0; i < 3; i++) await ask();
  expect(results().at(-1)).toBe('hit');
}

/** A change by another process: its answers are not this one's, and no notice goes from it to here. */
async function elsewhere(method: string, path: string, body?: object, person: Person = who): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${replica.port}/api/v1${path}`, {
    method, headers: { authorization: `Bearer ${person.token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (response.status >= 300) throw new Error(`${response.status} ${text}`);
}

test('is made, made again once it is known what it rests on, and then given again, in the same words', async () => {
  const answers = [await task(), await task(), await task(), await task()];
  expect(results()).toEqual(['miss', 'miss', 'hit', 'hit']);
  expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  expect(answers[0]).toMatchObject({ data: { task: { id: taskId, title: 'one', project: { name: 'P' } } } });
});

test('a hit has its line and its count like any other', async () => {
  await warm(task);
  const line = site.world.lines.findLast(({ message }) => message === 'request');
  expect(line?.fields).toMatchObject({ op: 'task', type: 'query', code: 'OK', status: 200, principal: `user:${who.userId}` });
});

describe('a change is seen by the next read', () => {
  test('of the same process', async () => {
    await warm(task);
    expect((await site.rest(who, 'PATCH', `/tasks/${taskId}`, { version: 1, title: 'two' })).status).toBe(200);
    expect((await task()).data.task.title).toBe('two');
    expect(results().at(-1)).toBe('stale');
    expect((await task()).data.task.title).toBe('two');
    expect(results().at(-1)).toBe('hit');
  });

  test('of another process of which no notice ever arrives', async () => {
    await warm(task);
    await elsewhere('PATCH', `/tasks/${taskId}`, { version: 1, title: 'two' });
    expect((await task()).data.task.title).toBe('two');
  });

  test('in a list below a project: another task', async () => {
    const titles = async (): Promise<Entry> => (await site.gql(who, PROJECT, { id: projectId })).body.data.project.tasks.edges.map((edge: Entry) => edge.node.title);
    await warm(titles);
    await elsewhere('POST', `/projects/${projectId}/tasks`, { title: 'new' });
    expect(await titles()).toEqual(['new', 'one']);
  });

  test('over REST: a page of tasks, and its cursor', async () => {
    const page = async (): Promise<Entry> => (await site.rest(who, 'GET', `/projects/${projectId}/tasks?first=1`)).body;
    await warm(page);
    await elsewhere('POST', `/projects/${projectId}/tasks`, { title: 'new' });
    const { items, nextCursor } = await page();
    expect([items.map((item: Entry) => item.title), typeof nextCursor]).toEqual([['new'], 'string']);
  });

  test('that falls between two reads of one answer: it is not kept as the state after it', async () => {
    await site.gql(who, TASK, { id: taskId });
    const before = task();
    await elsewhere('PATCH', `/tasks/${taskId}`, { version: 1, title: 'two' });
    await before;
    for (let i = 0; i < 3; i++) expect((await task()).data.task.title).toBe('two');
  });

  test('of a run: its version', async () => {
    const namespace = `ns-${randomUUID().slice(0, 8)}`;
    await site.gateway.read((db) => db.project.update({ where: { id: projectId }, data: { namespace } }));
    const run = runRow(randomUUID(), { namespace, phase: 'Running', version: 3 });
    site.world.runs.set(run.id, run);
    const phase = async (): Promise<Entry> => (await site.gql(who, 'query($id: ID!) { run(id: $id) { phase version } }', { id: run.id })).body.data.run;
    await warm(phase);
    site.world.runs.set(run.id, { ...run, phase: 'Succeeded', version: 4 });
    expect(await phase()).toEqual({ phase: 'Succeeded', version: 4 });
  });
});

describe('the right is asked for anew', () => {
  test('a member who is taken out gets what a stranger gets, at the next read', async () => {
    const member = await site.person();
    await site.member(projectId, member, 'VIEWER');
    await warm(() => task(member));
    await elsewhere('DELETE', `/projects/${projectId}/members/${member.userId}`);
    expect(await task(member)).toEqual(await task(await site.person()));
    expect((await site.rest(member, 'GET', `/tasks/${taskId}`)).body).toMatchObject({ code: 'NOT_FOUND' });
  });

  test('also where nothing but the membership says so: a row that went without a word', async () => {
    const member = await site.person();
    await site.member(projectId, member, 'VIEWER');
    await warm(() => task(member));
    await site.gateway.read((db) => db.projectMember.deleteMany({ where: { userId: member.userId } }));
    expect((await task(member)).data).toEqual({ task: null });
  });

  test('an account that was disabled gets nothing', async () => {
    await warm(task);
    await site.gateway.read((db) => db.user.update({ where: { id: who.userId }, data: { disabledAt: new Date() } }));
    expect((await task()).data).toEqual({ task: null });
  });
});

describe('two callers', () => {
  test('never share an answer', async () => {
    await warm(task);
    const stranger = await site.person();
    expect((await task(stranger)).data).toEqual({ task: null });
    expect(results().at(-1)).toBe('miss');
    expect((await task()).data.task.title).toBe('one');
  });

  test('a token of the same person that is good for less neither', async () => {
    const narrow = await site.person('MANAGER');
    const owner = site.world.users.get(who.token);
    if (owner === undefined) throw new Error('nobody');
    site.world.users.set(narrow.token, { ...owner, via: 'accessToken', scopes: ['runs'] });
    await warm(task);
    expect((await task(narrow)).data).toEqual({ task: null });
  });
});

test('an answer without the thing is made every time: it may be restored', async () => {
  await site.rest(who, 'DELETE', `/tasks/${taskId}`);
  for (let i = 0; i < 3; i++) expect((await task()).data).toEqual({ task: null });
  await elsewhere('POST', `/tasks/${taskId}/restore`);
  expect((await task()).data.task.title).toBe('one');
  expect(results()).not.toContain('hit');
});

test.each([
  ['a list of what is within reach', '{ projects { edges { node { id } } } }'],
  ['names of people', 'query($id: ID!) { project(id: $id) { members { edges { node { displayName } } } } }'],
  ['files', 'query($id: ID!) { project(id: $id) { files { edges { node { name } } } } }'],
  ['one covered field beside one that is not', 'query($id: ID!) { project(id: $id) { id } me { id } }'],
])('%s is made anew every time', async (_, query) => {
  for (let i = 0; i < 4; i++) await site.gql(who, query, query.includes('$id') ? { id: projectId } : {});
  expect(results()).not.toContain('hit');
});
