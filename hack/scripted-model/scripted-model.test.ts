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

describe('as Anthropic speaks', () => {
  const messages = (body: object, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
    fetch(`${model.url}/messages`, { method: 'POST', headers: { 'anthropic-version': '2023-06-01', ...headers }, body: JSON.stringify({ model: 'scripted', max_tokens: 100, ...body }) });
  const events = async (response: Response): Promise<readonly { readonly type: string; readonly [field: string]: unknown }[]> =>
    (await response.text()).split('\n').filter((line) => line.startsWith('data: ')).map((line) => JSON.parse(line.slice(6)));

  test('blocks and usage come in its events, counted as it counts', async () => {
    const turn = { reasoning: 'hm', text: 'so', tools: [{ name: 'x', arguments: { a: 1 } }], usage: { input: 10, cached: 6, cacheWrite: 3, output: 5, reasoning: 2 } };
    const got = await events(await messages({ system: script([turn]), messages: [user('go')], stream: true }));
    expect(got.map(({ type }) => type).filter((type, i, all) => type !== all[i - 1])).toEqual([
      'message_start', 'ping', 'content_block_start', 'content_block_delta', 'content_block_stop', 'content_block_start', 'content_block_delta', 'content_block_stop', 'content_block_start', 'content_block_delta', 'content_block_stop',
      'message_delta', 'message_stop',
    ]);
    expect(got.at(0)).toMatchObject({ message: { usage: { input_tokens: 1, cache_read_input_tokens: 6, cache_creation_input_tokens: 3 } } });
    expect(got.at(-2)).toMatchObject({ delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 5, output_tokens_details: { thinking_tokens: 2 } } });
  });

  test.each<[string, object, RegExp]>([
    ['no max_tokens', { max_tokens: undefined, messages: [user('x')] }, /max_tokens/], ['an answer first', { messages: [{ role: 'assistant', content: 'x' }] }, /first message/], ['an empty text', { messages: [user('')] }, /non-empty/],
    ['a call without its result', { tools: [{}], messages: [user('x'), { role: 'assistant', content: [{ type: 'tool_use', id: 't' }] }, user('y')] }, /tool_result/],
    ['calls without tools', { messages: [user('x'), { role: 'assistant', content: [{ type: 'tool_use', id: 't' }] }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't', content: 'r' }] }] }, /must define tools/],
  ])('%s is refused in its words', async (_, body, message) => {
    const answer = await messages(body);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ type: 'error', error: { type: 'invalid_request_error', message: expect.stringMatching(message) } });
  });

  test('errors have its types, keys its header', async () => {
    const overloaded = await messages({ messages: [user(script([{ fail: { kind: 'status', status: 529 } }]))] });
    expect([overloaded.status, await overloaded.json()]).toMatchObject([529, { error: { type: 'overloaded_error' } }]);
    const locked = await startScriptedModel({ apiKey: 'k' });
    const at = (headers: Readonly<Record<string, string>>): Promise<number> => fetch(`${locked.url}/models`, { headers }).then(({ status }) => status);
    expect([await at({ 'anthropic-version': '1', 'x-api-key': 'k' }), await at({ 'anthropic-version': '1', authorization: 'Bearer k' }), await at({ authorization: 'Bearer k' }), await at({ 'x-api-key': 'k' })]).toEqual([200, 401, 200, 401]);
    await locked.stop();
  });
});

test('models called as OpenAI calls them are held to its rules', async () => {
  const strict = (schema: object): object => ({ response_format: { type: 'json_schema', json_schema: { name: 'x', strict: true, schema } } });
  const open = { type: 'object', properties: { a: { type: 'string' } } };
  const statuses = [];
  for (const body of [{ model: 'gpt-5', max_tokens: 5 }, { model: 'gpt-5', max_completion_tokens: 5 }, { model: 'gpt-4o', max_tokens: 5 }, { model: 'gpt-4o', ...strict(open) }, { model: 'local', ...strict(open) }, { model: 'gpt-4o', ...strict({ ...open, required: ['a'], additionalProperties: false }) }]) {
    statuses.push((await ask({ messages: [user('x')], ...body })).status);
  }
  expect(statuses).toEqual([400, 200, 200, 400, 200, 200]);
  const empty = await ask({ messages: [user(script([{ fail: { kind: 'status', status: 429, code: 'insufficient_quota' } }]))] });
  expect(await empty.json()).toMatchObject({ error: { type: 'insufficient_quota', code: 'insufficient_quota' } });
});
