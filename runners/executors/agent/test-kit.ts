import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AgentRunnerSpec, Ended } from '../../../crds/agent-gateway.ts';
import { foldAgentRun } from '../../../crds/agent-fold.ts';
import type { AgentEvent, AgentEventKind, NewAgentEvent } from '../../../crds/agent-run.ts';

/** For the tests of this folder only: a gateway that keeps a journal in memory, answers from a script and fails on command. */

/** What the scripted model answers at a step. */
export interface Turn {
  readonly text?: string;
  readonly tools?: readonly { readonly tool: string; readonly arguments?: string }[];
  readonly usage?: readonly [input: number, output: number];
}

/** How a request goes wrong: before it is acted on, after (the answer is lost), in the middle of a stream, or with an answer of one's own. */
export type Mishap = 'refuse' | 'loseAnswer' | 'cutStream' | { readonly status: number; readonly body: object | string };

interface Request { readonly path: string; readonly headers: IncomingMessage['headers']; readonly body: Readonly<Record<string, unknown>> }

/** See above. */
export class FakeGateway {
  readonly events: AgentEvent[] = [];
  readonly requests: Request[] = [];
  /** What befalls the next requests to a path, in order. */
  readonly mishaps = new Map<string, Mishap[]>();
  /** Answers of tools by call id: a result, what it waits for, or how often it says that it still runs. */
  readonly tools = new Map<string, { result?: string; isError?: boolean; wait?: string; running?: number; hold?: () => Promise<unknown> }>();
  /** Texts that `finish` sends back for repair, with what it says of them. */
  readonly rejected = new Map<string, string>();
  /** Set: every request is answered with it. */
  ended: Ended | undefined;
  spec: AgentRunnerSpec = {
    agent: 'helper', revision: 'a'.repeat(64), model: 'small', parameters: { maxOutputTokens: 512 }, limits: { maxSteps: 20, parallelTools: 2, repeatWindow: 3 }, deadline: null,
    tools: [{ name: 'shop__refund', display: 'shop/refund', description: 'Pays back', inputSchema: { type: 'object', properties: { order: { type: 'integer' } } } }, { name: 'shop__look', display: 'shop/look', description: 'Looks', inputSchema: {} }],
  };
  /** Effects of tools: how often each call was really made. */
  readonly effects: string[] = [];
  atOnce = 0;
  mostAtOnce = 0;
  readonly #turns: readonly Turn[];
  #server: Server | undefined;

  constructor(turns: readonly Turn[]) {
    this.#turns = turns;
  }

  /** Base URL once it listens. */
  async start(): Promise<string> {
    const server = createServer((request, response) => { void this.#serve(request, response); });
    this.#server = server;
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    // A TCP server has an address of this kind.
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise<void>((resolve) => { this.#server?.close(() => { resolve(); }); });
  }

  kinds(): readonly AgentEventKind[] {
    return this.events.map(({ kind }) => kind);
  }

  calls(path: string): readonly Request[] {
    return this.requests.filter((request) => request.path === path);
  }

  #append(event: NewAgentEvent): void {
    this.events.push({ ...event, seq: this.events.length + 1, at: 0 });
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(Buffer.from(chunk as Uint8Array));
    const path = (incoming.url ?? '').replace('/v1/', '');
    const request: Request = { path, headers: incoming.headers, body: JSON.parse(Buffer.concat(chunks).toString('utf8')) as Request['body'] };
    this.requests.push(request);
    const mishap = this.mishaps.get(path)?.shift();
    if (mishap === 'refuse') {
      incoming.socket.destroy();
      return;
    }
    if (typeof mishap === 'object') {
      send(response, mishap.status, mishap.body);
      return;
    }
    if (this.ended !== undefined) {
      send(response, path === 'chat/completions' ? 409 : 200, path === 'chat/completions' ? { error: { code: 'Ended', message: 'over' }, ended: this.ended } : { ended: this.ended });
      return;
    }
    if (path === 'chat/completions') this.#chat(request, response, mishap);
    else {
      const answer = await this.#agent(path, request.body);
      if (mishap === 'loseAnswer') incoming.socket.destroy();
      else send(response, 200, answer);
    }
  }

  async #agent(path: string, body: Request['body']): Promise<object> {
    if (path === 'agent/open') {
      if (this.events.length === 0) this.#append({ kind: 'RunStarted', payload: { revision: this.spec.revision, instructions: 'Be brief.', input: body['with'], history: [] } });
      return { id: 'run', spec: this.spec, state: foldAgentRun(this.events) };
    }
    if (path === 'agent/tool') return this.#tool(String(body['callId']), Number(body['step']));
    if (path === 'agent/finish') return this.#finish(String(body['text']));
    return {};
  }

  async #tool(callId: string, step: number): Promise<object> {
    const state = foldAgentRun(this.events);
    const done = state.messages.find((message) => message.role === 'tool' && message.callId === callId);
    if (done?.role === 'tool') return { status: 'completed', result: { text: done.text, isError: done.isError, truncated: false } };
    const call = state.pending.find((pending) => pending.callId === callId);
    const planned = this.tools.get(callId) ?? {};
    if (planned.wait !== undefined) return { status: 'waiting', why: planned.wait };
    if ((planned.running ?? 0) > 0) {
      planned.running = (planned.running ?? 0) - 1;
      return { status: 'running' };
    }
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    await planned.hold?.();
    await new Promise((resolve) => { setImmediate(resolve); });
    this.atOnce -= 1;
    this.effects.push(callId);
    const text = planned.result ?? `result of ${callId}`;
    this.#append({ kind: 'ToolCompleted', payload: { step, callId, tool: call?.tool ?? 'unknown', text, isError: planned.isError ?? false, bytes: text.length, truncated: false, ms: 1 } });
    return { status: 'completed', result: { text, isError: planned.isError ?? false, truncated: false } };
  }

  #finish(text: string): object {
    const { step } = foldAgentRun(this.events);
    const message = this.rejected.get(text);
    if (message === undefined) {
      this.#append({ kind: 'RunCompleted', payload: { phase: 'Succeeded', output: text } });
      return { status: 'done', output: text };
    }
    this.#append({ kind: 'OutputRejected', payload: { step, problems: 'wrong', message } });
    return { status: 'repair', message };
  }

