import { Buffer } from 'node:buffer';
import type { Express, Request, Response } from 'express';
import { ApiError, asApiError } from '../errors.ts';
import { readBody } from '../http/body.ts';
import { withinDeadline } from '../http/deadline.ts';
import { GONE } from '../http/gone.ts';
import type { HandlerParts } from '../http/graphql-handler.ts';
import { beginExchange } from '../http/report.ts';
import type { Exchange } from '../http/report.ts';
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

async function handle(parts: HandlerParts, operation: Operation, request: Request, response: Response): Promise<void> {
  const exchange = beginExchange(parts, request, response, { field: operation.name, type: operation.kind, code: 'OK', covered: operation.covered === true });
  try {
    await serve(parts, operation, exchange);
  } catch (error) {
    const shown = asApiError(error) ?? new ApiError('INTERNAL', parts.mask(error).message);
    exchange.outcome.code = shown.publicCode;
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

async function serve(parts: HandlerParts, operation: Operation, exchange: Exchange): Promise<void> {
  const { request, response, requestId } = exchange;
  if (operation.right.on === 'public') parts.limits.address(request);
  const principal = operation.right.on === 'public' ? ANONYMOUS : await callerOf(parts, request);
  exchange.principal = principal;
  const body = await readBody(request, operation.bodyLimit);
  const [key, ...more] = request.headersDistinct['idempotency-key'] ?? [];
  if (more.length > 0) throw new ApiError('BAD_REQUEST', 'there are two headers Idempotency-Key: send one');
  if (key !== undefined && operation.kind === 'query') throw new ApiError('BAD_REQUEST', 'a read takes no Idempotency-Key: leave it out');
  const input = restInput(operation, request.params, new URL(request.url, 'http://localhost').searchParams, hasBody(operation) ? body ?? {} : body);
  const look = await parts.answers.look(principal, operation.covered === true ? ['rest', operation.name, input] : undefined, parts.canOfRequest(), parts.services.runs);
  if (look.answer !== undefined) {
    sendJson(response, 200, look.answer.body);
    return;
  }
  const gone = new AbortController();
  response.once('close', () => { gone.abort(GONE); });
  const executed = await withinDeadline(parts.clock, gone.signal, (signal) => parts.tracing.span(`rest.${operation.name}`, traceparentOf(request), async (traceparent) => {
    const context: OperationContext = { services: { ...parts.services, can: look.can, runs: look.runs }, principal, requestId, gone: signal, traceparent };
    return execute(operation, context, input, key);
  }));
  const answer = Buffer.from(JSON.stringify(shown(executed)));
  if (operation.covered === true) look.keep({ body: answer, field: operation.name, cost: 0 });
  if (executed.repeated && !response.destroyed) response.setHeader('idempotency-replayed', 'true');
  sendJson(response, operation.rest.status ?? 200, answer);
}

function sendJson(response: Response, status: number, body: Buffer): void {
  if (response.destroyed) return;
  response.statusCode = status;
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.end(body);
}

function shown({ value }: Executed): object {
  return isPage(value) ? { items: value.items, nextCursor: nextCursor(value) } : value;
}

function isPage(value: object): value is PageValue<unknown> {
  return 'cursorOf' in value && typeof value.cursorOf === 'function';
}

/** The place of the last entry where there are more. */
export function nextCursor<T>({ items, hasMore, cursorOf }: PageValue<T>): string | null {
  const last = items.at(-1);
  return hasMore && last !== undefined ? cursorOf(last) : null;
}
