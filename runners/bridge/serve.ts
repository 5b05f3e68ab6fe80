import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { systemClock, type Clock, type TimerHandle } from '../../platform/clock/index.ts';
import { systemIds } from '../../platform/ids/index.ts';
import { parse, Session, type Message } from './session.ts';

const MAX_BODY = 8 * 1024 * 1024;
/** Processes of the server at once, and how long one that nobody asks is kept. */
const MAX_SESSIONS = 32;
const IDLE_MS = 15 * 60_000;
const SWEEP_MS = 30_000;
/** Name of the process that answers callers who keep no session. */
const SHARED = '';

interface Kept { readonly session: Session; usedAt: number }

/** MCP over HTTP (streamable, answers as JSON) in front of a server that speaks it over its standard input and output. */
export class BridgeServer {
  readonly #command: readonly string[];
  readonly #clock: Clock;
  readonly #server: Server;
  readonly #sessions = new Map<string, Kept>();
  #timer: TimerHandle | undefined;

  constructor(command: readonly string[], clock: Clock = systemClock) {
    this.#command = command;
    this.#clock = clock;
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch(() => { if (!response.headersSent) answer(response, 500, { error: 'the bridge failed' }); });
    });
  }

  /** Listens; resolves to the port. */
  async listen(port: number, host?: string): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
    this.#sweep();
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  /** Ends every process and closes. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    for (const { session } of this.#sessions.values()) session.stop();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => { this.#server.close(() => { resolve(); }); });
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url?.split('?', 1)[0] !== '/mcp') { answer(response, 404, { error: 'there is only /mcp' }); return; }
    // No browser has business here; one that is led here by a page names the page.
    if (request.headers.origin !== undefined) { answer(response, 403, { error: 'not for browsers' }); return; }
    const id = sessionId(request);
    if (request.method === 'DELETE') {
      this.#sessions.get(id)?.session.stop();
      answer(response, this.#sessions.has(id) ? 204 : 404); return;
    }
    if (request.method !== 'POST') { answer(response, 405, { error: 'POST messages; the bridge keeps no stream open' }); return; }
    const text = await body(request);
    if (text === undefined) { answer(response, 413, { error: `a message may have ${MAX_BODY} bytes` }); return; }
    const message = parse(text);
    if (message === undefined) { answer(response, 400, { jsonrpc: '2.0', id: null, error: { code: -32_700, message: 'one JSON-RPC message is expected' } }); return; }
    await this.#pass(message, id, request, response);
  }

  async #pass(message: Message, id: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const begins = message.method === 'initialize' && id === SHARED;
    const name = begins ? systemIds.secret() : id;
    const kept = this.#sessions.get(name) ?? (begins || name === SHARED ? this.#open(name) : undefined);
    if (kept === undefined) { answer(response, 404, { jsonrpc: '2.0', id: message.id ?? null, error: { code: -32_001, message: 'there is no such session: initialize anew' } }); return; }
    kept.usedAt = this.#clock.monotonic();
    if (begins) response.setHeader('mcp-session-id', name);
    if (message.method === undefined || message.id === undefined) {
      if (message.method !== undefined) kept.session.tell(message);
      answer(response, 202); return;
    }
    const gone = new AbortController();
    response.once('close', () => { gone.abort(); });
    request.once('aborted', () => { gone.abort(); });
    const result = await kept.session.ask(message, gone.signal);
    kept.usedAt = this.#clock.monotonic();
    answer(response, 200, result);
  }

  /** A process more; the one that was asked longest ago makes room where there are too many. */
  #open(name: string): Kept {
    if (this.#sessions.size >= MAX_SESSIONS) {
      const [oldest] = [...this.#sessions].filter(([, { session }]) => session.idle).sort(([, a], [, b]) => a.usedAt - b.usedAt);
      oldest?.[1].session.stop();
      if (oldest !== undefined) this.#sessions.delete(oldest[0]);
    }
    const session = new Session(this.#command, () => { if (this.#sessions.get(name)?.session === session) this.#sessions.delete(name); });
    const kept = { session, usedAt: this.#clock.monotonic() };
    this.#sessions.set(name, kept);
    return kept;
  }

  #sweep(): void {
    this.#timer = this.#clock.after(SWEEP_MS, () => {
      for (const { session, usedAt } of this.#sessions.values()) if (session.idle && this.#clock.monotonic() - usedAt > IDLE_MS) session.stop();
      this.#sweep();
    });
  }
}

function sessionId(request: IncomingMessage): string {
  const id = request.headers['mcp-session-id'];
  return typeof id === 'string' ? id : SHARED;
}

function answer(response: ServerResponse, status: number, value?: object): void {
  if (response.destroyed) return;
  response.writeHead(status, value === undefined ? {} : { 'content-type': 'application/json' });
  response.end(value === undefined ? undefined : JSON.stringify(value));
}

/** Text of a request; undefined when it is too long. */
async function body(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const buffer = Buffer.from(chunk as Uint8Array);
    bytes += buffer.length;
    if (bytes > MAX_BODY) return undefined;
    chunks.push(buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}
