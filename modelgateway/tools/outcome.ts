/** Largest result that is read from a tool, in bytes. */
export const MOST_BYTES = 32 * 1_048_576;
/** Largest text of a result that a model is given, in bytes. */
export const MODEL_BYTES = 65_536;
/** What JSON and streams add around a result of the largest size. */
export const WIRE_BYTES = MOST_BYTES * 2 + 1_048_576;

/**
 * What one request to a tool came to. `answered`: the tool said something, an error among it. `notSent`: nothing left, or the other side
 * refused before it did anything; `again` says whether another try may help. `unknown`: it may have happened, the effect class decides. `lost`:
 * nothing left, because the call is no longer this process's to make. `asks`: the tool has not answered yet, it wants something of a person
 * first; `state` goes back to it with what they say.
 */
export type Outcome =
  | { readonly kind: 'answered'; readonly text: string; readonly isError: boolean; readonly structured?: unknown; readonly type?: string }
  | { readonly kind: 'notSent'; readonly reason: string; readonly message: string; readonly again: boolean }
  | { readonly kind: 'unknown'; readonly message: string }
  | { readonly kind: 'lost' }
  | { readonly kind: 'asks'; readonly questions: readonly RawQuestion[]; readonly state?: string };

/** A question as a server asks it: nothing of it is checked. */
export interface RawQuestion {
  readonly key: string;
  readonly message: string;
  readonly schema: unknown;
}

/** A request that came to nothing, or to nothing that is known. */
export type NoAnswer = Extract<Outcome, { readonly kind: 'notSent' | 'unknown' }>;

/** What an HTTP status of a refusal means for the effect; undefined for one that is an answer. */
export function refusedByStatus(status: number, message: string): Outcome | undefined {
  if (status === 401 || status === 403) return { kind: 'notSent', reason: 'AuthFailed', message: `the server refused the credentials (HTTP ${status})`, again: false };
  if (status === 429) return { kind: 'notSent', reason: 'Busy', message: `the server is busy (HTTP ${status})`, again: true };
  if (status >= 300 && status < 400) return { kind: 'notSent', reason: 'Redirected', message: `the server redirects (HTTP ${status}); redirects are not followed: name the address it leads to`, again: false };
  // A server that broke, or a proxy that lost it, may have done its work before.
  if (status >= 500 && status !== 501) return { kind: 'unknown', message: `the server answered HTTP ${status}${message === '' ? '' : `: ${message}`}` };
  return undefined;
}
