import {
  deletePool, deleteWorkflow, getPool, getWorkflow, listPools, listWorkflowNodes, listWorkflows, upsertPool, upsertWorkflow, workflowKeys,
  type RunnerPoolRow, type WorkflowNodeRow, type WorkflowRow,
} from '../../../prisma/store/index.ts';
import { type Fixture, openFixture } from './fixture.ts';

let fixture: Fixture;
beforeAll(async () => { fixture = await openFixture(); });
afterAll(async () => { await fixture.close(); });
beforeEach(async () => {
  await fixture.db.query({ name: 'empty', text: 'TRUNCATE workflow, workflow_node, runner_pool' }, []);
});

function workflow(name: string, over: Partial<WorkflowRow> = {}): WorkflowRow {
  return {
    namespace: 'default', name, uid: `uid-${name}`, generation: 1, resourceVersion: '1', spec: Buffer.from('{"nodes":[]}'), hash: 'h', phase: 'Ready',
    nodeCount: 2, labels: null, problems: null, updatedAt: 1_700_000_000_000, ...over,
  };
}

function pool(name: string, over: Partial<RunnerPoolRow> = {}): RunnerPoolRow {
  return { namespace: 'default', name, uid: `uid-${name}`, generation: 1, resourceVersion: '1', spec: Buffer.from('{}'), labels: null, updatedAt: 1_700_000_000_000, ...over };
}

function nodes(...names: string[]): WorkflowNodeRow[] {
  return names.map((name) => ({ name, type: 'script', config: Buffer.from(`{"name":"${name}"}`) }));
}

test('a Workflow is replaced together with its nodes, in manifest order', async () => {
  await upsertWorkflow(fixture.db, workflow('w'), nodes('z', 'a', 'm'));
  expect(await getWorkflow(fixture.db, 'default', 'w')).toEqual(workflow('w'));
  expect((await listWorkflowNodes(fixture.db, 'default', 'w')).map((node) => node.name)).toEqual(['z', 'a', 'm']);
  await upsertWorkflow(fixture.db, workflow('w', { generation: 2, phase: 'Invalid', problems: Buffer.from('[1]') }), nodes('only'));
  expect(await getWorkflow(fixture.db, 'default', 'w')).toMatchObject({ generation: 2, phase: 'Invalid' });
  expect(await listWorkflowNodes(fixture.db, 'default', 'w')).toMatchObject([{ name: 'only', type: 'script' }]);
});

test('an older generation of the same object changes nothing; another uid replaces', async () => {
  await upsertWorkflow(fixture.db, workflow('w', { generation: 5 }), nodes('new'));
  await upsertWorkflow(fixture.db, workflow('w', { generation: 4, hash: 'old' }), nodes('old'));
  expect(await getWorkflow(fixture.db, 'default', 'w')).toMatchObject({ generation: 5, hash: 'h' });
  expect(await listWorkflowNodes(fixture.db, 'default', 'w')).toMatchObject([{ name: 'new' }]);
  await upsertWorkflow(fixture.db, workflow('w', { uid: 'born-again' }), []);
  expect(await getWorkflow(fixture.db, 'default', 'w')).toMatchObject({ uid: 'born-again', generation: 1 });
  expect(await listWorkflowNodes(fixture.db, 'default', 'w')).toEqual([]);
});

test('a deletion meant for another uid is ignored; a true one takes the nodes along', async () => {
  await upsertWorkflow(fixture.db, workflow('w'), nodes('a'));
  await deleteWorkflow(fixture.db, 'default', 'w', 'other');
  expect(await getWorkflow(fixture.db, 'default', 'w')).toBeDefined();
  await deleteWorkflow(fixture.db, 'default', 'w', 'uid-w');
  expect(await getWorkflow(fixture.db, 'default', 'w')).toBeUndefined();
  expect(await listWorkflowNodes(fixture.db, 'default', 'w')).toEqual([]);
});

test('a mirror that fails half way leaves the old one whole', async () => {
  await upsertWorkflow(fixture.db, workflow('w'), nodes('a'));
  await expect(upsertWorkflow(fixture.db, workflow('w', { generation: 2 }), nodes('b', 'c\0'))).rejects.toMatchObject({ code: 'RowRefused' });
  expect(await getWorkflow(fixture.db, 'default', 'w')).toMatchObject({ generation: 1 });
  expect(await listWorkflowNodes(fixture.db, 'default', 'w')).toMatchObject([{ name: 'a' }]);
});

test('lists go by namespace and name', async () => {
  for (const name of ['c', 'a', 'b']) await upsertWorkflow(fixture.db, workflow(name), []);
  await upsertWorkflow(fixture.db, workflow('z', { namespace: 'other' }), []);
  const first = await listWorkflows(fixture.db, ['default', 'other'], undefined, 2);
  expect(first).toMatchObject({ rows: [{ name: 'a' }, { name: 'b' }], hasMore: true });
  expect(await listWorkflows(fixture.db, ['default', 'other'], first.rows.at(-1), 2)).toMatchObject({ rows: [{ name: 'c' }, { name: 'z' }], hasMore: false });
  expect((await workflowKeys(fixture.db)).map((key) => key.name).sort()).toEqual(['a', 'b', 'c', 'z']);
});

test('RunnerPools are kept the same way', async () => {
  await upsertPool(fixture.db, pool('default', { generation: 2 }));
  await upsertPool(fixture.db, pool('default', { generation: 1, spec: Buffer.from('old') }));
  await upsertPool(fixture.db, pool('gpu'));
  expect(await getPool(fixture.db, 'default', 'default')).toEqual(pool('default', { generation: 2 }));
  expect((await listPools(fixture.db, ['default'], undefined, 10)).rows.map((row) => row.name)).toEqual(['default', 'gpu']);
  await deletePool(fixture.db, 'default', 'gpu', 'other');
  await deletePool(fixture.db, 'default', 'default', 'uid-default');
  expect((await listPools(fixture.db, ['default'], undefined, 10)).rows.map((row) => row.name)).toEqual(['gpu']);
});
