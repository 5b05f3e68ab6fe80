import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Clock } from '../../platform/clock/index.ts';
import { errorMessage, isBug, UnavailableError } from '../../platform/errors/index.ts';
import { listenOn } from '../../platform/health/listen.ts';
import type { Log } from '../../platform/log/index.ts';
import type { Caller } from '../run/standing.ts';
import { Refusal } from './errors.ts';

/** A request whose token was checked and whose body was read. */
export interface Incoming {
  readonly caller: Caller;
  readonly body: unknown;
  readonly header: (name: string) => string | undefined;
  /** Aborts when the caller goes away. */
  readonly signal: AbortSignal;
}

/** An answer as JSON. */
export interface Reply {
  readonly status: number;
  readonly body: unknown;
}

/** Answers as JSON; or by itself, through the response. */
export type Handler = (request: Incoming, response: ServerResponse) => Promise<Reply | undefined>;

/** What the door works with. */
export interface DoorParts {
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Who asks, by their token. Throws Refusal `Unauthenticated`, UnavailableError. */
  readonly authenticate: (token: string | undefined) => Promise<Caller>;
  readonly mostBytes: number;
  /** A request ended: its path as a closed set, and its status. */
  readonly answered: (route: string, status: number, seconds: number) => void;
}

/** Connections of runners are kept for longer than they are idle between two steps. */
const KEEP_ALIVE_MS = 120_000;
const HEADERS_MS = 10_000;
const RETRY_AFTER_S = '1';

/** The door of the gateway: routes by path, JSON bodies, tokens. Nothing of an error but its message leaves. */
export class Door {
  readonly #parts: DoorParts;
  readonly #routes = new Map<string, Handler>();
  readonly #server;
  #closing = false;

  constructor(parts: DoorParts) {
    this.#parts = parts;
    this.#server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: HEADERS_MS, requestTimeout: 60_000, maxHeaderSize: 16_384 }, (request, response) => { void this.#serve(request, response); });
  }

  /** Answers POST requests of a path. */
  post(path: string, handler: Handler): void {
    this.#routes.set(path, handler);
  }

  /** Listens; gives the port. */
  listen(): Promise<number> {
    return listenOn(this.#server, this.#parts.host, this.#parts.port);
  }

  /** From now on connections end with their answer, and new ones are refused. */
  drain(): void {
    this.#closing = true;
    this.#server.close();
    this.#server.closeIdleConnections();
  }

  close(): Promise<void> {
    return new Promise((done) => {
      this.#server.close(() => { done(); });
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = this.#parts.clock.monotonic();
    const path = (request.url ?? '/').split('?')[0] ?? '/';
    const handler = request.method === 'POST' ? this.#routes.get(path) : undefined;
    const route = handler === undefined ? 'other' : path;
    response.once('close', () => { this.#parts.answered(route, response.statusCode, (this.#parts.clock.monotonic() - started) / 1_000); });
    if (this.#closing) response.setHeader('connection', 'close');
    try {
      if (handler === undefined) throw new Refusal('NotFound', 'there is no such path');
      const caller = await this.#parts.authenticate(bearer(request));
      const body = await readJson(request, this.#parts.mostBytes);
      const gone = new AbortController();
      response.once('close', () => { gone.abort(); });
      const header = (name: string): string | undefined => { const value = request.headers[name]; return typeof value === 'string' ? value : value?.[0]; };
      const reply = await handler({ caller, body, header, signal: gone.signal }, response);
      if (reply !== undefined) send(response, reply);
    } catch (error) {
      this.#refuse(response, route, error);
    }
  }

  #refuse(response: ServerResponse, route: string, error: unknown): void {
    const refusal = refusalOf(error);
    if (isBug(error)) this.#parts.log.error({ path: route, err: error }, 'a request of the model gateway failed by a fault of ours');
    else if (refusal.refused === 'Unavailable') this.#parts.log.warn({ path: route, err: errorMessage(error) }, 'a request of the model gateway could not be served');
    if (response.headersSent) { response.destroy(); return; }
    send(response, { status: refusal.status, body: refusal.body() });
  }
}

/** Anything thrown as what the caller is told. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof UnavailableError) return new Refusal('Unavailable', `${error.message}: ask again`, { cause: error });
  return new Refusal('Unavailable', 'the model gateway cannot work right now', { cause: error });
}

/** Sends an answer as JSON. A caller that is gone hears nothing. */
export function send(response: ServerResponse, { status, body }: Reply): void {
  if (response.destroyed || response.headersSent) return;
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text), 'x-content-type-options': 'nosniff', ...(status === 503 ? { 'retry-after': RETRY_AFTER_S } : {}) }).end(text);
}

function bearer({ headers }: IncomingMessage): string | undefined {
  return /^Bearer ([\w.~+/-]+=*)$/i.exec(headers.authorization ?? '')?.[1];
}

/** The body as JSON; an empty one is an empty object. Throws Refusal. */
async function readJson(request: IncomingMessage, most: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  if (Number(request.headers['content-length'] ?? 0) > most) throw tooLarge(most);
  for await (const chunk of request) {
    const part = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    bytes += part.length;
    if (bytes > most) throw tooLarge(most);
    chunks.push(part);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  if (text.trim() === '') return {};
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal('Invalid', 'the body is no JSON', { cause: error });
  }
}

function tooLarge(most: number): Refusal {
  return new Refusal('TooLarge', `the body has more than ${most} bytes`);
}
