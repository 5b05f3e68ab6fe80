import { randomUUID } from 'node:crypto';
import { appendToAgentRun, raiseBudget } from '../../../prisma/store/index.ts';
import { AgentSite, NS, type RunningGateway } from './site.ts';

let site: AgentSite;
let gateway: RunningGateway;
beforeAll(async () => {
  site = await AgentSite.start();
  await site.addModel('main', { pricing: { input: 2, output: 10, cachedInput: 0.5, version: 'v7' }, fallback: [{ name: 'cheap' }] });
  await site.addModel('cheap', { pricing: { input: 0.1, output: 0.2 } });
  await site.addModel('free');
  gateway = await site.gateway();
});
afterAll(() => site.stop());
beforeEach(() => { site.model.reset(); site.told.length = 0; site.counted.length = 0; });

const FREE = { modelRef: { name: 'free' } };
const parameters = { maxOutputTokens: 100 };

test('money: to the nano-USD, cached input apart, with the version of the price', async () => {
  const agent = await site.agent(gateway, [{ text: 'x', usage: { input: 1_000, output: 101, cached: 300, reasoning: 50 } }]);
  await agent.open();
  await agent.ask(1);
  // 700 fresh at 2 USD, 300 cached at 0.5, 101 at 10, per million: 1,400,000 + 150,000 + 1,010,000 nano-USD.
  expect((await site.journal(agent.agentRun)).at(-1)).toMatchObject({ kind: 'ModelCompleted', payload: { nano: '2560000', priceVersion: 'v7', estimated: false } });
  expect(await site.row(agent.agentRun)).toMatchObject({ costNano: 2_560_000n });
  expect(await site.account(`agentrun:${agent.agentRun}`)).toMatchObject({ spent: { tokens: 1_101, nano: 2_560_000n }, reserved: { tokens: 0, nano: 0n } });
});

test('fifty calls at once against one limit never pass it, over two gateways', async () => {
  const other = await site.gateway();
  const rootRun = randomUUID();
  await site.sql("INSERT INTO budget_limit (namespace, level, name, tokens, nano, updated_by, updated_at) VALUES ($1, 'Run', '', 6000, NULL, 'test', now())", [NS]);
  const agents = await Promise.all(Array.from({ length: 50 }, (_, i) =>
    site.agent(i % 2 === 0 ? gateway : other, [{ text: 'x', delayMs: 20, usage: { input: 50, output: 100 } }], { node: `n${i}`, run: rootRun, spec: { ...FREE, parameters } })));
  for (const agent of agents) await agent.open();
  const replies = await Promise.all(agents.map((agent) => agent.insist(1)));
  await site.sql('DELETE FROM budget_limit');
  const account = await site.account(`run:${rootRun}`);
  const answered = replies.filter(({ status }) => status === 200).length;
  expect(account.spent.tokens).toBe(answered * 150);
  expect(account.spent.tokens).toBeLessThanOrEqual(6_000);
  expect(account.reserved.tokens).toBe(0);
  expect(answered).toBeGreaterThan(10);
  expect(new Set(replies.filter(({ status }) => status !== 200).map(({ status, body }) => `${status} ${body.ended?.phase} ${body.ended?.reason}`))).toEqual(new Set(['409 BudgetExhausted BudgetExceeded']));
});

test('Stop: the run ends with what it had, and the account never passed its limit', async () => {
  const agent = await site.agent(gateway, [{ text: 'half an answer', tools: [{ name: 'x' }], usage: { input: 300, output: 60 }, repeat: true }], { spec: { ...FREE, parameters, budget: { tokens: 500 } } });
  await agent.open();
  expect(await agent.ask(1)).toMatchObject({ status: 200 });
  await complete(agent.agentRun, 's1c0');
  const stopped = await agent.ask(2);
  expect(stopped).toMatchObject({ status: 409, body: { error: { code: 'Ended' }, ended: { phase: 'BudgetExhausted', reason: 'BudgetExceeded' } } });
  const events = await site.journal(agent.agentRun);
  expect(events.slice(-2)).toMatchObject([{ kind: 'BudgetExceeded', payload: { action: 'Stop', level: 'AgentRun' } }, { kind: 'RunCompleted', payload: { phase: 'BudgetExhausted', output: 'half an answer' } }]);
  expect((await site.account(`agentrun:${agent.agentRun}`)).spent.tokens).toBe(360);
  expect(site.counted).toContain('exceeded Stop');
});

test('a warning at four fifths, once', async () => {
  const agent = await site.agent(gateway, [{ text: 'x', usage: { input: 850, output: 10 } }], { spec: { ...FREE, parameters, budget: { tokens: 1_000 } } });
  await agent.open();
  await agent.ask(1);
  const warned = (await site.journal(agent.agentRun)).filter(({ kind }) => kind === 'BudgetWarning');
  expect(warned).toMatchObject([{ payload: { account: `agentrun:${agent.agentRun}`, level: 'AgentRun', used: { tokens: 860 }, limit: { tokens: 1_000 } } }]);
});

