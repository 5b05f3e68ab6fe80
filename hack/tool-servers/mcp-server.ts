import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, ProtocolError, ProtocolErrorCode, Server } from '@modelcontextprotocol/server';
import { call, listed } from './mcp-tools.ts';
import type { World } from './world.ts';

/** Serves one HTTP request. */
export type Handle = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

const PAGE = 100;

// eslint-disable-next-line @typescript-eslint/no-deprecated -- what is listed is data here, ten thousand tools by command: an advanced use
function server(world: World, breakConnection: () => void): Server {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- as above
  const made = new Server({ name: 'rambo-test-tools', version: '1.0.0' }, { capabilities: { tools: {} } });
  made.setRequestHandler('tools/list', ({ params }) => {
    const all = listed(world);
    const from = Number(params?.cursor ?? 0);
    const tools = all.slice(from, from + PAGE);
    return { tools, ...(from + PAGE < all.length ? { nextCursor: String(from + PAGE) } : {}) };
  });
  made.setRequestHandler('tools/call', async ({ params }, { mcpReq }) => {
    const args = params.arguments ?? {};
    world.traced(params._meta?.['traceparent']);
    const key = params._meta?.['idempotencyKey'] ?? args['idempotencyKey'];
    const result = await call(world, params.name, { args, key: typeof key === 'string' ? key : undefined, said: mcpReq.inputResponses, state: mcpReq.requestState(), breakConnection });
    if (result === undefined) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `there is no tool ${params.name}`);
    return result;
  });
  return made;
}

/** The endpoint of today's protocol, stateless; it serves older clients too. */
export function modernEndpoint(world: World): Handle {
  return (request, response) => {
    const handler = createMcpHandler(() => server(world, () => { response.socket?.destroy(); }), { keepAliveMs: 0 });
    // Their type of a request does not know fields that are there and undefined.
    return toNodeHandler(handler)(request as Parameters<ReturnType<typeof toNodeHandler>>[0], response);
  };
}

/** An endpoint that speaks only the protocol of 2025 and keeps sessions, as servers did that were written then. */
export function legacyEndpoint(world: World): Handle {
  const sessions = new Map<string, NodeStreamableHTTPServerTransport>();
  return async (request, response) => {
    const id = request.headers['mcp-session-id'];
    const known = typeof id === 'string' ? sessions.get(id) : undefined;
    if (known !== undefined) return known.handleRequest(request, response);
    if (id !== undefined) {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}');
      return;
    }
    const session = randomUUID();
    const transport = new NodeStreamableHTTPServerTransport({ sessionIdGenerator: () => session });
    await server(world, () => { response.socket?.destroy(); }).connect(transport);
    await transport.handleRequest(request, response);
    if (transport.sessionId !== undefined) sessions.set(transport.sessionId, transport);
  };
}
