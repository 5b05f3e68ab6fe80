import { AgentSite, NS, type RunningGateway } from './site.ts';
import { REASONS } from '../../../modelgateway/run/ending.ts';

let site: AgentSite;
let gateway: RunningGateway;
beforeAll(async () => {
  site = await AgentSite.start();
  await site.addModel('main', { retries: 2, fallback: [{ name: 'spare' }] });
  await site.addModel('spare');
  await site.addModel('alone', { retries: 1 });
  gateway = await site.gateway();
});
afterAll(() => site.stop());
beforeEach(() => { site.model.reset(); site.counted.length = 0; });

const ALONE = { modelRef: { name: 'alone' } };
const models = (): readonly string[] => site.model.calls().map(({ model }) => model);

test.each<[string, object, string, number]>([
  ['429 with Retry-After', { kind: 'status', status: 429, retryAfter: 0, times: 1 }, 'RateLimited', 0],
  ['500', { kind: 'status', status: 500, times: 1 }, 'ProviderError', 0],
  ['no answer', { kind: 'hang', times: 1 }, 'Timeout', 1],
  ['a hang in the middle', { kind: 'hangAfter', after: 3, times: 1 }, 'Timeout', 1],
  ['a cut in the middle', { kind: 'cut', after: 3, times: 1 }, 'Cut', 1],
  ['HTML', { kind: 'garbage', times: 1 }, 'Malformed', 1],
])('%s: the same model is asked again, and what was lost is charged', async (_, fail, code, charged) => {
  const agent = await site.agent(gateway, [{ text: 'at last an answer', chunk: 4, fail } as never], { spec: ALONE });
  await agent.open();
  expect(await agent.ask(1)).toMatchObject({ status: 200, body: { choices: [{ message: { content: 'at last an answer' } }] } });
  const events = await site.journal(agent.agentRun);
  expect(events.map(({ kind }) => kind)).toEqual(['RunStarted', 'ModelRequested', 'ModelFailed', 'ModelRequested', 'ModelCompleted']);
  const failed = events.find((event) => event.kind === 'ModelFailed');
  expect(failed?.payload).toMatchObject({ code, model: 'alone' });
  expect(Math.sign(failed?.kind === 'ModelFailed' ? failed.payload.charged.tokens : -1)).toBe(charged);
  const row = await site.row(agent.agentRun);
  expect(row).toMatchObject({ modelCalls: 2, usageUnknown: charged === 1 });
  // What the run says it used is what its budget paid, to the token; nothing stays reserved.
  expect(await site.account(`agentrun:${agent.agentRun}`)).toMatchObject({ spent: { tokens: row.inputTokens + row.outputTokens }, reserved: { tokens: 0, nano: 0n } });
});

test('an outage goes to the fallback after the retries, a refusal at once', async () => {
  const agent = await site.agent(gateway, [{ text: 'ok', fail: { kind: 'status', status: 503, retryAfter: 0, models: ['main'] } }]);
  await agent.open();
  expect(await agent.ask(1)).toMatchObject({ status: 200 });
  expect(models()).toEqual(['main', 'main', 'main', 'spare']);
  expect((await site.journal(agent.agentRun)).at(-1)).toMatchObject({ kind: 'ModelCompleted', payload: { model: 'spare' } });
  site.model.reset();
  const refused = await site.agent(gateway, [{ text: 'ok', fail: { kind: 'status', status: 400, models: ['main'] } }]);
  await refused.open();
  expect(await refused.ask(1)).toMatchObject({ status: 200 });
  expect(models()).toEqual(['main', 'spare']);
  expect(site.counted.filter((line) => line.startsWith('again'))).toEqual(['again retry', 'again retry', 'again fallback', 'again fallback']);
});

test('all refuse: the run fails and says which model said what', async () => {
  const agent = await site.agent(gateway, [{ text: 'ok', fail: { kind: 'status', status: 401 } }]);
  await agent.open();
  expect(await agent.ask(1)).toMatchObject({ status: 409, body: { error: { code: 'Ended' }, ended: { phase: 'Failed', reason: 'ModelRefused', message: expect.stringMatching(/main: .*401.*spare: .*401/s) } } });
});

test('an outage of all is no end at first; one that lasts is', async () => {
  const patient = await site.agent(gateway, [{ text: 'ok' }], { spec: ALONE });
  await patient.open();
  site.model.outage(500, ['alone']);
  expect(await patient.ask(1)).toMatchObject({ status: 503, body: { error: { code: 'Unavailable' } } });
  expect((await site.row(patient.agentRun)).phase).toBe('Running');
  site.model.outage(0, ['alone']);
  expect(await patient.ask(1)).toMatchObject({ status: 200 });

  const impatient = await site.gateway({ outageMs: 0 });
  const agent = await site.agent(impatient, [{ text: 'ok' }], { spec: ALONE });
  await agent.open();
  site.model.outage(500, ['alone']);
  expect(await agent.ask(1)).toMatchObject({ status: 409, body: { ended: { phase: 'Failed', reason: 'ModelUnavailable' } } });
});