  #chat(request: Request, response: ServerResponse, mishap: Mishap | undefined): void {
    const state = foldAgentRun(this.events);
    const asked = Number(request.headers['x-rambo-step']);
    if (request.headers['x-rambo-purpose'] === 'compaction') {
      this.#append({ kind: 'ContextCompacted', payload: { step: asked, messages: Number(request.headers['x-rambo-messages']), summary: 'in short' } });
      stream(response, { text: 'in short' }, asked, false);
      return;
    }
    if (asked !== state.step + 1 && asked !== state.step) {
      send(response, 409, { error: { code: 'StepMismatch', message: `the next step is ${state.step + 1}` } });
      return;
    }
    const turn = this.#turns[asked - 1] ?? { text: 'the script has ended' };
    if (mishap === 'cutStream') {
      stream(response, turn, asked, true);
      return;
    }
    const [input, output] = turn.usage ?? [10, 5];
    // Asked again: it is in the journal already.
    if (asked === state.step + 1) {
      this.#append({ kind: 'ModelCompleted', payload: {
        step: asked, purpose: 'step', requestId: 'r', model: 'small', text: turn.text ?? '', toolCalls: callsOf(turn, asked), finish: 'stop', nano: '0', estimated: false, ms: 1,
        usage: { input, cached: 0, cacheWrite: 0, output, reasoning: 0 },
      } });
    }
    if (mishap === 'loseAnswer') response.destroy();
    else stream(response, turn, asked, false);
  }
}

function callsOf(turn: Turn, step: number): { callId: string; tool: string; arguments: string }[] {
  return (turn.tools ?? []).map(({ tool, arguments: given }, index) => ({ callId: `s${step}c${index}`, tool, arguments: given ?? '{}' }));
}

function send(response: ServerResponse, status: number, body: object | string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** A streamed chat completion; `cut`: it ends before it says so. */
function stream(response: ServerResponse, turn: Turn, step: number, cut: boolean): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const chunk = (delta: object, finish: string | null): void => {
    response.write(`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 0, model: 'small', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`);
  };
  const text = turn.text ?? '';
  chunk({ role: 'assistant', content: text.slice(0, 3) }, null);
  if (cut) {
    response.end();
    return;
  }
  if (text.length > 3) chunk({ content: text.slice(3) }, null);
  const calls = callsOf(turn, step);
  for (const [index, call] of calls.entries()) chunk({ tool_calls: [{ index, id: call.callId, type: 'function', function: { name: call.tool, arguments: call.arguments } }] }, null);
  chunk({}, calls.length > 0 ? 'tool_calls' : 'stop');
  const [input, output] = turn.usage ?? [10, 5];
  response.write(`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 0, model: 'small', choices: [], usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output } })}\n\n`);
  response.end('data: [DONE]\n\n');
}
