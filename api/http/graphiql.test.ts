import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import express from 'express';
import { addGraphiql } from './graphiql.ts';

async function page(introspection: boolean): Promise<{ readonly status: number; readonly policy: string; readonly text: string }> {
  const app = express();
  addGraphiql(app, introspection);
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = address === null || typeof address === 'string' ? 0 : address.port;
  const response = await fetch(`http://127.0.0.1:${port}/graphiql`, { headers: { connection: 'close' } });
  const text = await response.text();
  await new Promise((resolve) => { server.close(resolve); });
  return { status: response.status, policy: response.headers.get('content-security-policy') ?? '', text };
}

test('where the schema may be read there is GraphiQL, whose own script alone may run', async () => {
  const { status, policy, text } = await page(true);
  expect(status).toBe(200);
  const scripts = [...text.slice(0, text.indexOf('<div id="root">')).matchAll(/<script/g)];
  expect(scripts).toEqual([]);
  const script = text.slice(text.indexOf('<script>') + '<script>'.length, text.lastIndexOf('</script>'));
  expect(policy).toContain(`script-src 'sha256-${createHash('sha256').update(script).digest('base64')}' blob:;`);
  expect(policy).toContain("frame-ancestors 'none'");
  expect(text).toContain('"endpoint":"/graphql"');
});

test('elsewhere there is none', async () => {
  const { status, text } = await page(false);
  expect(status).toBe(404);
  expect(JSON.parse(text)).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
});
