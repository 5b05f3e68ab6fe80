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
  const message = cleaned(errorMessage(error), key);
  if (error instanceof Overdue) return { code: 'Timeout', message, passing: true, spent };
  const status = numberOf(error, 'statusCode');
  if (status !== undefined && status >= 400) return answered(status, error, message);
  if (status !== undefined && status >= 300) return { code: 'Refused', message: `the provider answered ${status}: redirects are not followed`, passing: false, spent: 'nothing' };
  const code = codeOf(error);
  if (code === 'AddressRefused') return { code: 'Refused', message, passing: false, spent: 'nothing' };
  // The library says of a stream that ends too soon that it is invalid; what came before was an answer.
  if (started) return { code: 'Cut', message: `the answer broke off: ${message}`, passing: true, spent };
  // A status of 200 with something that is no answer.
  if (status !== undefined || hasName(error, /TypeValidation|JSONParse|InvalidResponse|EmptyResponse|NoContent/)) return { code: 'Malformed', message: `the provider's answer cannot be read: ${message}`, passing: true, spent };
  if (code === 'Unreachable') return { code: 'Unreachable', message: `the provider cannot be reached: ${message}`, passing: true, spent: 'nothing' };
  return { code: 'Cut', message: `the connection broke off: ${message}`, passing: true, spent };
}

function answered(status: number, error: unknown, message: string): Failure {
  const text = `the provider answered ${status}: ${message}`;
  const retryAfterMs = retryAfter(error);
  const after = retryAfterMs === undefined ? {} : { retryAfterMs };
  if (status === 429) return { code: 'RateLimited', message: text, passing: true, spent: 'nothing', ...after };
  if (status >= 500 || status === 408 || status === 409 || status === 425) return { code: 'ProviderError', message: text, passing: true, spent: 'nothing', ...after };
  if (status === 401 || status === 403) return { code: 'Credentials', message: text, passing: false, spent: 'nothing' };
  return { code: 'Refused', message: text, passing: false, spent: 'nothing' };
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
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) if (pattern.test(at.name)) return true;
  return false;
}

/** Code of the error or of what caused it. */
function codeOf(error: unknown): string | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
    const code = property(at, 'code');
    if (typeof code === 'string') return code;
  }
  return undefined;
}

function numberOf(value: unknown, name: string): number | undefined {
  const found = property(value, name);
  return typeof found === 'number' ? found : undefined;
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
