import path from 'node:path';
import { install } from './bridge/install.ts';
import { BridgeServer } from './bridge/serve.ts';

/**
 * The bridge of tool servers over stdio: `install DIR` puts it and its Node into a folder, `serve PORT PROGRAM [ARGUMENT…]` runs below
 * it, in the server's own image, and speaks HTTP on its behalf.
 */
export async function bridge([verb, first = '', ...command]: readonly string[]): Promise<void> {
  if (verb === 'install' && first !== '') { install(first, path.join(import.meta.dirname, 'bridge.mjs')); return; }
  const port = Number(first);
  if (verb !== 'serve' || !Number.isInteger(port) || command.length === 0) throw new Error('usage: install DIR | serve PORT PROGRAM [ARGUMENT...]');
  const server = new BridgeServer(command);
  await server.listen(port);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => { server.stop().then(() => { process.exit(0); }, () => { process.exit(1); }); });
}

if (import.meta.main) {
  bridge(process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(`bridge: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
}
