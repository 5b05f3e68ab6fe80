import { Receiver, type ReceivedSpan } from '../observability/otlp.ts';
import { AgentStack } from './stack-site.ts';

/** Agents in traces and metrics, on a whole stack: one trace from the workflow to the provider and the tool, and nothing on it that was said. */

const SECRET_PROMPT = 'prompt-4711-which-no-span-may-hold';
const SECRET_ANSWER = 'answer-4711-which-no-span-may-hold';
const SECRET_ARGUMENT = 'argument-4711-which-no-span-may-hold';
const KEY = 'sk-4711-key-of-the-telemetry-test';

let receiver: Receiver;
let s: AgentStack;
beforeAll(async () => {
  receiver = await Receiver.start();
  s = await AgentStack.start({ otlpEndpoint: receiver.url });
}, 1_200_000);
afterAll(async () => {
  await s.stop();
  receiver.stop();
});

async function spans(trace: string, count: number): Promise<readonly ReceivedSpan[]> {
  return s.t.until(`${count} spans of agents`, async () => {
    const found = receiver.spans.filter((span) => span.trace === trace && span.attributes['gen_ai.operation.name'] !== undefined);
    // Runner and gateway send on their own: the span of the agent, which ends last, may come before those below it, or after.
    return found.length >= count && found.some(({ name }) => name.startsWith('invoke_agent')) ? found : undefined;
  }).catch((error: unknown) => { throw new Error(`${String(error)}; there are ${JSON.stringify(receiver.spans.filter((span) => span.trace === trace || span.attributes['gen_ai.operation.name'] !== undefined).map(({ service, name, trace: of }) => [service, name, of]))}`); });
}

