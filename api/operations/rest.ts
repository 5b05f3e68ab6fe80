import type { Express, Request, Response } from 'express';
import { ApiError, asApiError } from '../errors.ts';
import { readBody } from '../http/body.ts';
import { GONE } from '../http/gone.ts';
import type { HandlerParts } from '../http/graphql-handler.ts';
import { authenticated, traceparentOf } from '../http/request.ts';
import type { Principal } from '../ports.ts';
import type { PageValue } from './entity.ts';
import { execute } from './execute.ts';
import type { Executed } from './execute.ts';
import type { Operation, OperationContext } from './operation.ts';
import { sendProblem } from './problem-json.ts';
import { hasBody, restInput } from './rest-input.ts';

/** Where REST begins. */
export const REST_ROOT = '/api/v1';

/** Adds the routes of operations. Everything below REST_ROOT that is none answers 404 or 405. */
export function addRoutes(app: Express, parts: HandlerParts, operations: readonly Operation[]): void {
  const methods = new Map<string, string[]>();
  for (const operation of operations) {
    const { method, path } = operation.rest;
    const route = `${REST_ROOT}${path.replaceAll(/\{([A-Za-z]+)\}/g, ':$1')}`;
    app[lower(method)](route, (request: Request, response: Response) => handle(parts, operation, request, response));
    const key = route.replaceAll(/:[A-Za-z]+/g, ':x');
    methods.set(key, [...methods.get(key) ?? [], method]);
  }
  for (const [route, allowed] of methods) {
    app.all(route.replaceAll(':x', () => `:x${counter.next++}`), (request: Request, response: Response) => {
      response.setHeader('allow', allowed.join(', '));
      sendProblem(request, response, new ApiError('METHOD_NOT_ALLOWED', `this is no method of it: use ${allowed.join(' or ')}`), parts.ids.uuid());
    });
  }
  app.all(`${REST_ROOT}/*rest`, (request: Request, response: Response) => {
    sendProblem(request, response, new ApiError('NOT_FOUND', `there is nothing here: ${REST_ROOT}/openapi.json lists what there is`), parts.ids.uuid());
  });
}

/** Names of parameters in the routes that only answer 405. */
const counter = { next: 0 };

function lower(method: Operation['rest']['method']): 'get' | 'post' | 'patch' | 'put' | 'delete' {
  const names = { GET: 'get', POST: 'post', PATCH: 'patch', PUT: 'put', DELETE: 'delete' } as const;
  return names[method];
}

interface Exchange { readonly requestId: string; principal?: Principal; code: string }

async function handle(parts: HandlerParts, operation: Operation, request: Request, response: Response): Promise<void> {
  const exchange: Exchange = { requestId: parts.ids.uuid(), code: 'OK' };
  const begun = parts.clock.monotonic();
  response.once('close', () => { report(parts, operation, exchange, request, response, parts.clock.monotonic() - begun); });
  response.setHeader('x-request-id', exchange.requestId);
  response.setHeader('cache-control', 'no-store');
  try {
    const executed = await serve(parts, operation, exchange, request, response);
    send(operation, executed, response);
  } catch (error) {
    const shown = asApiError(error) ?? new ApiError('INTERNAL', parts.mask(error).message);
    exchange.code = shown.publicCode;
    sendProblem(request, response, shown, exchange.requestId);
  }
}

/** Whoever calls what is public, token or not. Without a name nobody may do anything else. */
const ANONYMOUS: Principal = { kind: 'kubernetes', name: '', groups: [] };

async function callerOf(parts: HandlerParts, request: Request): Promise<Principal> {
  const { principal } = await authenticated(parts, request);
  parts.limits.principal(principal.name);
  return principal;
}

async function serve(parts: HandlerParts, operation: Operation, exchange: Exchange, request: Request, response: Response): Promise<Executed> {
  if (operation.right.on === 'public') parts.limits.address(request);
  const principal = operation.right.on === 'public' ? ANONYMOUS : await callerOf(parts, request);
  exchange.principal = principal;
  const body = await readBody(request, operation.bodyLimit);
  const [key, ...more] = request.headersDistinct['idempotency-key'] ?? [];
  if (more.length > 0) throw new ApiError('BAD_REQUEST', 'there are two headers Idempotency-Key: send one');
  if (key !== undefined && operation.kind === 'query') throw new ApiError('BAD_REQUEST', 'a read takes no Idempotency-Key: leave it out');
  const input = restInput(operation, request.params, new URL(request.url, 'http://localhost').searchParams, hasBody(operation) ? body ?? {} : body);
  const gone = new AbortController();
  response.once('close', () => { gone.abort(GONE); });
  return parts.tracing.span(`rest.${operation.name}`, traceparentOf(request), async (traceparent) => {
    const context: OperationContext = { services: { ...parts.services, can: parts.canOfRequest() }, principal, requestId: exchange.requestId, gone: gone.signal, traceparent };
    return execute(operation, context, input, key);
  });
}

function send(operation: Operation, { value, repeated }: Executed, response: Response): void {
  if (response.destroyed) return;
  response.statusCode = operation.rest.status ?? 200;
  response.setHeader('content-type', 'application/json; charset=utf-8');
  if (repeated) response.setHeader('idempotency-replayed', 'true');
  response.end(JSON.stringify(isPage(value) ? { items: value.items, nextCursor: nextCursor(value) } : value));
}

function isPage(value: object): value is PageValue<unknown> {
  return 'cursorOf' in value && typeof value.cursorOf === 'function';
}

/** The place of the last entry where there are more. */
export function nextCursor({ items, hasMore, cursorOf }: PageValue<unknown>): string | null {
  return hasMore && items.length > 0 ? cursorOf(items.at(-1)) : null;
}

function report(parts: HandlerParts, operation: Operation, { requestId, principal, code }: Exchange, request: Request, response: Response, ms: number): void {
  parts.metrics.operation(operation.name, operation.kind, code, ms / 1_000);
  const gone = !response.writableFinished;
  parts.log.info({ requestId, method: request.method, op: operation.name, type: operation.kind, code, status: response.statusCode, ms: Math.round(ms), principal: principal?.name, ...(gone ? { gone } : {}) }, 'request');
}
