import { z } from 'zod';
import { errorMessage } from '../../platform/errors/index.ts';
import { CliError } from '../errors.ts';
import type { Door } from './call.ts';
import { jsonOrUndefined } from './json.ts';

/* The stream of an agent run, as the API sends it: server-sent events, gone on with where they were cut. */

/** An event of the journal, as far as the command line looks into it. */
export const agentEventSchema = z.looseObject({ seq: z.int(), at: z.string(), kind: z.string(), payload: z.looseObject({}) });
/** A piece of an answer. */
export const agentDeltaSchema = z.looseObject({ step: z.int(), n: z.int().default(0), text: z.string().nullable() });
const problemSchema = z.looseObject({ code: z.string(), message: z.string().optional(), detail: z.string().optional() });

/** One thing from the stream. */
export type News = { readonly kind: 'event'; readonly event: z.output<typeof agentEventSchema> } | { readonly kind: 'delta'; readonly delta: z.output<typeof agentDeltaSchema> };

interface Block { readonly event: string; readonly data: string }

/** Cuts in a row after which nobody is asked any more. */
const MOST_CUTS = 10;

/**
 * What happens in an agent run from an event on, until it ends or `signal` says that nobody wants to know any more. A cut stream is asked for again
 * after the last event that came. Throws CliError with the code of the API: `NOT_FOUND` where there is no such agent run, or not yet.
 */
export async function* follow(door: Door, agentRun: string, fromSeq: number, pause: (ms: number) => Promise<void>, signal?: AbortSignal): AsyncGenerator<News, void> {
  let last = fromSeq - 1;
  for (let cuts = 0; ;) {
    const body = await open(door, agentRun, last, cuts === 0, signal).catch((error: unknown) => {
      if (signal?.aborted === true) return undefined;
      if (error instanceof CliError) throw error;
      if (cuts >= MOST_CUTS) throw new CliError('Unavailable', `${door.url} does not answer (${errorMessage(error)})`, { cause: error });
      return undefined;
    });
    for await (const news of body === undefined ? [] : untilCut(body)) {
      if (news === 'end') return;
      cuts = 0;
      if (news.kind === 'event') last = news.event.seq;
      yield news;
    }
    if (signal?.aborted === true) return;
    cuts++;
    if (cuts > MOST_CUTS) throw new CliError('Unavailable', `the stream of ${agentRun} was cut ${MOST_CUTS} times: try again later, from event ${last + 1}`);
    await pause(250 * cuts);
  }
}

/** What one connection brings before it is cut: what came is known, the rest is asked for again. */
async function* untilCut(body: AsyncIterable<Uint8Array>): AsyncGenerator<News | 'end', void> {
  try {
    yield* newsIn(body);
  } catch (error) {
    if (error instanceof CliError || error instanceof z.ZodError) throw error;
  }
}

/** What one connection brings. Throws CliError where the API ends it with an error. */
async function* newsIn(body: AsyncIterable<Uint8Array>): AsyncGenerator<News | 'end', void> {
  for await (const { event, data } of blocksOf(body)) {
    if (event === 'end') yield 'end';
    else if (event === 'error') throw refused(data);
    else if (event === 'delta') yield { kind: 'delta', delta: agentDeltaSchema.parse(JSON.parse(data)) };
    else if (event === 'event') yield { kind: 'event', event: agentEventSchema.parse(JSON.parse(data)) };
  }
}

async function open(door: Door, agentRun: string, last: number, first: boolean, signal: AbortSignal | undefined): Promise<AsyncIterable<Uint8Array>> {
  const response = await fetch(`${door.url.replace(/\/$/, '')}/api/v1/agent-runs/${encodeURIComponent(agentRun)}/events`, {
    headers: { authorization: `Bearer ${door.token}`, accept: 'text/event-stream', 'last-event-id': String(last) }, redirect: 'error', ...(signal === undefined ? {} : { signal }),
  });
  if (response.status === 200 && response.body !== null) return response.body;
  const text = await response.text();
  // What passes is a cut like any other.
  if (response.status >= 500 && !first) throw new TypeError(`answered ${response.status}`);
  throw refused(text);
}

function refused(text: string): CliError {
  const problem = problemSchema.safeParse(jsonOrUndefined(text));
  if (!problem.success) return new CliError('BadAnswer', 'the stream was answered with something else than events: is RAMBO_API_URL the address of the API?');
  const { code, message, detail } = problem.data;
  return new CliError(code, `${code}: ${message ?? detail ?? ''}`);
}

/** Blocks of a stream that end with an empty line; comments are left out. */
async function* blocksOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Block, void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    for (let at = rest.indexOf('\n\n'); at >= 0; at = rest.indexOf('\n\n')) {
      const lines = rest.slice(0, at).split('\n');
      rest = rest.slice(at + 2);
      const field = (name: string): string => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? '';
      if (field('event') !== '') yield { event: field('event'), data: field('data') };
    }
  }
}
