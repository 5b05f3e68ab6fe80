import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { listenOn } from '../../platform/health/listen.ts';
import { anthropicWire } from './anthropic.ts';
import { openAiWire } from './openai.ts';
import { dueTurn, scriptSchema, type Due, type Script, type ScriptInput, type Turn } from './script.ts';
import type { ModelRequest, Wire, WireError } from './wire.ts';

/*
 * A scripted server that speaks as OpenAI's chat completions and as Anthropic's messages: a fixture for tests and the demo, NOT a model.
 * Deterministic; streams, calls tools, counts its calls and fails on command. See README.md for the scripts.
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
  /** Which API was spoken. */
  readonly api: Wire['name'];
  /** All headers, names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** When it came, by the monotonic clock of this process, milliseconds. */
  readonly at: number;
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

/** Starts one on loopback; port 0: the system chooses. `apiKey`: requests without it, where the API they speak wants it, are answered 401. */
export async function startScriptedModel({ port = 0, host = '127.0.0.1', apiKey }: { readonly port?: number; readonly host?: string; readonly apiKey?: string } = {}): Promise<ScriptedModel> {
  const state: State = { scenarios: new Map(), seen: new Map(), down: new Map(), calls: [], received: 0 };
  const server = createServer((request, response) => {
    serve(state, apiKey, request, response).catch((error: unknown) => { refuse(response, wireOf(request), { status: 400, message: error instanceof Error ? error.message : 'bad request' }); });
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
  const wire = wireOf(request);
  const key = wire.name === 'anthropic' ? request.headers['x-api-key'] : /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1];
  if (apiKey !== undefined && key !== apiKey) { refuse(response, wire, { status: 401, message: wire.name === 'anthropic' ? 'invalid x-api-key' : 'Incorrect API key provided' }); return; }
  if (route === 'GET /v1/models') { sendJson(response, 200, wire.models(['scripted', ...[...state.scenarios.keys()].map((name) => `scripted/${name}`)])); return; }
  if (route === 'POST /v1/chat/completions' || route === 'POST /v1/messages') return complete(state, wire, JSON.parse(text), request, response);
  refuse(response, wire, { status: 404, message: `no route ${route}` });
}

/** Anthropic's clients say which version of its API they speak; OpenAI's do not. */
function wireOf(request: IncomingMessage): Wire {
  return request.headers['anthropic-version'] === undefined && request.url?.startsWith('/v1/messages') !== true ? openAiWire : anthropicWire;
}

async function complete(state: State, wire: Wire, body: ModelRequest, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const due = dueTurn(body.model, wire.prompt(body), state.scenarios);
  state.received += 1;
  const call: ScriptedCall = {
    n: state.received, model: body.model, scenario: due.scenario, turn: due.number, stream: body.stream === true, body, authorization: request.headers.authorization, api: wire.name, headers: request.headers, at: performance.now(),
    outcome: undefined, abandoned: false,
  };
  state.calls.push(call);
  response.once('close', () => { call.abandoned = !response.writableFinished; });
  const problem = wire.name === 'anthropic' && request.headers['anthropic-version'] === undefined ? { status: 400, message: 'anthropic-version: header is required' } : wire.problem(body);
  if (problem !== undefined) {
    call.outcome = String(problem.status);
    refuse(response, wire, problem);
    return;
  }
  const seen = (state.seen.get(due.key) ?? 0) + 1;
  state.seen.set(due.key, seen);
  const { turn } = due;
  await pause(turn.delayMs, response);
  const down = state.down.get(body.model) ?? state.down.get('*');
  if (down !== undefined) { fail(call, wire, response, { status: down }); return; }
  const failure = failureNow(turn, body.model, seen);
  if (failure === undefined) return answer(call, wire, due, body, response, undefined);
  switch (failure.kind) {
    case 'status': fail(call, wire, response, failure, failure.retryAfter); return;
    case 'hang': call.outcome = 'hung'; return;
    case 'garbage':
      call.outcome = 'garbage';
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>this is not a model</html>');
      return;
    default: return answer(call, wire, due, body, response, { frames: failure.after, failure });
  }
}

/** The failure that this request meets, if any. */
function failureNow({ fail: failure }: Turn, model: string, seen: number): Turn['fail'] {
  if (failure === undefined || (failure.times !== undefined && seen > failure.times)) return undefined;
  return failure.models?.includes(model) === false ? undefined : failure;
}

/** Where an answer stops before its end: after so many frames, with the connection cut, left open, or an error in its place. */
interface Stop {
  readonly frames: number;
  readonly failure: NonNullable<Turn['fail']>;
}

async function answer(call: ScriptedCall, wire: Wire, due: Due, body: ModelRequest, response: ServerResponse, stop: Stop | undefined): Promise<void> {
  if (body.stream === true) return stream(call, wire, due, body, response, stop);
  if (stop !== undefined) {
    const hang = stop.failure.kind === 'hangAfter';
    call.outcome = hang ? 'hung' : 'cut';
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write('{"id":"cut","choices":[');
    if (!hang) response.destroy();
    return;
  }
  call.outcome = '200';
  sendJson(response, 200, wire.whole(call.n, due, body));
}

function fail(call: ScriptedCall, wire: Wire, response: ServerResponse, failure: Omit<WireError, 'message'>, retryAfter?: number): void {
  call.outcome = String(failure.status);
  const headers = { ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }), ...(failure.status < 400 ? { location: '/elsewhere' } : {}) };
  refuse(response, wire, { ...failure, message: `scripted failure ${failure.status}` }, headers);
}

async function stream(call: ScriptedCall, wire: Wire, due: Due, body: ModelRequest, response: ServerResponse, stop: Stop | undefined): Promise<void> {
  const { turn } = due;
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  for (const [i, frame] of wire.frames(call.n, due, body).entries()) {
    if (stop !== undefined && i >= stop.frames) return breakOff(call, wire, response, stop.failure);
    if (i > 0) await pause(turn.chunkMs, response);
    if (response.destroyed) return;
    response.write(frame);
  }
  call.outcome = '200';
  response.end();
}

async function breakOff(call: ScriptedCall, wire: Wire, response: ServerResponse, { kind, status, code, bytes }: NonNullable<Turn['fail']>): Promise<void> {
  if (kind === 'streamError') {
    call.outcome = String(status);
    response.end(wire.errorFrame({ status, code, message: `scripted failure ${status}` }));
    return;
  }
  if (kind === 'flood') return flood(call, wire, response, bytes);
  call.outcome = kind === 'hangAfter' ? 'hung' : 'cut';
  if (kind === 'cut') await flushed(response);
}

/** Text without an end, as fast as it is taken. */
async function flood(call: ScriptedCall, wire: Wire, response: ServerResponse, bytes: number): Promise<void> {
  const frame = wire.text(call.n, 'x'.repeat(65_536));
  call.outcome = 'flood';
  for (let sent = 0; sent < bytes && !response.destroyed; sent += 65_536) {
    if (!response.write(frame)) await new Promise<void>((done) => { response.once('drain', done); response.once('close', done); });
  }
  response.end();
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

function refuse(response: ServerResponse, wire: Wire, error: WireError, headers: Readonly<Record<string, string>> = {}): void {
  if (response.headersSent) { response.destroy(); return; }
  sendJson(response, error.status, wire.error(error), headers);
}
