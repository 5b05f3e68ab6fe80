import {
  agentAccountsSince, agentKeys, agentsByName, agentUsageOpen, agentUsageSettled, deleteAgent, deleteModel, deleteToolServer, getAgent, getModel, getToolServer, listAgents, listModels, listToolServers, modelsByName,
  toolServersByName, upsertAgent, upsertModel, upsertToolServer, type AgentRow, type ModelRow, type ToolServerRow,
} from '../../../prisma/store/index.ts';
import { type Fixture, openFixture } from './fixture.ts';

let fixture: Fixture;
beforeAll(async () => { fixture = await openFixture(); });
afterAll(async () => { await fixture.close(); });
beforeEach(async () => { await fixture.db.query({ name: 'empty', text: 'TRUNCATE agent, language_model, tool_server, budget_account, agent_run CASCADE' }, []); });

const AT = 1_700_000_000_000;

function common(name: string): Omit<AgentRow, 'desiredRevision' | 'stableRevision'> {
  return { namespace: 'default', name, uid: `uid-${name}`, generation: 2, resourceVersion: '7', spec: Buffer.from('{"a":1}'), labels: Buffer.from('{"l":"v"}'), phase: 'NotReady', reason: 'ModelNotFound', message: 'm', updatedAt: AT };
}

const agent = (name: string, over: Partial<AgentRow> = {}): AgentRow => ({ ...common(name), desiredRevision: null, stableRevision: 'r1', ...over });
const model = (name: string, over: Partial<ModelRow> = {}): ModelRow => ({ ...common(name), probedAt: AT + 1, ...over });
const server = (name: string, over: Partial<ToolServerRow> = {}): ToolServerRow => ({ ...common(name), tools: Buffer.from('{}'), discoveryHash: 'd', acceptedHash: null, discoveredAt: AT + 2, ...over });

test('what is written is what is read, of each kind', async () => {
  await upsertAgent(fixture.db, agent('a'));
  await upsertModel(fixture.db, model('m'));
  await upsertToolServer(fixture.db, server('s'));
  expect(await getAgent(fixture.db, 'default', 'a')).toEqual(agent('a'));
  expect(await getModel(fixture.db, 'default', 'm')).toEqual(model('m'));
  expect(await getToolServer(fixture.db, 'default', 's')).toEqual(server('s'));
  await upsertToolServer(fixture.db, server('s', { tools: null, discoveryHash: null, discoveredAt: null, phase: 'Ready' }));
  expect(await getToolServer(fixture.db, 'default', 's')).toMatchObject({ tools: null, discoveredAt: null, phase: 'Ready' });
});

test('an older generation of the same object changes nothing; another uid replaces; a deletion meant for another is ignored', async () => {
  await upsertAgent(fixture.db, agent('a', { generation: 5 }));
  await upsertAgent(fixture.db, agent('a', { generation: 4, stableRevision: 'old' }));
  expect(await getAgent(fixture.db, 'default', 'a')).toMatchObject({ generation: 5, stableRevision: 'r1' });
  await upsertAgent(fixture.db, agent('a', { uid: 'born-again', generation: 1, stableRevision: null }));
  expect(await getAgent(fixture.db, 'default', 'a')).toMatchObject({ uid: 'born-again', stableRevision: null });
  await deleteAgent(fixture.db, 'default', 'a', 'uid-a');
  expect((await agentKeys(fixture.db)).map(({ uid }) => uid)).toEqual(['born-again']);
  await deleteAgent(fixture.db, 'default', 'a', 'born-again');
  expect(await agentKeys(fixture.db)).toEqual([]);
});

