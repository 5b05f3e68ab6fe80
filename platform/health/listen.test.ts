import { createServer } from 'node:http';
import { listenOn, type Listening } from './listen.ts';

test('says the port the system chose', async () => {
  const server = createServer();
  const port = await listenOn(server, '127.0.0.1', 0);
  expect(server.address()).toMatchObject({ port });
  await expect(listenOn(createServer(), '127.0.0.1', port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  server.close();
});

test('every address is those of IPv4 where there is no IPv6', async () => {
  const tried: string[] = [];
  let failed: ((error: Error) => void) | undefined;
  const server: Listening = {
    once: (_event, told) => { failed = told; },
    off: () => undefined,
    address: () => ({ port: 8_080, address: '', family: '' }),
    listen: (_port, host, done) => {
      tried.push(host);
      if (host === '::') failed?.(Object.assign(new Error('no such family'), { code: 'EAFNOSUPPORT' }));
      else done();
    },
  };
  expect(await listenOn(server, '::', 8_080)).toBe(8_080);
  expect(tried).toEqual(['::', '0.0.0.0']);
});
