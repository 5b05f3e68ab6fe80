import type { IncomingMessage, Server as HttpServer } from 'node:http';
import { Server } from 'socket.io';
import type { ExtendedError, Socket } from 'socket.io';
import { z } from 'zod';
import type { Clock, TimerHandle } from '../../platform/clock/index.ts';
import { bearerToken } from '../auth/bearer.ts';
import { ApiError, asApiError } from '../errors.ts';
import type { Can } from '../auth/can.ts';
import type { Services, StreamContext } from '../graphql/context.ts';
import { GONE } from '../http/gone.ts';
import type { ApiLog, ApiMetrics, Authenticator } from '../ports.ts';

/*
 * Socket.IO at /socket.io, over WebSocket alone, for pages that hold one connection and watch many things over it. What a stream gives is what the
 * subscription of GraphQL gives, from the same feeds.
 *
 *   page -> 'watch' {kind, id, after?}    answered {ok: true, stream} or {ok: false, code, message}
 *   here -> 'event' {stream, value}       any number of times
 *   here -> 'end'   {stream, code?, message?}   once; without a code: there is nothing more to come
 *   page -> 'unwatch' {stream}
 */

/** Sockets one principal may hold open in one API process. */
export const SOCKETS_PER_PRINCIPAL = 20;
/** The token of a socket is looked at again after so long. */
export const SOCKET_RECHECK_MS = 15_000;
/** Bytes of a message from a page at most. */
const MOST_BYTES = 16_384;
/** Messages that wait for a slow page at most; then its feeds wait too. */
const MOST_WAITING = 64;

/** Something that can be watched: values until it ends, or throws what may be told. */
export interface Feed extends AsyncIterableIterator<unknown> {
  close(): void;
}

/** What a page asks to watch. */
export interface Ask {
  readonly id: string;
  /** Sequence number to go on from, where the kind has one. */
  readonly after?: number | undefined;
}

/** Opens the feed of a kind; it ends when its caller is gone. Throws ApiError. */
export type OpenFeed = (context: StreamContext, ask: Ask) => Feed;

/** What the door stands on. */
export interface SocketParts {
  readonly authenticator: Authenticator;
  readonly services: Omit<Services, 'can'>;
  /** The one decision. What it remembers it believes for a second. */
  readonly canOfRequest: () => Can;
  readonly feeds: Readonly<Record<string, OpenFeed>>;
  readonly corsOrigins: readonly string[];
  readonly clock: Clock;
  readonly log: ApiLog;
  readonly metrics: ApiMetrics;
}

/** The open door. */
export interface Sockets {
  /** Sockets open now. */
  readonly size: number;
  /** Tells pages to connect again elsewhere; no more are let in. */
  close(): void;
}

const watchSchema = z.strictObject({ kind: z.string().max(32), id: z.string().min(1).max(64), after: z.int().min(0).optional() });
const unwatchSchema = z.strictObject({ stream: z.int().min(1) });
const replySchema = z.custom<(answer: object) => void>((value) => typeof value === 'function');

/** Serves Socket.IO on a server. A socket without a valid token is refused before it can say anything. */
export function attachSockets(http: HttpServer, parts: SocketParts): Sockets {
  const held = new Map<string, number>();
  const io = new Server(http, {
    serveClient: false, connectTimeout: 10_000, maxHttpBufferSize: MOST_BYTES, perMessageDeflate: false, httpCompression: false, destroyUpgrade: true,
    // Over several replicas, polling would need every request of a page to reach the same one.
    transports: ['websocket'], allowRequest: (request, answer) => { answer(null, allowedOrigin(request, parts.corsOrigins)); },
  });
  const sessions = new WeakMap<Socket, StreamContext>();
  io.use((socket, next) => {
    void sessionOf(parts, socket).then((session) => {
      const mine = held.get(session.principal.name) ?? 0;
      if (mine >= SOCKETS_PER_PRINCIPAL) throw new ApiError('TOO_MANY_STREAMS', 'too many sockets are open: watch everything over one');
      sessions.set(socket, session);
      next();
    }).catch((error: unknown) => { next(refusal(parts, error)); });
  });
  io.on('connection', (socket) => {
    const session = sessions.get(socket);
    if (session === undefined) return;
    const { name } = session.principal;
    held.set(name, (held.get(name) ?? 0) + 1);
    const served = new ServedSocket(parts, socket, session);
    socket.on('disconnect', () => {
      served.close();
      const left = (held.get(name) ?? 1) - 1;
      if (left > 0) held.set(name, left);
      else held.delete(name);
    });
  });
  return {
    get size() { return io.sockets.sockets.size; },
    close: () => {
      io.disconnectSockets(true);
      io.engine.close();
    },
  };
}

/** A page of another origin is let in only when it is listed; programs send no Origin. */
function allowedOrigin({ headers }: IncomingMessage, origins: readonly string[]): boolean {
  const { origin } = headers;
  return origin === undefined || origins.includes(origin) || originHost(origin) === headers.host;
}

