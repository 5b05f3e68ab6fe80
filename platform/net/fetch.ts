import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { rootCertificates } from 'node:tls';
import { RamboError } from '../errors/index.ts';
import { AddressRefused, chooseTarget, isLinkLocal, systemResolve, type Resolve, type Target } from './addresses.ts';

/** What one caller of the outside may reach. */
export interface GuardOptions {
  /** Hosts, `*.` and a domain, addresses and CIDRs that may be reached although they are private; the installation's list, never a tenant's. */
  readonly allow: readonly string[];
  /** Services of this namespace may be reached: `x.<namespace>.svc` and `x.<namespace>.svc.cluster.local`. */
  readonly serviceNamespace?: string;
  readonly resolve?: Resolve;
  /** Certificates (PEM) trusted besides the public ones, and the name the server's must have. */
  readonly tls?: { readonly ca?: string | undefined; readonly serverName?: string | undefined };
  /** How long a connection may take to be made, in milliseconds; 10 s. */
  readonly connectMs?: number;
}

const CONNECT_MS = 10_000;

/** A request that did not leave: the address is refused, or nobody answers there. Whoever sees it knows that nothing happened. */
export class NotSentError extends RamboError {}

/** A fetch of its own connections. */
export interface GuardedFetch {
  (input: string | URL | Request, init?: RequestInit): Promise<Response>;
  close(): void;
}

/**
 * `fetch` for addresses that tenants name. Private addresses are refused but for what `options` say, link-local ones always. The
 * address that was checked is the one that is dialled. A redirect is an answer like others: it is never followed. Rejects with
 * NotSentError as long as the request has not left, and with the error of the socket after that.
 */
export function guardedFetch(options: GuardOptions): GuardedFetch {
  const { ca, serverName } = options.tls ?? {};
  const agents = {
    http: new HttpAgent({ keepAlive: true, maxSockets: 256 }),
    https: new HttpsAgent({ keepAlive: true, maxSockets: 256, ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }), ...(serverName === undefined ? {} : { servername: serverName }) }),
  };
  const connectMs = options.connectMs ?? CONNECT_MS;
  const allow = [...options.allow, ...(options.serviceNamespace === undefined ? [] : [`*.${options.serviceNamespace}.svc`, `*.${options.serviceNamespace}.svc.cluster.local`])];
  const run = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new NotSentError('AddressRefused', `${url.protocol} is not allowed: use http or https`);
    const target = await chosen(url.hostname, allow, options.resolve ?? systemResolve);
    const body = request.body === null ? undefined : Buffer.from(await request.arrayBuffer());
    request.signal.throwIfAborted();
    return send(request, url, target, body, agents, connectMs);
  };
  return Object.assign(run, { close: () => { agents.http.destroy(); agents.https.destroy(); } });
}

async function chosen(host: string, allow: readonly string[], resolve: Resolve): Promise<Target> {
  try {
    const target = await chooseTarget(host, allow, resolve);
    if (isLinkLocal(target.address)) throw new AddressRefused(`${host} is the link-local address ${target.address}, which is never reached`);
    return target;
  } catch (error) {
    if (error instanceof AddressRefused) throw new NotSentError('AddressRefused', error.message, { cause: error });
    throw new NotSentError('Unreachable', `${host} cannot be resolved`, { cause: error });
  }
}

function send(request: Request, url: URL, target: Target, body: Buffer | undefined, agents: { readonly http: HttpAgent; readonly https: HttpsAgent }, connectMs: number): Promise<Response> {
  const secure = url.protocol === 'https:';
  const headers = Object.fromEntries(request.headers);
  const options = {
    method: request.method, signal: request.signal, agent: secure ? agents.https : agents.http,
    headers: { ...headers, 'accept-encoding': 'identity', ...(body === undefined ? {} : { 'content-length': String(body.length) }) },
    lookup: (_host: string, wanted: { readonly all?: boolean | undefined }, callback: (error: null, found: never, family?: number) => void): void => {
      // The library calls back with a list or with one address, as it asked for; its type knows one of them.
      if (wanted.all === true) callback(null, [target] as never);
      else callback(null, target.address as never, target.family);
    },
  };
  return new Promise((resolve, reject) => {
    const outgoing = secure ? httpsRequest(url, options) : httpRequest(url, options);
    const left = departure(outgoing);
    const slow = AbortSignal.timeout(connectMs);
    slow.addEventListener('abort', () => { if (!left()) outgoing.destroy(new Error(`no connection within ${connectMs} ms`)); }, { once: true });
    outgoing.on('response', (incoming) => { resolve(responseOf(incoming)); });
    outgoing.on('error', (error) => { reject(left() ? error : unsent(url, error, request.signal)); });
    outgoing.end(body);
  });
}

function unsent(url: URL, error: Error, signal: AbortSignal): Error {
  return signal.aborted ? error : new NotSentError('Unreachable', `${url.host} cannot be reached: ${error.message}`, { cause: error });
}

/** Whether any of the request may have left: once there is a connection, it may. A connection that is used again is one from the start. */
function departure(request: ClientRequest): () => boolean {
  let left = false;
  request.on('socket', (socket) => {
    if (!socket.connecting) left = true;
    else socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => { left = true; });
  });
  return () => left;
}

const WITHOUT_BODY = new Set([101, 204, 205, 304]);

function responseOf(incoming: IncomingMessage): Response {
  const status = incoming.statusCode ?? 500;
  const headers = new Headers();
  for (let i = 0; i + 1 < incoming.rawHeaders.length; i += 2) headers.append(incoming.rawHeaders[i] ?? '', incoming.rawHeaders[i + 1] ?? '');
  if (WITHOUT_BODY.has(status)) {
    incoming.resume();
    return new Response(null, { status, headers });
  }
  return new Response(Readable.toWeb(incoming) as ReadableStream<Uint8Array<ArrayBuffer>>, { status, headers });
}

/** The answer cut at so many bytes: reading on fails with an error of code `ResultTooLarge`. */
export function capped(response: Response, maxBytes: number): Response {
  if (response.body === null) return response;
  let bytes = 0;
  const cut = new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, controller) => {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) controller.error(new RamboError('ResultTooLarge', `the answer is over ${maxBytes} bytes`));
      else controller.enqueue(chunk);
    },
  });
  return new Response(response.body.pipeThrough(cut), { status: response.status, headers: response.headers });
}
