import { createServer } from 'node:http';
import { context, propagation, trace } from '@opentelemetry/api';
import { validTraceparent, withGenAi } from './gen-ai.ts';
import { startTracing } from './index.ts';

afterEach(() => {
  trace.disable();
  context.disable();
  propagation.disable();
});

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

interface Sent { readonly name: string; readonly kind: number; readonly parentSpanId?: string; readonly status: { readonly code?: number; readonly message?: string }; readonly attributes: readonly { readonly key: string; readonly value: object }[] }

/** Spans that `work` makes, by name. */
async function sent(work: () => Promise<void>): Promise<ReadonlyMap<string, Sent>> {
  const bodies: { resourceSpans: { scopeSpans: { spans: Sent[] }[] }[] }[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => { body += text; }).on('end', () => {
      bodies.push(JSON.parse(body));
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', () => { resolve(); }); });
  const address = server.address();
  const stop = await startTracing('test', `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`);
  await work();
  await stop();
  server.close();
  return new Map(bodies.flatMap(({ resourceSpans }) => resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))).map((span) => [span.name, span]));
}

test('without spans the traceparent is handed on as it came', async () => {
  expect(await withGenAi({ operation: 'chat', target: 'm', parent: PARENT, facts: {} }, ({ traceparent }) => Promise.resolve(traceparent))).toBe(PARENT);
});

test('a call of a model is a client, a tool is not; what is unknown is left out; spans inside one belong below it', async () => {
  let inner: string | undefined;
  const spans = await sent(() => withGenAi({ operation: 'invoke_agent', target: 'desk', parent: PARENT, facts: { 'gen_ai.agent.name': 'desk', 'gen_ai.conversation.id': undefined } }, async () => {
    await withGenAi({ operation: 'chat', target: 'm', parent: undefined, facts: {} }, async ({ set, traceparent }) => {
      inner = traceparent;
      set({ 'gen_ai.usage.input_tokens': 7, 'gen_ai.response.finish_reasons': ['stop'] });
    });
    await withGenAi({ operation: 'execute_tool', target: 't', parent: PARENT, facts: {} }, async ({ set }) => { set({ 'error.type': 'AuthFailed' }); });
  }));
  const [agent, chat, tool] = ['invoke_agent desk', 'chat m', 'execute_tool t'].map((name) => spans.get(name));
  expect([agent?.kind, chat?.kind, tool?.kind]).toEqual([1, 3, 1]);
  expect([agent?.parentSpanId, tool?.parentSpanId]).toEqual(['b7ad6b7169203331', 'b7ad6b7169203331']);
  expect(chat?.parentSpanId).not.toBe(agent?.parentSpanId);
  expect(inner).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
  expect(agent?.attributes.map(({ key }) => key)).toEqual(['gen_ai.operation.name', 'gen_ai.agent.name']);
  expect(chat?.attributes).toContainEqual({ key: 'gen_ai.usage.input_tokens', value: { intValue: 7 } });
  expect(chat?.attributes).toContainEqual({ key: 'gen_ai.response.finish_reasons', value: { arrayValue: { values: [{ stringValue: 'stop' }] } } });
  expect(tool).toMatchObject({ status: { code: 2 }, attributes: expect.arrayContaining([{ key: 'error.type', value: { stringValue: 'AuthFailed' } }]) });
});

test('what is thrown leaves its class on the span, never its message', async () => {
  const spans = await sent(() => withGenAi({ operation: 'chat', target: 'm', parent: undefined, facts: {} }, () => Promise.reject(new RangeError('the prompt was 4711'))).catch(() => undefined));
  expect(spans.get('chat m')).toMatchObject({ status: { code: 2 }, attributes: expect.arrayContaining([{ key: 'error.type', value: { stringValue: 'RangeError' } }]) });
  expect(JSON.stringify([...spans])).not.toContain('4711');
});

test.each([[PARENT, PARENT], ['00-zz', undefined], ['', undefined], [undefined, undefined], [`${PARENT}\r\nx: y`, undefined]])('%j is a traceparent or not', (text, valid) => {
  expect(validTraceparent(text)).toBe(valid);
});
