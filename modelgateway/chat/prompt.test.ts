import { chatCompletion, chunkOf, lastChunks, piecesOf } from './answer.ts';
import { callOptions, promptOf } from './prompt.ts';
import { agentMessages, chatRequestSchema, wantedOutput } from './request.ts';

const call = (n: number, text: string) => ({ callId: `s1c${n}`, tool: `t${n}`, arguments: text });

test('messages for the AI SDK: results belong together and name their tool, errors are errors', () => {
  expect(promptOf([
    { role: 'system', text: 'be kind' }, { role: 'user', text: 'go' },
    { role: 'assistant', text: '', toolCalls: [call(0, '{"a":1}'), call(1, 'not json'), call(2, ''), call(3, '[1]')] },
    { role: 'tool', callId: 's1c0', tool: 'x', text: 'fine', isError: false }, { role: 'tool', callId: 's1c1', tool: 'x', text: 'no', isError: true },
    { role: 'assistant', text: 'done', toolCalls: [] },
  ])).toEqual([
    { role: 'system', content: 'be kind' }, { role: 'user', content: [{ type: 'text', text: 'go' }] },
    { role: 'assistant', content: [
      { type: 'tool-call', toolCallId: 's1c0', toolName: 't0', input: { a: 1 } }, { type: 'tool-call', toolCallId: 's1c1', toolName: 't1', input: { malformed: 'not json' } },
      { type: 'tool-call', toolCallId: 's1c2', toolName: 't2', input: {} }, { type: 'tool-call', toolCallId: 's1c3', toolName: 't3', input: { malformed: '[1]' } },
    ] },
    { role: 'tool', content: [
      { type: 'tool-result', toolCallId: 's1c0', toolName: 't0', output: { type: 'text', value: 'fine' } }, { type: 'tool-result', toolCallId: 's1c1', toolName: 't1', output: { type: 'error-text', value: 'no' } },
    ] },
    { role: 'assistant', content: [{ type: 'text', text: 'done' }] },
  ]);
});

const holds = { provider: 'openai-compatible', capabilities: { tools: true, structuredOutput: true, vision: false } } as const;

test('the schema of the output goes along only to models that hold to one', () => {
  const prompt = { messages: [], tools: [], parameters: { temperature: 0.2 }, outputSchema: { type: 'object' } };
  expect(callOptions(prompt, 50, holds)).toMatchObject({ maxOutputTokens: 50, temperature: 0.2, responseFormat: { type: 'json', schema: { type: 'object' } } });
  expect(callOptions(prompt, 50, { provider: 'openai-compatible' })).not.toHaveProperty('responseFormat');
  expect(callOptions(prompt, 50, holds)).not.toHaveProperty('tools');
  expect(callOptions({ ...prompt, tools: [{ name: 'a', description: 'd', inputSchema: {} }] }, 50, holds)).toMatchObject({ tools: [{ type: 'function', name: 'a', description: 'd' }], toolChoice: { type: 'auto' } });
});

const STRICT = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'], additionalProperties: false };
test.each<['openai' | 'anthropic' | 'openai-compatible', object, object | undefined]>([
  ['openai', STRICT, { openai: { strictJsonSchema: true } }], ['openai', { type: 'object' }, { openai: { strictJsonSchema: false } }], ['openai', { type: 'array' }, undefined],
  ['openai-compatible', STRICT, { openaiCompatible: { strictJsonSchema: true } }], ['openai-compatible', { type: 'array' }, { openaiCompatible: { strictJsonSchema: false } }],
  ['anthropic', STRICT, { anthropic: { structuredOutputMode: 'outputFormat' } }], ['anthropic', { type: 'object' }, undefined],
])('%s is given %j as far as it takes it', (provider, outputSchema, providerOptions) => {
  const options = callOptions({ messages: [], tools: [], parameters: {}, outputSchema }, 50, { ...holds, provider });
  expect([options.responseFormat !== undefined, options.providerOptions]).toEqual([providerOptions !== undefined, providerOptions]);
});

test('without tools calls and results are texts, and nothing is empty', () => {
  const messages = [
    { role: 'user' as const, text: '' }, { role: 'assistant' as const, text: 'so', toolCalls: [call(0, '{"a":1}')] }, { role: 'tool' as const, callId: 's1c0', tool: 't0', text: 'fine', isError: false },
    { role: 'assistant' as const, text: '', toolCalls: [] },
  ];
  expect(callOptions({ messages, tools: [], parameters: {} }, 5, holds).prompt).toEqual([
    { role: 'user', content: [{ type: 'text', text: '(empty)' }] }, { role: 'assistant', content: [{ type: 'text', text: 'so\n[call s1c0: t0 {"a":1}]' }] },
    { role: 'user', content: [{ type: 'text', text: '[result of call s1c0]\nfine' }] },
  ]);
});

test('OpenAI\'s messages in the journal\'s terms', () => {
  const request = chatRequestSchema.parse({
    messages: [
      { role: 'developer', content: 'd' }, { role: 'user', content: [{ type: 'text', text: 'a' }, { type: 'text', text: 'b' }] },
      { role: 'assistant', content: null, tool_calls: [{ id: 'c', type: 'function', function: { name: 'n', arguments: '{}' } }] }, { role: 'tool', tool_call_id: 'c', content: 'r' },
    ], max_tokens: 5, max_completion_tokens: 7, unknown: 1,
  });
  expect(agentMessages(request.messages)).toEqual([
    { role: 'system', text: 'd' }, { role: 'user', text: 'ab' }, { role: 'assistant', text: '', toolCalls: [{ callId: 'c', tool: 'n', arguments: '{}' }] }, { role: 'tool', callId: 'c', tool: '', text: 'r', isError: false },
  ]);
  expect(wantedOutput(request)).toBe(7);
  expect(chatRequestSchema.safeParse({ messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }).success).toBe(false);
});

test('an answer is the same whole, in pieces and from the journal', () => {
  const completed = {
    step: 1, purpose: 'step' as const, requestId: 'r', model: 'm', text: 'hello', reasoning: 'hm', toolCalls: [call(0, '{}')], finish: 'tool-calls', nano: '0', estimated: false, ms: 1,
    usage: { input: 3, cached: 1, cacheWrite: 0, output: 2, reasoning: 1 },
  };
  expect(chatCompletion(completed)).toMatchObject({ choices: [{ finish_reason: 'tool_calls', message: { content: 'hello', reasoning_content: 'hm', tool_calls: [{ id: 's1c0', function: { name: 't0', arguments: '{}' } }] } }], usage: { total_tokens: 5 } });
  expect(piecesOf(completed).map((piece) => chunkOf('r', 'm', piece))).toMatchObject([
    { choices: [{ delta: { reasoning_content: 'hm' } }] }, { choices: [{ delta: { content: 'hello' } }] }, { choices: [{ delta: { tool_calls: [{ index: 0, id: 's1c0' }] } }] },
  ]);
  expect(lastChunks(completed)).toMatchObject([{ choices: [{ finish_reason: 'tool_calls' }] }, { usage: { prompt_tokens: 3, prompt_tokens_details: { cached_tokens: 1 } } }]);
  expect(chatCompletion({ ...completed, toolCalls: [], finish: 'length' })).toMatchObject({ choices: [{ finish_reason: 'length' }] });
});
