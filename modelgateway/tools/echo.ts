import type { Outcome } from './outcome.ts';
import type { KnownServer } from './servers.ts';

/** Shorter texts are no credentials, and stand in everything. */
const LEAST = 8;
const INSTEAD = '[credential]';

/** What of the headers of a request opens its server: the values as they are, and without what stands before the key. */
export function credentialsIn({ spec }: KnownServer, headers: Readonly<Record<string, string>>): readonly string[] {
  const prefix = spec.auth?.secret?.prefix ?? 'Bearer ';
  const values = Object.values(headers).flatMap((value) => [value, value.startsWith(prefix) ? value.slice(prefix.length).trim() : value]);
  return [...new Set(values)].filter((value) => value.length >= LEAST).sort((a, b) => b.length - a.length);
}

/** A server may repeat what it was sent, in a page of errors say: neither model nor journal nor log get what opened it. Its own state is left as it is, it goes back to it alone. */
export function withoutEcho(outcome: Outcome, credentials: readonly string[]): Outcome {
  if (credentials.length === 0) return outcome;
  switch (outcome.kind) {
    case 'answered': return { ...outcome, text: hidden(outcome.text, credentials), ...('structured' in outcome ? { structured: hiddenIn(outcome.structured, credentials) } : {}) };
    case 'notSent': case 'unknown': return { ...outcome, message: hidden(outcome.message, credentials) };
    case 'lost': return outcome;
    case 'asks': return { ...outcome, questions: hiddenIn(outcome.questions, credentials) };
  }
}

/** A text without credentials. */
export function hidden(text: string, credentials: readonly string[]): string {
  return credentials.reduce((left, credential) => (left.includes(credential) ? left.replaceAll(credential, INSTEAD) : left), text);
}

/** JSON without credentials, in names and texts. */
export function hiddenIn<T>(value: T, credentials: readonly string[]): T {
  const text = JSON.stringify(value);
  const without = hidden(text, credentials.map((credential) => JSON.stringify(credential).slice(1, -1)));
  if (without === text) return value;
  const left: T = JSON.parse(without);
  return left;
}
