import { createServer } from 'node:http';
import { context, propagation, trace } from '@opentelemetry/api';
import { startTracing, withSpan } from './index.ts';

// The SDK registers itself for the whole process: tests come in any order.
afterEach(() => {
  trace.disable();
  context.disable();
  propagation.disable();
});

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

test('without an endpoint the traceparent is handed on as it came', async () => {
  const stop = await startTracing('test', undefined);
  expect(await withSpan('x', PARENT, {}, (given) => Promise.resolve(given))).toBe(PARENT);
  expect(await withSpan('x', undefined, {}, (given) => Promise.resolve(given))).toBeUndefined();
  await expect(withSpan('x', undefined, {}, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  await stop();
});

test('with an endpoint a span continues its parent and arrives at the receiver', async () => {
  const received: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => { body += text; }).on('end', () => {
      received.push(body);
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', () => { resolve(); }); });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const stop = await startTracing('test', `http://127.0.0.1:${port}`);
  const own = await withSpan('rambo.node', PARENT, { run: 'r1', node: 'build' }, (given) => Promise.resolve(given));
  expect(own).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
  expect(own).not.toBe(PARENT);
  await stop();
  server.close();
  expect(received.join()).toContain('rambo.node');
  expect(received.join()).toContain('0af7651916cd43dd8448eb211c80319c');
  for (const attribute of ['process.', 'host.']) expect(received.join()).not.toContain(attribute);
});
