import type { AgentEventPayload } from '../../../crds/agent-run.ts';
import type { ScriptInput } from '../../../hack/scripted-model/script.ts';
import { startScriptedModel, type ScriptedCall, type ScriptedModel } from '../../../hack/scripted-model/server.ts';
import { startToolServers, type ToolServers } from '../../../hack/tool-servers/tool-servers.ts';
import { probeModel } from '../../../modelgateway/models/probe.ts';
import { guardedFetch } from '../../../platform/net/fetch.ts';
import { modelsByName } from '../../../prisma/store/index.ts';
import { mirrorTools } from './mirror-tools.ts';
import { AgentSite, NS, type Attempt, type RunningGateway } from './site.ts';

/*
 * Each kind of provider by its own adapter, against a scripted server that speaks as that provider does and refuses what it refuses: what
 * is sent, what is read, what is charged to the nano-USD, and where the key goes.
 */

const KEY = 'sk-key-of-the-providers-test';
/** Prices whose products tell which count was multiplied with what: nano-USD per token are 3,000, 300, 3,750 and 15,000. */
const PRICING = { input: 3, cachedInput: 0.3, cacheWrite: 3.75, output: 15, version: '2026-11' };
const PROVIDERS = ['anthropic', 'openai', 'openai-compatible'] as const;
type Provider = (typeof PROVIDERS)[number];
/** Names that each adapter takes for a model that thinks. */
const NAMES: Readonly<Record<Provider, string>> = { anthropic: 'claude-sonnet-4-5', openai: 'gpt-5-mini', 'openai-compatible': 'local-model' };

let site: AgentSite;
let gateway: RunningGateway;
let locked: ScriptedModel;
let tools: ToolServers;
beforeAll(async () => {
  [site, locked, tools] = await Promise.all([AgentSite.start(), startScriptedModel({ apiKey: KEY }), startToolServers()]);
  site.secrets.set(`${NS}/key/apiKey`, KEY);
  site.secrets.set(`${NS}/wrong/apiKey`, 'sk-wrong-key-of-the-providers-test');
  const capabilities = { tools: true, structuredOutput: true };
  for (const provider of PROVIDERS) {
    const spec = { provider, model: NAMES[provider], baseUrl: locked.url, credentialsRef: { name: 'key' }, pricing: PRICING, capabilities };
    await site.addModel(provider, spec);
    await site.addModel(`${provider}-wrong`, { ...spec, credentialsRef: { name: 'wrong' } });
    await site.addModel(`${provider}-again`, { ...spec, retries: 2 });
    await site.addModel(`${provider}-then`, { ...spec, retries: 1, fallback: [{ name: provider === 'anthropic' ? 'openai' : 'anthropic' }] });
  }
  gateway = await site.gateway();
  await mirrorTools(site, gateway, 'box', { mcp: { url: tools.mcp }, tools: [{ name: 'add', effect: 'ReadOnly' }, { name: 'structured', effect: 'ReadOnly' }] });
});
afterAll(async () => {
  await Promise.all([site.stop(), locked.stop(), tools.stop()]);
});
beforeEach(() => { locked.reset(); site.counted.length = 0; site.told.length = 0; });

const of = (provider: string, spec: object = {}): { spec: object } => ({ spec: { modelRef: { name: provider }, ...spec } });

async function opened(script: ScriptInput, of: { spec: object; input?: unknown }): Promise<Attempt> {
  const agent = await site.agent(gateway, script, of);
  expect(await agent.open()).toMatchObject({ status: 200 });
  return agent;
}

async function completed(agent: Attempt): Promise<readonly AgentEventPayload<'ModelCompleted'>[]> {
  return (await site.journal(agent.agentRun)).flatMap((event) => (event.kind === 'ModelCompleted' ? [event.payload] : []));
}

function lastCall(): ScriptedCall {
  const call = locked.calls().at(-1);
  if (call === undefined) throw new Error('nothing was asked');
  return call;
}

const TOOLS = { tools: [{ toolServerRef: { name: 'box', include: ['add'] } }] };

