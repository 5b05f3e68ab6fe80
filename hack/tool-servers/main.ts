import { startToolServers } from './tool-servers.ts';

/* Runs the tool servers of tests and the demo until SIGTERM: `node hack/tool-servers/main.ts [port]`. Prints where they are as one line of JSON. */

const servers = await startToolServers(Number(process.argv[2] ?? 0));
const { mcp, secureMcp, redirectMcp, tokenUrl, legacyMcp, replicatedMcp, api, admin } = servers;
process.stdout.write(`${JSON.stringify({ mcp, secureMcp, redirectMcp, tokenUrl, legacyMcp, replicatedMcp, api, admin })}\n`);
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => { void servers.stop().then(() => { process.exit(0); }); });
