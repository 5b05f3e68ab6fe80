import { randomUUID } from 'node:crypto';
import { foldAgentRun } from '../../../crds/agent-fold.ts';
import type { InputAnswers } from '../../../crds/agent-run.ts';
import { answerInput, appendToAgentRun, decideApproval, listApprovals, listInputs, questionsOf, waitingPhase, type InputRow, type InputVerdict } from '../../../prisma/store/index.ts';
import { NAMESPACE, textOf, toolsWorld, type Begun, type Gateway, type ToolsWorld } from './tools-kit.ts';

/* Tools that ask a person in the middle of a call: `input_required` of MCP. */

let world: ToolsWorld;
let gateway: Gateway;
beforeAll(async () => {
  world = await toolsWorld();
  gateway = world.gateway();
  await world.mirror('box', { mcp: { url: world.servers.mcp }, tools: [{ name: 'book', effect: 'AtMostOnce', timeout: '500ms' }] });
  await world.mirror('keyed', { mcp: { url: world.servers.mcp }, tools: [{ name: 'book', effect: 'KeyedIdempotent', idempotency: { meta: 'idempotencyKey' }, timeout: '500ms' }] });
  await world.mirror('read', { mcp: { url: world.servers.mcp }, tools: [{ name: 'book', effect: 'ReadOnly', cacheTTL: '1h' }] });
  await world.mirror('old', { mcp: { url: world.servers.legacyMcp, protocol: 'legacy' }, tools: [{ name: 'book', effect: 'AtMostOnce' }] });
  await world.mirror('three', { mcp: { url: world.servers.replicatedMcp }, tools: [{ name: 'book', effect: 'AtMostOnce' }] });
});
afterAll(async () => { await world.close(); });
beforeEach(() => { world.servers.reset(); });

const WAITING = { status: 200, body: { status: 'waiting', why: 'input' } };
const SIX: InputAnswers = { seats: { action: 'accept', content: { seats: 6 } } };
const agentOf = (server: string, more: object = {}): object => ({ tools: [{ toolServerRef: { name: server, include: ['book'] } }], ...more });

async function inputOf(run: Begun): Promise<InputRow> {
  const { rows: [input] } = await listInputs(world.fixture.db, { namespace: NAMESPACE, agentRun: run.id, first: 10 });
  if (input === undefined) throw new Error('nothing is asked');
  return input;
}

async function asks(server = 'box', args: object = {}, agent = agentOf(server)): Promise<{ readonly run: Begun; readonly input: InputRow }> {
  const run = await world.begin(agent, [[`${server}__book`, { place: 'Luigi', ...args }]]);
  expect(await gateway.ask(run, 's1c1')).toEqual(WAITING);
  return { run, input: await inputOf(run) };
}

const verdict = (input: InputRow, over: Partial<InputVerdict> = {}): InputVerdict => ({ namespace: NAMESPACE, input: input.id, hash: input.hash, answers: SIX, by: 'user:ada', names: ['user:ada'], at: Date.now(), ...over });
const answer = (input: InputRow, over: Partial<InputVerdict> = {}): ReturnType<typeof answerInput> => answerInput(world.fixture.db, verdict(input, over));

