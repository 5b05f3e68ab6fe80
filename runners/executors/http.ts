import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { RequestOptions } from 'node:https';
import { z } from 'zod';
import { LIMITS } from '../../crds/names.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import { failure, type Execution, type Executor, type Outcome } from '../core/types.ts';
import { AddressRefused, chooseTarget, systemResolve, type Resolve } from '../../platform/net/addresses.ts';

const withSchema = z.object({
  method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']).default('GET'),
  url: z.string(),
  headers: z.array(z.object({ name: z.string(), value: z.string().optional(), fromEnv: z.string().optional() })).default([]),
  body: z.unknown().optional(),
  expect: z.object({ status: z.array(z.int()).optional() }).loose().optional(),
});
type HttpWith = z.output<typeof withSchema>;

const MAX_REDIRECTS = 5;
/** Without a node timeout a request ends after this; a server that sends a byte a second does not hold a slot for ever. */
const DEFAULT_TIMEOUT_MS = 60_000;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** A refusal before anything was sent. */
class Refused extends Error {}

/** A response over the cap. */
class TooLarge extends Error {}

interface Hop {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Sends one request. Private addresses are refused unless the pool names them, at every redirect anew. */
export function httpExecutor(resolve: Resolve = systemResolve): Executor {
  const execute = async (execution: Execution): Promise<Outcome> => {
    const parsed = withSchema.safeParse(execution.dispatch.with);
    if (!parsed.success) return failure('Invalid', 'InvalidRequest', `with.${parsed.error.issues[0]?.path.join('.') ?? ''}: ${parsed.error.issues[0]?.message ?? ''}`);
    const timeout = AbortSignal.timeout(execution.dispatch.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    try {
      const answer = await followRedirects(firstHop(parsed.data, { ...execution.env, ...execution.dispatch.env }), execution, resolve, AbortSignal.any([timeout, execution.signal]));
      return judge(answer, parsed.data);
    } catch (error) {
      if (error instanceof AddressRefused) return failure('User', 'AddressRefused', error.message);
      if (error instanceof Refused) return failure('User', 'InvalidRequest', error.message);
      if (error instanceof TooLarge) return failure('User', 'OutputTooLarge', error.message);
      if (timeout.aborted) return failure('Timeout', 'HttpTimeout', `${shown(parsed.data)} did not answer in time`);
      return failure('User', 'HttpError', `${shown(parsed.data)}: ${errorMessage(error)}`);
    }
  };
  return Object.assign(execute, { noFolder: true as const });
}

/** The request as errors name it: a query may hold a key. */
function shown({ method, url }: HttpWith): string {
  return `${method} ${url.replace(/[?#].*$/s, '').slice(0, 500)}`;
}

function firstHop(spec: HttpWith, env: Readonly<Record<string, string>>): Hop {
  const headers: Record<string, string> = {};
  for (const { name, value, fromEnv } of spec.headers) {
    const given = fromEnv === undefined ? value : Object.hasOwn(env, fromEnv) ? env[fromEnv] : undefined;
    if (given === undefined) throw new Refused(`with.headers: ${name}: ${fromEnv === undefined ? 'has no value' : `the pool has no environment variable ${fromEnv}`}`);
    checkHeader(name, given);
    headers[name.toLowerCase()] = given;
  }
  const text = spec.body === undefined ? undefined : typeof spec.body === 'string' ? spec.body : JSON.stringify(spec.body);
  if (text !== undefined && typeof spec.body !== 'string') headers['content-type'] ??= 'application/json';
  return { method: spec.method, url: checkedUrl(spec.url), headers, ...(text === undefined ? {} : { body: Buffer.from(text) }) };
}

function checkHeader(name: string, value: string): void {
  try {
    const { validateHeaderName, validateHeaderValue } = process.getBuiltinModule('node:http');
    validateHeaderName(name);
    validateHeaderValue(name, value);
  } catch {
    throw new Refused(`with.headers: ${JSON.stringify(name.slice(0, 100))}: the name or the value holds a character that no header may have`);
  }
}

function checkedUrl(text: string, base?: URL): URL {
  // URL would drop them in silence.
  if (/[\r\n\t]/.test(text)) throw new Refused('with.url holds a line break or a tab');
  let url: URL;
  try {
    url = new URL(text, base);
  } catch {
    throw new Refused(`with.url: ${text.replace(/[?#].*$/s, '').slice(0, 200)} is no URL`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new Refused(`with.url: ${url.protocol} is not allowed; use http or https`);
  if (url.username !== '' || url.password !== '') throw new Refused('with.url: a user or password in a URL is not allowed; use a header');
  return url;
}

async function followRedirects(first: Hop, execution: Execution, resolve: Resolve, signal: AbortSignal): Promise<Answer> {
  let hop = first;
  for (let redirects = 0; ; redirects++) {
    const target = await unlessAborted(chooseTarget(hop.url.hostname, execution.dispatch.httpAllow ?? [], resolve, "the pool's spec.http.allow"), signal);
    const answer = await send(hop, target, signal);
    const location = answer.headers['location'];
    if (!REDIRECTS.has(answer.status) || location === undefined) return answer;
    if (redirects === MAX_REDIRECTS) throw new Refused(`more than ${MAX_REDIRECTS} redirects`);
    hop = nextHop(hop, answer.status, checkedUrl(location, hop.url));
  }
}

/** A resolver knows no signal and may take its time. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => { reject(new Error('stopped')); };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => { signal.removeEventListener('abort', stop); });
  });
}

/** A redirect to another host never gets our credentials; 303, and POST after 301 or 302, become GET as browsers do. */
function nextHop(hop: Hop, status: number, url: URL): Hop {
  const toGet = status === 303 || (hop.method === 'POST' && (status === 301 || status === 302));
  const keep = Object.entries(hop.headers).filter(([name]) => {
    if (toGet && name.startsWith('content-')) return false;
    return url.host === hop.url.host && url.protocol === hop.url.protocol ? true : SAFE_ACROSS_HOSTS.has(name);
  });
  return { method: toGet ? 'GET' : hop.method, url, headers: Object.fromEntries(keep), ...(toGet || hop.body === undefined ? {} : { body: hop.body }) };
}

/** Any other header may carry a secret from the environment. */
const SAFE_ACROSS_HOSTS = new Set(['accept', 'accept-language', 'content-type', 'user-agent']);

function send(hop: Hop, target: { address: string; family: 4 | 6 }, signal: AbortSignal): Promise<Answer> {
  const options: RequestOptions = {
    method: hop.method, signal, agent: false,
    headers: { 'user-agent': 'rambo-runner', ...hop.headers, ...(hop.body === undefined ? {} : { 'content-length': String(hop.body.length) }) },
    lookup: (_host, lookupOptions, callback) => {
      if (typeof lookupOptions === 'object' && lookupOptions.all === true) callback(null, [target]);
      else callback(null, target.address, target.family);
    },
  };
  return new Promise((resolve, reject) => {
    // Not an import: one of node:http reads every export, which loads the whole of undici when the runner starts.
    const { request: start } = process.getBuiltinModule(hop.url.protocol === 'https:' ? 'node:https' : 'node:http');
    const request = start(hop.url, options, (response) => {
      readCapped(response).then((body) => { resolve({ status: response.statusCode ?? 0, headers: flat(response), body }); }, (error: unknown) => {
        request.destroy();
        reject(error instanceof Error ? error : new Error(String(error)));
      });
    });
    request.on('error', reject);
    request.end(hop.body);
  });
}

async function readCapped(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    size += bytes.length;
    if (size > LIMITS.outputBytes) throw new TooLarge(`the response is over ${LIMITS.outputBytes} bytes, the limit of an output`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function flat(response: IncomingMessage): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(response.headers)) if (value !== undefined) out[name] = Array.isArray(value) ? value.join(', ') : value;
  return out;
}

function judge(answer: Answer, spec: HttpWith): Outcome {
  const expected = spec.expect?.status;
  const fine = expected === undefined ? answer.status < 400 : expected.includes(answer.status);
  if (!fine) return failure('User', 'HttpStatus', `${shown(spec)} answered ${answer.status}: ${answer.body.toString('utf8').slice(0, 500)}`);
  return { ok: true, output: JSON.stringify({ status: answer.status, headers: answer.headers, body: bodyOf(answer) }) };
}

function bodyOf(answer: Answer): unknown {
  const text = answer.body.toString('utf8');
  if (!/[/+]json\b/.test(answer.headers['content-type'] ?? '')) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
