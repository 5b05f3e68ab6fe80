import { chain, script, TestStack } from '../../harness/test-stack.ts';

let t: TestStack;
beforeAll(async () => {
  t = await TestStack.start({ api: true });
  await t.pool();
  await t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'Workflow', metadata: { name: 'count', namespace: 'default' }, spec: {
    inputs: { type: 'object', properties: { from: { type: 'integer' } }, required: ['from'] },
    nodes: [script('plus', 'export default ({ input }) => input + 1', {}, '${{ inputs.from }}')],
    outputs: { n: '${{ nodes.plus.output }}' },
  } });
}, 120_000);
afterAll(async () => { await t.stop(); });

interface Answer {
  readonly status: number;
  readonly body: { readonly data?: Record<string, never> | null; readonly errors?: readonly { readonly extensions?: { readonly code?: string } }[] };
}

async function ask(query: string, variables: object = {}, token: string | undefined = t.addresses.token): Promise<Answer> {
  const response = await fetch(`${t.addresses.apiUrl}/graphql`, {
    method: 'POST', body: JSON.stringify({ query, variables }),
    headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
  });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

const START = `mutation($i: StartRunInput!) { startRun(input: $i) { __typename
  ... on RunPayload { run { id phase } } ... on InvalidInputError { message } ... on ConflictError { message } ... on NotFoundError { message } } }`;
const RUN = 'query($id: ID!) { run(id: $id) { name phase outputs progress { done total } nodes(first: 10) { edges { node { name status output } } } } }';

async function start(input: object): Promise<{ __typename: string; run?: { id: string }; message?: string }> {
  const { body } = await ask(START, { i: { namespace: 'default', ...input } });
  const result: { startRun: { __typename: string; run?: { id: string }; message?: string } } = JSON.parse(JSON.stringify(body.data));
  return result.startRun;
}

async function ended(id: string): Promise<Record<string, unknown>> {
  return t.until('the run to end', async () => {
    const { body } = await ask(RUN, { id });
    const data: { run: Record<string, unknown> | null } = JSON.parse(JSON.stringify(body.data));
    return data.run !== null && ['Succeeded', 'Failed', 'Cancelled'].includes(String(data.run['phase'])) ? data.run : undefined;
  });
}

test('a run by kubectl and one over GraphQL end alike', async () => {
  const { run } = await start({ workflow: 'count', input: { from: 41 } });
  const overApi = await ended(run?.id ?? '');
  const { metadata } = await t.create({ apiVersion: 'rambo.dev/v1alpha1', kind: 'WorkflowRun', metadata: { generateName: 'c-', namespace: 'default' }, spec: { workflowRef: { name: 'count' }, input: { from: 41 } } });
  await t.finished(metadata.name);
  const byKubectl = await ended(metadata.uid);
  expect({ ...overApi, name: '' }).toEqual({ ...byKubectl, name: '' });
  expect(overApi).toMatchObject({ phase: 'Succeeded', outputs: { n: 42 }, progress: { done: 1, total: 1 } });
});

test('a run started over the API writes nothing to the API server', async () => {
  const before = await t.metric('rambo_kube_writes_total');
  const { run } = await start({ definition: { nodes: chain(10, true) } });
  await ended(run?.id ?? '');
  expect(await t.metric('rambo_kube_writes_total')).toBe(before);
});

test('an idempotency key gives the same run, and a conflict for another request', async () => {
  const first = await start({ workflow: 'count', input: { from: 1 }, idempotencyKey: 'k1' });
  const again = await start({ workflow: 'count', input: { from: 1 }, idempotencyKey: 'k1' });
  const other = await start({ workflow: 'count', input: { from: 2 }, idempotencyKey: 'k1' });
  expect(again.run?.id).toBe(first.run?.id);
  expect(other.__typename).toBe('ConflictError');
});

test.each([
  ['a workflow that does not exist', { workflow: 'nowhere' }, 'NotFoundError'],
  ['an input that breaks the schema', { workflow: 'count', input: { from: 'x' } }, 'InvalidInputError'],
  ['a definition with a cycle', { definition: { nodes: [{ name: 'a', type: 'transform', dependsOn: ['a'], with: { output: 1 } }] } }, 'InvalidInputError'],
])('refuses %s', async (_, input, type) => {
  expect((await start(input)).__typename).toBe(type);
});

test('cancels a live run', async () => {
  const { run } = await start({ definition: { nodes: [script('slow', 'export default () => new Promise((r) => setTimeout(r, 60000))')] } });
  await ask('mutation($id: ID!) { cancelRun(id: $id, mode: Now) { __typename } }', { id: run?.id });
  expect(await ended(run?.id ?? '')).toMatchObject({ phase: 'Cancelled' });
});

test('streams the changes of a run to its end', async () => {
  const { run } = await start({ definition: { nodes: [script('a', 'export default () => new Promise((r) => setTimeout(() => r(1), 400))')] } });
  const response = await fetch(`${t.addresses.apiUrl}/graphql`, {
    method: 'POST', body: JSON.stringify({ query: 'subscription($id: ID!) { runChanged(id: $id) { phase } }', variables: { id: run?.id } }),
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${t.addresses.token}` },
  });
  const text = await response.text();
  const phases = [...text.matchAll(/"phase":"(\w+)"/g)].map((match) => match[1]);
  expect(phases.at(-1)).toBe('Succeeded');
  expect(phases.length).toBeGreaterThanOrEqual(2);
});

describe('the wrong caller', () => {
  const query = '{ runs(namespace: "default", first: 1) { edges { node { id } } } }';
  test('without a token, or with nonsense, gets 401', async () => {
    expect((await ask(query, {}, 'nonsense.token.here')).status).toBe(401);
    const response = await fetch(`${t.addresses.apiUrl}/graphql`, { method: 'POST', body: JSON.stringify({ query }), headers: { 'content-type': 'application/json' } });
    expect(response.status).toBe(401);
  });

  test('with a token for another audience gets 401', async () => {
    expect((await ask(query, {}, await t.stack.kubectl.token('default', 'rambo-demo'))).status).toBe(401);
  });

  test('without rights on the namespace sees, starts and cancels nothing', async () => {
    const stranger = await t.stack.kubectl.token('rambo-system', 'rambo-api', 'rambo');
    const { run } = await start({ workflow: 'count', input: { from: 5 } });
    expect((await ask(query, {}, stranger)).body.errors?.[0]?.extensions?.code).toBe('FORBIDDEN');
    expect(JSON.stringify((await ask(RUN, { id: run?.id }, stranger)).body.data)).toContain('"run":null');
    const cancelled = await ask('mutation($id: ID!) { cancelRun(id: $id, mode: Now) { __typename } }', { id: run?.id }, stranger);
    expect(JSON.stringify(cancelled.body)).toMatch(/NotFoundError|NOT_FOUND/);
    expect(await ended(run?.id ?? '')).toMatchObject({ phase: 'Succeeded' });
  });
});
