import { Buffer } from 'node:buffer';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { errorMessage } from '../errors/index.ts';
import type { KubeConfig } from './config.ts';
import { KubeError } from './errors.ts';

/** A request to the API server; `resource` and `verb` are closed sets, for metrics. */
export interface KubeRequest {
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';
  readonly resource: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Only metadata of the object comes back. */
  readonly metadataOnly?: boolean;
  /** Kind of patch; `apply` needs a fieldManager in the query. */
  readonly patch?: 'merge' | 'apply';
}

/** One finished request: for metrics. `code` 0 when the server did not answer. */
export type KubeObserver = (verb: string, resource: string, code: number) => void;

const METHOD = { get: 'GET', list: 'GET', watch: 'GET', create: 'POST', update: 'PUT', patch: 'PATCH', delete: 'DELETE' } as const;
const TIMEOUT_MS = 15_000;
const MAX_ERROR_BYTES = 65_536;
const MAX_SHOWN = 80;

/**
 * The API server over HTTPS with kept connections. A thin layer on purpose: the generated API classes of the client
 * library cost ~90 MB of memory, and the few verbs we use are plain JSON.
 */
export class KubeClient {
  readonly #config: KubeConfig;
  readonly #agent: HttpAgent;
  readonly #start: typeof httpsRequest;
  readonly #observe: KubeObserver;

  constructor(config: KubeConfig, observe: KubeObserver = () => undefined) {
    this.#config = config;
    this.#observe = observe;
    // Without TLS: a proxy on this machine, such as `kubectl proxy`.
    const plain = config.server.startsWith('http:');
    const kept = { keepAlive: true, maxSockets: 64 };
    this.#start = plain ? httpRequest : httpsRequest;
    this.#agent = plain ? new HttpAgent(kept) : new Agent({
      ...kept,
      ...(config.ca === undefined ? {} : { ca: config.ca }),
      ...(config.cert === undefined ? {} : { cert: config.cert }),
      ...(config.key === undefined ? {} : { key: config.key }),
    });
  }

  /** The answer as parsed JSON. Throws KubeError. */
  async json(request: KubeRequest): Promise<unknown> {
    const text = await this.text(request);
    try {
      return text === '' ? undefined : JSON.parse(text);
    } catch (error) {
      throw new KubeError(0, 'Unreadable', `${request.verb} ${request.path}: what answered is no API server: ${JSON.stringify(text.slice(0, MAX_SHOWN))} is not JSON`, { cause: error });
    }
  }

  /** The answer as text: for logs of pods. */
  async text(request: KubeRequest): Promise<string> {
    const response = await this.#open(request, AbortSignal.timeout(TIMEOUT_MS));
    try {
      return await readAll(response);
    } catch (error) {
      throw new KubeError(0, 'Unreachable', `the answer of the API server to ${request.verb} ${request.path} broke off: ${errorMessage(error)}`, { cause: error });
    }
  }

  /** An answer that streams: a watch. The caller ends it through `signal`. */
  stream(request: KubeRequest, signal: AbortSignal): Promise<IncomingMessage> {
    return this.#open(request, signal);
  }

  /** Closes idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  #open(request: KubeRequest, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const url = new URL(this.#config.server + request.path);
      for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value);
      const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body));
      const outgoing = this.#start(url, { method: METHOD[request.verb], agent: this.#agent, signal, headers: this.#headers(request, body) });
      outgoing.on('error', (error) => {
        this.#observe(request.verb, request.resource, 0);
        reject(new KubeError(0, 'Unreachable', `the API server did not answer ${request.verb} ${request.path}: ${errorMessage(error)}`, { cause: error }));
      });
      outgoing.on('response', (response) => {
        const code = response.statusCode ?? 0;
        this.#observe(request.verb, request.resource, code);
        if (code < 400) resolve(response);
        else void readAll(response).catch(() => '').then((text) => { reject(answerError(request, code, text, response)); });
      });
      outgoing.end(body);
    });
  }

  #headers(request: KubeRequest, body: Buffer | undefined): Record<string, string> {
    const token = this.#config.token();
    const type = request.patch === undefined ? 'application/json' : request.patch === 'merge' ? 'application/merge-patch+json' : 'application/apply-patch+yaml';
    return {
      accept: request.metadataOnly === true ? 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1' : 'application/json', 'user-agent': 'rambo',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': type, 'content-length': String(body.length) }),
    };
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk)));
  return Buffer.concat(chunks).toString('utf8');
}

function answerError(request: KubeRequest, code: number, text: string, response: IncomingMessage): KubeError {
  let reason = '';
  let message = text.slice(0, 512);
  try {
    const status: { reason?: unknown; message?: unknown } = JSON.parse(text.slice(0, MAX_ERROR_BYTES));
    if (typeof status.reason === 'string') reason = status.reason;
    if (typeof status.message === 'string') message = status.message;
  } catch {
    // Not a Status object: a proxy, or a server on its way down.
  }
  const after = Number(response.headers['retry-after']);
  return new KubeError(code, reason, `${request.verb} ${request.path}: ${code} ${message}`, Number.isFinite(after) ? { retryAfterMs: after * 1_000 } : {});
}
