import type { Express, Request, Response } from 'express';
import { z } from 'zod';
import { asApiError, ApiError } from '../errors.ts';
import { GONE } from '../http/gone.ts';
import type { HandlerParts } from '../http/graphql-handler.ts';
import { beginExchange } from '../http/report.ts';
import type { Exchange } from '../http/report.ts';
import { authenticated } from '../http/request.ts';
import { defineEntity } from '../operations/entity.ts';
import { id as idSchema } from '../operations/fields.ts';
import { sendProblem } from '../operations/problem-json.ts';
import { REST_ROOT } from '../operations/rest.ts';
import type { RestStream } from '../operations/stream-route.ts';
import type { AgentFeed, AgentNews } from './agent-feed.ts';
import { AgentDelta, MOST_SEQ, newsOf, openAgentFeed } from './agent-stream.ts';
import { AgentEvent } from './run-entities.ts';

/*
 * GET /api/v1/agent-runs/{id}/events: the journal of an agent run as server-sent events, for programs and pages without GraphQL.
 *
 *   id: 7                    the event's number: send it as Last-Event-ID, or 8 as ?fromSeq=, to go on after it
 *   event: event
 *   data: {...}              AgentEvent
 *
 *   event: delta             a piece of an answer that is no event yet; no id, so it never moves the place to go on from
 *   data: {...}              AgentDelta
 *
 *   event: end               the run has ended: connecting again gives nothing more
 *   event: error             {code, message}; the stream ends
 */

/** A quiet stream says so, so that what stands between does not cut it. */
const PING_MS = 15_000;
const SEQ = /^\d{1,10}$/;

const StreamEnd = defineEntity('StreamEnd', 'Nothing more comes: connecting again gives nothing.', z.object({}));
const StreamError = defineEntity('StreamError', 'Why a stream ends that had begun.', z.object({
  code: z.string().describe('Stable: what programs match. `NOT_FOUND` when the right is gone.'), message: z.string().describe('What is wrong.'),
}));

/** The stream as the OpenAPI document has it. */
export const agentEventStream: RestStream = {
  name: 'streamAgentEvents', summary: 'The journal of an agent run as it grows: server-sent events.',
  description: 'Every event once and in order, from after the last one you know, and pieces of answers between them; it ends with the run. Whatever is cut, going on after the last `id` gives the same bytes.',
  path: '/agent-runs/{id}/events',
  input: z.strictObject({ id: idSchema('Which agent run.'), fromSeq: z.int().min(0).max(MOST_SEQ).optional().describe('The first event wanted; all of them if not given. A Last-Event-ID wins over it.') }),
  headers: [{ name: 'Last-Event-ID', schema: z.string().regex(/^[0-9]{1,10}$/), words: 'The last `id` that came: the stream goes on after it. Browsers send it by themselves.' }],
  right: { verb: 'watch', resource: 'agentruns' },
  blocks: [
    { event: 'event', data: AgentEvent, words: 'is an event of the journal, with its number as `id`.' },
    { event: 'delta', data: AgentDelta, words: 'is a piece of an answer; it has no `id` and comes at most once.' },
    { event: 'end', data: StreamEnd, words: 'says that the run has ended and this was all.' },
    { event: 'error', data: StreamError, words: 'says why the stream ends.' },
  ],
};

/** Adds the stream. Before the routes of operations, which answer everything else below. */
export function addAgentStream(app: Express, parts: HandlerParts): void {
  const route = `${REST_ROOT}${agentEventStream.path.replace('{id}', ':id')}`;
  app.get(route, async (request: Request, response: Response) => {
    const exchange = beginExchange(parts, request, response, { field: 'agentEvents', type: 'subscription', code: 'OK', covered: false });
    try {
      await serve(parts, exchange);
    } catch (error) {
      const shown = asApiError(error) ?? new ApiError('INTERNAL', parts.mask(error).message);
      exchange.outcome.code = shown.publicCode;
      if (response.headersSent) response.end(block('error', { code: shown.publicCode, message: shown.message }));
      else sendProblem(request, response, shown, exchange.requestId);
    }
  });
  app.all(route, (request: Request, response: Response) => {
    response.setHeader('allow', 'GET');
    sendProblem(request, response, new ApiError('METHOD_NOT_ALLOWED', 'this is no method of it: use GET'), parts.ids.uuid());
  });
}

async function serve(parts: HandlerParts, exchange: Exchange): Promise<void> {
  const { request, response } = exchange;
  const { token, principal } = await authenticated(parts, request);
  exchange.principal = principal;
  parts.limits.principal(principal.name);
  const gone = new AbortController();
  response.once('close', () => { gone.abort(GONE); });
  const id = String(request.params['id']).toLowerCase();
  const feed = openAgentFeed({
    principal, services: { ...parts.services, can: parts.canOfRequest() }, gone: gone.signal, stillValid: async () => await parts.authenticator.authenticate(token) !== undefined,
  }, id, placeOf(request));
  try {
    await pump(parts, response, feed, id);
  } finally {
    feed.close();
  }
}

/** The last number the caller knows. What a browser remembers wins over what the page once asked for. */
function placeOf(request: Request): number {
  const last = request.headersDistinct['last-event-id']?.at(-1);
  if (last !== undefined && last !== '') return numberIn('Last-Event-ID', last);
  const from = new URL(request.url, 'http://localhost').searchParams.get('fromSeq');
  return from === null ? 0 : Math.max(0, numberIn('fromSeq', from) - 1);
}

function numberIn(name: string, text: string): number {
  if (SEQ.test(text) && Number(text) <= MOST_SEQ) return Number(text);
  throw new ApiError('BAD_USER_INPUT', `${name} is no number of an event: give the \`id\` of one, as the stream gave it`);
}

/** Nothing is sent before the first look: who may not watch gets a status, not a stream. A slow reader is waited for. */
async function pump({ clock }: HandlerParts, response: Response, feed: AgentFeed, id: string): Promise<void> {
  const begin = (): void => {
    if (response.headersSent || response.destroyed) return;
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' });
    response.write(': the journal of an agent run\n\n');
  };
  await feed.open();
  begin();
  const ping = { timer: clock.after(PING_MS, () => undefined) };
  const again = (): void => {
    ping.timer.cancel();
    ping.timer = clock.after(PING_MS, () => {
      if (response.writable) response.write(': still there\n\n');
      again();
    });
  };
  again();
  try {
    for await (const news of feed) {
      again();
      if (!response.writable) return;
      if (!response.write(shown(id, news))) await drained(response);
    }
  } finally {
    ping.timer.cancel();
  }
  if (feed.ended) response.write('event: end\ndata: {}\n\n');
  response.end();
}

function shown(id: string, news: AgentNews): string {
  const { seq, event, delta } = newsOf(id, news);
  return seq === null ? block('delta', delta) : `id: ${seq}\n${block('event', event)}`;
}

/** JSON has no line breaks outside of texts, and escapes those within. */
function block(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

function drained(response: Response): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      response.off('drain', go);
      response.off('close', go);
      resolve();
    };
    response.once('drain', go);
    response.once('close', go);
  });
}
