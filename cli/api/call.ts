import { z } from 'zod';
import { errorMessage } from '../../platform/errors/index.ts';
import { CliError } from '../errors.ts';
import { flagOf } from './values.ts';
import type { Verb, VerbField } from './verbs.ts';
import { jsonOrUndefined } from './json.ts';

/** Where the API is and who calls. */
export interface Door {
  /** Such as https://rambo.example.org. */
  readonly url: string;
  readonly token: string;
}

/** A request, ready to be sent. */
export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

const TIMEOUT_MS = 60_000;
/** Answers that say: try again. */
const PASSING = [429, 503, 504];
const MOST_TRIES = 5;
const problemSchema = z.looseObject({
  code: z.string(), detail: z.string(), requestId: z.string().optional(),
  errors: z.array(z.looseObject({ field: z.string(), message: z.string() })).optional(),
});

/** Puts a request together. Throws CliError `Usage` naming every flag that is missing. */
export function requestOf(base: string, verb: Verb, values: ReadonlyMap<string, unknown>): ApiRequest {
  const missing = verb.fields.filter((field) => field.required && !values.has(field.name));
  if (missing.length > 0) throw new CliError('Usage', `${verb.name} needs ${missing.map(({ name }) => flagOf(name)).join(', ')}`);
  const of = (place: VerbField['in']): readonly (readonly [string, unknown])[] => verb.fields.filter((field) => field.in === place && values.has(field.name)).map(({ name }) => [name, values.get(name)]);
  const path = of('path').reduce((text, [name, value]) => text.replace(`{${name}}`, () => segmentOf(name, String(value))), verb.path);
  const query = new URLSearchParams(of('query').flatMap(([name, value]): readonly (readonly [string, string])[] => (Array.isArray(value) ? value : [value]).map((one) => [name, String(one)])).map(([name, text]): [string, string] => [name, text]));
  const takesBody = ['POST', 'PUT', 'PATCH'].includes(verb.method);
  return {
    method: verb.method, path: `${base}${path}${query.size === 0 ? '' : `?${query.toString()}`}`,
    headers: { ...Object.fromEntries(of('header').map(([name, value]) => [name.toLowerCase(), String(value)])), ...(takesBody ? { 'content-type': 'application/json' } : {}) },
    ...(takesBody ? { body: JSON.stringify(Object.fromEntries(of('body'))) } : {}),
  };
}

/** Dots alone would lead to another path, however they are encoded. */
function segmentOf(name: string, value: string): string {
  if (value === '.' || value === '..' || value === '') throw new CliError('Usage', `${flagOf(name)}: ${JSON.stringify(value)} can be none`);
  return encodeURIComponent(value);
}

/**
 * Sends it and gives the answer. What passes (429, 503, 504, no answer) is tried again where repeating is safe: reads, and changes with an
 * idempotency key. Throws CliError with the code of the API, its words, and the flags that are wrong.
 */
export async function call(door: Door, request: ApiRequest, pause: (ms: number) => Promise<void>): Promise<unknown> {
  const repeatable = request.method === 'GET' || request.headers['idempotency-key'] !== undefined;
  for (let tries = 1; ; tries++) {
    const last = !repeatable || tries === MOST_TRIES;
    const response = await send(door, request).catch((error: unknown) => {
      if (last) throw new CliError('Unavailable', `${door.url} does not answer (${errorMessage(error instanceof Error && error.cause !== undefined ? error.cause : error)}): is RAMBO_API_URL right?`, { cause: error });
      return undefined;
    });
    if (response === undefined || (PASSING.includes(response.status) && !last)) {
      await response?.body?.cancel();
      await pause(1_000 * Math.max(Number(response?.headers.get('retry-after') ?? 0), tries));
      continue;
    }
    const text = await response.text();
    if (response.ok) return text === '' ? undefined : parsed(door, text);
    throw refused(door, response.status, text);
  }
}

function send(door: Door, { method, path, headers, body }: ApiRequest): Promise<Response> {
  return fetch(`${door.url.replace(/\/$/, '')}${path}`, {
    method, headers: { ...headers, authorization: `Bearer ${door.token}` }, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS), ...(body === undefined ? {} : { body }),
  });
}

function parsed(door: Door, text: string): unknown {
  const value = jsonOrUndefined(text);
  if (value === undefined) throw new CliError('BadAnswer', `${door.url} answered with something else than JSON: is RAMBO_API_URL the address of the API?`);
  return value;
}

function refused(door: Door, status: number, text: string): CliError {
  const problem = problemSchema.safeParse(jsonOrUndefined(text));
  if (!problem.success) return new CliError('BadAnswer', `${door.url} answered ${status} and no problem document: is RAMBO_API_URL the address of the API?`);
  const { code, detail, errors = [], requestId } = problem.data;
  const lines = errors.map(({ field, message }) => `\n  ${field === '' ? '' : `${flagOf(field)} `}${message}`);
  return new CliError(code, `${code}: ${detail}${lines.join('')}${requestId === undefined || status < 500 ? '' : `\n  request ${requestId}`}`);
}

const pageSchema = z.looseObject({ items: z.array(z.unknown()), nextCursor: z.string().nullable() });

/** All items of a list, page by page. `next` puts the cursor into the request of a page. */
export async function everyItem(door: Door, first: ApiRequest, next: (cursor: string) => ApiRequest, pause: (ms: number) => Promise<void>): Promise<readonly unknown[]> {
  const items: unknown[] = [];
  for (let request: ApiRequest | undefined = first; request !== undefined;) {
    const page = pageSchema.parse(await call(door, request, pause));
    items.push(...page.items);
    request = page.nextCursor === null ? undefined : next(page.nextCursor);
  }
  return items;
}