test('lists go by namespace and name, page by page, and no other namespace gets in', async () => {
  for (const [namespace, name] of [['default', 'b'], ['default', 'a'], ['other', 'a'], ['hidden', 'a']] as const) {
    await upsertAgent(fixture.db, agent(name, { namespace }));
    await upsertModel(fixture.db, model(name, { namespace }));
    await upsertToolServer(fixture.db, server(name, { namespace }));
  }
  for (const list of [listAgents, listModels, listToolServers]) {
    const first = await list(fixture.db, ['default', 'other'], undefined, 2);
    expect([first.rows.map(({ name }) => name), first.hasMore]).toEqual([['a', 'b'], true]);
    const rest = await list(fixture.db, ['default', 'other'], { namespace: 'default', name: 'b' }, 2);
    expect([rest.rows.map(({ namespace }) => namespace), rest.hasMore]).toEqual([['other'], false]);
  }
  for (const some of [agentsByName, modelsByName, toolServersByName]) expect((await some(fixture.db, 'default', ['b', 'gone'])).map(({ namespace, name }) => `${namespace}/${name}`)).toEqual(['default/b']);
  await deleteModel(fixture.db, 'default', 'a', 'uid-a');
  await deleteToolServer(fixture.db, 'default', 'a', 'uid-a');
  expect([(await listModels(fixture.db, ['default'], undefined, 9)).rows.length, (await listToolServers(fixture.db, ['default'], undefined, 9)).rows.length]).toEqual([1, 1]);
});

test('usage: accounts booked on since, and the sums of the runs an agent began since', async () => {
  const account = (key: string, at: number): Promise<unknown> => fixture.db.query({ name: 'account', text: "INSERT INTO budget_account (key, namespace, level, updated_at) VALUES ($1::text, 'default', 'AgentDay', $2::timestamptz)" }, [key, new Date(at).toISOString()]);
  await account('agent:default/a:2026-11-26', AT);
  await account('agent:default/b:2026-11-26', AT - 10_000);
  expect(await agentAccountsSince(fixture.db, ['agent:default/a:2026-11-26', 'agent:default/b:2026-11-26', 'agent:default/c:2026-11-26'], AT - 5_000)).toEqual(['agent:default/a:2026-11-26']);
  const run = (n: number, name: string, at: number, ended: number | null = null): Promise<unknown> => fixture.db.query({
    name: 'run', text: `INSERT INTO agent_run (id, run_id, node, item, namespace, agent, revision, root_run, depth, principal, phase, epoch, input_tokens, output_tokens, model_calls, tool_calls, cost_nano, created_at, updated_at, finished_at)
    VALUES (('00000000-0000-4000-8000-00000000000' || $1::int4)::uuid, '00000000-0000-4000-8000-000000000000', 'n', $1::int4, 'default', $2::text, 'r', '00000000-0000-4000-8000-000000000000', 0, 'p', 'Running', 1, 10, 5, 2, 1, 9000000000000000000, $3::timestamptz, $3::timestamptz, $4::timestamptz)`,
  }, [n, name, new Date(at).toISOString(), ended === null ? null : new Date(ended).toISOString()]);
  await run(1, 'a', AT);
  await run(2, 'a', AT + 1);
  await run(3, 'a', AT - 1_000);
  await run(4, 'b', AT);
  const [none, one] = [{ runs: 0, input: 0, output: 0, modelCalls: 0, toolCalls: 0, nano: 0n }, { runs: 1, input: 10, output: 5, modelCalls: 2, toolCalls: 1, nano: 9_000_000_000_000_000_000n }];
  const two = { runs: 2, input: 20, output: 10, modelCalls: 4, toolCalls: 2, nano: 18_000_000_000_000_000_000n };
  expect([await agentUsageOpen(fixture.db, 'default', 'a', { since: AT, from: AT }), await agentUsageOpen(fixture.db, 'default', 'nobody', { since: AT, from: AT })]).toEqual([two, none]);
  // Each run is in one of the two, wherever they are told apart.
  await run(5, 'c', AT, AT + 10);
  await run(6, 'c', AT, AT + 20);
  await run(7, 'c', AT);
  await run(8, 'c', AT - 1, AT + 10);
  for (const [to, settled, rest] of [[AT + 9, 0, 3], [AT + 10, 1, 2], [AT + 20, 2, 1]] as const) {
    const [early, late] = [await agentUsageSettled(fixture.db, 'default', 'c', { since: AT, from: AT - 5, to }), await agentUsageOpen(fixture.db, 'default', 'c', { since: AT, from: to })];
    expect([early.runs, late.runs]).toEqual([settled, rest]);
  }
  expect(await agentUsageSettled(fixture.db, 'default', 'c', { since: AT, from: AT + 10, to: AT + 20 })).toEqual(one);
});
