import type { IncomingMessage, ServerResponse } from 'node:http';
import { json as readJson } from 'node:stream/consumers';
import { z } from 'zod';
import type { World } from './world.ts';

const body = z.record(z.string(), z.unknown());

/** A plain HTTP API: orders, and everything that may go wrong with one. Below `/api`. */
export async function httpApi(world: World, request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
  const key = request.headers['idempotency-key'];
  const dedupe = typeof key === 'string' ? key : undefined;
  const url = new URL(path, 'http://api');
  world.traced(request.headers['traceparent']);
  const order = /^\/api\/orders\/([^/]+)$/.exec(url.pathname)?.[1];
  if (request.method === 'POST' && url.pathname === '/api/orders') {
    const given = body.parse(await readJson(request));
    world.call('POST /orders', dedupe);
    const count = world.effect('POST /orders', dedupe);
    world.orders.set(String(given['order']), count);
    return committed(world, response, { order: given['order'], count });
  }
  if (request.method === 'GET' && order !== undefined) {
    world.call('GET /orders', dedupe);
    const count = world.orders.get(decodeURIComponent(order));
    if (count === undefined) send(response, 404, { error: `no order ${decodeURIComponent(order)}` });
    else send(response, 200, { order: decodeURIComponent(order), count, verbose: url.searchParams.get('verbose') });
    return;
  }
  if (url.pathname === '/api/redirect') {
    response.writeHead(307, { location: '/api/orders' }).end();
    return;
  }
  if (url.pathname === '/api/echo') { send(response, Number(url.searchParams.get('status') ?? 200), { headers: request.headers }); return; }
  if (url.pathname === '/api/broken') { send(response, 500, { error: 'it broke' }); return; }
  if (url.pathname === '/api/big') {
    response.writeHead(200, { 'content-type': 'text/plain' }).end('x'.repeat(Number(url.searchParams.get('bytes') ?? 0)));
    return;
  }
  send(response, 404, { error: 'nothing here' });
}

async function committed(world: World, response: ServerResponse, answer: object): Promise<void> {
  if (world.take('breakAfterCommit')) {
    response.socket?.destroy();
    return;
  }
  if (world.take('hangAfterCommit')) await world.hang();
  send(response, 200, answer);
}

function send(response: ServerResponse, status: number, answer: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
}
