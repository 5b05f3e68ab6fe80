import { randomUUID } from 'node:crypto';
import { agentRunId, type NewAgentEvent } from '../../../crds/agent-run.ts';
import { foldAgentRun } from '../../../crds/agent-fold.ts';
import {
  agentEvents, agentJournal, appendToAgentRun, continueAgentRun, createAgentRun, findReservation, getAgentRun, getRevision, openConversation, orphanedReservations, raiseAccount, readAccounts, renewReservations,
  reserve, settle, type AgentRunCreate, type BudgetAccountCreate, type ReservationRow,
} from '../../../prisma/store/index.ts';
import { type Fixture, openFixture } from './fixture.ts';

let fixture: Fixture;
beforeAll(async () => { fixture = await openFixture(); });
afterAll(async () => { await fixture.close(); });

const AT = 1_800_000_000_000;

function creation(over: Partial<AgentRunCreate['facts']> = {}, accounts: readonly BudgetAccountCreate[] = []): AgentRunCreate {
  const runId = randomUUID();
  const facts = {
    id: agentRunId(runId, 'ask', -1), runId, node: 'ask', item: -1, namespace: 'default', agent: 'helper', revision: 'r1', rootRun: runId, parent: null, depth: 0, conversationId: null, turn: 0,
    principal: 'p', accounts: accounts.map(({ key }) => key), deadline: null, createdAt: AT, ...over,
  };
  const events: readonly NewAgentEvent[] = [{ kind: 'RunStarted', payload: { revision: 'r1', input: { q: 'a\0b' }, instructions: 'Be kind.', history: [] } }];
  return { facts, revisionSpec: Buffer.from('{"model":"m"}'), accounts, events };
}

const opening = { epoch: 1, runner: 'pod-a', at: AT };

function request(run: string, accounts: readonly string[], tokens: number, nano: bigint, step = 1): ReservationRow {
  return { id: randomUUID(), agentRun: run, step, purpose: 'step', model: 'm', amount: { tokens, nano }, accounts, holder: 'gw', holderUntil: AT + 6_000, createdAt: AT };
}

test('an agent run is made once, with its revision and first event; a later attempt goes on and fences the one before', async () => {
  const create = creation();
  expect(await createAgentRun(fixture.db, create, opening)).toMatchObject({ status: 'Created', run: { phase: 'Running', seq: 1, epoch: 1 } });
  expect(await createAgentRun(fixture.db, create, opening)).toMatchObject({ status: 'Continued', run: { seq: 1 } });
  expect(await continueAgentRun(fixture.db, create.facts.id, { epoch: 2, runner: 'pod-b', at: AT + 1 })).toMatchObject({ status: 'Continued', run: { epoch: 2, runner: 'pod-b', seq: 1 } });
  expect(await continueAgentRun(fixture.db, create.facts.id, opening)).toMatchObject({ status: 'Fenced', run: { epoch: 2 } });
  expect(await continueAgentRun(fixture.db, randomUUID(), opening)).toBeUndefined();
  expect(Buffer.from(await getRevision(fixture.db, 'r1') ?? []).toString()).toBe('{"model":"m"}');
  expect(foldAgentRun(await agentJournal(fixture.db, create.facts.id))).toMatchObject({ phase: 'Running', messages: [{ role: 'system', text: 'Be kind.' }, { role: 'user', text: '{"q":"a\\u0000b"}' }] });
});

test('appends of many at once get numbers without a hole, and a decision that throws leaves nothing', async () => {
  const { facts: { id } } = await made();
  await Promise.all(Array.from({ length: 20 }, (_, i) => appendToAgentRun(fixture.db, id, AT + i, async (run) => ({
    events: [{ kind: 'Parked', payload: { why: String(i) } }, { kind: 'Woken', payload: { why: String(i) } }], set: { toolCalls: run.toolCalls + 1 }, result: undefined,
  }))));
  await expect(appendToAgentRun(fixture.db, id, AT, async (_, tx) => {
    await tx.query({ name: 'test-bump', text: 'UPDATE agent_run SET tool_calls = 99 WHERE id = $1::uuid' }, [id]);
    throw new Error('no');
  })).rejects.toThrow('no');
  const events = await agentEvents(fixture.db, id, 0, 1_000);
  expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: 41 }, (_, i) => i + 1));
  expect(await getAgentRun(fixture.db, id)).toMatchObject({ toolCalls: 20, seq: 41, finishedAt: null });
});