test('less is left than is wanted: the answer is bounded by it', async () => {
  const agent = await site.agent(gateway, [{ text: 'x', usage: { input: 10, output: 10 } }], { spec: { ...FREE, parameters: { maxOutputTokens: 4_000 }, budget: { tokens: 600 } } });
  await agent.open();
  expect(await agent.ask(1)).toMatchObject({ status: 200 });
  const most = Number(site.model.calls()[0]?.body['max_tokens']);
  expect(most).toBeGreaterThanOrEqual(64);
  expect(most).toBeLessThan(600);
});

test('Pause: waits, is raised, goes on', async () => {
  const agent = await site.agent(gateway, [{ text: 'at last', usage: { input: 300, output: 60 } }], { spec: { ...FREE, parameters, budget: { tokens: 60, onExceeded: 'Pause' } } });
  await agent.open();
  expect(await agent.ask(1)).toMatchObject({ status: 409, body: { error: { code: 'Waiting' }, why: 'input' } });
  expect(await site.row(agent.agentRun)).toMatchObject({ phase: 'WaitingInput', reason: 'BudgetPaused', awaited: 1 });
  // Asked again it waits as before, counted once.
  expect(await agent.ask(1)).toMatchObject({ status: 409, body: { error: { code: 'Waiting' } } });
  expect(await site.row(agent.agentRun)).toMatchObject({ awaited: 1 });
  await agent.post('/v1/agent/parked', {});
  expect(await site.row(agent.agentRun)).toMatchObject({ parked: true });
  expect(site.told.filter(({ subject }) => subject.startsWith('rambo.cmd.'))).toEqual([]);
  const raised = await raiseBudget(site.db, { namespace: NS, account: `agentrun:${agent.agentRun}`, limit: { tokens: 5_000, nano: null }, by: 'alice', at: Date.now() });
  expect(raised).toMatchObject({ ok: true, wakes: [{ agentRun: agent.agentRun, ready: true }] });
  const next = await agent.next();
  expect(await next.open()).toMatchObject({ status: 200, body: { state: { phase: 'Running', step: 0 } } });
  expect(await next.ask(1)).toMatchObject({ status: 200 });
  expect(await site.kinds(agent.agentRun)).toEqual(['RunStarted', 'BudgetExceeded', 'Parked', 'BudgetRaised', 'Woken', 'ModelRequested', 'ModelCompleted']);
  expect(await site.row(agent.agentRun)).toMatchObject({ phase: 'Running', reason: null, awaited: 0 });
});

test('Degrade: the cheaper model answers while it is paid for', async () => {
  const agent = await site.agent(gateway, [{ text: 'x', usage: { input: 100, output: 20 } }], { spec: { parameters: { maxOutputTokens: 1_000 }, budget: { usd: 0.002, onExceeded: 'Degrade' } } });
  await agent.open();
  expect(await agent.ask(1)).toMatchObject({ status: 200 });
  expect(site.model.calls().map(({ model }) => model)).toEqual(['cheap']);
  expect(await site.journal(agent.agentRun)).toMatchObject([{}, { kind: 'BudgetExceeded', payload: { action: 'Degrade' } }, { kind: 'ModelRequested', payload: { model: 'cheap' } }, { kind: 'ModelCompleted' }]);
});

test.each<[string, object, string, number]>([
  ['maxSteps', { limits: { maxSteps: 3, repeatWindow: 100 } }, 'StepLimit', 4],
  ['the repeat window', { limits: { repeatWindow: 4 } }, 'RepeatedCall', 4],
  ['its budget', { budget: { tokens: 1_000 }, limits: { repeatWindow: 100 } }, 'BudgetExceeded', 4],
  ['its time', { limits: { timeout: '1ms' } }, 'DeadlineExceeded', 1],
])('a model that never stops is stopped by %s', async (_, spec, reason, atMost) => {
  const agent = await site.agent(gateway, [{ tools: [{ name: 'look', arguments: { at: 1 } }], usage: { input: 300, output: 10 }, repeat: true }], { spec: { ...FREE, parameters, ...spec } });
  await agent.open();
  let step = 1;
  for (; step <= 10; step++) {
    const reply = await agent.ask(step);
    if (reply.status !== 200) break;
    if ((await site.row(agent.agentRun)).finishedAt === null) await complete(agent.agentRun, `s${step}c0`);
  }
  expect(step).toBeLessThanOrEqual(atMost + 1);
  expect(await site.row(agent.agentRun)).toMatchObject({ reason, phase: reason === 'BudgetExceeded' ? 'BudgetExhausted' : 'Failed' });
});