describe('a tool that asks', () => {
  test('lets the run wait for a person, shows the form, and has done nothing', async () => {
    const { run, input } = await asks();
    expect(input).toMatchObject({ state: 'Pending', round: 1, tool: 'box/book', answerers: [] });
    expect(questionsOf(input)).toEqual([{ key: 'seats', message: 'For how many?', schema: expect.objectContaining({ type: 'object', required: ['seats'] }) }]);
    expect(input.expiresAt - input.createdAt).toBe(86_400_000);
    expect(await world.row(run)).toMatchObject({ awaited: 1 });
    expect(await waitingPhase(world.fixture.db, run.id)).toBe('WaitingInput');
    expect(await gateway.ask(run, 's1c1')).toEqual(WAITING);
    expect(world.servers.hits()).toMatchObject({ calls: { book: 1 }, effects: {} });
    expect(await world.kinds(run)).toEqual(['ToolRequested', 'ToolDispatched', 'InputRequested']);
    expect(foldAgentRun(await world.journal(run)).pending).toMatchObject([{ callId: 's1c1', state: 'WaitingInput' }]);
  });

  test.each([['today', 'box'], ['three replicas, each round at another one', 'three']])('goes on with the answer and its own state, at another gateway: %s', async (_what, server) => {
    const { run, input } = await asks(server);
    expect(await answer(input)).toMatchObject({ ok: true, wake: { agentRun: run.id, node: 'ask', ready: true } });
    expect(await world.row(run)).toMatchObject({ awaited: 0 });
    expect(textOf(await world.gateway().ask(run, 's1c1'))).toBe('booked Luigi for 6, booking 1');
    expect(world.servers.hits().effects).toEqual({ book: 1 });
    expect(await world.kinds(run)).toEqual(['ToolRequested', 'ToolDispatched', 'InputRequested', 'InputAnswered', 'ToolDispatched', 'ToolCompleted']);
    expect(foldAgentRun(await world.journal(run)).pending).toEqual([]);
  });

  test.each([['decline'], ['cancel']] as const)('hears %s as the protocol has it', async (action) => {
    const { run, input } = await asks();
    expect(await answer(input, { answers: { seats: { action } } })).toMatchObject({ ok: true });
    expect(textOf(await gateway.ask(run, 's1c1'))).toBe(`nothing was booked at Luigi: ${action}`);
    expect(world.servers.hits().effects).toEqual({});
  });

  test('hears cancel when nobody answers in time', async () => {
    const { run, input } = await asks();
    await world.sql("UPDATE agent_input SET expires_at = now() - interval '1 second' WHERE id = $1", [input.id]);
    expect(await answer(input)).toMatchObject({ ok: false, code: 'Expired' });
    await gateway.half.sweep();
    expect(await inputOf(run)).toMatchObject({ state: 'Expired', decidedBy: 'rambo' });
    expect(gateway.commands).toContainEqual(expect.objectContaining({ verb: 'wake', runId: run.runId }));
    expect(await answer(input)).toMatchObject({ ok: false, code: 'Expired' });
    expect(textOf(await gateway.ask(run, 's1c1'))).toBe('nothing was booked at Luigi: cancel');
  });

  test('may ask again, and every round is answered by itself', async () => {
    const { run, input } = await asks('box', { rounds: 2 });
    await answer(input, { answers: { seats: { action: 'accept', content: { seats: 2 } } } });
    expect(await gateway.ask(run, 's1c1')).toEqual(WAITING);
    const second = await inputOf(run);
    expect(second).toMatchObject({ round: 2, state: 'Pending' });
    expect(second.hash).not.toBe(input.hash);
    expect(await answer(second, { hash: input.hash })).toMatchObject({ ok: false, code: 'HashMismatch' });
    await answer(second);
    expect(textOf(await gateway.ask(run, 's1c1'))).toBe('booked Luigi for 6, booking 1');
  });

  test('asks at most so often in one call', async () => {
    const { run, input } = await asks('box', { rounds: 100 });
    let at = input;
    for (let round = 1; round < 8; round += 1) {
      await answer(at);
      expect(await gateway.ask(run, 's1c1')).toEqual(WAITING);
      at = await inputOf(run);
    }
    await answer(at);
    expect(textOf(await gateway.ask(run, 's1c1'))).toMatch(/it asked 8 times in one call/);
  });

  test('that only wants to be asked again later asks nobody, and not for ever', async () => {
    const run = await world.begin(agentOf('read'), [['read__book', { place: 'Luigi', odd: 'stateOnly', rounds: 100 }]]);
    expect(textOf(await gateway.ask(run, 's1c1'))).toMatch(/it asked 8 times in one call/);
    expect((await world.kinds(run)).filter((kind) => kind === 'ToolDispatched')).toHaveLength(9);
  });

  test('serves nobody else with what one person said', async () => {
    const { run, input } = await asks('read');
    await answer(input);
    expect(textOf(await gateway.ask(run, 's1c1'))).toMatch(/^booked Luigi for 6/);
    await asks('read');
  });

  test('of 2025, which waits with the connection open, is told that nobody is there', async () => {
    const run = await world.begin(agentOf('old'), [['old__book', { place: 'Luigi' }]]);
    expect(textOf(await gateway.ask(run, 's1c1'))).toBe('nothing was booked at Luigi: cancel');
  });
});

