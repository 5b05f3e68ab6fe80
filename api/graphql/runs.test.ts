import { bytes, nodeRow, runRow, uuid, workflowRow, poolRow } from '../testing/rows.ts';
import { startTestApi, World } from '../testing/world.ts';
import type { TestApi } from '../testing/world.ts';

let world: World;
let api: TestApi;

beforeEach(async () => {
  world = new World();
  world.grantAll('alice', 'team-a');
  api = await startTestApi(world);
});
afterEach(() => api.server.stop(100));

describe('one run', () => {
  const RUN = uuid(1);
  test('in full', async () => {
    world.runs.set(RUN, runRow(RUN, {
      phase: 'Failed', finishedAt: 1_700_000_001_000, outputs: bytes({ sum: 3 }), error: bytes({ class: 'Timeout', reason: 'RunTimeout', message: 'took too long' }),
      failures: bytes([{ node: 'b', reason: 'ExitCode', message: 'exit 1' }]),
    }));
    world.nodes.push(nodeRow('a', { item: -1 }), nodeRow('b', { item: 2, status: 'Failed', attempt: 2, retries: 1, output: null, error: bytes({ class: 'User', reason: 'ExitCode', message: 'exit 1' }) }));
    world.attempts.push({ node: 'a', item: -1, attempt: 1, status: 'Succeeded', error: null, queuedAt: 1, startedAt: 2, finishedAt: 3, pod: null, runner: 'r' });
    world.attempts.push({ node: 'b', item: 2, attempt: 1, status: 'Failed', error: null, queuedAt: 1, startedAt: 2, finishedAt: 3, pod: 'p', runner: 'r' });
    world.events.push({ seq: 1, at: 5, kind: 'RunStarted', node: null, item: null, attempt: null, reason: null, principal: 'alice' });
    const answer = await api.query(`query($id: ID!) { run(id: $id) { id name namespace workflow source principal priority phase suspended version progress { done total }
      counts { succeeded running failed } failures { node reason message } error { class reason message } input outputs createdAt startedAt finishedAt
      nodes { edges { node { name item status attempt retries infraRestarts pool pod output error { class reason message } queuedAt startedAt finishedAt dueAt
        attempts { number status pod finishedAt } log(offset: 1, limit: 2) { text next end } } } }
      events { edges { node { seq at kind node item attempt reason principal } } pageInfo { hasNextPage } } } }`, { id: RUN.toUpperCase() });
    expect(answer.body.errors).toBeUndefined();
    expect(answer.body.data?.['run']).toMatchObject({
      id: RUN, phase: 'Failed', progress: { done: 1, total: 2 }, counts: { succeeded: 1, running: 1, failed: 0 }, input: { n: 1 }, outputs: { sum: 3 },
      error: { class: 'Timeout', reason: 'RunTimeout' }, failures: [{ node: 'b' }], finishedAt: '2023-11-14T22:13:21.000Z',
      nodes: { edges: [
        { node: { name: 'a', item: null, output: { ok: true }, attempts: [{ number: 1, status: 'Succeeded' }], log: { text: 'el', next: 5, end: true } } },
        { node: { name: 'b', item: 2, status: 'Failed', output: null, error: { class: 'User' }, attempts: [{ number: 1, pod: 'p' }] } },
      ] },
      events: { edges: [{ node: { seq: 1, kind: 'RunStarted', at: '1970-01-01T00:00:00.005Z' } }], pageInfo: { hasNextPage: false } },
    });
  });

  test('a node without an attempt has no log and no attempts', async () => {
    world.runs.set(RUN, runRow(RUN));
    world.nodes.push(nodeRow('a', { attempt: 0, status: 'Pending', output: null }));
    const answer = await api.query(`{ run(id: "${RUN}") { nodes { edges { node { log { text } attempts { number } } } } } }`);
    expect(answer.body.data?.['run']).toEqual({ nodes: { edges: [{ node: { log: null, attempts: [] } }] } });
  });

  test('by name', async () => {
    world.runs.set(RUN, runRow(RUN, { name: 'nightly' }));
    expect((await api.query('{ runByName(namespace: "team-a", name: "nightly") { id } }')).body.data).toEqual({ runByName: { id: RUN } });
    expect((await api.query('{ runByName(namespace: "team-a", name: "Nightly!") { id } }')).body.data).toEqual({ runByName: null });
  });
});