test('an Anthropic model with a tool: spans by the conventions, one below the other, metrics, and nothing that was said', async () => {
  s.model.register('spoken', [
    { reasoning: 'hm', tools: [{ name: 'tools__count', arguments: { note: SECRET_ARGUMENT } }, { name: 'shop__look', arguments: { order: SECRET_ARGUMENT } }], usage: { input: 200, cached: 120, cacheWrite: 30, output: 20, reasoning: 5 } },
    { text: SECRET_ANSWER, fail: { kind: 'status', status: 529, times: 1 } },
  ]);
  await s.t.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'anthropic', namespace: 'default', labels: { 'rambo.dev/credentials': 'true' } }, stringData: { apiKey: KEY } });
  await s.t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'Model', metadata: { name: 'spoken', namespace: 'default' }, spec: {
    provider: 'anthropic', baseUrl: s.model.url, model: 'scripted/spoken', credentialsRef: { name: 'anthropic' }, pricing: { input: 3, output: 15 },
  } });
  await s.ready('model', 'spoken');
  await s.t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'ToolServer', metadata: { name: 'shop', namespace: 'default' }, spec: {
    http: { baseUrl: s.tools.api, operations: [{ name: 'look', description: 'Looks.', method: 'GET', path: '/orders/{order}', inputSchema: { type: 'object', properties: { order: { type: 'string' } }, required: ['order'] } }] },
    tools: [{ name: 'look', effect: 'ReadOnly' }],
  } });
  await s.ready('toolserver', 'shop');
  await s.agent('spoken', { modelRef: { name: 'spoken' }, instructions: { text: SECRET_PROMPT }, tools: [{ toolServerRef: { name: 'tools', include: ['count'] } }, { toolServerRef: { name: 'shop' } }] });
  const run = await s.run('spoken');
  expect((await s.t.finished(run.metadata.name)).status).toMatchObject({ phase: 'Succeeded', outputs: { answer: SECRET_ANSWER } });
  expect(new Set(s.model.calls().map(({ api }) => api))).toEqual(new Set(['anthropic']));

  const accept = await s.t.until('the root', async () => receiver.spans.find((span) => span.name === 'rambo.run.accept' && span.attributes['rambo.run'] === run.metadata.uid));
  const all = await spans(accept.trace, 6);
  const named = (name: string): readonly ReceivedSpan[] => all.filter((span) => span.name === name);
  const [agent] = named('invoke_agent spoken');
  const node = await s.t.until('the node', async () => receiver.spans.find((span) => span.name === 'rambo.node' && span.trace === accept.trace));
  expect(agent).toMatchObject({ service: 'rambo-runner', parent: node.id, attributes: { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': 'spoken' } });
  const chats = named('chat scripted/spoken');
  expect(chats).toHaveLength(3);
  for (const chat of chats) {
    expect(chat).toMatchObject({ service: 'rambo-modelgateway', parent: agent?.id, attributes: {
      'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'anthropic', 'gen_ai.request.model': 'scripted/spoken', 'gen_ai.agent.name': 'spoken', 'gen_ai.output.type': 'text', 'server.address': '127.0.0.1', 'rambo.model': 'spoken',
    } });
  }
  expect(chats.find(({ attributes }) => attributes['gen_ai.usage.cache_read.input_tokens'] !== undefined && attributes['rambo.step'] !== undefined)?.attributes).toMatchObject({ 'gen_ai.response.model': 'scripted/spoken' });
  expect(chats.map(({ attributes }) => attributes['error.type']).filter((type) => type !== undefined)).toEqual(['ProviderError']);
  const first = chats.find(({ attributes }) => String(attributes['gen_ai.usage.input_tokens']) === '200');
  expect(Object.fromEntries(['output_tokens', 'cache_read.input_tokens', 'cache_creation.input_tokens', 'reasoning.output_tokens'].map((name) => [name, String(first?.attributes[`gen_ai.usage.${name}`])])))
    .toEqual({ output_tokens: '20', 'cache_read.input_tokens': '120', 'cache_creation.input_tokens': '30', 'reasoning.output_tokens': '5' });
  const [tool] = named('execute_tool tools/count');
  expect(tool).toMatchObject({ service: 'rambo-modelgateway', parent: agent?.id, attributes: { 'gen_ai.tool.name': 'tools/count', 'gen_ai.tool.call.id': 's1c0', 'gen_ai.tool.type': 'extension' } });
  // No such order: what a tool says of an error is an error of that call.
  const [http] = named('execute_tool shop/look');
  expect(http?.attributes).toMatchObject({ 'gen_ai.tool.call.id': 's1c1', 'error.type': 'tool_error' });
  // Both tools were told where they belong: by `_meta`, by a header.
  expect([...s.tools.hits().traceparents].sort()).toEqual([tool, http].map((span) => `00-${accept.trace}-${span?.id ?? ''}-01`).sort());

  const page = await (await fetch(`${s.t.stack.gatewayHealthUrl()}/metrics`)).text();
  const value = (pattern: RegExp): number => Number(pattern.exec(page)?.[1] ?? Number.NaN);
  const mine = 'namespace="default",agent="spoken"';
  // The first answer alone: 200 tokens in, 20 out.
  expect(value(new RegExp(`rambo_agent_spend_usd_total\\{[^}]*${mine}[^}]*\\} (\\S+)`))).toBeGreaterThan(0.000_899);
  expect(value(new RegExp(`rambo_agent_spend_tokens_total\\{[^}]*${mine}[^}]*kind="output"[^}]*\\} (\\S+)`))).toBeGreaterThan(20);
  expect(['answered', 'error'].map((outcome, i) => value(new RegExp(`rambo_agent_tool_seconds_count\\{[^}]*kind="${i === 0 ? 'mcp' : 'http'}"[^}]*outcome="${outcome}"[^}]*\\} (\\S+)`)))).toEqual([1, 1]);

  for (const text of [SECRET_PROMPT, SECRET_ANSWER, SECRET_ARGUMENT, KEY]) for (const place of [receiver.text, page]) expect(place).not.toContain(text);
});
