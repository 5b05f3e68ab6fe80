import { Buffer } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ExecutionResult } from 'graphql';
import { z } from 'zod';
import type { ApiContext } from '../graphql/context.ts';
import type { createGraphql } from '../graphql/yoga.ts';
import type { Params } from './body.ts';

/*
 * Queries and mutations of callers who want JSON, which is nearly everybody: executed by Yoga with all its plugins, but without the request and
 * the response of the fetch API around it, which cost more than a small query itself. Streams and other media types go the long way.
 */

const JSON_TYPE = /^(application\/json|application\/\*|\*\/\*)\s*(;|$)/;
const httpSchema = z.object({ status: z.int().optional(), headers: z.record(z.string(), z.string()).optional() });

/** Whether a caller takes JSON and would not rather have a stream. */
export function wantsJson({ headers: { accept } }: IncomingMessage): boolean {
  if (accept === undefined) return true;
  if (accept.includes('text/event-stream') || accept.includes('multipart/')) return false;
  const types = accept.split(',');
  return JSON_TYPE.test(types[types.length - 1]?.trim() ?? '');
}

/** An answer that is ready to go out. */
export interface PlainAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** No error, and nothing asked for at the root is missing. */
  readonly whole: boolean;
}

type Graphql = ReturnType<typeof createGraphql>;

/** Executes one operation. A subscription is answered with 406: it needs a stream. */
export async function executePlain(graphql: Graphql, { query, variables, operationName, extensions }: Params, context: ApiContext): Promise<PlainAnswer> {
  const params = { query, ...(variables == null ? {} : { variables }), ...(operationName == null ? {} : { operationName }), ...(extensions == null ? {} : { extensions }) };
  const result = await graphql.getResultForParams({ params, request: requestOf(graphql) }, context);
  if (result === undefined || Symbol.asyncIterator in result) {
    await result?.[Symbol.asyncIterator]().return?.();
    return { status: 406, headers: { accept: 'text/event-stream' }, body: Buffer.alloc(0), whole: false };
  }
  return answerOf(result);
}

const requests = new WeakMap<Graphql, Request>();

/** Plugins of Yoga look at the method of a request; all of ours are alike. */
function requestOf(graphql: Graphql): Request {
  const request = requests.get(graphql) ?? new graphql.fetchAPI.Request('http://localhost/graphql', { method: 'POST' });
  requests.set(graphql, request);
  return request;
}

function answerOf({ data, errors, extensions }: ExecutionResult): PlainAnswer {
  const { http, ...rest } = extensions ?? {};
  const { status = 200, headers = {} } = http === undefined ? {} : httpSchema.parse(http);
  const shown = { ...(errors === undefined ? {} : { errors }), ...(data === undefined ? {} : { data }), ...(Object.keys(rest).length === 0 ? {} : { extensions: rest }) };
  return { status, headers, body: Buffer.from(JSON.stringify(shown)), whole: errors === undefined && data != null && !Object.values(data).includes(null) };
}

/** Sends it. */
export function sendPlain(response: ServerResponse, { status, headers, body }: Pick<PlainAnswer, 'status' | 'headers' | 'body'>): void {
  if (response.destroyed) return;
  response.statusCode = status;
  response.setHeader('content-type', 'application/json; charset=utf-8');
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(body);
}
