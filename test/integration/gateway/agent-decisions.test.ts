import { Buffer } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { agentRunId } from '../../../crds/agent-run.ts';
import { putRevision } from '../../../prisma/store/index.ts';
import { append, ask, json, Notices, tenant, type Tenant } from './agents.ts';
import { type Entry, type Person, type Reply, Site } from './site.ts';

/** What people decide about agents, over REST with a real Postgres: forged, altered, doubled and foreign decisions among it. */

let site: Site;
let mine: Tenant;
let approval: string;
const HASH = 'a'.repeat(64);
const notices = new Notices();
beforeAll(async () => { site = await Site.start(() => ({ agentNotices: notices })); });
afterAll(() => site.stop());
beforeEach(async () => {
  mine = await tenant(site);
  approval = await ask(site, mine, 's1c0');
  site.world.commands.length = 0;
  notices.told.length = 0;
});

const decide = (who: Person, over: object = {}, headers: Record<string, string> = {}, id = approval): Promise<Reply> => site.rest(who, 'POST', `/agent-approvals/${id}/decision`, { hash: HASH, decision: 'Approve', ...over }, headers);
const kinds = async (): Promise<readonly string[]> => (await site.rest(mine.owner, 'GET', `/agent-runs/${mine.agentRun}/steps?first=100`)).body.items.map((item: Entry) => item.kind);
const wakes = (): readonly unknown[] => site.world.commands.filter((command) => command.verb === 'wake');

