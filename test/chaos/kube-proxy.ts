import { Agent as TlsAgent, createServer as createTlsServer, request as requestTls } from 'node:https';
import { Agent, createServer, request as requestPlain, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request on its way to the API server. */
export interface Passing {
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';
  /** Plural, with the subresource: `pods`, `workflowruns/status`. */
  readonly resource: string;
  readonly path: string;
}

/** What happens to a request. */
export type KubeFault =
  /** Refused with a Status and not carried out. */
  | { readonly kind: 'answer'; readonly code: number; readonly reason: string; readonly retryAfterS?: number }
  /** Carried out; the connection is reset instead of an answer. */
  | { readonly kind: 'lose' }
  /** The connection is reset; nothing is carried out. */
  | { readonly kind: 'reset' }
  | { readonly kind: 'delay'; readonly ms: number }
  /** Carried out twice; the second answer is given. */
  | { readonly kind: 'repeat' }
  /** The answer that the same path gave first. Reads only. */
  | { readonly kind: 'stale' };

/** A fault and the requests it befalls. */
export interface KubeRule {
  readonly match: (request: Passing) => boolean;
  readonly fault: KubeFault;
  /** So many matching requests pass first; 0. */
  readonly skip?: number;
  /** So many are befallen then; all. */
  readonly times?: number;
  /** Share of the matching requests that are befallen; 1. Drawn from `random`. */
  readonly share?: number;
}

interface ArmedRule extends KubeRule {
  seen: number;
  struck: number;
}

/** A request that reached the API server, and its answer. */
export interface Carried extends Passing {
  readonly code: number;
}

interface Watch {
  readonly resource: string;
  readonly response: ServerResponse;
  readonly upstream: IncomingMessage;
  frozen: boolean;
  rest: string;
}

/** What a kube proxy needs: where the API server is, and a certificate that its clients trust; without one it speaks plain HTTP. */
export interface KubeProxyOptions {
  readonly server: string;
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
  /** 0 to 1. */
  readonly random: () => number;
}

const GARBAGE = '{"type":"MODIFIED","object":{"kind":"Half\n';
const GONE = `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', apiVersion: 'v1', code: 410, reason: 'Expired', message: 'too old resource version' } })}\n`;

/** The API server in trouble: stands between it and our controller, requests and watches pass through it and meet its faults. */
export class KubeProxy {
  readonly #o: KubeProxyOptions;
  readonly #agent: Agent;
  readonly #server: Server;
  readonly #watches = new Set<Watch>();
  readonly #first = new Map<string, Buffer>();
  #rules: ArmedRule[] = [];
  #dropEvents: { readonly resource: string; readonly nth: number; seen: number } | undefined;
  #dropped = 0;
  readonly #carried: Carried[] = [];
  #freezeNew: ReadonlySet<string> = new Set<string>();

  private constructor(options: KubeProxyOptions) {
    this.#o = options;
    const { tls } = options;
    const pass = (request: IncomingMessage, response: ServerResponse): void => { void this.#pass(request, response); };
    this.#agent = tls === undefined ? new Agent({ keepAlive: true }) : new TlsAgent({ keepAlive: true, maxSockets: 64, ca: tls.ca });
    this.#server = tls === undefined ? createServer(pass) : createTlsServer({ cert: tls.cert, key: tls.key }, pass);
    this.#server.on('clientError', (_, socket) => { socket.destroy(); });
  }

  /** Listens on a free port of loopback. */
  static async start(options: KubeProxyOptions): Promise<KubeProxy> {
    const proxy = new KubeProxy(options);
    await new Promise<void>((resolve) => { proxy.#server.listen(0, '127.0.0.1', resolve); });
    return proxy;
  }

  get url(): string {
    const address = this.#server.address() as AddressInfo;
    return `${this.#o.tls === undefined ? 'http' : 'https'}://127.0.0.1:${address.port}`;
  }

  /** Adds a fault; returns how to ask how often it struck. */
  add(rule: KubeRule): { struck(): number; remove(): void } {
    const armed: ArmedRule = { ...rule, seen: 0, struck: 0 };
    this.#rules.push(armed);
    return { struck: () => armed.struck, remove: () => { this.#rules = this.#rules.filter((other) => other !== armed); } };
  }

  /** Takes all faults out. */
  heal(): void {
    this.#rules = [];
    this.#dropEvents = undefined;
    this.thaw();
  }

  /** Frozen watches are cut, because what they missed is gone; new ones speak again. */
  thaw(): void {
    this.#freezeNew = new Set();
    for (const watch of this.#watches) if (watch.frozen) this.#end(watch, 'cut');
  }

  /** Watches that stand, of one resource or all. */
  watches(resource?: string): number {
    return [...this.#watches].filter((watch) => resource === undefined || watch.resource === resource).length;
  }

  /** Ends watches: `cut` in the middle, `end` in order, as after their timeout. */
  endWatches(how: 'cut' | 'end', resource?: string): void {
    for (const watch of this.#of(resource)) this.#end(watch, how);
  }

  /** Watches stay open and say nothing any more; those that are opened meanwhile (`new`) too, until `heal`. */
  freezeWatches(resource: string, which: 'new' | 'old' = 'new'): void {
    if (which === 'new') this.#freezeNew = new Set([...this.#freezeNew, resource]);
    for (const watch of this.#of(resource)) watch.frozen = true;
  }

  /** A line that is no JSON, or the API server's word that our version is too old. */
  say(what: 'garbage' | 'gone', resource?: string): void {
    for (const watch of this.#of(resource)) watch.response.write(what === 'garbage' ? GARBAGE : GONE);
  }

  /** The nth event (from 1) of a resource's watches never arrives. */
  dropEvent(resource: string, nth: number): void {
    this.#dropEvents = { resource, nth, seen: 0 };
  }

  /** Requests that were carried out so far, watches left out. */
  carried(match: (request: Carried) => boolean): number {
    return this.#carried.filter(match).length;
  }

  /** Events that were dropped. */
  get dropped(): number { return this.#dropped; }

  async close(): Promise<void> {
    for (const watch of this.#watches) this.#end(watch, 'cut');
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => { this.#server.close(() => { resolve(); }); });
    this.#agent.destroy();
  }

  #of(resource: string | undefined): readonly Watch[] {
    return [...this.#watches].filter((watch) => resource === undefined || watch.resource === resource);
  }

  #strike(passing: Passing): KubeFault | undefined {
    for (const rule of this.#rules) {
      if (!rule.match(passing)) continue;
      rule.seen++;
      if (rule.seen <= (rule.skip ?? 0) || rule.struck >= (rule.times ?? Infinity) || this.#o.random() >= (rule.share ?? 1)) continue;
      rule.struck++;
      return rule.fault;
    }
    return undefined;
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const passing = describe(request);
    try {
      const body = await readAll(request);
      const fault = this.#strike(passing);
      if (fault?.kind === 'answer') refuse(response, fault);
      else if (fault?.kind === 'reset') request.socket.destroy();
      else await this.#carry(request, response, passing, body, fault);
    } catch {
      request.socket.destroy();
    }
  }

  async #carry(request: IncomingMessage, response: ServerResponse, passing: Passing, body: Buffer, fault: KubeFault | undefined): Promise<void> {
    if (fault?.kind === 'delay') await new Promise((resolve) => { setTimeout(resolve, fault.ms); });
    if (fault?.kind === 'repeat') await readAll(await this.#forward(request, body));
    const upstream = await this.#forward(request, body);
    if (passing.verb !== 'watch') this.#carried.push({ ...passing, code: upstream.statusCode ?? 0 });
    if (passing.verb === 'watch' && upstream.statusCode === 200) {
      this.#watch(passing, upstream, response);
      return;
    }
    const text = await readAll(upstream);
    if (fault?.kind === 'lose') {
      request.socket.destroy();
      return;
    }
    give(response, upstream, this.#remembered(passing, request.url ?? '', upstream, text, fault));
  }

  /** The answer, or the one that this path gave first. */
  #remembered({ verb }: Passing, url: string, upstream: IncomingMessage, text: Buffer, fault: KubeFault | undefined): Buffer {
    const first = this.#first.get(url);
    if (fault?.kind === 'stale' && first !== undefined) return first;
    if (first === undefined && upstream.statusCode === 200 && (verb === 'list' || verb === 'get')) this.#first.set(url, text);
    return text;
  }

  #forward(request: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { host: _host, connection: _connection, ...headers } = request.headers;
      const outgoing = (this.#o.tls === undefined ? requestPlain : requestTls)(this.#o.server + (request.url ?? ''), { method: request.method, agent: this.#agent, headers }, resolve);
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  #watch({ resource }: Passing, upstream: IncomingMessage, response: ServerResponse): void {
    const watch: Watch = { resource, response, upstream, frozen: this.#freezeNew.has(resource), rest: '' };
    this.#watches.add(watch);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    upstream.setEncoding('utf8');
    upstream.on('data', (chunk: string) => { this.#lines(watch, chunk); });
    upstream.on('end', () => { this.#end(watch, 'end'); });
    upstream.on('error', () => { this.#end(watch, 'cut'); });
    response.on('close', () => { this.#end(watch, 'cut'); });
  }

  #lines(watch: Watch, chunk: string): void {
    const lines = (watch.rest + chunk).split('\n');
    watch.rest = lines.pop() ?? '';
    for (const line of lines) if (!watch.frozen && !this.#drops(watch, line)) watch.response.write(`${line}\n`);
  }

  #drops({ resource }: Watch, line: string): boolean {
    const drop = this.#dropEvents;
    if (drop?.resource !== resource || line.startsWith('{"type":"BOOKMARK"')) return false;
    if (++drop.seen !== drop.nth) return false;
    this.#dropped++;
    return true;
  }

  #end(watch: Watch, how: 'cut' | 'end'): void {
    if (!this.#watches.delete(watch)) return;
    watch.upstream.destroy();
    if (how === 'end' && !watch.frozen) watch.response.end();
    else watch.response.destroy();
  }
}

/** Verb and resource of a request, out of its path. */
export function describe(request: Pick<IncomingMessage, 'method' | 'url'>): Passing {
  const url = new URL(request.url ?? '/', 'http://x');
  const parts = url.pathname.split('/').filter((part) => part !== '');
  // /api/v1/… or /apis/<group>/<version>/…; then perhaps namespaces/<namespace>.
  let rest = parts.slice(parts[0] === 'api' ? 2 : 3);
  if (rest[0] === 'namespaces' && rest.length > 2) rest = rest.slice(2);
  const [plural = '', name, sub] = rest;
  const verbs = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' } as const;
  const read = url.searchParams.get('watch') === 'true' ? 'watch' : name === undefined ? 'list' : 'get';
  const verb = request.method === 'POST' || request.method === 'PUT' || request.method === 'PATCH' || request.method === 'DELETE' ? verbs[request.method] : read;
  return { verb, resource: sub === undefined ? plural : `${plural}/${sub}`, path: url.pathname };
}

function refuse(response: ServerResponse, { code, reason, retryAfterS }: Extract<KubeFault, { kind: 'answer' }>): void {
  const body = JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message: `${reason} (fault)` });
  response.writeHead(code, { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)), ...(retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) }) });
  response.end(body);
}

function give(response: ServerResponse, upstream: IncomingMessage, text: Buffer): void {
  const type = upstream.headers['content-type'];
  response.writeHead(upstream.statusCode ?? 502, { ...(type === undefined ? {} : { 'content-type': type }), 'content-length': String(text.length) });
  response.end(text);
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk)));
  return Buffer.concat(chunks);
}
