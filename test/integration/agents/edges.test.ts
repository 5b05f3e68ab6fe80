import { createServer, type Server } from 'node:http';
import { randomUUID } from 'node:crypto';
import { agentSpecSchema } from '../../../crds/agent.ts';
import { modelSpecSchema } from '../../../crds/model.ts';
import { toolServerSpecSchema } from '../../../crds/tool-server.ts';
import { mirroredWorld, operationsOf, resolveAgent, takeIn } from '../../../engine/index.ts';
import { probeModel } from '../../../modelgateway/models/probe.ts';
import { RamboError, UnavailableError } from '../../../platform/errors/index.ts';
import { listenOn } from '../../../platform/health/listen.ts';
import { guardedFetch } from '../../../platform/net/fetch.ts';
import { addAgentCall, changeAgentCall, getModel, modelsByName, putRevision, upsertAgent, upsertModel, upsertToolServer } from '../../../prisma/store/index.ts';
import { AgentSite, NS, type Attempt, type RunningGateway } from './site.ts';

/* Places of the gateway where something is just possible, or just not: windows, chains of models, conversations, nesting, addresses, probes. */

let site: AgentSite;
let gateway: RunningGateway;
beforeAll(async () => {
  site = await AgentSite.start();
  await site.addModel('main');
  gateway = await site.gateway();
});
afterAll(() => site.stop());
beforeEach(() => { site.model.reset(); site.counted.length = 0; });

const models = (): readonly string[] => site.model.calls().map(({ model }) => model);

async function opened(script: Parameters<AgentSite['agent']>[1], spec: object, more: object = {}): Promise<Attempt> {
  const agent = await site.agent(gateway, script, { spec, ...more });
  expect(await agent.open()).toMatchObject({ status: 200 });
  return agent;
}

describe('a context window', () => {
  beforeAll(async () => {
    await site.addModel('small', { capabilities: { contextWindow: 512 } });
    await site.addModel('small-then', { capabilities: { contextWindow: 512 }, fallback: [{ name: 'main' }] });
  });

  test('that the prompt does not fit into: not asked, and the reason says both numbers', async () => {
    const agent = await opened([{ text: 'x' }], { modelRef: { name: 'small' } }, { input: 'x'.repeat(4_000) });
    expect(await agent.ask(1)).toMatchObject({ status: 409, body: { ended: { reason: 'ModelRefused', message: expect.stringMatching(/small: the prompt may have 1\d\d\d tokens, and the context window has 512/) } } });
    expect([models(), await site.kinds(agent.agentRun)]).toEqual([[], ['RunStarted', 'RunCompleted']]);
  });

  test('with a larger one behind it: that is asked at once', async () => {
    const agent = await opened([{ text: 'x' }], { modelRef: { name: 'small-then' } }, { input: 'x'.repeat(4_000) });
    expect(await agent.ask(1)).toMatchObject({ status: 200 });
    expect(models()).toEqual(['main']);
  });

  test('that leaves some room: the answer may have what is left', async () => {
    const agent = await opened([{ text: 'x' }], { modelRef: { name: 'small' }, parameters: { maxOutputTokens: 4_000 } }, { input: 'x'.repeat(600) });
    expect(await agent.ask(1)).toMatchObject({ status: 200 });
    const most = Number(site.model.calls()[0]?.body['max_tokens']);
    expect([most >= 64, most < 512]).toEqual([true, true]);
  });
});

test('Degrade goes down the chain of fallbacks as far as it is paid for, and stops where it is not', async () => {
  await site.addModel('dear', { pricing: { input: 100, output: 400 }, fallback: [{ name: 'middle' }, { name: 'cheap' }] });
  await site.addModel('middle', { pricing: { input: 10, output: 40 } });
  await site.addModel('cheap', { pricing: { input: 0.1, output: 0.4 } });
  const spec = (usd: number): object => ({ modelRef: { name: 'dear' }, parameters: { maxOutputTokens: 1_000 }, budget: { usd, onExceeded: 'Degrade' } });
  for (const [usd, model] of [[2, 'dear'], [0.06, 'middle'], [0.0006, 'cheap']] as const) {
    const agent = await opened([{ text: 'x', usage: { input: 10, output: 5 } }], spec(usd));
    expect(await agent.ask(1)).toMatchObject({ status: 200 });
    expect((await site.journal(agent.agentRun)).at(-1)).toMatchObject({ kind: 'ModelCompleted', payload: { model } });
  }
  expect(models()).toEqual(['dear', 'middle', 'cheap']);
  const agent = await opened([{ text: 'x' }], spec(0.000_001));
  expect(await agent.ask(1)).toMatchObject({ status: 409, body: { ended: { phase: 'BudgetExhausted' } } });
});

