import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { listenOn } from '../../platform/health/listen.ts';
import { dueTurn, scriptSchema, textOf, type Due, type PromptMessage, type Script, type ScriptInput, type Turn } from './script.ts';

/*
 * A scripted OpenAI-compatible server: a fixture for tests and the demo, NOT a model. Deterministic; streams, calls tools, counts its calls
 * and fails on command. See README.md for the scripts.
 */

/** One request that was received. */
export interface ScriptedCall {
  readonly n: number;
  readonly model: string;
  readonly scenario: string | undefined;
  readonly turn: number;
  readonly stream: boolean;
  /** The request's body. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly authorization: string | undefined;
  /** HTTP status that was answered, or `hung`, `cut`; undefined while it is under way. */
  outcome: string | undefined;
  /** The caller went away before the answer was complete. */
  abandoned: boolean;
}

/** A running scripted model. */
export interface ScriptedModel {
  /** Base URL for `Model.spec.baseUrl`, ends in `/v1`. */
  readonly url: string;
  readonly port: number;
  /** Requests since the start or the last `reset`, in order. */
  calls(): readonly ScriptedCall[];
  /** Registers a scenario for `[[scenario: NAME]]` in a prompt or the model `scripted/NAME`. */
  register(name: string, script: ScriptInput): void;
  /** From now on these models answer this status; 0 ends the outage. Without names: all. */
  outage(status: number, models?: readonly string[]): void;
  /** Forgets calls, outages and counters; scenarios stay. */
  reset(): void;
  stop(): Promise<void>;
}

interface State {
  readonly scenarios: Map<string, Script>;
  readonly seen: Map<string, number>;
  readonly down: Map<string, number>;
  calls: ScriptedCall[];
  received: number;
}

/** Starts one on loopback; port 0: the system chooses. `apiKey`: requests without it are answered 401. */
export async function startScriptedModel({ port = 0, host = '127.0.0.1', apiKey }: { readonly port?: number; readonly host?: string; readonly apiKey?: string } = {}): Promise<ScriptedModel> {
  const state: State = { scenarios: new Map(), seen: new Map(), down: new Map(), calls: [], received: 0 };
  const server = createServer((request, response) => {
    serve(state, apiKey, request, response).catch((error: unknown) => { refuse(response, 400, error instanceof Error ? error.message : 'bad request'); });
  });
  server.keepAliveTimeout = 60_000;
  const chosen = await listenOn(server, host, port);
  return {
    url: `http://${host}:${chosen}/v1`, port: chosen,
    calls: () => state.calls,
    register: (name, script) => { state.scenarios.set(name, scriptSchema.parse(script)); },
    outage: (status, models = ['*']) => { setOutage(state, status, models); },
    reset: () => { reset(state); },
    stop: () => new Promise((done) => { server.close(() => { done(); }); server.closeAllConnections(); }),
  };
}

function setOutage(state: State, status: number, models: readonly string[]): void {
  for (const model of models) {
    if (status === 0) state.down.delete(model);
    else state.down.set(model, status);
  }
}

function reset(state: State): void {
  state.calls = [];
  state.seen.clear();
  state.down.clear();
}

