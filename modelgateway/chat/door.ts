import type { ServerResponse } from 'node:http';
import { GATEWAY_HEADERS } from '../../crds/agent-gateway.ts';
import type { RevisionSpec } from '../../crds/agent-revision.ts';
import type { AgentEventPayload } from '../../crds/agent-run.ts';
import type { Clock, TimerHandle } from '../../platform/clock/index.ts';
import { Refusal } from '../http/errors.ts';
import { send, type Handler, type Incoming } from '../http/server.ts';
import type { Caller } from '../run/standing.ts';
import { chatCompletion, chunkOf, lastChunks, piecesOf, type Piece } from './answer.ts';
import type { Call } from './calls.ts';
import type { LiveCall, Outcome } from './live-call.ts';
import { validTraceparent } from '../../platform/tracing/gen-ai.ts';
import { agentMessages, chatRequestSchema, wantedOutput } from './request.ts';

/** What the door of model calls needs. */
export interface ChatParts {
  readonly clock: Clock;
  readonly enter: (call: Call) => LiveCall;
  /** The revision of an agent run. Throws Refusal `NotOpened`. */
  readonly revisionOf: (caller: Caller) => Promise<RevisionSpec>;
  /** Its conversation, if it has one; known once the revision is. */
  readonly conversationOf: (caller: Caller) => string | undefined;
}

/** While nothing comes, a line that says so keeps whoever waits, and what stands between, from giving up. */
const COMMENT_MS = 10_000;

/** `POST /v1/chat/completions`: joins or begins the model call of a step, and passes on what comes. The last word leaves after the commit. */
export function chatDoor(parts: ChatParts): Handler {
  return async (incoming, response) => {
    const { call, stream } = await callOf(parts, incoming);
    const live = parts.enter(call);
    const outcome = stream ? await streamed(parts.clock, live, response, incoming.signal) : await waited(live, incoming.signal);
    if (outcome === undefined) return undefined;
    if (!outcome.ok) throw outcome.refusal;
    return { status: 200, body: chatCompletion(outcome.completed) };
  };
}

async function callOf({ revisionOf, conversationOf }: ChatParts, { caller, body, header }: Incoming): Promise<{ readonly call: Call; readonly stream: boolean }> {
  const request = chatRequestSchema.safeParse(body);
  if (!request.success) throw new Refusal('Invalid', `the body is no chat completion request: ${request.error.issues[0]?.path.join('.') ?? ''}: ${request.error.issues[0]?.message ?? 'invalid'}`);
  const step = Number(header(GATEWAY_HEADERS.step));
  if (!Number.isInteger(step) || step < 1 || step > 100_000) throw new Refusal('Invalid', `${GATEWAY_HEADERS.step} must be the number of the step`);
  const purpose = header(GATEWAY_HEADERS.purpose) ?? 'step';
  if (purpose !== 'step' && purpose !== 'compaction') throw new Refusal('Invalid', `${GATEWAY_HEADERS.purpose} must be step or compaction`);
  const compacted = Number(header(GATEWAY_HEADERS.messages));
  if (purpose === 'compaction' && (!Number.isInteger(compacted) || compacted < 1)) throw new Refusal('Invalid', `${GATEWAY_HEADERS.messages} must say how many messages the summary replaces`);
  const spec = await revisionOf(caller);
  const most = spec.parameters.maxOutputTokens;
  const call: Call = {
    namespace: caller.ns, agentRun: caller.agentRun, attempt: caller.attempt, step, purpose, spec, models: spec.models, traceparent: validTraceparent(header('traceparent')), conversation: conversationOf(caller), maxOutput: Math.min(most, wantedOutput(request.data) ?? most),
    ...(purpose === 'compaction' ? { compacted, prompt: { messages: agentMessages(request.data.messages), tools: [], parameters: {} } } : {}),
  };
  return { call, stream: request.data.stream };
}

function waited(live: LiveCall, signal: AbortSignal): Promise<Outcome | undefined> {
  return new Promise((resolve) => {
    const listener = {
      piece: (): void => undefined,
      // Nothing was passed on yet: the next try counts from its beginning.
      broken: (): void => { live.join(listener); },
      ended: resolve,
    };
    const leave = live.join(listener);
    signal.addEventListener('abort', () => { leave(); resolve(undefined); }, { once: true });
  });
}

/** Passes pieces on as server-sent events. A refusal before the first byte is left to the caller of this function. */
function streamed(clock: Clock, live: LiveCall, response: ServerResponse, signal: AbortSignal): Promise<Outcome | undefined> {
  return new Promise((resolve) => {
    let timer: TimerHandle;
    let heard: Piece[] = [];
    const head = (): void => {
      if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    };
    const comment = (): void => {
      head();
      response.write(': waiting\n\n');
      timer = clock.after(COMMENT_MS, comment);
    };
    timer = clock.after(COMMENT_MS, comment);
    const over = (outcome: Outcome | undefined): void => { timer.cancel(); resolve(outcome); };
    const leave = live.join({
      piece: (piece) => {
        head();
        heard.push(piece);
        event(response, chunkOf('call', '', piece));
      },
      broken: () => {
        heard = [];
        failed(response, new Refusal('Unavailable', 'the answer broke off and is asked for again: ask again'));
        over(undefined);
      },
      ended: (outcome) => {
        if (!outcome.ok) {
          if (response.headersSent) { failed(response, outcome.refusal); over(undefined); } else over(outcome);
          return;
        }
        head();
        // An answer that was in the journal already has been heard by nobody.
        if (heard.length === 0) for (const piece of piecesOf(outcome.completed)) event(response, chunkOf(outcome.completed.requestId, outcome.completed.model, piece));
        finish(response, outcome.completed);
        over(undefined);
      },
    });
    signal.addEventListener('abort', () => { leave(); over(undefined); }, { once: true });
  });
}

function event(response: ServerResponse, data: object): void {
  response.write(`data: ${JSON.stringify(data)}\n\n`);
}

function finish(response: ServerResponse, completed: AgentEventPayload<'ModelCompleted'>): void {
  for (const chunk of lastChunks(completed)) event(response, chunk);
  response.end('data: [DONE]\n\n');
}

function failed(response: ServerResponse, refusal: Refusal): void {
  if (!response.headersSent) { send(response, { status: refusal.status, body: refusal.body() }); return; }
  event(response, refusal.body());
  response.end();
}