test.each<[string, object]>([
  ['a price of zero', { input: 0, output: 1, currency: 'USD' }], ['a price below zero', { input: 1, output: -1, currency: 'USD' }], ['euros', { input: 1, output: 1, currency: 'EUR' }],
])('a mirror that says %s is as if the Model were not there: nothing is charged by it', async (what, pricing) => {
  const name = `odd-${what.replaceAll(' ', '-')}`;
  await upsertModel(site.db, {
    namespace: NS, name, uid: randomUUID(), generation: 1, resourceVersion: '1', labels: null, phase: 'Ready', reason: 'Ready', message: '', updatedAt: Date.now(), probedAt: null,
    spec: Buffer.from(JSON.stringify({ provider: 'openai-compatible', model: name, baseUrl: site.model.url, pricing })),
  });
  const agent = await site.agent(gateway, [{ text: 'x' }], { spec: { modelRef: { name } } });
  expect((await agent.open()).status === 400 || (await agent.ask(1)).status === 409).toBe(true);
  expect(models()).toEqual([]);
});

/** The mirror of an Agent, resolved. */
async function mirrorAgent(name: string, script: object): Promise<void> {
  const spec = agentSpecSchema.parse({ modelRef: { name: 'main' }, instructions: { text: `[[script: ${JSON.stringify(script)}]]` } });
  const resolved = resolveAgent(spec, mirroredWorld({ namespace: NS, agent: name, models: await modelsByName(site.db, NS, ['main']), toolServers: [], workflows: [], agents: [] }));
  if (!resolved.ok) throw new Error(JSON.stringify(resolved.problems));
  await putRevision(site.db, resolved.hash, NS, name, Buffer.from(JSON.stringify(resolved.revision)), Date.now());
  await upsertAgent(site.db, {
    namespace: NS, name, uid: randomUUID(), generation: 1, resourceVersion: '1', spec: Buffer.from(JSON.stringify(spec)), labels: null, phase: 'Ready', reason: 'Ready', message: '', updatedAt: Date.now(),
    desiredRevision: resolved.hash, stableRevision: resolved.hash,
  });
}

describe('a conversation', () => {
  beforeAll(() => mirrorAgent('talker', [{ text: 'first' }, { text: 'second' }, { text: 'third' }]));
  const turn = (conversation: string, input: string): Promise<Attempt> => site.attempt(gateway, { agentRef: { name: 'talker' }, input, conversation }, { node: `t-${randomUUID().slice(0, 8)}` });
  const turns = async (): Promise<readonly number[]> => (await site.sql<{ turns: number }>('SELECT turns FROM agent_conversation ORDER BY updated_at DESC LIMIT 1')).map((row) => row.turns);

  test('is one turn at a time: who comes meanwhile waits, counts nothing, and then goes on with what was said', async () => {
    const one = await turn('desk', 'hello');
    const two = await turn('desk', 'again');
    expect(await one.open()).toMatchObject({ status: 200 });
    for (let i = 0; i < 3; i++) expect(await two.open()).toMatchObject({ status: 503, body: { error: { code: 'Busy' } } });
    expect(await turns()).toEqual([1]);
    await one.ask(1);
    await one.finish('');
    expect(await two.open()).toMatchObject({ status: 200, body: { state: { messages: [{ role: 'system' }, { role: 'user', text: 'hello' }, { role: 'assistant', text: 'first' }, { role: 'user', text: 'again' }] } } });
    expect(await two.ask(1)).toMatchObject({ body: { choices: [{ message: { content: 'second' } }] } });
    expect(await turns()).toEqual([2]);
    // Whoever opens its own turn again is not kept out by it.
    expect(await (await two.next()).open()).toMatchObject({ status: 200 });
    expect(await turns()).toEqual([2]);
  });

  test('opened by many at once is one of them; the others wait', async () => {
    const all = await Promise.all(Array.from({ length: 6 }, (_, n) => turn('rush', `me ${n}`)));
    const statuses = await Promise.all(all.map(async (one) => (await one.open()).status));
    expect([...statuses].sort()).toEqual([200, 503, 503, 503, 503, 503]);
    expect(await turns()).toEqual([1]);
  });

  test('of somebody else is a name like any other: its id tells nothing, and begins another one', async () => {
    const mine = await turn('mine', 'hello');
    await mine.open();
    const [row] = await site.sql<{ id: string }>('SELECT conversation_id AS id FROM agent_run WHERE id = $1', [mine.agentRun]);
    const run = randomUUID();
    await site.sql("INSERT INTO run (id, namespace, name, source, shard, definition_hash, input, principal, created_at, phase) VALUES ($1, $2, 'r-mallory', 'api', 0, 'h', '{}', 'mallory', now(), 'Running')", [run, NS]);
    const theirs = await site.attempt(gateway, { agentRef: { name: 'talker' }, input: 'x', conversation: row?.id ?? '' }, { run });
    expect(await theirs.open()).toMatchObject({ status: 200 });
    const [begun] = await site.sql<{ id: string; turn: number }>('SELECT conversation_id AS id, turn FROM agent_run WHERE id = $1', [theirs.agentRun]);
    expect([begun?.id === row?.id, begun?.turn]).toEqual([false, 1]);
  });
});