async function serve(state: State, apiKey: string | undefined, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'http://scripted');
  const route = `${request.method ?? ''} ${pathname}`;
  const text = await bodyOf(request);
  if (route.startsWith('PUT /admin/scenarios/')) {
    state.scenarios.set(decodeURIComponent(pathname.slice('/admin/scenarios/'.length)), scriptSchema.parse(JSON.parse(text)));
    sendJson(response, 200, { ok: true }); return;
  }
  if (route === 'PUT /admin/outage') {
    const { status, models } = JSON.parse(text) as { status: number; models?: string[] };
    setOutage(state, status, models ?? ['*']);
    sendJson(response, 200, { ok: true }); return;
  }
  if (route === 'GET /admin/calls') { sendJson(response, 200, { received: state.received, calls: state.calls }); return; }
  if (route === 'DELETE /admin/calls') { reset(state); sendJson(response, 200, { ok: true }); return; }
  if (route === 'GET /healthz') { sendJson(response, 200, { ok: true }); return; }
  if (apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`) { refuse(response, 401, 'Incorrect API key provided'); return; }
  if (route === 'GET /v1/models') { sendJson(response, 200, { object: 'list', data: ['scripted', ...[...state.scenarios.keys()].map((name) => `scripted/${name}`)].map((id) => ({ id, object: 'model', owned_by: 'rambo-test' })) }); return; }
  if (route === 'POST /v1/chat/completions') return complete(state, JSON.parse(text), request, response);
  refuse(response, 404, `no route ${route}`);
}

interface ChatRequest extends Readonly<Record<string, unknown>> {
  readonly model: string;
  readonly messages: readonly PromptMessage[];
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
}

async function complete(state: State, body: ChatRequest, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const due = dueTurn(body.model, body.messages, state.scenarios);
  state.received += 1;
  const call: ScriptedCall = {
    n: state.received, model: body.model, scenario: due.scenario, turn: due.number, stream: body.stream === true, body, authorization: request.headers.authorization, outcome: undefined, abandoned: false,
  };
  state.calls.push(call);
  response.once('close', () => { call.abandoned = !response.writableFinished; });
  const seen = (state.seen.get(due.key) ?? 0) + 1;
  state.seen.set(due.key, seen);
  const { turn } = due;
  await pause(turn.delayMs, response);
  const down = state.down.get(body.model) ?? state.down.get('*');
  if (down !== undefined) { fail(call, response, down); return; }
  const failure = failureNow(turn, body.model, seen);
  if (failure === undefined || failure.kind === 'cut' || failure.kind === 'hangAfter') return answer(call, due, body, response, failure === undefined ? undefined : { chunks: failure.after, hang: failure.kind === 'hangAfter' });
  if (failure.kind === 'status') { fail(call, response, failure.status, failure.retryAfter); return; }
  call.outcome = failure.kind === 'hang' ? 'hung' : 'garbage';
  if (failure.kind === 'garbage') response.writeHead(200, { 'content-type': 'text/html' }).end('<html>this is not a model</html>');
}

/** The failure that this request meets, if any. */
function failureNow({ fail: failure }: Turn, model: string, seen: number): Turn['fail'] {
  if (failure === undefined || (failure.times !== undefined && seen > failure.times)) return undefined;
  return failure.models?.includes(model) === false ? undefined : failure;
}

/** Where an answer stops before its end: after so many chunks, with the connection cut or left open. */
interface Stop {
  readonly chunks: number;
  readonly hang: boolean;
}

async function answer(call: ScriptedCall, due: Due, body: ChatRequest, response: ServerResponse, stopAfter: Stop | undefined): Promise<void> {
  if (body.stream === true) return stream(call, due, body, response, stopAfter);
  if (stopAfter !== undefined) {
    call.outcome = stopAfter.hang ? 'hung' : 'cut';
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write('{"id":"cut","choices":[');
    if (!stopAfter.hang) response.destroy();
    return;
  }
  call.outcome = '200';
  sendJson(response, 200, whole(call, due, body));
}

function fail(call: ScriptedCall, response: ServerResponse, status: number, retryAfter?: number): void {
  call.outcome = String(status);
  refuse(response, status, `scripted failure ${status}`, retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) });
}

function usageOf(turn: Turn, body: ChatRequest): object | undefined {
  if (turn.usage === false) return undefined;
  const input = turn.usage?.input ?? Math.ceil(body.messages.reduce((sum, message) => sum + textOf(message.content).length + JSON.stringify(message.tool_calls ?? '').length, 0) / 4);
  const output = turn.usage?.output ?? Math.max(1, Math.ceil((answerText(turn).length + JSON.stringify(turn.tools).length) / 4));
  return {
    prompt_tokens: input, completion_tokens: output, total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: turn.usage?.cached ?? 0 }, completion_tokens_details: { reasoning_tokens: turn.usage?.reasoning ?? 0 },
  };
}

function answerText(turn: Turn): string {
  return turn.json === undefined ? turn.text ?? '' : JSON.stringify(turn.json);
}

function toolCalls({ turn, number }: Due): readonly object[] {
  return turn.tools.map((tool, i) => ({
    index: i, id: tool.id ?? `call_${number}_${i}`, type: 'function',
    function: { name: tool.name, arguments: typeof tool.arguments === 'string' ? tool.arguments : JSON.stringify(tool.arguments) },
  }));
}

function finishOf(turn: Turn): string {
  return turn.finish ?? (turn.tools.length > 0 ? 'tool_calls' : 'stop');
}

function whole(call: ScriptedCall, due: Due, body: ChatRequest): object {
  const { turn } = due;
  const text = answerText(turn);
  return {
    id: `chatcmpl-${call.n}`, object: 'chat.completion', created: 0, model: body.model,
    choices: [{
      index: 0, finish_reason: finishOf(turn),
      message: {
        role: 'assistant', content: text === '' && turn.tools.length > 0 ? null : text, ...(turn.reasoning === undefined ? {} : { reasoning_content: turn.reasoning }),
        ...(turn.tools.length === 0 ? {} : { tool_calls: toolCalls(due) }),
      },
    }],
    ...(turn.usage === false ? {} : { usage: usageOf(turn, body) }),
  };
}

function deltas(due: Due): readonly object[] {
  const { turn } = due;
  const parts = (text: string): readonly string[] => text.match(new RegExp(`[\\s\\S]{1,${turn.chunk}}`, 'g')) ?? [];
  return [
    { role: 'assistant', content: '' },
    ...parts(turn.reasoning ?? '').map((part) => ({ reasoning_content: part })),
    ...parts(answerText(turn)).map((part) => ({ content: part })),
    ...toolCalls(due).map((call) => ({ tool_calls: [call] })),
  ];
}

async function stream(call: ScriptedCall, due: Due, body: ChatRequest, response: ServerResponse, stop: Stop | undefined): Promise<void> {
  const { turn } = due;
  const head = { id: `chatcmpl-${call.n}`, object: 'chat.completion.chunk', created: 0, model: body.model };
  const send = (value: object): void => { response.write(`data: ${JSON.stringify({ ...head, ...value })}\n\n`); };
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  for (const [i, delta] of deltas(due).entries()) {
    if (stop !== undefined && i >= stop.chunks) {
      call.outcome = stop.hang ? 'hung' : 'cut';
      if (!stop.hang) await flushed(response);
      return;
    }
    if (i > 0) await pause(turn.chunkMs, response);
    if (response.destroyed) return;
    send({ choices: [{ index: 0, delta, finish_reason: null }] });
  }
  send({ choices: [{ index: 0, delta: {}, finish_reason: finishOf(turn) }] });
  if (body.stream_options?.include_usage === true && turn.usage !== false) send({ choices: [], usage: usageOf(turn, body) });
  call.outcome = '200';
  response.end('data: [DONE]\n\n');
}

/** Cuts the connection once what was written has left. */
async function flushed(response: ServerResponse): Promise<void> {
  await new Promise<void>((done) => { response.write(': cut\n\n', () => { done(); }); });
  response.destroy();
}

/** Waits; a caller that goes away ends the waiting. */
function pause(ms: number, response: ServerResponse): Promise<void> {
  if (ms === 0) return Promise.resolve();
  return new Promise((done) => {
    const over = (): void => { clearTimeout(timer); response.off('close', over); done(); };
    const timer = setTimeout(over, ms);
    response.once('close', over);
  });
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function sendJson(response: ServerResponse, status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

function refuse(response: ServerResponse, status: number, message: string, headers: Readonly<Record<string, string>> = {}): void {
  if (response.headersSent) { response.destroy(); return; }
  sendJson(response, status, { error: { message, type: 'scripted_error', code: null } }, headers);
}
