import { UnavailableError } from '../../platform/errors/index.ts';
import type { CommandReply, RunCommand } from '../../platform/messages/payloads.ts';
import { runCommandSchema } from '../../platform/messages/payloads.ts';
import { runRow, uuid } from '../testing/rows.ts';
import { startTestApi, World } from '../testing/world.ts';
import type { Answer, TestApi } from '../testing/world.ts';

let world: World;
let api: TestApi;

beforeEach(async () => {
  world = new World();
  world.grantAll('alice', 'team-a');
  world.newRow = ({ runId, namespace, name }) => runRow(runId, { namespace, name });
  api = await startTestApi(world);
});
afterEach(() => api.server.stop(100));

const START = `mutation($input: StartRunInput!) { r: startRun(input: $input) { __typename
  ... on UserError { message } ... on InvalidInputError { problems { node field reason message } } ... on RunPayload { repeated run { id name phase } } } }`;

const start = (input: Record<string, unknown>): Promise<Answer> => api.query(START, { input: { namespace: 'team-a', ...input } });
const result = (answer: Answer): unknown => answer.body.data?.['r'];

describe('startRuns', () => {
  const MANY = 'mutation($inputs: [StartRunInput!]!) { r: startRuns(inputs: $inputs) { results { __typename ... on UserError { message } ... on RunPayload { run { name } } } } }';
  const startMany = (inputs: readonly object[]): Promise<Answer> => api.query(MANY, { inputs: inputs.map((input) => ({ namespace: 'team-a', ...input })) });

  test('answers each input for itself, in order', async () => {
    world.reply = (command) => Promise.resolve('workflow' in command && command.workflow === 'gone' ? { v: 1, ok: false, code: 'NotFound', message: 'no' } : world.commit(command));
    const answer = await startMany([{ workflow: 'a', name: 'first' }, { workflow: 'gone' }, { name: 'neither' }, { workflow: 'b', name: 'last' }]);
    expect(result(answer)).toMatchObject({ results: [
      { __typename: 'RunPayload', run: { name: 'first' } }, { __typename: 'NotFoundError' }, { __typename: 'InvalidInputError' }, { __typename: 'RunPayload', run: { name: 'last' } },
    ] });
  });

  test('starts a hundred and no more', async () => {
    const hundred = Array.from({ length: 100 }, () => ({ workflow: 'w' }));
    expect((await startMany(hundred)).status).toBe(200);
    expect(world.commands).toHaveLength(100);
    const refused = await startMany([...hundred, { workflow: 'w' }]);
    expect(refused.body.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT' });
    expect(world.commands).toHaveLength(100);
  });

  test('nothing starts when one namespace is not the caller\'s', async () => {
    const refused = await startMany([{ workflow: 'w' }, { workflow: 'w', namespace: 'team-b' }]);
    expect(refused.body.errors?.[0]?.extensions).toMatchObject({ code: 'FORBIDDEN' });
    expect(world.commands).toEqual([]);
  });
});

describe('startRun', () => {
  test('sends one well-formed command and answers with the committed row', async () => {
    const answer = await start({ workflow: 'build', input: { a: [1, 'x', null, { b: true }] }, priority: 5 });
    const [command] = world.commands;
    expect(runCommandSchema.parse(command)).toEqual(command);
    expect(command).toMatchObject({ verb: 'start', namespace: 'team-a', workflow: 'build', principal: 'alice', input: '{"a":[1,"x",null,{"b":true}]}', priority: 5 });
    expect(command).not.toHaveProperty('idempotencyKey');
    expect(result(answer)).toMatchObject({ __typename: 'RunPayload', repeated: false, run: { id: command?.runId, name: expect.stringMatching(/^build-[0-9a-f]{10}$/) } });
  });

  test('an inline input in the document is JSON as well', async () => {
    await api.query('mutation { startRun(input: { namespace: "team-a", workflow: "w", input: { a: [1, 2.5, "x", true, null], b: { c: "ä" } } }) { __typename } }');
    expect(world.commands[0]).toMatchObject({ input: '{"a":[1,2.5,"x",true,null],"b":{"c":"ä"}}' });
  });

  test('without input it is an empty object; a null input too', async () => {
    await start({ workflow: 'build' });
    await start({ workflow: 'build', input: null });
    expect(world.commands.map((command) => command.verb === 'start' && command.input)).toEqual(['{}', '{}']);
  });

  test('a key gives the same id, so the same owner, and the same hash for the same body', async () => {
    await start({ workflow: 'build', input: { a: 1, b: 2 }, idempotencyKey: 'k' });
    const again = await start({ input: { b: 2, a: 1 }, workflow: 'build', idempotencyKey: 'k' });
    await start({ workflow: 'build', input: { a: 2 }, idempotencyKey: 'k' });
    await start({ workflow: 'build', idempotencyKey: 'K' });
    const [one, two, other, another] = world.commands as readonly Extract<RunCommand, { verb: 'start' }>[];
    expect({ ...two, input: JSON.parse(two?.input ?? '') }).toEqual({ ...one, input: JSON.parse(one?.input ?? '') });
    expect(result(again)).toMatchObject({ repeated: true });
    expect(other?.runId).toBe(one?.runId);
    expect(other?.bodyHash).not.toBe(one?.bodyHash);
    expect(another?.runId).not.toBe(one?.runId);
    expect(one?.runId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test.each([
    ['NotFound', 'NotFoundError'], ['Conflict', 'ConflictError'], ['Invalid', 'InvalidInputError'],
  ] as const)('the owner says %s', async (code, type) => {
    world.reply = () => Promise.resolve({ v: 1, ok: false, code, message: 'because' });
    expect(result(await start({ workflow: 'build' }))).toMatchObject({ __typename: type, message: 'because' });
  });

  const away: readonly (readonly [string, () => Promise<CommandReply>])[] = [
    ['nobody answers', () => Promise.reject(new UnavailableError('an answer on rambo.cmd.7'))],
    ['not the owner', () => Promise.resolve({ v: 1, ok: false, code: 'NotOwner' })],
    ['the owner has no database', () => Promise.resolve({ v: 1, ok: false, code: 'Unavailable', message: 'connect ECONNREFUSED 10.1.2.3' })],
  ];
  test.each(away)('%s: 503 and when to come back', async (_, reply) => {
    world.reply = reply;
    const answer = await start({ workflow: 'build' });
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('2');
    expect(answer.body.errors?.[0]?.extensions).toMatchObject({ code: 'UNAVAILABLE', retryAfterSeconds: 2 });
    expect(answer.text).not.toMatch(/rambo\.cmd|ECONNREFUSED/);
  });

  test.each([
    [{}, 'workflow'], [{ workflow: 'w', definition: {} }, 'workflow'], [{ workflow: 'No Name' }, 'workflow'], [{ workflow: 'w', name: 'A B' }, 'name'],
    [{ workflow: 'w', priority: 2_000_000 }, 'priority'], [{ workflow: 'w', idempotencyKey: '' }, 'idempotencyKey'],
    [{ workflow: 'w', idempotencyKey: 'a\0b' }, 'idempotencyKey'], [{ workflow: 'w', idempotencyKey: 'x'.repeat(257) }, 'idempotencyKey'],
  ])('%j is refused here, naming the field', async (input, field) => {
    expect(result(await start(input))).toMatchObject({ __typename: 'InvalidInputError', problems: [{ field }] });
    expect(world.commands).toEqual([]);
  });

  test('an input nested too deeply is refused', async () => {
    const answer = await api.query(START, { input: { namespace: 'team-a', workflow: 'w', input: JSON.parse('['.repeat(103) + ']'.repeat(103)) } });
    expect(answer.body.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT' });
    expect(world.commands).toEqual([]);
  });
});

describe('inline definitions', () => {
  const node = { name: 'a', type: 'transform', with: { output: 1 } };
  test('a good one is sent whole', async () => {
    await start({ definition: { nodes: [node], outputs: { x: '${{ nodes.a.output }}' } } });
    const [command] = world.commands;
    expect(command?.verb === 'start' && JSON.parse(command.inline ?? '')).toEqual({ nodes: [node], outputs: { x: '${{ nodes.a.output }}' } });
    expect(command).toMatchObject({ name: expect.stringMatching(/^run-/) });
  });
  test.each([
    ['no nodes', {}, 'definition.nodes'],
    ['no object', 'nodes', 'definition'],
    ['a wrong type', { nodes: [{ ...node, timeout: 7 }] }, 'definition.nodes[0].timeout'],
    ['an unknown field', { nodes: [{ ...node, whne: 'true' }] }, 'definition.nodes[0].whne'],
    ['an unknown field below', { nodes: [node], defaults: { retry: { limits: 3 } } }, 'definition.defaults.retry.limits'],
    ['an odd key', { 'a b': 1, nodes: [node] }, 'definition["a b"]'],
  ])('%s', async (_, definition, field) => {
    expect(result(await start({ definition }))).toMatchObject({ __typename: 'InvalidInputError', problems: [{ field }] });
    expect(world.commands).toEqual([]);
  });
  test('the engine is asked: cycles and unknown nodes are named', async () => {
    const cyclic = { nodes: [{ ...node, dependsOn: ['b'] }, { ...node, name: 'b', dependsOn: ['a'] }] };
    expect(result(await start({ definition: cyclic }))).toMatchObject({ __typename: 'InvalidInputError', problems: [{ reason: 'Cycle' }] });
    expect(result(await start({ definition: { nodes: [{ ...node, with: { output: '${{ nodes.zzz.output }}' } }] } }))).toMatchObject({ problems: [{ node: 'a' }] });
  });
  test('data stays data: a field called __proto__ is unknown, not obeyed', async () => {
    const answer = await api.query(START, { input: { namespace: 'team-a', definition: JSON.parse('{"nodes":[],"__proto__":{"nodes":[{"name":"a","type":"transform"}]}}') } });
    expect(result(answer)).toMatchObject({ __typename: 'InvalidInputError' });
  });
});

describe('steering', () => {
  const RUN = uuid(1);
  test.each([
    ['cancelRun(id: $id)', { verb: 'cancel', mode: 'Graceful' }], ['cancelRun(id: $id, mode: Now)', { verb: 'cancel', mode: 'Now' }],
    ['suspendRun(id: $id)', { verb: 'suspend' }], ['resumeRun(id: $id)', { verb: 'resume' }],
  ])('%s', async (field, command) => {
    world.runs.set(RUN, runRow(RUN));
    const answer = await api.query(`mutation($id: ID!) { r: ${field} { __typename ... on RunPayload { run { id } } } }`, { id: RUN });
    expect(world.commands).toEqual([{ v: 1, runId: RUN, principal: 'alice', ...command }]);
    expect(result(answer)).toEqual({ __typename: 'RunPayload', run: { id: RUN } });
  });
  test('a run that is gone by the time its owner looks', async () => {
    world.runs.set(RUN, runRow(RUN));
    world.reply = () => Promise.resolve({ v: 1, ok: false, code: 'NotFound', message: 'gone' });
    expect(result(await api.query(`mutation { r: cancelRun(id: "${RUN}") { __typename } }`))).toEqual({ __typename: 'NotFoundError' });
  });
});
