import { runRow } from '../../../api/testing/rows.ts';
import { systemIds } from '../../../platform/ids/index.ts';
import type { RunRecord } from '../../../prisma/store/index.ts';
import { type Entry, type Person, Site } from './site.ts';

let site: Site;
let owner: Person;
const runs = new Map<string, RunRecord>();
beforeAll(async () => {
  site = await Site.start((ports) => ({ runs: {
    ...ports.runs,
    run: async (id) => {
      site.statements.push('run');
      return runs.get(id);
    },
    // The links are rows; the runs behind them are those of this test.
    ofTasks: async (taskIds) => {
      const links = await site.gateway.read((db) => db.taskRun.findMany({ where: { taskId: { in: [...taskIds] } }, orderBy: { createdAt: 'desc' } }));
      site.statements.push('task-runs');
      return taskIds.map((taskId) => ({
        rows: links.flatMap(({ taskId: of, runId, createdAt }) => { const run = runs.get(runId); return of !== taskId || run === undefined ? [] : [{ ...run, taskId, linkedAt: createdAt.getTime() }]; }), hasMore: false,
      }));
    },
  } }));
  owner = await site.person();
});
afterAll(async () => { await site.stop(); });

const WHOLE = `query($id: ID!, $n: Int) { project(id: $id) { id name
  tasks(first: $n) { edges { node { id title project { id name } sprint { id name } parent { id } children(first: 5) { edges { node { id } } } runs(first: 5) { edges { node { id phase } } } } } }
  members(first: 5) { edges { node { userId role } } } sprints(first: 5) { edges { node { id tasks(first: 5) { edges { node { id } } } } } } } }`;

async function filled(tasks: number): Promise<Entry> {
  const project = await site.project(owner);
  await site.gateway.read((db) => db.project.update({ where: { id: project.id }, data: { namespace: `ns-${project.id}` } }));
  const sprint = (await site.rest(owner, 'POST', `/projects/${project.id}/sprints`, { name: 's' })).body;
  const parent = await site.task(owner, project.id, { title: 'parent' });
  for (let i = 0; i < tasks; i++) {
    const task = await site.task(owner, project.id, { title: `t${i}`, sprintId: sprint.id, parentId: parent.id });
    const id = systemIds.uuid();
    runs.set(id, runRow(id, { namespace: `ns-${project.id}` }));
    await site.gateway.read((db) => db.taskRun.create({ data: { taskId: task.id, runId: id, createdAt: new Date() } }));
  }
  return project;
}

test('the statements of a page do not grow with its entries', async () => {
  const counts: string[][] = [];
  for (const n of [2, 12]) {
    const project = await filled(n);
    site.statements.length = 0;
    const { body } = await site.gql(owner, WHOLE, { id: project.id, n: 20 });
    expect(body.errors).toBeUndefined();
    expect(body.data.project.tasks.edges).toHaveLength(n + 1);
    expect(body.data.project.tasks.edges[0].node).toMatchObject({ project: { id: project.id }, sprint: { name: 's' }, runs: { edges: [{ node: { phase: 'Running' } }] } });
    counts.push(site.statements.filter((name) => name !== 'run').sort());
  }
  expect(counts[1]).toEqual(counts[0]);
});

test('a run that is linked to a task is looked at in its own namespace', async () => {
  const project = await filled(1);
  const [id] = [systemIds.uuid()];
  runs.set(id, runRow(id, { namespace: 'somebody-elses' }));
  const task = (await site.rest(owner, 'GET', `/projects/${project.id}/tasks?first=1`)).body.items[0];
  await site.gateway.read((db) => db.taskRun.create({ data: { taskId: task.id, runId: id, createdAt: new Date() } }));
  const { body } = await site.gql(owner, 'query($id: ID!) { task(id: $id) { runs { edges { node { id namespace } } } } }', { id: task.id });
  expect(body.data.task.runs.edges).toHaveLength(1);
  expect(body.data.task.runs.edges[0].node.namespace).toBe(`ns-${project.id}`);
  expect((await site.rest(owner, 'GET', `/tasks/${task.id}/runs`)).body.items).toHaveLength(1);
});