test('a stream that breaks off tells who listened, and the next question gets the whole answer', async () => {
  const agent = await site.agent(gateway, [{ text: 'a long answer in many pieces', chunk: 4, fail: { kind: 'cut', after: 4, times: 1 } }], { spec: ALONE });
  await agent.open();
  const broken = await (await agent.stream(1)).text();
  expect(broken).toContain('"code":"Unavailable"');
  expect(broken).not.toContain('[DONE]');
  const whole = await (await agent.stream(1)).text();
  const text = whole.split('\n\n').filter((line) => line.startsWith('data: {')).map((line) => JSON.parse(line.slice(6)).choices[0]?.delta.content ?? '').join('');
  expect(text).toBe('a long answer in many pieces');
  expect(site.model.calls()).toHaveLength(2);
});

test('no usage: estimated, charged, and said so', async () => {
  const agent = await site.agent(gateway, [{ text: 'some words that nobody counted', usage: false }], { spec: ALONE });
  await agent.open();
  await agent.ask(1);
  expect((await site.journal(agent.agentRun)).at(-1)).toMatchObject({ kind: 'ModelCompleted', payload: { estimated: true } });
  const row = await site.row(agent.agentRun);
  expect(row.usageUnknown).toBe(true);
  expect(row.outputTokens).toBeGreaterThan(3);
  expect((await site.account(`agentrun:${agent.agentRun}`)).spent.tokens).toBe(row.inputTokens + row.outputTokens);
});

test('malformed arguments are kept as the model wrote them', async () => {
  const agent = await site.agent(gateway, [{ tools: [{ name: 'x', arguments: '{"a": ' }] }], { spec: ALONE });
  await agent.open();
  expect((await agent.ask(1)).body.choices[0].message.tool_calls[0].function.arguments).toBe('{"a": ');
});

test('keys come from labelled Secrets and never show', async () => {
  await site.addModel('keyed', { credentialsRef: { name: 'openai' } });
  const missing = await site.agent(gateway, [{ text: 'x' }], { spec: { modelRef: { name: 'keyed' } } });
  await missing.open();
  expect(await missing.ask(1)).toMatchObject({ status: 409, body: { ended: { reason: 'ModelRefused', message: expect.stringContaining('no Secret "openai"') } } });
  expect(site.model.calls()).toHaveLength(0);
  site.secrets.set(`${NS}/openai/apiKey`, 'sk-very-secret');
  const agent = await site.agent(gateway, [{ text: 'x', fail: { kind: 'status', status: 403, times: 1 } }], { spec: { modelRef: { name: 'keyed' } } });
  await agent.open();
  const reply = await agent.ask(1);
  expect(site.model.calls()[0]?.authorization).toBe('Bearer sk-very-secret');
  expect(JSON.stringify([reply, await site.journal(agent.agentRun), site.told])).not.toContain('very-secret');
});

test.each<[string, string, RegExp]>([
  ['a private address', 'http://10.0.0.1/v1', /10\.0\.0\.1/], ['link-local', 'http://169.254.169.254/v1', /169\.254/], ['a private IPv6 address', 'http://[fd00::1]/v1', /fd00::1/],
])('%s is not reached', async (_, baseUrl, message) => {
  await site.addModel('inside', { baseUrl });
  await new Promise((resolve) => { setTimeout(resolve, 2_050); });
  const agent = await site.agent(gateway, [{ text: 'x' }], { spec: { modelRef: { name: 'inside' } } });
  await agent.open();
  expect(await agent.ask(1)).toMatchObject({ status: 409, body: { ended: { reason: 'ModelRefused', message: expect.stringMatching(message) } } });
});

test('a run that is over stops what is under way, and settles it', async () => {
  const agent = await site.agent(gateway, [{ text: 'never heard', fail: { kind: 'hang' } }], { spec: ALONE });
  await agent.open();
  const asked = agent.ask(1);
  await site.until('the call', async () => site.model.calls().length === 1);
  await gateway.server.sweeper.runEnded(agent.run, 'Cancelled');
  expect(await asked).toMatchObject({ status: expect.any(Number) });
  expect(await site.row(agent.agentRun)).toMatchObject({ phase: 'Cancelled', reason: REASONS.gone });
  await site.until('the settlement', async () => (await site.account(`agentrun:${agent.agentRun}`)).reserved.tokens === 0);
  expect((await site.journal(agent.agentRun)).at(-1)).toMatchObject({ kind: 'ModelFailed', payload: { code: 'Aborted' } });
  expect(site.model.calls()[0]?.abandoned).toBe(true);
});

test('the limits of a Model make calls wait for their turn', async () => {
  await site.addModel('narrow', { limits: { concurrency: 1 } });
  const agents = await Promise.all(['a', 'b', 'c'].map((node) => site.agent(gateway, [{ text: 'x', delayMs: 60 }], { node, spec: { modelRef: { name: 'narrow' } } })));
  await Promise.all(agents.map((agent) => agent.open()));
  let most = 0;
  const looking = setInterval(() => { most = Math.max(most, site.model.calls().filter(({ outcome }) => outcome === undefined).length); }, 5);
  expect((await Promise.all(agents.map((agent) => agent.ask(1)))).map(({ status }) => status)).toEqual([200, 200, 200]);
  clearInterval(looking);
  expect(most).toBe(1);
});
