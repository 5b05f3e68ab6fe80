import { createServer, request as ask, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { json as readJson, text as readText } from 'node:stream/consumers';
import { z } from 'zod';
import { httpApi } from './http-api.ts';
import { legacyEndpoint, modernEndpoint } from './mcp-server.ts';
import { World, type Hits, type Switches } from './world.ts';

/*
 * Tool servers of the tests and the demo: fixtures, not a part of the product. MCP of today and of 2025 over streamable HTTP, three
 * replicas behind a round robin, and a plain HTTP API. They count what they do and fail on command. All listen on loopback.
 */

/** What opens `/secure/mcp`: a key, or a token that `/token` gives for this client. */
export const FIXTURE_KEY = 'fixture-key-of-the-tool-servers';
/** Client of `/token`. */
export const FIXTURE_CLIENT = { id: 'rambo', secret: 'fixture-secret-of-the-tool-servers' } as const;
const TOKEN = 'fixture-token-of-the-tool-servers';

/** Running servers and where they are. */
export interface ToolServers {
  /** MCP 2026-07-28; `/mcp` is open, `/secure/mcp` needs a credential, `/token` gives one, `/redirect/mcp` leads elsewhere. */
  readonly mcp: string;
  readonly secureMcp: string;
  readonly redirectMcp: string;
  readonly tokenUrl: string;
  /** MCP of 2025 with sessions. */
  readonly legacyMcp: string;
  /** Three replicas, one after the other. */
  readonly replicatedMcp: string;
  /** Base address of the HTTP API. */
  readonly api: string;
  /** `GET /admin/hits`, `POST /admin/set`, `POST /admin/reset`, `POST /admin/release`. */
  readonly admin: string;
  hits(): Hits;
  set(switches: Partial<Switches>): void;
  reset(): void;
  release(): void;
  stop(): Promise<void>;
}

/** Starts everything in this process. */
export async function startToolServers(port = 0): Promise<ToolServers> {
  const world = new World();
  const main = await listen(mainHandler(world), port);
  const replicas = await Promise.all(['a', 'b', 'c'].map((name) => listen(replicaHandler(world, name))));
  const balancer = await listen(roundRobin(replicas.map(({ base }) => base)));
  const servers = [main, ...replicas, balancer];
  return {
    mcp: `${main.base}/mcp`, secureMcp: `${main.base}/secure/mcp`, redirectMcp: `${main.base}/redirect/mcp`, tokenUrl: `${main.base}/token`, legacyMcp: `${main.base}/legacy/mcp`,
    replicatedMcp: `${balancer.base}/mcp`, api: `${main.base}/api`, admin: `${main.base}/admin`,
    hits: () => world.hits(), set: (switches) => { Object.assign(world.switches, switches); }, reset: () => { world.reset(); }, release: () => { world.release(); },
    stop: async () => {
      world.release();
      await Promise.all(servers.map(({ server }) => close(server)));
    },
  };
}

const switchesSchema = z.object({
  manyTools: z.int().min(0), schemaVersion: z.int().min(1), hangAfterCommit: z.int().min(0), breakAfterCommit: z.int().min(0), unavailable: z.int().min(0),
  lyingOutput: z.boolean(), brokenSchema: z.boolean(),
}).partial().strict();

function mainHandler(world: World): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const modern = modernEndpoint(world);
  const legacy = legacyEndpoint(world);
  return async (request, response) => {
    const path = request.url ?? '/';
    if (path.startsWith('/admin/')) return admin(world, request, response, path);
    world.request('main', request.headers.authorization);
    if (world.take('unavailable')) { answer(response, 503, { error: 'not now' }); return; }
    if (path === '/mcp') return modern(request, response);
    if (path === '/secure/mcp' && !allowed(request)) { answer(response, 401, { error: 'no' }); return; }
    if (path === '/secure/mcp') return modern(request, response);
    if (path === '/legacy/mcp') return legacy(request, response);
    if (path === '/redirect/mcp') return void response.writeHead(307, { location: '/mcp' }).end();
    if (path === '/token') return token(request, response);
    return httpApi(world, request, response, path);
  };
}

function replicaHandler(world: World, name: string): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const modern = modernEndpoint(world);
  return (request, response) => {
    world.request(name, request.headers.authorization);
    return modern(request, response);
  };
}

function allowed({ headers }: IncomingMessage): boolean {
  return headers.authorization === `Bearer ${FIXTURE_KEY}` || headers.authorization === `Bearer ${TOKEN}` || headers['x-api-key'] === FIXTURE_KEY;
}

async function token(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const form = new URLSearchParams(await readText(request));
  const basic = `Basic ${Buffer.from(`${FIXTURE_CLIENT.id}:${FIXTURE_CLIENT.secret}`).toString('base64')}`;
  const known = request.headers.authorization === basic || (form.get('client_id') === FIXTURE_CLIENT.id && form.get('client_secret') === FIXTURE_CLIENT.secret);
  if (form.get('grant_type') !== 'client_credentials' || !known) { answer(response, 400, { error: 'invalid_client' }); return; }
  answer(response, 200, { access_token: TOKEN, token_type: 'Bearer', expires_in: 300 });
}

async function admin(world: World, request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
  if (path === '/admin/hits') { answer(response, 200, world.hits()); return; }
  if (path === '/admin/reset') world.reset();
  else if (path === '/admin/release') world.release();
  else if (path === '/admin/set') Object.assign(world.switches, switchesSchema.parse(await readJson(request)));
  else { answer(response, 404, { error: 'hits, set, reset or release' }); return; }
  answer(response, 200, { ok: true });
}

function roundRobin(bases: readonly string[]): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  let next = 0;
  return async (request, response) => {
    const base = bases[next++ % bases.length] ?? '';
    const onward = ask(`${base}${request.url ?? '/'}`, { method: request.method, headers: request.headers }, (got) => {
      response.writeHead(got.statusCode ?? 502, got.headers);
      got.pipe(response);
    });
    onward.on('error', () => { response.destroy(); });
    response.on('close', () => { onward.destroy(); });
    request.pipe(onward);
  };
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function listen(handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>, port = 0): Promise<{ readonly server: Server; readonly base: string }> {
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (!response.headersSent) answer(response, 500, { error: error instanceof Error ? error.message : String(error) });
      else response.destroy();
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      resolve({ server, base: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : port}` });
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => { resolve(); });
    server.closeAllConnections();
  });
}