test('agents nested deeper than an agent above allows are refused when they open', async () => {
  const parent = await opened([{ text: 'x' }], { limits: { maxDepth: 1 } });
  const below = async (above: Attempt): Promise<Attempt> => {
    const run = randomUUID();
    await addAgentCall(site.db, { agentRun: above.agentRun, callId: `s1c${run.slice(0, 4)}`, namespace: NS, step: 1, tool: 'workflow__deep', effect: 'KeyedIdempotent', key: run, argsHash: 'h', arguments: Buffer.from('{}'), state: 'Requested', createdAt: Date.now() });
    await changeAgentCall(site.db, above.agentRun, `s1c${run.slice(0, 4)}`, { state: 'Child', childRun: run });
    return site.agent(gateway, [{ text: 'x' }], { run });
  };
  const child = await below(parent);
  expect(await child.open()).toMatchObject({ status: 200 });
  expect(await site.row(child.agentRun)).toMatchObject({ depth: 1, parent: parent.agentRun, rootRun: parent.run });
  expect(await (await below(child)).open()).toMatchObject({ status: 400, body: { why: 'TooDeep', error: { message: expect.stringContaining('maxDepth (1)') } } });
});

describe('addresses that are not reached', () => {
  test.each((['openai', 'anthropic', 'openai-compatible'] as const).flatMap((provider) => ['http://10.0.0.1/v1', 'http://169.254.169.254/v1', 'http://[fe80::1]/v1'].map((baseUrl) => [provider, baseUrl] as const)))('%s at %s', async (provider, baseUrl) => {
    const name = `at-${randomUUID().slice(0, 8)}`;
    await site.addModel(name, { provider, baseUrl, retries: 2 });
    const agent = await opened([{ text: 'x' }], { modelRef: { name } });
    expect(await agent.ask(1)).toMatchObject({ status: 409, body: { ended: { reason: 'ModelRefused' } } });
    // Refused, not tried: nothing was charged and it was asked once.
    expect((await site.journal(agent.agentRun)).flatMap((event) => (event.kind === 'ModelFailed' ? [event.payload] : []))).toMatchObject([{ code: 'Refused', charged: { tokens: 0, nano: '0' } }]);
  });

  test.each(['http://10.0.0.1', 'http://169.254.169.254', 'http://[fd00::1]'])('tools at %s', async (base) => {
    const name = `t${randomUUID().slice(0, 8)}`;
    const row = { namespace: NS, name, uid: randomUUID(), generation: 1, resourceVersion: '1', labels: null, phase: 'Ready' as const, reason: 'Ready', message: '', updatedAt: 1, tools: null, discoveryHash: null, acceptedHash: null, discoveredAt: null };
    await upsertToolServer(site.db, { ...row, spec: Buffer.from(JSON.stringify(toolServerSpecSchema.parse({ mcp: { url: `${base}/mcp` } }))) });
    expect(await gateway.server.tools.answerDiscover({ v: 1, verb: 'discover', namespace: NS, name, uid: row.uid, generation: 1 })).toMatchObject({ ok: false, error: { code: 'AddressRefused' } });
    const http = toolServerSpecSchema.parse({ http: { baseUrl: base, operations: [{ name: 'look', description: 'Looks.', method: 'GET', path: '/look', inputSchema: { type: 'object' } }] } });
    const taken = takeIn(operationsOf(http), http, {});
    await upsertToolServer(site.db, { ...row, generation: 2, spec: Buffer.from(JSON.stringify(http)), tools: Buffer.from(JSON.stringify({ tools: taken.tools, accepted: taken.accepted })), discoveryHash: taken.discoveryHash });
    const agent = await opened([{ tools: [{ name: `${name}__look`, arguments: {} }] }], { tools: [{ toolServerRef: { name } }] });
    await agent.ask(1);
    expect(await agent.post('/v1/agent/tool', { step: 1, callId: 's1c0' })).toMatchObject({ body: { status: 'completed', result: { isError: true, text: expect.stringContaining('was not made') } } });
  });
});

