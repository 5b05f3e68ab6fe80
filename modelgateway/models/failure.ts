import { errorMessage } from '../../platform/errors/index.ts';

/** Why a call of a model brought no answer. */
export const FAILURES = ['RateLimited', 'ProviderError', 'Unreachable', 'Timeout', 'Cut', 'Malformed', 'Refused', 'Credentials', 'Aborted'] as const;
/** One of the reasons. */
export type FailureCode = (typeof FAILURES)[number];

/** A call that brought no answer. */
export interface Failure {
  readonly code: FailureCode;
  /** For people; never a key. */
  readonly message: string;
  /** The same question may bring an answer later: an outage. */
  readonly passing: boolean;
  /** It will be over, but not soon: another model is asked at once, this one when the step is asked for again. */
  readonly lasting?: boolean;
  /** What the provider asked to wait, milliseconds. */
  readonly retryAfterMs?: number;
  /** What the provider may charge for it: nothing, the prompt, or the prompt and what came of the answer. */
  readonly spent: 'nothing' | 'prompt' | 'partial';
}

const MOST_CHARACTERS = 400;

/** A watchdog ended the call. */
export class Overdue extends Error {}

/** Reads what the AI SDK threw. `started`: pieces of the answer had come. `key` never reaches the message. */
export function failureOf(error: unknown, started: boolean, key: string | undefined): Failure {
  const spent = started ? 'partial' : 'prompt';
  const message = cleaned(messageOf(error), key);
  if (error instanceof Overdue) return { code: 'Timeout', message, passing: true, spent };
  const status = numberOf(error, 'statusCode') ?? saidStatus(error);
  if (status !== undefined && status >= 400) return answered(status, error, message, started);
  if (status !== undefined && status >= 300) return { code: 'Refused', message: `the provider answered ${status}: redirects are not followed`, passing: false, spent: 'nothing' };
  const code = codeOf(error);
  if (code === 'ResultTooLarge') return { code: 'Malformed', message: `the provider's answer is too large: ${causeMessage(error, message, key)}`, passing: false, spent };
  if (code === 'AddressRefused') return { code: 'Refused', message, passing: false, spent: 'nothing' };
  // The library says of a stream that ends too soon that it is invalid; what came before was an answer.
  if (started) return { code: 'Cut', message: `the answer broke off: ${message}`, passing: true, spent };
  // A status of 200 with something that is no answer.
  if ((status !== undefined && !isSocketError(code)) || hasName(error, /TypeValidation|JSONParse|InvalidResponse|EmptyResponse|NoContent|NoAnswer/)) return { code: 'Malformed', message: `the provider's answer cannot be read: ${message}`, passing: true, spent };
  if (code === 'Unreachable') return { code: 'Unreachable', message: `the provider cannot be reached: ${message}`, passing: true, spent: 'nothing' };
  return { code: 'Cut', message: `the connection broke off: ${message}`, passing: true, spent };
}

function answered(status: number, error: unknown, message: string, started: boolean): Failure {
  const text = `the provider answered ${status}: ${message}`;
  const retryAfterMs = retryAfter(error);
  const after = retryAfterMs === undefined ? {} : { retryAfterMs };
  // An error in the middle of an answer: what came before may be charged.
  const spent = started ? 'partial' : 'nothing';
  // The account has nothing left: no matter of seconds, and people can mend it.
  if (status === 402 || saysCode(error, 'insufficient_quota') || saysCode(error, 'billing_error')) return { code: 'RateLimited', message: text, passing: true, lasting: true, spent };
  if (status === 429) return { code: 'RateLimited', message: text, passing: true, spent, ...after };
  if (status >= 500 || status === 408 || status === 409 || status === 425) return { code: 'ProviderError', message: text, passing: true, spent, ...after };
  if (status === 401 || status === 403) return { code: 'Credentials', message: text, passing: false, spent };
  return { code: 'Refused', message: text, passing: false, spent };
}

/** What a compatible server says in the middle of its stream comes as it was written: an object, with a status as its code or without one. */
function saidStatus(error: unknown): number | undefined {
  const said = property(error, 'message');
  if (error instanceof Error || typeof said !== 'string') return undefined;
  const code = Number(property(error, 'code') ?? Number.NaN);
  if (Number.isInteger(code) && code >= 400 && code < 600) return code;
  const named = `${String(property(error, 'code'))} ${String(property(error, 'type'))}`;
  if (/rate_limit|insufficient_quota|too_many/i.test(named)) return 429;
  if (/auth|permission/i.test(named)) return 401;
  return /invalid|bad_request|context_length|not_found/i.test(named) ? 400 : 500;
}

function messageOf(error: unknown): string {
  const said = property(error, 'message');
  return typeof said === 'string' ? said : errorMessage(error);
}

/** Whether the provider's error is of this code or type, as OpenAI and Anthropic write them. */
function saysCode(error: unknown, name: string): boolean {
  const data = property(error, 'data');
  const said = property(data, 'error') ?? data;
  return [property(said, 'code'), property(said, 'type'), property(error, 'code'), property(error, 'type')].includes(name);
}

function isSocketError(code: string | undefined): boolean {
  return code !== undefined && /^(E[A-Z]+|UND_ERR_\w+)$/.test(code);
}

/** The message of what lies at the bottom: the library's own says only that reading failed. */
function causeMessage(error: unknown, otherwise: string, key: string | undefined): string {
  const deepest = property(chainOf(error).at(-1), 'message');
  return typeof deepest === 'string' ? cleaned(deepest, key) : otherwise;
}

/** `Retry-After` in milliseconds: seconds, or `retry-after-ms` as OpenAI sends it. */
function retryAfter(error: unknown): number | undefined {
  const headers: unknown = property(error, 'responseHeaders');
  const ms = Number(property(headers, 'retry-after-ms') ?? Number.NaN);
  if (Number.isFinite(ms) && ms >= 0) return ms;
  const seconds = Number(property(headers, 'retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : undefined;
}

function cleaned(text: string, key: string | undefined): string {
  const safe = key === undefined || key.length < 4 ? text : text.replaceAll(key, '[redacted]');
  return safe.length <= MOST_CHARACTERS ? safe : `${safe.slice(0, MOST_CHARACTERS)}…`;
}

function hasName(error: unknown, pattern: RegExp): boolean {
  return chainOf(error).some((at) => pattern.test(String(property(at, 'name'))));
}

/** Code of the error or of what caused it. */
function codeOf(error: unknown): string | undefined {
  return chainOf(error).map((at) => property(at, 'code')).find((code) => typeof code === 'string');
}

/** An error and what caused it. */
function chainOf(error: unknown): readonly object[] {
  const chain: object[] = [];
  for (let at = error; typeof at === 'object' && at !== null && chain.length < 5; at = property(at, 'cause')) chain.push(at);
  return chain;
}

function numberOf(value: unknown, name: string): number | undefined {
  const found = property(value, name);
  return typeof found === 'number' ? found : undefined;
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