function originHost(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

/** The token comes in `auth.token` of the handshake, or as a bearer header. Throws UNAUTHENTICATED, UnavailableError. */
async function sessionOf({ authenticator, services, canOfRequest }: SocketParts, { handshake, conn }: Socket): Promise<StreamContext> {
  const given: unknown = handshake.auth['token'];
  const { authorization } = handshake.headers;
  const token = bearerToken(typeof given === 'string' && authorization === undefined ? [`Bearer ${given}`] : authorization === undefined || given !== undefined ? [] : [authorization]);
  const principal = token === undefined ? undefined : await authenticator.authenticate(token);
  if (token === undefined || principal === undefined) throw new ApiError('UNAUTHENTICATED', 'connect with auth: {token} holding a valid token for this API');
  const gone = new AbortController();
  conn.once('close', () => { gone.abort(GONE); });
  return { principal, services: { ...services, can: canOfRequest() }, gone: gone.signal, stillValid: async () => await authenticator.authenticate(token) !== undefined };
}

/** What a page gets as `connect_error`: the message, and the code in `data`. */
function refusal(parts: SocketParts, error: unknown): ExtendedError {
  const { code, message } = faceOf(parts, error);
  parts.metrics.refused(code);
  return Object.assign(new Error(message), { data: { code, message } });
}

function faceOf(parts: SocketParts, error: unknown): { readonly code: string; readonly message: string } {
  const known = asApiError(error);
  if (known !== undefined) return { code: known.publicCode, message: known.message };
  parts.log.error({ err: error }, 'a socket failed by a fault of ours');
  return { code: 'INTERNAL', message: 'internal error: the log of the API has it' };
}

/** One socket and the streams it watches. */
class ServedSocket {
  readonly #parts: SocketParts;
  readonly #socket: Socket;
  readonly #session: StreamContext;
  readonly #feeds = new Map<number, Feed>();
  #last = 0;
  /** Messages that the connection has not taken yet. */
  #waiting = 0;
  #recheck: TimerHandle | undefined;
  #closed = false;

  constructor(parts: SocketParts, socket: Socket, session: StreamContext) {
    this.#parts = parts;
    this.#socket = socket;
    this.#session = session;
    socket.conn.on('packetCreate', () => { this.#waiting += 1; });
    socket.conn.on('drain', () => { this.#waiting = 0; });
    socket.on('watch', (ask: unknown, reply: unknown) => { this.#watch(ask, replyOf(reply)); });
    socket.on('unwatch', (ask: unknown) => { this.#unwatch(ask); });
    this.#recheckLater();
  }

  close(): void {
    this.#closed = true;
    this.#recheck?.cancel();
    for (const feed of this.#feeds.values()) feed.close();
    this.#feeds.clear();
  }

  #watch(given: unknown, reply: (answer: object) => void): void {
    try {
      const { kind, ...ask } = this.#parse(given);
      const open = Object.hasOwn(this.#parts.feeds, kind) ? this.#parts.feeds[kind] : undefined;
      if (open === undefined) throw new ApiError('BAD_USER_INPUT', `kind ${JSON.stringify(kind)} cannot be watched: choose from ${Object.keys(this.#parts.feeds).join(', ')}`);
      const feed = open(this.#session, ask);
      const stream = ++this.#last;
      this.#feeds.set(stream, feed);
      reply({ ok: true, stream });
      void this.#pump(stream, feed);
    } catch (error) {
      reply({ ok: false, ...faceOf(this.#parts, error) });
    }
  }

  #parse(given: unknown): z.output<typeof watchSchema> {
    const ask = watchSchema.safeParse(given);
    if (ask.success) return ask.data;
    throw new ApiError('BAD_USER_INPUT', 'watch takes an object with kind, id and, where there are numbers to go on from, after');
  }

  #unwatch(given: unknown): void {
    const ask = unwatchSchema.safeParse(given);
    if (ask.success) this.#feeds.get(ask.data.stream)?.close();
  }

  async #pump(stream: number, feed: Feed): Promise<void> {
    try {
      for await (const value of feed) {
        this.#socket.emit('event', { stream, value });
        await this.#room();
      }
      this.#end(stream, {});
    } catch (error) {
      this.#end(stream, faceOf(this.#parts, error));
    } finally {
      feed.close();
      this.#feeds.delete(stream);
    }
  }

  #end(stream: number, why: object): void {
    if (!this.#closed) this.#socket.emit('end', { stream, ...why });
  }

  /** A page that reads slowly makes its feeds wait: they give the newest state, or go on from their number. */
  async #room(): Promise<void> {
    if (this.#waiting < MOST_WAITING || this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#socket.conn.once('drain', resolve);
      this.#socket.conn.once('close', () => { resolve(); });
    });
  }

  #recheckLater(): void {
    this.#recheck = this.#parts.clock.after(SOCKET_RECHECK_MS, () => {
      void this.#session.stillValid().then((valid) => {
        if (this.#closed) return;
        if (valid) this.#recheckLater();
        else this.#socket.disconnect(true);
      }, () => { if (!this.#closed) this.#recheckLater(); });
    });
  }
}

function replyOf(given: unknown): (answer: object) => void {
  const reply = replySchema.safeParse(given);
  return reply.success ? reply.data : () => undefined;
}