describe('lists of runs', () => {
  const LIST = `query($first: Int, $after: String, $last: Int, $before: String) {
    runs(namespace: "team-a", first: $first, after: $after, last: $last, before: $before) { edges { node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`;
  interface List { readonly edges: readonly { readonly node: { readonly id: string } }[]; readonly pageInfo: { readonly hasNextPage: boolean; readonly hasPreviousPage: boolean; readonly startCursor: string; readonly endCursor: string } }

  async function list(variables: Record<string, unknown>): Promise<{ ids: number[]; pageInfo: List['pageInfo'] }> {
    const { runs } = (await api.query(LIST, variables)).body.data as unknown as { runs: List };
    return { ids: runs.edges.map(({ node }) => parseInt(node.id.slice(-4), 16)), pageInfo: runs.pageInfo };
  }

  beforeEach(() => { for (let i = 1; i <= 25; i++) world.runs.set(uuid(i), runRow(uuid(i))); });

  test('forwards to the end and back', async () => {
    const first = await list({ first: 10 });
    expect(first.ids).toEqual([25, 24, 23, 22, 21, 20, 19, 18, 17, 16]);
    expect(first.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: false });
    const second = await list({ first: 10, after: first.pageInfo.endCursor });
    const third = await list({ first: 10, after: second.pageInfo.endCursor });
    expect(third.ids).toEqual([5, 4, 3, 2, 1]);
    expect(third.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
    const back = await list({ last: 10, before: third.pageInfo.startCursor });
    expect(back.ids).toEqual(second.ids);
    expect(back.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: true });
  });

  test('20 when nothing is said', async () => { expect((await list({})).ids).toHaveLength(20); });

  test.each([[{ last: 5 }], [{ first: 5, last: 5 }], [{ before: 'x', first: 3 }], [{ after: 'x' }], [{ last: 5, before: 'bm9wZQ' }]])('what makes no page is refused: %j', async (variables) => {
    expect((await api.query(LIST, variables)).body.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT' });
  });

  test('payloads of a list are read once each, and only when asked for', async () => {
    await api.query('{ runs(namespace: "team-a", first: 3) { edges { node { id phase } } } }');
    expect(world.reads).toHaveLength(1);
    for (const [id, run] of world.runs) world.runs.set(id, Object.fromEntries(Object.entries(run).filter(([key]) => key !== 'input' && key !== 'outputs')) as unknown as typeof run);
    world.reads.length = 0;
    await api.query('{ runs(namespace: "team-a", first: 3) { edges { node { a: priority input outputs } } } }');
    expect(world.reads.filter((read) => read.startsWith('run '))).toHaveLength(3);
  });

  test('filters reach the store', async () => {
    await api.query('{ runs(namespace: "team-a", workflow: "build", phase: Failed) { edges { cursor } } }');
    expect(world.reads).toEqual([expect.stringMatching(/"workflow":"build","phase":"Failed"/)]);
    expect((await api.query('{ runs(namespace: "team-a", workflow: "no name") { edges { cursor } } }')).body.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT' });
  });
});

test('nodes and events page forwards', async () => {
  world.runs.set(uuid(1), runRow(uuid(1)));
  for (const node of ['a', 'b', 'c']) world.nodes.push(nodeRow(node));
  for (let seq = 1; seq <= 3; seq++) world.events.push({ seq, at: 5, kind: 'X', node: null, item: null, attempt: null, reason: null, principal: null });
  const query = 'query($n: String, $e: String) { run(id: "00000000-0000-7000-8000-000000000001") { nodes(first: 2, after: $n) { edges { cursor node { name } } } events(first: 2, after: $e) { edges { cursor node { seq } } } } }';
  interface Page { readonly nodes: { readonly edges: readonly { readonly cursor: string; readonly node: { readonly name: string } }[] }; readonly events: { readonly edges: readonly { readonly cursor: string; readonly node: { readonly seq: number } }[] } }
  const read = async (variables: Record<string, unknown>): Promise<Page> => ((await api.query(query, variables)).body.data as unknown as { run: Page }).run;
  const one = await read({});
  const two = await read({ n: one.nodes.edges.at(-1)?.cursor, e: one.events.edges.at(-1)?.cursor });
  expect([...one.nodes.edges, ...two.nodes.edges].map(({ node }) => node.name)).toEqual(['a', 'b', 'c']);
  expect([...one.events.edges, ...two.events.edges].map(({ node }) => node.seq)).toEqual([1, 2, 3]);
});

test('definitions', async () => {
  for (const name of ['a', 'b', 'c']) {
    world.workflows.push(workflowRow('team-a', name));
    world.pools.push(poolRow('team-a', name));
  }
  const answer = await api.query(`{ workflow(namespace: "team-a", name: "a") { name namespace generation hash phase nodeCount problems { node field value reason message } labels spec updatedAt }
    workflows(namespace: "team-a", first: 2) { edges { node { name } } pageInfo { hasNextPage } }
    runnerPools(namespace: "team-a") { edges { node { name namespace generation labels spec updatedAt } } } }`);
  expect(answer.body).toMatchObject({ data: {
    workflow: { phase: 'Invalid', problems: [{ node: 'a', value: null, reason: 'ExpressionInvalid' }], spec: { nodes: [] }, labels: null },
    workflows: { edges: [{ node: { name: 'a' } }, { node: { name: 'b' } }], pageInfo: { hasNextPage: true } },
    runnerPools: { edges: [{ node: { spec: { max: 4 } } }, {}, {}] },
  } });
});