describe.each(PROVIDERS)('%s', (provider) => {
  test('a run with parallel tools: each answer charged by the provider\'s own count, cache and reasoning apart', async () => {
    const agent = await opened([
      { reasoning: 'both at once', text: 'Let me see.', tools: [{ name: 'box__add', arguments: { a: 1, b: 2 } }, { name: 'box__add', arguments: { a: 30, b: 40 } }], usage: { input: 1_000, cached: 600, cacheWrite: 300, output: 90, reasoning: 50 } },
      { text: 'It is {{last}}.', usage: { input: 1_200, cached: 1_000, output: 10 } },
    ], of(provider, TOOLS));
    expect(await agent.ask(1)).toMatchObject({ status: 200, body: { choices: [{ finish_reason: 'tool_calls', message: { content: 'Let me see.', tool_calls: [{ id: 's1c0', function: { name: 'box__add' } }, { id: 's1c1' }] } }] } });
    const results = await Promise.all(['s1c0', 's1c1'].map((callId) => agent.post('/v1/agent/tool', { step: 1, callId })));
    expect(results.map(({ body }) => body.result.text)).toEqual(['3', '70']);
    expect(await agent.ask(2)).toMatchObject({ status: 200, body: { choices: [{ finish_reason: 'stop', message: { content: 'It is 70.' } }] } });
    expect(await agent.finish('')).toMatchObject({ body: { status: 'done', output: 'It is 70.' } });

    const [first, second] = await completed(agent);
    const written = provider === 'openai-compatible' ? 0 : 300;
    expect(first).toMatchObject({ usage: { input: 1_000, cached: 600, cacheWrite: written, output: 90, reasoning: 50 }, estimated: false, priceVersion: '2026-11' });
    // OpenAI's chat completions do not show what the model thought.
    expect(first?.reasoning).toBe(provider === 'openai' ? undefined : 'both at once');
    const cost = [BigInt(1_000 - 600 - written) * 3_000n + 600n * 300n + BigInt(written) * 3_750n + 90n * 15_000n, 200n * 3_000n + 1_000n * 300n + 10n * 15_000n];
    expect([first?.nano, second?.nano]).toEqual(cost.map(String));
    const spent = { tokens: 2_300, nano: (cost[0] ?? 0n) + (cost[1] ?? 0n) };
    expect(await site.account(`agentrun:${agent.agentRun}`)).toMatchObject({ spent, reserved: { tokens: 0, nano: 0n } });
    expect(await site.row(agent.agentRun)).toMatchObject({ inputTokens: 2_200, cachedTokens: 1_600, outputTokens: 100, reasoningTokens: 50, modelCalls: 2, toolCalls: 2, costNano: spent.nano, usageUnknown: false });
    expect(locked.calls().map(({ api, outcome }) => [api, outcome])).toEqual(Array.from({ length: 2 }, () => [provider === 'anthropic' ? 'anthropic' : 'openai', '200']));
  });

  test('the key is in the header the provider wants, and nowhere else', async () => {
    const agent = await opened([{ text: 'x' }], of(provider));
    const reply = await agent.ask(1);
    expect(reply.status).toBe(200);
    const { headers, body } = lastCall();
    const carriers = Object.entries(headers).filter(([, value]) => String(value).includes(KEY)).map(([name]) => name);
    expect(carriers).toEqual([provider === 'anthropic' ? 'x-api-key' : 'authorization']);
    expect(headers[carriers[0] ?? '']).toBe(provider === 'anthropic' ? KEY : `Bearer ${KEY}`);
    expect(headers['anthropic-version']).toBe(provider === 'anthropic' ? '2023-06-01' : undefined);
    expect(JSON.stringify([body, reply, await site.journal(agent.agentRun), site.told, site.counted])).not.toContain(KEY);
  });

  test('the most tokens of an answer are named as the provider wants it', async () => {
    await (await opened([{ text: 'x' }], of(provider, { parameters: { maxOutputTokens: 777, temperature: 0.5, topP: 0.9 } }))).ask(1);
    const { body, outcome } = lastCall();
    expect(outcome).toBe('200');
    const named = { anthropic: { max_tokens: 777, temperature: 0.5 }, openai: { max_completion_tokens: 777 }, 'openai-compatible': { max_tokens: 777, temperature: 0.5, top_p: 0.9 } }[provider];
    expect(Object.fromEntries(Object.entries(body).filter(([name]) => /max_|temperature|top_p/.test(name)))).toEqual(named);
  });

  test('a wrong key is refused once, and what the provider says of it is told without the key', async () => {
    const agent = await opened([{ text: 'x' }], of(`${provider}-wrong`));
    const reply = await agent.ask(1);
    expect(reply).toMatchObject({ status: 409, body: { ended: { phase: 'Failed', reason: 'ModelRefused', message: expect.stringContaining('401') } } });
    expect((await site.journal(agent.agentRun)).find((event) => event.kind === 'ModelFailed')).toMatchObject({ payload: { code: 'Credentials', charged: { tokens: 0, nano: '0' } } });
    expect(JSON.stringify(reply)).not.toContain('sk-wrong');
  });

  test.each<[string, object, string, 0 | 1]>([
    ['429 with Retry-After', { kind: 'status', status: 429, retryAfter: 0 }, 'RateLimited', 0],
    ['overloaded', { kind: 'status', status: 529 }, 'ProviderError', 0],
    ['overloaded, said with status 200', { kind: 'streamError', status: provider === 'anthropic' ? 529 : 503, code: provider === 'anthropic' ? 'overloaded_error' : 'overloaded', after: 0 }, 'ProviderError', 0],
    ['an error in the middle of the answer', { kind: 'streamError', status: provider === 'anthropic' ? 529 : 500, code: provider === 'anthropic' ? 'overloaded_error' : 'server_error', after: 5 }, 'ProviderError', 1],
    ['a cut before the first piece', { kind: 'cut', after: 0 }, 'Cut', 1],
    ['a cut in the middle', { kind: 'cut', after: 5 }, 'Cut', 1],
    ['HTML', { kind: 'garbage' }, 'Malformed', 1],
  ])('%s: asked again, charged for what may have been used', async (_, fail, code, charged) => {
    const agent = await opened([{ text: 'at last an answer', chunk: 4, fail: { ...fail, times: 1 } } as never], of(`${provider}-again`));
    expect(await agent.ask(1)).toMatchObject({ status: 200, body: { choices: [{ message: { content: 'at last an answer' } }] } });
    const failed = (await site.journal(agent.agentRun)).filter((event) => event.kind === 'ModelFailed');
    expect(failed.map(({ payload }) => payload)).toMatchObject([{ code, model: `${provider}-again` }]);
    expect(Math.sign(failed[0]?.kind === 'ModelFailed' ? failed[0].payload.charged.tokens : -1)).toBe(charged);
    expect((await site.account(`agentrun:${agent.agentRun}`)).reserved).toEqual({ tokens: 0, nano: 0n });
  });

  test('an account without quota is not asked again: another kind of provider answers', async () => {
    const agent = await opened([{ text: 'ok', fail: { kind: 'status', status: 429, retryAfter: 1, code: provider === 'anthropic' ? 'billing_error' : 'insufficient_quota', models: [NAMES[provider]] } }], of(`${provider}-then`));
    expect(await agent.ask(1)).toMatchObject({ status: 200 });
    expect(locked.calls().map(({ api, outcome }) => [api, outcome])).toEqual(provider === 'anthropic' ? [['anthropic', '429'], ['openai', '200']] : [['openai', '429'], ['anthropic', '200']]);
  });

  test('an outage goes over to another kind of provider in the middle of a run, with the tools\' results', async () => {
    const agent = await opened([{ tools: [{ name: 'box__add', arguments: { a: 4, b: 5 } }] }, { text: 'It is {{last}}.' }], of(`${provider}-then`, TOOLS));
    await agent.ask(1);
    await agent.post('/v1/agent/tool', { step: 1, callId: 's1c0' });
    locked.outage(provider === 'anthropic' ? 529 : 503, [NAMES[provider]]);
    expect(await agent.ask(2)).toMatchObject({ status: 200, body: { choices: [{ message: { content: 'It is 9.' } }] } });
    const [, second] = await completed(agent);
    expect(second?.model).toBe(provider === 'anthropic' ? 'openai' : 'anthropic');
    expect(locked.calls().map(({ outcome }) => outcome)).toEqual(['200', provider === 'anthropic' ? '529' : '503', provider === 'anthropic' ? '529' : '503', '200']);
  });

  test('structured output: the schema goes along as far as the provider takes it, and is checked by us in any case', async () => {
    const strict = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'], additionalProperties: false };
    const open = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] };
    for (const outputSchema of [strict, open]) {
      const agent = await opened([{ json: { n: 'seven' } }, { json: { n: 7 } }], of(provider, { outputSchema, ...TOOLS }));
      await agent.ask(1);
      expect(await agent.finish('')).toMatchObject({ body: { status: 'repair' } });
      await agent.ask(2);
      expect(await agent.finish('')).toMatchObject({ body: { status: 'done', output: { n: 7 } } });
      const { body, outcome } = lastCall();
      expect(outcome).toBe('200');
      const tool = JSON.stringify(body['tools']);
      if (provider === 'anthropic') expect(body['output_config']).toEqual(outputSchema === strict ? { format: { type: 'json_schema', schema: strict } } : undefined);
      else expect(body['response_format']).toMatchObject({ type: 'json_schema', json_schema: { schema: outputSchema, strict: outputSchema === strict } });
      // No tool of the library's making stands between the model and its answer.
      expect([tool.includes('box__add'), (body['tools'] as readonly unknown[]).length, body['tool_choice']]).toEqual([true, 1, provider === 'anthropic' ? { type: 'auto' } : 'auto']);
    }
  });

  test('an empty input, an empty answer and a summary without tools are taken', async () => {
    const agent = await opened([{ text: '' }, { text: 'There.' }], { ...of(provider, { ...TOOLS, outputSchema: { type: 'string' } }), input: '' });
    await agent.ask(1);
    expect(await agent.finish('')).toMatchObject({ body: { status: 'repair' } });
    expect(await agent.ask(2)).toMatchObject({ status: 200 });
    const summary = await agent.ask(3, { purpose: 'compaction', headers: { 'x-rambo-messages': '2' }, body: { messages: [
      { role: 'system', content: '[[script: [{"text": "unused"}] ]]' }, { role: 'user', content: 'go' }, { role: 'assistant', content: null, tool_calls: [{ id: 's1c0', type: 'function', function: { name: 'box__add', arguments: '{}' } }] },
      { role: 'tool', tool_call_id: 's1c0', content: '3' }, { role: 'user', content: 'Sum it up.' },
    ] } });
    expect(summary).toMatchObject({ status: 200 });
    expect(locked.calls().map(({ outcome }) => outcome)).toEqual(['200', '200', '200']);
  });

  test('a stream without a count is estimated; one that ends before its count is asked again', async () => {
    const uncounted = await opened([{ text: 'some words that nobody counted', usage: false }], of(provider));
    await uncounted.ask(1);
    expect(await completed(uncounted)).toMatchObject([{ estimated: true, usage: { input: expect.any(Number) } }]);
    expect((await site.row(uncounted.agentRun)).outputTokens).toBeGreaterThan(3);
  });

  test('an answer that never ends is given up before it fills the memory', async () => {
    const agent = await opened([{ text: 'x', fail: { kind: 'flood', after: 3, bytes: 41_943_040 } }], of(provider, { parameters: { maxOutputTokens: 100 } }));
    const reply = await agent.ask(1);
    expect(reply).toMatchObject({ status: 409, body: { ended: { reason: 'ModelRefused', message: expect.stringContaining('too large') } } });
    expect((await site.journal(agent.agentRun)).find((event) => event.kind === 'ModelFailed')).toMatchObject({ payload: { code: 'Malformed' } });
  });

  test('a redirect is not followed', async () => {
    const agent = await opened([{ text: 'x', fail: { kind: 'status', status: 307 } }], of(provider));
    expect(await agent.ask(1)).toMatchObject({ status: 409, body: { ended: { reason: 'ModelRefused', message: expect.stringContaining('redirects are not followed') } } });
    expect(locked.calls()).toHaveLength(1);
  });

  test('a probe finds out whether it answers with its key', async () => {
    const fetch = guardedFetch({ allow: ['127.0.0.1'] });
    const probe = async (name: string): Promise<unknown> => {
      const [row] = await modelsByName(site.db, NS, [name]);
      return probeModel({ db: site.db, fetchFor: () => fetch, secrets: { read: async (_ns, secret) => (secret === 'key' ? KEY : 'sk-wrong') } }, { v: 1, verb: 'probe', namespace: NS, name, uid: row?.uid ?? '', generation: 1 });
    };
    expect(await probe(provider)).toMatchObject({ ok: true, models: ['scripted'] });
    expect(await probe(`${provider}-wrong`)).toMatchObject({ ok: false, error: { code: 'AuthFailed' } });
    fetch.close();
  });
});

test.each<[Provider, number]>([['openai', 2], ['openai-compatible', 2], ['anthropic', 3]])('%s: a stream that is cut after the answer and before its end is asked again', async (provider, fromEnd) => {
  // openai: one piece of role, one of text, then finish, usage, [DONE]; anthropic: message_start, ping, start, text, stop, message_delta, message_stop.
  const after = { openai: 5, 'openai-compatible': 5, anthropic: 7 }[provider] - fromEnd;
  const agent = await opened([{ text: 'words', fail: { kind: 'cut', after, times: 1 } }], of(`${provider}-again`));
  expect(await agent.ask(1)).toMatchObject({ status: 200, body: { choices: [{ message: { content: 'words' } }] } });
  expect((await site.journal(agent.agentRun)).find((event) => event.kind === 'ModelFailed')).toMatchObject({ payload: { code: 'Cut' } });
});
