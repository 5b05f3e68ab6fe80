import type { RevisionTool } from '../../crds/agent-revision.ts';
import { errorMessage, RamboError } from '../../platform/errors/index.ts';
import { capped, NotSentError } from '../../platform/net/fetch.ts';
import { MOST_BYTES, refusedByStatus, type Outcome } from './outcome.ts';
import type { Fetch } from './parts.ts';

/** One call of an operation over HTTP. */
export interface HttpCall {
  readonly baseUrl: string;
  readonly operation: NonNullable<RevisionTool['http']>;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly fetch: Fetch;
}

/** Calls an operation once. Never throws. */
export async function callHttp(call: HttpCall): Promise<Outcome> {
  const request = requestOf(call);
  if ('problem' in request) return { kind: 'answered', isError: true, text: request.problem };
  const timeout = AbortSignal.timeout(call.timeoutMs);
  try {
    const response = capped(await call.fetch(request.url, { ...request.init, signal: AbortSignal.any([timeout, call.signal]), redirect: 'manual' }), MOST_BYTES);
    const text = await response.text();
    const refused = refusedByStatus(response.status, text.slice(0, 300));
    if (refused !== undefined) return refused;
    const type = response.headers.get('content-type') ?? 'text/plain';
    if (!response.ok) return { kind: 'answered', isError: true, text: `HTTP ${response.status}: ${text}` };
    return { kind: 'answered', isError: false, text, type, ...structuredOf(text, type) };
  } catch (error) {
    if (error instanceof NotSentError) return { kind: 'notSent', reason: error.code, message: error.message, again: error.code !== 'AddressRefused' };
    if (error instanceof RamboError && error.code === 'ResultTooLarge') return { kind: 'answered', isError: true, text: 'The call was made, but its result is over 32 MiB and was not kept.' };
    return { kind: 'unknown', message: timeout.aborted ? 'no answer in time' : `the answer was lost: ${errorMessage(error).slice(0, 300)}` };
  }
}

type Made = { readonly url: string; readonly init: { readonly method: string; readonly headers: Record<string, string>; readonly body?: string } } | { readonly problem: string };

function requestOf({ baseUrl, operation, arguments: args, headers }: HttpCall): Made {
  const left = new Map(Object.entries(args));
  const problems: string[] = [];
  const path = operation.path.replace(/\{([^{}]+)\}/g, (_whole, name: string) => {
    const value = left.get(name);
    left.delete(name);
    const text = scalar(value);
    // A segment of dots would lead out of the path.
    if (text === undefined || text === '' || /^\.{1,2}$/.test(text)) problems.push(`arguments.${name} cannot stand in the path ${operation.path}`);
    return encodeURIComponent(text ?? '');
  });
  if (problems.length > 0) return { problem: problems.join('; ') };
  const url = new URL(`${baseUrl.replace(/\/$/, '')}${path}`);
  const bodiless = operation.method === 'GET' || operation.method === 'DELETE';
  for (const [name, value] of left) {
    if (!operation.query.includes(name) && !bodiless) continue;
    left.delete(name);
    for (const entry of Array.isArray(value) ? value : [value]) url.searchParams.append(name, scalar(entry) ?? JSON.stringify(entry));
  }
  if (bodiless) return { url: url.href, init: { method: operation.method, headers: { accept: 'application/json', ...headers } } };
  return { url: url.href, init: { method: operation.method, headers: { accept: 'application/json', 'content-type': 'application/json', ...headers }, body: JSON.stringify(Object.fromEntries(left)) } };
}

function scalar(value: unknown): string | undefined {
  return typeof value === 'string' ? value : typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

function structuredOf(text: string, type: string): { readonly structured?: unknown } {
  if (!/[/+]json\b/.test(type)) return {};
  try {
    return { structured: JSON.parse(text) as unknown };
  } catch {
    return {};
  }
}