describe('a probe', () => {
  let server: Server;
  let base: string;
  let answer: { status: number; body: string; headers?: Record<string, string> } = { status: 200, body: '{}' };
  beforeAll(async () => {
    server = createServer((_request, response) => { response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers }).end(answer.body); });
    base = `http://127.0.0.1:${await listenOn(server, '127.0.0.1', 0)}/v1`;
  });
  afterAll(() => new Promise((done) => { server.close(done); }));

  const probe = async (spec: Readonly<Record<string, unknown>>, read: () => Promise<string> = async () => 'k', uid?: string): Promise<unknown> => {
    const name = `p-${randomUUID().slice(0, 8)}`;
    await site.addModel(name, spec);
    const row = await getModel(site.db, NS, name);
    const fetch = guardedFetch({ allow: ['127.0.0.1'] });
    try {
      return await probeModel({ db: site.db, secrets: { read }, fetchFor: () => fetch }, { v: 1, verb: 'probe', namespace: NS, name, uid: uid ?? row?.uid ?? '', generation: 1 });
    } finally {
      fetch.close();
    }
  };

  test.each<[string, typeof answer, object]>([
    ['a list', { status: 200, body: JSON.stringify({ data: [{ id: 'a' }, { id: 'b'.repeat(500) }] }) }, { ok: true, models: ['a', 'b'.repeat(256)] }],
    ['a very long list', { status: 200, body: JSON.stringify({ data: Array.from({ length: 5_000 }, (_, n) => ({ id: `m${n}` })) }) }, { ok: true, models: Array.from({ length: 64 }, (_item, n) => `m${n}`) }],
    ['no list at all', { status: 404, body: 'no' }, { ok: true, models: [] }],
    ['a refused key', { status: 403, body: '{}' }, { ok: false, error: { code: 'AuthFailed' } }],
    ['an outage', { status: 529, body: '{}' }, { ok: false, error: { code: 'Unreachable' } }],
    ['a redirect', { status: 302, body: '', headers: { location: 'http://169.254.169.254/' } }, { ok: false, error: { code: 'ProtocolError' } }],
    ['HTML', { status: 200, body: '<html>' }, { ok: false, error: { code: 'ProtocolError' } }],
    ['something else', { status: 200, body: '{"data": "no"}' }, { ok: false, error: { code: 'ProtocolError' } }],
    ['more than it may', { status: 200, body: `{"data": [], "x": "${'x'.repeat(5_000_000)}"}` }, { ok: false }],
  ])('that is answered with %s', async (_, given, expected) => {
    answer = given;
    expect(await probe({ baseUrl: base })).toMatchObject(expected);
  });

  test.each<[string, Error, string]>([
    ['there is no Secret', new RamboError('SecretMissing', 'there is no Secret "x" in namespace team-a'), 'SecretNotFound'],
    ['the Secret lacks the key', new RamboError('SecretMissing', 'Secret "x" in namespace team-a has no key "apiKey"'), 'SecretKeyMissing'],
    ['the Secret lacks the label', new RamboError('SecretNotLabelled', 'it lacks the label'), 'SecretNotLabelled'],
    ['the API server is away', new UnavailableError('Secret team-a/x'), 'Busy'],
  ])('%s', async (_, error, code) => {
    expect(await probe({ baseUrl: base, credentialsRef: { name: 'x' } }, () => Promise.reject(error))).toMatchObject({ ok: false, error: { code } });
  });

  test('of an address that is not reached, of nobody, of another object of that name', async () => {
    expect(await probe({ baseUrl: 'http://10.0.0.1/v1' })).toMatchObject({ error: { code: 'AddressRefused' } });
    expect(await probe({ baseUrl: 'http://127.0.0.1:1/v1' })).toMatchObject({ error: { code: 'Unreachable' } });
    expect(await probe({ baseUrl: base }, async () => 'k', randomUUID())).toMatchObject({ error: { code: 'NotMirrored' } });
    expect(modelSpecSchema.safeParse({ provider: 'openai-compatible', model: 'm' }).success).toBe(false);
  });
});
