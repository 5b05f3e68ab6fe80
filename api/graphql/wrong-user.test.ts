import type { GraphQLFieldMap } from 'graphql';
import { nodeRow, poolRow, runRow, uuid, workflowRow } from '../testing/rows.ts';
import { startTestApi, World } from '../testing/world.ts';
import type { Answer, TestApi } from '../testing/world.ts';
import { operations } from '../modules.ts';
import { schema } from './schema.ts';

/*
 * Every operation of the schema, asked by its owner, by somebody else and about something that does not exist. An operation
 * that is not listed here fails the build: decide who may do it first.
 */

const OWN = uuid(1);
const MISSING = uuid(99);

interface Operation {
  /** The document, with `$id` or `$ns` filled in by the test. */
  readonly query: (at: { readonly id: string; readonly ns: string; readonly name: string }) => string;
  /** Question the API server is asked. */
  readonly needs: string;
  /** What a caller without the right gets: the same as for something missing. */
  readonly denied: 'null' | 'NotFoundError' | 'FORBIDDEN' | 'NOT_FOUND';
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  'Query.run': { query: ({ id }) => `{ r: run(id: "${id}") { id input nodes { edges { node { output log { text } } } } } }`, needs: 'get workflowruns', denied: 'null' },
  'Query.runByName': { query: ({ ns, name }) => `{ r: runByName(namespace: "${ns}", name: "${name}") { id outputs } }`, needs: 'get workflowruns', denied: 'null' },
  'Query.runs': { query: ({ ns }) => `{ r: runs(namespace: "${ns}") { edges { node { id input } } } }`, needs: 'list workflowruns', denied: 'FORBIDDEN' },
  'Query.workflow': { query: ({ ns, name }) => `{ r: workflow(namespace: "${ns}", name: "${name}") { spec } }`, needs: 'get workflows', denied: 'null' },
  'Query.workflows': { query: ({ ns }) => `{ r: workflows(namespace: "${ns}") { edges { node { spec } } } }`, needs: 'list workflows', denied: 'FORBIDDEN' },
  'Query.runnerPools': { query: ({ ns }) => `{ r: runnerPools(namespace: "${ns}") { edges { node { spec } } } }`, needs: 'list runnerpools', denied: 'FORBIDDEN' },
  'Mutation.startRun': { query: ({ ns }) => `mutation { r: startRun(input: { namespace: "${ns}", workflow: "build" }) { __typename ... on RunPayload { run { id } } } }`, needs: 'create workflowruns', denied: 'FORBIDDEN' },
  'Mutation.startRuns': { query: ({ ns }) => `mutation { r: startRuns(inputs: [{ namespace: "${ns}", workflow: "build" }]) { results { __typename ... on RunPayload { run { id } } } } }`, needs: 'create workflowruns', denied: 'FORBIDDEN' },
  'Mutation.cancelRun': { query: ({ id }) => `mutation { r: cancelRun(id: "${id}", mode: Now) { __typename ... on RunPayload { run { id } } } }`, needs: 'patch workflowruns', denied: 'NotFoundError' },
  'Mutation.suspendRun': { query: ({ id }) => `mutation { r: suspendRun(id: "${id}") { __typename ... on RunPayload { run { id } } } }`, needs: 'patch workflowruns', denied: 'NotFoundError' },
  'Mutation.resumeRun': { query: ({ id }) => `mutation { r: resumeRun(id: "${id}") { __typename ... on RunPayload { run { id } } } }`, needs: 'patch workflowruns', denied: 'NotFoundError' },
  'Subscription.runChanged': { query: ({ id }) => `subscription { r: runChanged(id: "${id}") { id input } }`, needs: 'watch workflowruns', denied: 'NOT_FOUND' },
};

let world: World;
let api: TestApi;

beforeEach(async () => {
  world = new World();
  world.runs.set(OWN, runRow(OWN, { name: 'known', phase: 'Succeeded' }));
  world.nodes.push(nodeRow('a'));
  world.workflows.push(workflowRow('team-a', 'known'));
  world.pools.push(poolRow('team-a', 'known'));
  world.newRow = ({ runId, namespace }) => runRow(runId, { namespace });
  api = await startTestApi(world);
});
afterEach(() => api.server.stop(100));

async function ask(query: string, token: string): Promise<Answer['body']> {
  if (!query.startsWith('subscription')) return (await api.query(query, {}, token)).body;
  const first = await (await api.subscribe(query, {}, token)).next();
  return first.done === true ? {} : first.value;
}