test.each([
  ['a state beyond the bound', 'hugeState', /its state has 100000 bytes/],
  ['a form that is not flat', 'nested', /is not flat: a/],
  ['a pattern that backtracks', 'pattern', /is broken/],
  ['more questions than anybody answers', 'many', /40 questions at once/],
])('%s is an error for the model, and nobody is asked', async (_what, odd, message) => {
  const run = await world.begin(agentOf('box'), [['box__book', { place: 'Luigi', odd }]]);
  expect(textOf(await gateway.ask(run, 's1c1'))).toMatch(message);
  expect((await listInputs(world.fixture.db, { namespace: NAMESPACE, agentRun: run.id, first: 10 })).rows).toEqual([]);
  expect(await world.row(run)).toMatchObject({ awaited: 0 });
});

test('markup and invisible characters of a question reach nobody', async () => {
  const { input } = await asks('box', { odd: 'markup' });
  expect(questionsOf(input)).toMatchObject([{ message: 'For how many?' }]);
});

describe('an answer', () => {
  test('of another namespace, to something else, by somebody else, or twice is refused', async () => {
    const { run, input } = await asks();
    await world.sql("UPDATE agent_input SET answerers = '{team-leads}' WHERE id = $1", [input.id]);
    expect(await answer(input, { namespace: 'team-b' })).toMatchObject({ ok: false, code: 'NotFound' });
    expect(await answer(input, { input: randomUUID() })).toMatchObject({ ok: false, code: 'NotFound' });
    expect(await answer(input, { hash: 'f'.repeat(64) })).toMatchObject({ ok: false, code: 'HashMismatch' });
    expect(await answer(input)).toMatchObject({ ok: false, code: 'NotAnApprover' });
    expect(await answer(input, { names: ['user:ada', 'team-leads'] })).toMatchObject({ ok: true });
    expect(await answer(input, { names: ['team-leads'] })).toMatchObject({ ok: false, code: 'AlreadyDecided', decided: { state: 'Answered', by: 'user:ada' } });
    expect(await world.kinds(run)).toEqual(['ToolRequested', 'ToolDispatched', 'InputRequested', 'InputAnswered']);
  });

  test('of ten at once counts once', async () => {
    const { run, input } = await asks();
    const all = await Promise.all(Array.from({ length: 10 }, (_, i) => answer(input, { by: `user:${i}`, answers: { seats: { action: 'accept', content: { seats: 1 + (i % 8) } } } })));
    expect(all.filter(({ ok }) => ok)).toHaveLength(1);
    expect(await world.row(run)).toMatchObject({ awaited: 0 });
    expect((await world.kinds(run)).filter((kind) => kind === 'InputAnswered')).toHaveLength(1);
  });

  test('after the end of the run is refused, and what was asked is void', async () => {
    const { run, input } = await asks();
    await appendToAgentRun(world.fixture.db, run.id, Date.now(), async () => ({ events: [{ kind: 'RunCompleted', payload: { phase: 'Cancelled' } }], set: { phase: 'Cancelled' }, result: undefined }));
    expect(await answer(input)).toMatchObject({ ok: false, code: 'RunEnded' });
    await gateway.half.sweep();
    expect(await inputOf(run)).toMatchObject({ state: 'Voided' });
    expect(await answer(input)).toMatchObject({ ok: false, code: 'AlreadyDecided' });
  });

  test.each<[string, InputAnswers]>([
    ['that breaks the form', { seats: { action: 'accept', content: { seats: 9 } } }],
    ['with a field nobody asked for', { seats: { action: 'accept', content: { seats: 3, admin: true } } }],
    ['without content', { seats: { action: 'accept' } }],
    ['to another question', { seats: SIX['seats'] ?? { action: 'cancel' }, more: { action: 'accept', content: {} } }],
  ])('%s never leaves, although it was stored', async (_what, answers) => {
    const { run, input } = await asks();
    expect(await answer(input, { answers })).toMatchObject({ ok: true });
    expect(textOf(await gateway.ask(run, 's1c1'))).toMatch(/^The call was not made: what was answered does not fit: answers\./);
    expect(world.servers.hits()).toMatchObject({ calls: { book: 1 }, effects: {} });
  });

  test('to questions that were changed since never leaves', async () => {
    const { run, input } = await asks();
    await answer(input);
    await world.sql("UPDATE agent_input SET questions = convert_to(replace(convert_from(questions, 'UTF8'), 'For how many?', 'Fine?'), 'UTF8') WHERE id = $1", [input.id]);
    expect(textOf(await gateway.ask(run, 's1c1'))).toMatch(/what was answered is not what its tool asked/);
    expect(world.servers.hits().effects).toEqual({});
  });

  test('is given by those who may decide about the call, after their approval, which still holds', async () => {
    const run = await world.begin(agentOf('box', { policy: [{ match: 'true', decision: 'RequireApproval', approvers: ['user:boss'] }] }), [['box__book', { place: 'Luigi' }]]);
    expect(await gateway.ask(run, 's1c1')).toMatchObject({ body: { why: 'approval' } });
    const { rows: [approval] } = await listApprovals(world.fixture.db, { namespace: NAMESPACE, agentRun: run.id, first: 1 });
    expect(await decideApproval(world.fixture.db, { namespace: NAMESPACE, approval: approval?.id ?? '', hash: approval?.hash ?? '', decision: 'Approve', by: 'user:boss', names: ['user:boss'], at: Date.now() })).toMatchObject({ ok: true });
    expect(await gateway.ask(run, 's1c1')).toEqual(WAITING);
    const input = await inputOf(run);
    expect(await answer(input)).toMatchObject({ ok: false, code: 'NotAnApprover' });
    expect(await answer(input, { by: 'user:boss', names: ['user:boss'] })).toMatchObject({ ok: true });
    expect(textOf(await gateway.ask(run, 's1c1'))).toBe('booked Luigi for 6, booking 1');
  });
});