test('a gateway that dies between the reservation and the answer: another charges the lost call and asks again', async () => {
  const doomed = await site.gateway();
  const agent = await site.agent(doomed, [{ text: 'finally', usage: { input: 40, output: 4 }, fail: { kind: 'hang', times: 1 } }], { spec: FREE });
  await agent.open();
  const asked = agent.ask(1).catch(() => undefined);
  await site.until('the call', async () => site.model.calls().length === 1);
  await doomed.kill();
  await asked;
  const reserved = (await site.account(`agentrun:${agent.agentRun}`)).reserved.tokens;
  expect(reserved).toBeGreaterThan(0);
  // Another attempt, at the gateway that lives: it waits for the lease, then goes on.
  await site.sql("UPDATE agent_reservation SET holder_until = now() + interval '300 ms'");
  const next = await site.attempt(gateway, agent.given, { run: agent.run, attempt: 2 });
  await next.open();
  const reply = await next.ask(1);
  expect(reply).toMatchObject({ status: 200, body: { choices: [{ message: { content: 'finally' } }] } });
  expect(await site.kinds(agent.agentRun)).toEqual(['RunStarted', 'ModelRequested', 'ModelFailed', 'ModelRequested', 'ModelCompleted']);
  expect(await site.account(`agentrun:${agent.agentRun}`)).toMatchObject({ spent: { tokens: reserved + 44 }, reserved: { tokens: 0 } });
  expect(await site.row(agent.agentRun)).toMatchObject({ usageUnknown: true });
});

test('the sweep settles what nobody asks for again, ends what is overdue or abandoned, and wakes who waits', async () => {
  const doomed = await site.gateway();
  const orphan = await site.agent(doomed, [{ text: 'x', fail: { kind: 'hang' } }], { spec: FREE });
  await orphan.open();
  void orphan.ask(1).catch(() => undefined);
  await site.until('the call', async () => site.model.calls().length === 1);
  await doomed.kill();
  await site.sql("UPDATE agent_reservation SET holder_until = now() - interval '1 second'");
  const late = await site.agent(gateway, [{ text: 'x' }], { spec: { ...FREE, limits: { timeout: '1ms' } } });
  await late.open();
  const left = await site.agent(gateway, [{ text: 'x' }], { spec: FREE });
  await left.open();
  await site.sql("UPDATE run SET phase = 'Cancelled', finished_at = now() - interval '1 minute' WHERE id = $1", [left.run]);
  await gateway.server.sweeper.sweep();
  expect(await site.kinds(orphan.agentRun)).toEqual(['RunStarted', 'ModelRequested', 'ModelFailed']);
  expect((await site.account(`agentrun:${orphan.agentRun}`)).reserved.tokens).toBe(0);
  expect(await site.row(late.agentRun)).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' });
  expect(await site.row(left.agentRun)).toMatchObject({ phase: 'Cancelled', reason: 'RunEnded' });
  // The node of the first still waits: it is woken, until its next attempt has heard.
  await site.sql("UPDATE node_run SET status = 'Waiting' WHERE run_id = $1", [late.run]);
  await site.sql("UPDATE agent_run SET updated_at = now() - interval '10 seconds', finished_at = now() - interval '10 seconds' WHERE id = $1", [late.agentRun]);
  site.told.length = 0;
  await gateway.server.sweeper.sweep();
  expect(site.told.filter(({ body }) => body['verb'] === 'wake')).toMatchObject([{ body: { runId: late.run, node: 'ask', item: -1 } }]);
  expect(await (await late.next()).open()).toMatchObject({ body: { ended: { reason: 'DeadlineExceeded' } } });
  await site.sql("UPDATE agent_run SET updated_at = now() - interval '10 seconds', finished_at = now() - interval '10 seconds' WHERE id = $1", [late.agentRun]);
  site.told.length = 0;
  await gateway.server.sweeper.sweep();
  expect(site.told.filter(({ body }) => body['verb'] === 'wake')).toEqual([]);
  // A node that waits for one that may go on, whether anybody said that it is parked or not.
  for (const parked of [false, true]) {
    const silent = await site.agent(gateway, [{ text: 'x' }], { spec: FREE });
    await silent.open();
    await site.sql("UPDATE node_run SET status = 'Waiting' WHERE run_id = $1", [silent.run]);
    await site.sql("UPDATE agent_run SET updated_at = now() - interval '10 seconds', parked = $2 WHERE id = $1", [silent.agentRun, parked]);
    site.told.length = 0;
    await gateway.server.sweeper.sweep();
    expect(site.told.filter(({ body }) => body['verb'] === 'wake').map(({ body }) => body['runId'])).toContain(silent.run);
    await site.sql("UPDATE node_run SET status = 'Running' WHERE run_id = $1", [silent.run]);
  }
});

test('two gateways asked for the same step ask the model once', async () => {
  const other = await site.gateway();
  const agent = await site.agent(gateway, [{ text: 'once', delayMs: 150 }], { spec: FREE });
  await agent.open();
  const twin = await site.attempt(other, agent.given, { run: agent.run });
  const replies = await Promise.all([agent.ask(1), twin.ask(1), twin.ask(1, { stream: true })]);
  expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(replies[1]?.body.choices[0].message.content).toBe('once');
  expect(site.model.calls()).toHaveLength(1);
});

/** The result of a tool call, as the tools' half journals it. */
async function complete(agentRun: string, callId: string): Promise<void> {
  await appendToAgentRun(site.db, agentRun, Date.now(), async (run) => ({
    events: run.finishedAt === null ? [{ kind: 'ToolCompleted', payload: { step: run.step, callId, tool: 'x', text: 'done', isError: false, bytes: 4, truncated: false, ms: 1 } }] : [], result: undefined,
  }));
}