/** What a caller learns, ids and names of the question apart. */
function learned(body: Answer['body']): string {
  const code = body.errors?.[0]?.extensions?.['code'];
  if (typeof code === 'string') return code;
  const r = body.data?.['r'] ?? null;
  if (typeof r === 'object' && r !== null && '__typename' in r && r.__typename !== 'RunPayload') return String(r.__typename);
  return r === null ? 'null' : 'data';
}

test('every operation of the schema is listed', () => {
  const fieldsOf = (name: string, fields: GraphQLFieldMap<unknown, unknown> | undefined): string[] => Object.keys(fields ?? {}).map((field) => `${name}.${field}`);
  const all = [
    ...fieldsOf('Query', schema.getQueryType()?.getFields()), ...fieldsOf('Mutation', schema.getMutationType()?.getFields()),
    ...fieldsOf('Subscription', schema.getSubscriptionType()?.getFields()),
  ];
  // Fields made from operations have rows of their own, in the matrix over all surfaces (test/integration/gateway/matrix.test.ts).
  const made = new Set(operations.filter((operation) => operation.graphql !== false).map(({ name }) => name));
  // What a project and an agent run tell their subscribers needs Postgres: who gets it is in test/integration/gateway/{stream,agent-stream}.test.ts.
  expect([...Object.keys(OPERATIONS), 'Subscription.projectChanged', 'Subscription.agentEvents'].sort()).toEqual(all.filter((field) => !made.has(field.split('.')[1] ?? '')).sort());
});

describe.each(Object.entries(OPERATIONS))('%s', (_, { query, needs, denied }) => {
  const own = query({ id: OWN, ns: 'team-a', name: 'known' });
  const missing = query({ id: MISSING, ns: 'nowhere', name: 'unknown' });

  test('its owner, with exactly the right it needs', async () => {
    world.grants.add(`alice ${needs} team-a`);
    expect(learned(await ask(own, 'alice'))).toBe('data');
    expect(new Set(world.asked)).toEqual(new Set([`alice ${needs} team-a`]));
  });

  test('somebody who may do everything else, everywhere else', async () => {
    world.grantAll('bob', 'team-b');
    for (const grant of ['get', 'list', 'watch', 'create', 'patch']) {
      for (const resource of ['workflowruns', 'workflows', 'runnerpools']) {
        if (`${grant} ${resource}` !== needs) world.grants.add(`bob ${grant} ${resource} team-a`);
      }
    }
    expect(learned(await ask(own, 'bob'))).toBe(denied);
    expect(world.commands).toEqual([]);
  });

  test('not yours and not there are told alike', async () => {
    world.grantAll('bob', 'team-b');
    const foreign = await ask(own, 'bob');
    const absent = await ask(missing, 'bob');
    const plain = (body: unknown): string => JSON.stringify(body).replaceAll(OWN, 'ID').replaceAll(MISSING, 'ID').replaceAll('team-a', 'NS').replaceAll('nowhere', 'NS');
    expect(plain(foreign)).toBe(plain(absent));
    expect(learned(foreign)).toBe(denied);
  });

  test('no token', async () => {
    const answer = await api.send({ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: own }) });
    expect(answer.status).toBe(401);
    expect(world.asked).toEqual([]);
  });

  test('nobody can tell: nothing is done', async () => {
    world.grantAll('alice', 'team-a');
    await ask('{ __typename }', 'alice');
    world.apiServerAway = true;
    expect(learned(await ask(own, 'alice'))).toBe('UNAVAILABLE');
    expect(world.commands).toEqual([]);
  });
});

test.each([['a\0b'], ['../team-a'], ['team-a/../x'], ['TEAM-A'], ['*'], [''], ['team-a '], ["' OR 1=1 --"]])('a namespace that cannot be (%j) never reaches the store', async (namespace) => {
  world.grants.add(`alice list workflowruns ${namespace}`);
  const answer = await api.query('query($ns: String!) { runs(namespace: $ns) { edges { cursor } } }', { ns: namespace });
  expect(learned(answer.body)).toBe('FORBIDDEN');
  expect(world.reads).toEqual([]);
});

test.each([[''], ['x'], ["' OR 1=1 --"], [`${uuid(1)}\0`], ['a'.repeat(10_000)]])('an id that cannot be (%#) never reaches the store', async (id) => {
  expect((await api.query('query($id: ID!) { run(id: $id) { id } }', { id })).body).toEqual({ data: { run: null } });
  expect(world.reads).toEqual([]);
});