test('a run is started for a task, linked, and the same again under its key', async () => {
  const project = await site.project(owner);
  const task = await site.task(owner, project.id);
  const start = (headers = {}) => site.rest(owner, 'POST', `/tasks/${task.id}/runs`, { workflow: 'build', input: { n: 1 } }, headers);
  expect(await start()).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
  await site.gateway.read((db) => db.project.update({ where: { id: project.id }, data: { namespace: 'team-run' } }));
  site.world.reply = async (command) => {
    if (!runs.has(command.runId)) runs.set(command.runId, runRow(command.runId, { namespace: 'team-run' }));
    return { v: 1, ok: true, runId: command.runId };
  };
  const [one, two] = [await start({ 'idempotency-key': 'r' }), await start({ 'idempotency-key': 'r' })];
  expect(one).toMatchObject({ status: 201, body: { namespace: 'team-run', input: { n: 1 } } });
  expect(two.body.id).toBe(one.body.id);
  expect(site.world.commands.at(-1)).toMatchObject({ verb: 'start', namespace: 'team-run', workflow: 'build', principal: `user:${owner.userId}` });
  expect((await site.rest(owner, 'GET', `/tasks/${task.id}/runs`)).body.items).toMatchObject([{ id: one.body.id }]);
  const { body } = await site.gql(owner, 'mutation($i: StartTaskRunInput!) { startTaskRun(input: $i) { __typename ... on StartTaskRunPayload { run { id phase } repeated } } }', { i: { id: task.id, workflow: 'build' } });
  expect(body.data.startTaskRun).toMatchObject({ __typename: 'StartTaskRunPayload', run: { phase: 'Running' }, repeated: false });
  const viewer = await site.person();
  await site.member(project.id, viewer, 'VIEWER');
  expect((await site.rest(viewer, 'POST', `/tasks/${task.id}/runs`, { workflow: 'build' })).status).toBe(403);
  expect((await site.rest(await site.person(), 'POST', `/tasks/${task.id}/runs`, { workflow: 'build' })).status).toBe(404);
});

test('runs over REST: started, read, listed, steered', async () => {
  const project = await site.project(owner);
  await site.gateway.read((db) => db.project.update({ where: { id: project.id }, data: { namespace: 'rest-run' } }));
  site.world.reply = async (command) => {
    if (!runs.has(command.runId)) runs.set(command.runId, runRow(command.runId, { namespace: 'rest-run' }));
    return { v: 1, ok: true, runId: command.runId };
  };
  const run = await site.rest(owner, 'POST', '/runs', { namespace: 'rest-run', workflow: 'build' });
  expect(run).toMatchObject({ status: 201, body: { phase: 'Running', counts: { Succeeded: 1 } } });
  expect((await site.rest(owner, 'GET', `/runs/${run.body.id}`)).body).toEqual(run.body);
  for (const [verb, body] of [['cancel', { mode: 'Now' }], ['suspend', undefined], ['resume', undefined]] as const) expect((await site.rest(owner, 'POST', `/runs/${run.body.id}/${verb}`, body)).status).toBe(200);
  expect(site.world.commands.slice(-3)).toMatchObject([{ verb: 'cancel', mode: 'Now' }, { verb: 'suspend' }, { verb: 'resume' }]);
  expect((await site.rest(owner, 'POST', '/runs', { namespace: 'rest-run' })).body).toMatchObject({ code: 'BAD_USER_INPUT', errors: [{ field: 'workflow' }] });
  expect((await site.rest(owner, 'GET', '/runs?namespace=rest-run')).status).toBe(200);
  expect((await site.rest(owner, 'GET', '/runs?namespace=elsewhere')).status).toBe(403);
  expect((await site.rest(await site.person(), 'GET', `/runs/${run.body.id}`)).status).toBe(404);
});