describe('an approval', () => {
  test('is listed with what it is about, approved once, told of, and its node is woken', async () => {
    const { body: { items } } = await site.rest(mine.owner, 'GET', `/agent-approvals?namespace=${mine.namespace}&state=Pending`);
    expect(items).toMatchObject([{ id: approval, tool: 'tickets/close', hash: HASH, arguments: { id: 7 }, why: 'it closes a ticket', state: 'Pending', decidedBy: null }]);
    expect((await decide(mine.owner, { reason: 'fine' })).body).toMatchObject({ state: 'Approved', decidedBy: `user:${mine.owner.userId}`, reason: 'fine' });
    expect(await kinds()).toEqual(['RunStarted', 'ApprovalDecided']);
    expect(notices.told).toMatchObject([{ agentRun: mine.agentRun, seq: 2 }]);
    expect(wakes()).toMatchObject([{ verb: 'wake', runId: mine.runId, node: 'agent', item: -1 }]);
  });

  test('rejected, the model is told why', async () => {
    expect((await decide(mine.owner, { decision: 'Reject', reason: 'too early' })).body).toMatchObject({ state: 'Rejected' });
    const { body: { items } } = await site.rest(mine.owner, 'GET', `/agent-runs/${mine.agentRun}/steps`);
    expect(items.at(-1)).toMatchObject({ kind: 'ToolCompleted', callId: 's1c0', payload: { isError: true, text: expect.stringContaining('too early') as string } });
  });

  test('of two decisions at once one counts, and both are in the audit', async () => {
    const other = await site.person();
    await site.member(mine.project, other, 'DEVELOPER');
    const answers = await Promise.all([decide(mine.owner), decide(other, { decision: 'Reject' })]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect((await kinds()).filter((kind) => kind === 'ApprovalDecided')).toHaveLength(1);
    const rows = await site.gateway.read((db) => db.audit.findMany({ where: { operation: 'decideAgentApproval', principal: { in: [`user:${mine.owner.userId}`, `user:${other.userId}`] } } }));
    expect(rows.map(({ outcome }) => outcome).sort()).toEqual(['DONE', 'FAILED']);
  });

  test('repeated by the same person, with or without a key, it is the same decision', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const [one, two, three] = [await decide(mine.owner, {}, key), await decide(mine.owner, {}, key), await decide(mine.owner)];
    expect([one.status, two.status, three.status, two.headers.get('idempotency-replayed')]).toEqual([200, 200, 200, 'true']);
    expect((await kinds()).filter((kind) => kind === 'ApprovalDecided')).toHaveLength(1);
  });

  test.each<[string, object, number, string]>([
    ['another hash than the one that waits', { hash: 'b'.repeat(64) }, 409, 'CONFLICT'], ['no hash', { hash: 'x' }, 400, 'BAD_USER_INPUT'],
    ['arguments with a rejection', { decision: 'Reject', arguments: { id: 8 } }, 400, 'BAD_USER_INPUT'], ['another word', { decision: 'Maybe' }, 400, 'BAD_USER_INPUT'],
    ['a decider of its own making', { by: 'user:x' }, 400, 'BAD_USER_INPUT'],
  ])('%s decides nothing', async (_, over, status, code) => {
    expect(await decide(mine.owner, over)).toMatchObject({ status, body: { code } });
    expect(await kinds()).toEqual(['RunStarted']);
    expect(wakes()).toEqual([]);
  });

  test('that has expired, or whose run has ended, is not decided any more', async () => {
    const late = await ask(site, mine, 's1c9', { expiresAt: new Date(Date.now() - 1_000) });
    expect((await decide(mine.owner, {}, {}, late)).status).toBe(409);
    await append(site, mine.agentRun, [{ kind: 'RunCompleted', payload: { phase: 'Cancelled' } }]);
    expect((await decide(mine.owner)).status).toBe(409);
  });

  test('of named approvers is theirs alone, whatever else somebody may', async () => {
    const [named, other] = [await site.person(), await site.person()];
    for (const person of [named, other]) await site.member(mine.project, person, 'DEVELOPER');
    const theirs = await ask(site, mine, 's1c1', { approvers: [`user:${named.userId}`] });
    expect(await decide(other, {}, {}, theirs)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
    expect((await decide(mine.owner, {}, {}, theirs)).status).toBe(403);
    expect((await decide(named, {}, {}, theirs)).status).toBe(200);
  });

  test('that takes four eyes is not approved by the one who started the run; another may, and they themselves may reject', async () => {
    const other = await site.person();
    await site.member(mine.project, other, 'DEVELOPER');
    const [one, two, three] = [await ask(site, mine, 's1c1', { fourEyes: true }), await ask(site, mine, 's1c2', { fourEyes: true }), await ask(site, mine, 's1c3', { fourEyes: true })];
    expect(await decide(mine.owner, {}, {}, one)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN', detail: expect.stringMatching(/who started the run/) as string } });
    expect((await decide(other, {}, {}, one)).body).toMatchObject({ state: 'Approved', fourEyes: true, decidedBy: `user:${other.userId}` });
    expect((await decide(mine.owner, { decision: 'Reject' }, {}, two)).status).toBe(200);
    const rows = await site.gateway.read((db) => db.audit.findMany({ where: { operation: 'decideAgentApproval', principal: `user:${mine.owner.userId}` } }));
    expect(rows.map(({ outcome }) => outcome).sort()).toEqual(['DONE', 'FAILED']);
    await site.gateway.read((db) => db.agentRun.update({ where: { id: mine.agentRun }, data: { principal: `workflowrun:${mine.namespace}/x` } }));
    expect(await decide(other, {}, {}, three)).toMatchObject({ status: 403, body: { detail: expect.stringMatching(/nobody knows who started/) as string } });
  });

  test('with edited arguments takes those that fit the tool of the revision, under a new hash', async () => {
    const tool = { name: 'tickets__close', display: 'tickets/close', description: '', inputSchema: { type: 'object', properties: { id: { type: 'integer' } }, required: ['id'], additionalProperties: false }, schemaHash: 's', effect: 'AtMostOnce', risk: 'Destructive', bind: {} };
    const revision = `r-${randomUUID()}`;
    await putRevision(site.db, revision, mine.namespace, 'triage', json(revisionOf(tool)), Date.now());
    await site.gateway.read((db) => db.agentRun.update({ where: { id: mine.agentRun }, data: { revision } }));
    expect(await decide(mine.owner, { arguments: { id: 'seven' } })).toMatchObject({ status: 400, body: { errors: [{ field: 'arguments' }] } });
    const { status, body } = await decide(mine.owner, { arguments: { id: 8 } });
    expect([status, body.arguments, body.hash === HASH]).toEqual([200, { id: 8 }, false]);
    const call = await site.gateway.read((db) => db.agentCall.findUnique({ where: { agentRun_callId: { agentRun: mine.agentRun, callId: 's1c0' } } }));
    expect(JSON.parse(Buffer.from(call?.arguments ?? []).toString())).toEqual({ id: 8 });
  });
});

/** The least that a revision holds. */
function revisionOf(tool: object): object {
  return {
    v: 1, namespace: mine.namespace, agent: 'triage', instructions: '', models: ['large'], parameters: { maxOutputTokens: 100 }, policy: [], budget: { onExceeded: 'Stop' }, dailyBudget: {}, guardrails: [], memory: {},
    limits: { maxSteps: 10, timeoutMs: 60_000, parallelTools: 1, maxDepth: 1, repeatWindow: 3, outputRepairs: 1 }, trust: { untrustedInput: false, sensitiveData: false, outsideChange: false },
    tools: [{ kind: 'http', server: 'tickets', tool: 'close', timeoutMs: 1_000, ...tool }],
  };
}

test('two tenants: neither sees, approves, settles, raises or guesses what is the other\'s', async () => {
  const other = await tenant(site);
  const missing = randomUUID();
  const strip = (reply: Reply, id: string): string => JSON.stringify(reply.body).replaceAll(id, 'ID').replaceAll(/"(requestId|instance)":"[^"]*"/g, '');
  const asks: readonly ((id: string) => Promise<Reply>)[] = [
    (id) => site.rest(other.owner, 'GET', `/agent-approvals/${id}`), (id) => decide(other.owner, {}, {}, id),
    (id) => site.rest(other.owner, 'POST', `/agent-runs/${id}/calls/s1c0/settlement`, { verdict: 'Stop' }), (id) => site.rest(other.owner, 'POST', `/agent-runs/${id}/budget`, { level: 'AgentRun', tokens: 1 }),
    (id) => site.rest(other.owner, 'GET', `/agent-conversations/${id}`),
  ];
  for (const [i, one] of asks.entries()) {
    const [own, absent] = [i < 2 ? approval : mine.agentRun, missing];
    const [foreign, nothing] = [await one(own), await one(absent)];
    expect([foreign.status, strip(foreign, own)]).toEqual([404, strip(nothing, absent)]);
  }
  for (const path of ['agent-runs', 'agent-approvals', 'agent-doubts', 'models', 'tool-servers', 'agent-definitions']) {
    const [foreign, nowhere] = [await site.rest(other.owner, 'GET', `/${path}?namespace=${mine.namespace}`), await site.rest(other.owner, 'GET', `/${path}?namespace=ns-nowhere`)];
    expect([foreign.status, strip(foreign, mine.namespace)]).toEqual([403, strip(nowhere, 'ns-nowhere')]);
  }
  expect((await site.rest(other.owner, 'GET', `/agent-runs?namespace=${other.namespace}`)).body.items.map((item: Entry) => item.id)).toEqual([other.agentRun]);
  expect(await kinds()).toEqual(['RunStarted']);
});

test('a doubt is listed and settled once', async () => {
  await site.gateway.read((db) => db.agentCall.update({ where: { agentRun_callId: { agentRun: mine.agentRun, callId: 's1c0' } }, data: { state: 'InDoubt' } }));
  expect((await site.rest(mine.owner, 'GET', `/agent-doubts?namespace=${mine.namespace}`)).body.items).toMatchObject([{ agentRunId: mine.agentRun, callId: 's1c0', tool: 'tickets/close', arguments: { id: 7 } }]);
  const settle = (): Promise<Reply> => site.rest(mine.owner, 'POST', `/agent-runs/${mine.agentRun}/calls/s1c0/settlement`, { verdict: 'Happened', result: 'closed' });
  expect([(await settle()).status, (await settle()).status]).toEqual([200, 409]);
  expect(await kinds()).toEqual(['RunStarted', 'DoubtSettled', 'ToolCompleted']);
});

test('doubts are given page by page, those of one moment too, over both surfaces; a cursor of another list is none', async () => {
  const at = new Date('2026-01-01T00:00:00.123Z');
  const calls = Array.from({ length: 7 }, (_, i) => ({
    agentRun: mine.agentRun, callId: `s2c${i}`, namespace: mine.namespace, step: 2, tool: 'tickets/close', effect: 'AtMostOnce', key: 'k', argsHash: 'h', arguments: json({ id: i }), state: 'InDoubt', createdAt: i < 5 ? at : new Date(at.getTime() + i), updatedAt: at,
  }));
  await site.gateway.transaction(async (tx) => { await tx.agentCall.createMany({ data: calls }); });
  const pages: string[][] = [];
  for (let after: string | null = ''; after !== null;) {
    const { body }: Reply = await site.rest(mine.owner, 'GET', `/agent-doubts?namespace=${mine.namespace}&first=3${after === '' ? '' : `&after=${after}`}`);
    pages.push(body.items.map(({ callId }: Entry) => callId));
    after = body.nextCursor;
  }
  expect(pages).toEqual([['s2c0', 's2c1', 's2c2'], ['s2c3', 's2c4', 's2c5'], ['s2c6']]);
  const query = 'query($ns: String!, $after: String) { agentDoubts(namespace: $ns, first: 4, after: $after) { edges { node { callId } } pageInfo { endCursor hasNextPage } } }';
  const first = (await site.gql(mine.owner, query, { ns: mine.namespace })).body.data.agentDoubts;
  const second = (await site.gql(mine.owner, query, { ns: mine.namespace, after: first.pageInfo.endCursor })).body.data.agentDoubts;
  expect([first.pageInfo.hasNextPage, second.pageInfo.hasNextPage, [...first.edges, ...second.edges].map(({ node }: Entry) => node.callId)]).toEqual([true, false, calls.map(({ callId }) => callId)]);
  const foreign = Buffer.from(JSON.stringify(['agent-doubt', 'x', mine.agentRun])).toString('base64url');
  for (const after of [foreign, 'x']) expect(await site.rest(mine.owner, 'GET', `/agent-doubts?namespace=${mine.namespace}&after=${after}`)).toMatchObject({ status: 400, body: { code: 'BAD_USER_INPUT' } });
});

describe('budgets', () => {
  beforeEach(async () => {
    const accounts = [`agentrun:${mine.agentRun}`, `ns:${mine.namespace}:2026-11-26`];
    await site.gateway.transaction(async (tx) => {
      await tx.budgetAccount.createMany({ data: [{ key: accounts[0] ?? '', namespace: mine.namespace, level: 'AgentRun', limitTokens: 100n, updatedAt: new Date() }, { key: accounts[1] ?? '', namespace: mine.namespace, level: 'NamespaceDay', limitNano: 1_000_000_000n, updatedAt: new Date() }] });
      await tx.agentRun.update({ where: { id: mine.agentRun }, data: { accounts, phase: 'WaitingInput', reason: 'BudgetPaused', awaited: 1 } });
    });
  });
  const raise = (who: Person, body: object): Promise<Reply> => site.rest(who, 'POST', `/agent-runs/${mine.agentRun}/budget`, body);

  test('one of a run is raised by who manages its project, and what waits goes on', async () => {
    const { status, body } = await raise(mine.owner, { level: 'AgentRun', tokens: 5_000, usd: 0.25 });
    expect([status, body.budgets[0]]).toMatchObject([200, { level: 'AgentRun', limitTokens: 5_000, limitUsd: '0.25' }]);
    expect(await kinds()).toEqual(['RunStarted', 'BudgetRaised']);
    expect(wakes()).toHaveLength(1);
    const developer = await site.person();
    await site.member(mine.project, developer, 'DEVELOPER');
    expect((await raise(developer, { level: 'AgentRun', tokens: 9_000 })).status).toBe(403);
  });

  test('one of a day is for administrators, with a second factor', async () => {
    expect(await raise(mine.owner, { level: 'NamespaceDay', usd: 100 })).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
    expect((await raise(await site.person('ADMIN', { secondFactor: false }), { level: 'NamespaceDay', usd: 100 })).body.code).toBe('MFA_REQUIRED');
    expect((await raise(await site.person('ADMIN'), { level: 'NamespaceDay', usd: 100 })).body.budgets[1]).toMatchObject({ limitUsd: '100', limitTokens: null });
  });

  test.each([[{}], [{ tokens: -1 }], [{ usd: -0.01 }], [{ usd: 1e12 }], [{ tokens: 1.5 }]])('%j is no limit', async (given) => {
    expect((await raise(mine.owner, { level: 'AgentRun', ...given })).status).toBe(400);
  });

  test('limits of a namespace are set by administrators, and what is left out stays', async () => {
    const admin = await site.person('ADMIN');
    const set = (body: object): Promise<Reply> => site.rest(admin, 'PUT', '/budget-limits', { namespace: mine.namespace, ...body });
    expect((await set({ level: 'AgentDay', agent: 'triage', tokens: 1_000, usd: 2 })).body).toMatchObject({ agent: 'triage', tokens: 1_000, usd: '2' });
    expect((await set({ level: 'AgentDay', agent: 'triage', usd: null })).body).toMatchObject({ tokens: 1_000, usd: null });
    expect((await set({ level: 'Run', agent: 'triage', tokens: 1 })).status).toBe(400);
    expect((await site.rest(admin, 'GET', `/budget-limits?namespace=${mine.namespace}`)).body.items).toHaveLength(1);
    for (const agent of ['b', 'c']) await set({ level: 'AgentDay', agent, tokens: 1 });
    await set({ level: 'Run', tokens: 1 });
    const page = async (after: string): Promise<Entry> => (await site.rest(admin, 'GET', `/budget-limits?namespace=${mine.namespace}&first=2${after}`)).body;
    const first = await page('');
    const second = await page(`&after=${first.nextCursor}`);
    expect([...first.items, ...second.items].map(({ level, agent }: Entry) => `${level} ${agent}`)).toEqual(['AgentDay b', 'AgentDay c', 'AgentDay triage', 'Run null']);
    expect([first.nextCursor === null, second.nextCursor]).toEqual([false, null]);
    expect((await site.rest(mine.owner, 'PUT', '/budget-limits', { namespace: mine.namespace, level: 'Run', tokens: 1 })).status).toBe(403);
  });
});

describe('a start', () => {
  test('is a run of one node whose input is data: no expression in it is evaluated; the same key starts nothing new', async () => {
    const start = (): Promise<Reply> => site.rest(mine.owner, 'POST', '/agent-runs', { namespace: mine.namespace, agent: 'triage', input: '${{ inputs.secret }}', conversation: 'daily' }, { 'idempotency-key': 'k1' });
    site.world.reply = (command) => Promise.resolve({ v: 1, ok: true, runId: command.runId, version: 1 });
    const [one, two] = [await start(), await start()];
    expect([one.status, one.body.id, two.body]).toEqual([201, agentRunId(one.body.runId, 'agent', -1), one.body]);
    const [command] = site.world.commands;
    if (command?.verb !== 'start') throw new Error('nothing was started');
    expect(JSON.parse(command.input)).toEqual({ input: '${{ inputs.secret }}', conversation: 'daily' });
    expect(JSON.parse(command.inline ?? '').nodes).toEqual([{ name: 'agent', type: 'agent', with: { agentRef: { name: 'triage' }, input: '${{ inputs.input }}', conversation: '${{ inputs.conversation }}' } }]);
  });

  test('of an agent that is not there is told, and starts nothing', async () => {
    expect(await site.rest(mine.owner, 'POST', '/agent-runs', { namespace: mine.namespace, agent: 'nobody' })).toMatchObject({ status: 400, body: { errors: [{ field: 'agent' }] } });
    expect(site.world.commands).toEqual([]);
  });

  test('in a conversation goes on with it; somebody else\'s is not there', async () => {
    const id = randomUUID();
    await site.gateway.transaction(async (tx) => {
      await tx.agentConversation.create({ data: { id, namespace: mine.namespace, agent: 'triage', principal: `user:${mine.owner.userId}`, title: 'T', turns: 1, createdAt: new Date(), updatedAt: new Date() } });
      await tx.agentRun.update({ where: { id: mine.agentRun }, data: { conversationId: id, turn: 1 } });
    });
    await append(site, mine.agentRun, [{ kind: 'RunCompleted', payload: { phase: 'Succeeded', output: 'All is well.' } }]);
    await site.gateway.read((db) => db.agentRun.update({ where: { id: mine.agentRun }, data: { output: json('All is well.') } }));
    expect((await site.rest(mine.owner, 'GET', `/agent-conversations/${id}/turns`)).body.items).toMatchObject([{ turn: 1, input: 'What is up?', output: 'All is well.' }]);
    expect((await site.rest(mine.owner, 'GET', `/agent-conversations?namespace=${mine.namespace}&agent=triage`)).body.items).toMatchObject([{ id, turns: 1 }]);
    const colleague = await site.person();
    await site.member(mine.project, colleague, 'MANAGER');
    expect((await site.rest(colleague, 'GET', `/agent-conversations/${id}/turns`)).status).toBe(404);
    expect((await site.rest(colleague, 'POST', `/agent-conversations/${id}/messages`, { input: 'x' })).status).toBe(404);
    site.world.reply = (command) => Promise.resolve({ v: 1, ok: true, runId: command.runId, version: 1 });
    expect((await site.rest(mine.owner, 'POST', `/agent-conversations/${id}/messages`, { input: 'And now?' })).body).toMatchObject({ conversation: id, agent: 'triage' });
  });
});
