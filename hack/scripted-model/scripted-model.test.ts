import { startScriptedModel, type ScriptedModel } from './server.ts';

interface Reply {
  readonly choices: readonly { readonly finish_reason: string; readonly message: { readonly content: string | null } }[];
  readonly usage: { readonly total_tokens: number };
}

let model: ScriptedModel;
beforeAll(async () => { model = await startScriptedModel(); });
afterAll(() => model.stop());
beforeEach(() => { model.reset(); });

const ask = (body: object): Promise<Response> => fetch(`${model.url}/chat/completions`, { method: 'POST', body: JSON.stringify({ model: 'scripted', ...body }) });
const json = async (body: object): Promise<Reply> => (await ask(body)).json() as Promise<Reply>;
const user = (content: string): { role: string; content: string } => ({ role: 'user', content });
const script = (turns: unknown): string => `[[script: ${JSON.stringify(turns)}]]`;

test('without a script it echoes', async () => {
  const answer = await json({ messages: [user('hello')] });
  expect(answer.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'You said: hello' } });
  expect(answer.usage.total_tokens).toBeGreaterThan(0);
});

test('turns follow the conversation, and a repeated request gets the same answer', async () => {
  model.register('two', [{ tools: [{ name: 'look', arguments: { at: 1 } }] }, { text: 'saw {{last}}' }]);
  const first = [user('[[scenario: two]] go')];
  const answers = await Promise.all([1, 2].map(async () => (await json({ messages: first })).choices[0]));
  expect(answers[0]).toEqual(answers[1]);
  expect(answers[0]).toMatchObject({ finish_reason: 'tool_calls', message: { tool_calls: [{ function: { name: 'look', arguments: '{"at":1}' } }] } });
  const next = [...first, { role: 'assistant', content: null, tool_calls: [{ id: 's1c1' }] }, { role: 'tool', tool_call_id: 's1c1', content: 'a cat' }];
  expect((await json({ messages: next })).choices[0]?.message.content).toBe('saw a cat');
  expect(model.calls().map(({ turn, scenario }) => [turn, scenario])).toEqual([[1, 'two'], [1, 'two'], [2, 'two']]);
});

test('steps count by tool-call ids where older messages are gone', async () => {
  model.register('many', [{ text: '1' }, { text: '2' }, { text: '3' }, { text: '4' }]);
  const messages = [user('[[scenario: many]] go'), { role: 'assistant', tool_calls: [{ id: 's3c0' }] }, { role: 'tool', tool_call_id: 's3c0', content: 'x' }];
  expect((await json({ messages })).choices[0]?.message.content).toBe('4');
});

test('streams text, reasoning, tool calls and usage', async () => {
  const messages = [user(script([{ text: 'a longer answer', reasoning: 'hm', tools: [{ name: 'x' }], chunk: 4, usage: { input: 10, output: 5, cached: 3, reasoning: 2 } }]))];
  const text = await (await ask({ messages, stream: true, stream_options: { include_usage: true } })).text();
  const events = text.split('\n\n').filter((line) => line.startsWith('data: {')).map((line) => JSON.parse(line.slice(6)));
  expect(events.flatMap((event) => event.choices.map((choice: { delta: { content?: string } }) => choice.delta.content ?? '')).join('')).toBe('a longer answer');
  expect(events.at(-1).usage).toMatchObject({ prompt_tokens: 10, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 3 } });
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
});

test('fails on command, as often as it was told', async () => {
  const messages = [user(script([{ text: 'ok', fail: { kind: 'status', status: 429, retryAfter: 3, times: 2 } }]))];
  const statuses = [];
  for (let i = 0; i < 3; i++) statuses.push((await ask({ messages })).status);
  expect(statuses).toEqual([429, 429, 200]);
  const cut = await ask({ messages: [user(script([{ text: 'a longer answer', fail: { kind: 'cut', after: 2 } }]))], stream: true });
  await expect(cut.text()).rejects.toThrow();
  expect(model.calls().map(({ outcome }) => outcome)).toEqual(['429', '429', '200', 'cut']);
});

test('an outage of one model leaves the others', async () => {
  await fetch(new URL('/admin/outage', model.url), { method: 'PUT', body: JSON.stringify({ status: 503, models: ['a'] }) });
  expect([(await ask({ model: 'a', messages: [user('x')] })).status, (await ask({ model: 'b', messages: [user('x')] })).status]).toEqual([503, 200]);
});

test('an unknown scenario and a malformed script are refused with a reason', async () => {
  const unknown = await ask({ messages: [user('[[scenario: nobody]]')] });
  expect([unknown.status, ((await unknown.json()) as { error: { message: string } }).error.message]).toEqual([400, 'no scenario "nobody" is registered']);
  expect((await ask({ messages: [user('[[script: [{"text": 7}] ]]')] })).status).toBe(400);
});