test('the end is kept once and stays', async () => {
  const { facts: { id } } = await made();
  await appendToAgentRun(fixture.db, id, AT + 5, async () => ({
    events: [{ kind: 'RunCompleted', payload: { phase: 'Succeeded', output: { a: 1 } } }], set: { phase: 'Succeeded', output: Buffer.from('{"a":1}'), costNano: 12_345_678_901_234_567_890n % (2n ** 62n) }, result: undefined,
  }));
  expect(await getAgentRun(fixture.db, id)).toMatchObject({ phase: 'Succeeded', finishedAt: AT + 5, costNano: 12_345_678_901_234_567_890n % (2n ** 62n) });
  expect(await continueAgentRun(fixture.db, id, { epoch: 3, runner: 'x', at: AT + 9 })).toMatchObject({ status: 'Continued', run: { phase: 'Succeeded', epoch: 1 } });
});

test('fifty calls at once never reserve over a limit, on any level', async () => {
  const tight = account('ns:race', 'NamespaceDay', 1_000, null);
  const wide = account('run:race', 'Run', null, 10n ** 12n);
  const { facts: { id } } = await made([tight, wide]);
  const all = await Promise.all(Array.from({ length: 50 }, (_, i) => fixture.db.transaction((tx) => reserve(tx, request(id, [tight.key, wide.key], 70, 5n, i + 1)))));
  expect(all.filter(({ ok }) => ok)).toHaveLength(14);
  expect(all.find(({ ok }) => !ok)).toMatchObject({ account: { key: 'ns:race' } });
  expect(await readAccounts(fixture.db, [tight.key, wide.key])).toMatchObject([{ reserved: { tokens: 980, nano: 70n } }, { reserved: { tokens: 980, nano: 70n } }]);
});

test('a reservation is settled once, with what was used or at its estimate', async () => {
  const only = account('agentrun:settle', 'AgentRun', 100, null);
  const { facts: { id } } = await made([only]);
  const first = request(id, [only.key], 60, 6n);
  expect(await fixture.db.transaction((tx) => reserve(tx, first))).toMatchObject({ ok: true });
  expect(await findReservation(fixture.db, id, 1, 'step')).toEqual(first);
  expect(await fixture.db.transaction((tx) => settle(tx, first.id, { tokens: 10, nano: 1n }))).toBe(true);
  expect(await fixture.db.transaction((tx) => settle(tx, first.id, { tokens: 10, nano: 1n }))).toBe(false);
  const second = request(id, [only.key], 60, 6n, 2);
  await fixture.db.transaction((tx) => reserve(tx, second));
  expect(await renewReservations(fixture.db, [second.id], 'somebody else', AT + 60_000)).toEqual([]);
  expect(await orphanedReservations(fixture.db, AT + 7_000, 100)).toContainEqual(second);
  expect(await renewReservations(fixture.db, [second.id], 'gw', AT + 60_000)).toEqual([second.id]);
  expect(await orphanedReservations(fixture.db, AT + 7_000, 100)).not.toContainEqual(expect.objectContaining({ id: second.id }));
  await fixture.db.transaction((tx) => settle(tx, second.id, 'estimate'));
  expect(await readAccounts(fixture.db, [only.key])).toMatchObject([{ reserved: { tokens: 0, nano: 0n }, spent: { tokens: 70, nano: 7n } }]);
  expect(await raiseAccount(fixture.db, only.key, { tokens: 500, nano: null })).toMatchObject({ limit: { tokens: 500, nano: null } });
});

test('a conversation has one turn at a time, each counted once, and none that was read before another', async () => {
  const conversationId = randomUUID();
  const conversation = { id: conversationId, namespace: 'default', agent: 'a', principal: 'p', title: 't' };
  const turns = async (): Promise<number> => (await openConversation(fixture.db, conversation, Date.now())).turns;
  expect(await turns()).toBe(0);
  const first = creation({ conversationId, turn: 1 });
  await createAgentRun(fixture.db, first, opening);
  expect(await createAgentRun(fixture.db, creation({ conversationId, turn: 2 }), opening)).toEqual({ status: 'Busy', other: first.facts.id });
  expect(await turns()).toBe(1);
  await appendToAgentRun(fixture.db, first.facts.id, Date.now(), async () => ({ events: [], set: { phase: 'Succeeded' }, result: undefined }));
  await expect(createAgentRun(fixture.db, creation({ conversationId, turn: 1 }), opening)).rejects.toMatchObject({ code: 'Unavailable' });
  expect(await createAgentRun(fixture.db, creation({ conversationId, turn: 2 }), opening)).toMatchObject({ status: 'Created' });
  expect(await turns()).toBe(2);
});

function account(key: string, level: BudgetAccountCreate['level'], tokens: number | null, nano: bigint | null): BudgetAccountCreate {
  return { key, namespace: 'default', level, limit: { tokens, nano } };
}

async function made(accounts: readonly BudgetAccountCreate[] = []): Promise<AgentRunCreate> {
  const create = creation({}, accounts);
  await createAgentRun(fixture.db, create, opening);
  return create;
}