describe('a gateway that is gone', () => {
  const abandon = (run: Begun): Promise<unknown> => world.sql("UPDATE agent_call SET state = 'Dispatched', holder = 'gw-gone', holder_until = now() - interval '1 second' WHERE agent_run = $1", [run.id]);

  test('after the answer was sent: at most once is in doubt, the keyed one goes on with the same answer and the same key', async () => {
    const { run, input } = await asks();
    await answer(input);
    await abandon(run);
    expect(await gateway.ask(run, 's1c1')).toEqual({ status: 200, body: { status: 'waiting', why: 'inDoubt' } });
    expect(world.servers.hits().effects).toEqual({});

    const keyed = await asks('keyed');
    await answer(keyed.input);
    world.servers.set({ breakAfterCommit: 1 });
    expect(textOf(await gateway.ask(keyed.run, 's1c1'))).toBe('booked Luigi for 6, booking 1');
    expect(world.servers.hits().effects).toEqual({ book: 1 });
    const again = await asks('keyed');
    await answer(again.input);
    await abandon(again.run);
    expect(textOf(await world.gateway().ask(again.run, 's1c1'))).toBe('booked Luigi for 6, booking 2');
    expect(new Set(world.servers.hits().seenKeys).size).toBe(2);
  });

  test('before what was asked is written: a tool that may be called again asks again, and the late one asks nobody', async () => {
    const run = await world.begin(agentOf('keyed'), [['keyed__book', { place: 'Luigi' }]]);
    const slow = world.gateway({ holder: 'gw-slow' });
    expect(await slow.ask(run, 's1c1')).toEqual(WAITING);
    await world.sql('DELETE FROM agent_input WHERE agent_run = $1', [run.id]);
    await abandon(run);
    expect(await world.gateway().ask(run, 's1c1')).toEqual(WAITING);
    await answer(await inputOf(run));
    expect(textOf(await gateway.ask(run, 's1c1'))).toBe('booked Luigi for 6, booking 1');
  });
});
