import { createHash } from 'node:crypto';
import type { Clock } from '../../platform/clock/index.ts';
import type { AccessQuestion, ApiMetrics, Authenticator, Authorizer, KubePrincipal, Principal, Verb } from '../ports.ts';
import { ExpiringCache, SingleFlight } from './expiring-cache.ts';

/** A valid token is believed so long. With the look a quiet stream takes every 15 s, a revoked one is shut out within 60 s. */
export const TOKEN_TTL_MS = 45_000;
/** An invalid token is refused so long without asking again. */
export const BAD_TOKEN_TTL_MS = 5_000;
/** An access token: shorter, because its row is near, so that revoking one works at once. */
export const ACCESS_TOKEN_TTL_MS = 5_000;
/** A permission is believed so long. */
export const ACCESS_TTL_MS = 10_000;
/** A missing permission: shorter, because people grant it and try again. */
export const NO_ACCESS_TTL_MS = 2_000;

const MOST_TOKENS = 10_000;
const MOST_ANSWERS = 50_000;

/** Remembers token reviews under the token's SHA-256. When the API server is away, what is not remembered is refused. */
export function cachedAuthenticator(inner: Authenticator, clock: Clock, metrics: ApiMetrics): Authenticator {
  const cache = new ExpiringCache<Principal | undefined>(clock, MOST_TOKENS);
  const flights = new SingleFlight<Principal | undefined>();
  const review = async (key: string, token: string): Promise<Principal | undefined> => {
    const principal = await counted(metrics, 'token', () => inner.authenticate(token), (found) => found !== undefined);
    cache.set(key, principal, believedFor(principal, clock.now()));
    return principal;
  };
  return {
    authenticate: async (token) => {
      const key = createHash('sha256').update(token).digest('base64');
      const known = cache.get(key);
      if (known === undefined) return flights.run(key, () => review(key, token));
      metrics.review('token', 'cached');
      return known.value;
    },
  };
}

/** Never beyond the token's own end, where it says one. */
function believedFor(principal: Principal | undefined, now: number): number {
  if (principal === undefined) return BAD_TOKEN_TTL_MS;
  if (principal.kind === 'kubernetes') return TOKEN_TTL_MS;
  return Math.min(principal.via === 'accessToken' ? ACCESS_TOKEN_TTL_MS : TOKEN_TTL_MS, principal.validUntil - now);
}

/** Remembers access reviews. The key is JSON of everything asked about, so that no delimiter can be forged. */
export function cachedAuthorizer(inner: Authorizer, clock: Clock, metrics: ApiMetrics): Authorizer {
  const cache = new ExpiringCache<boolean>(clock, MOST_ANSWERS);
  const flights = new SingleFlight<boolean>();
  const review = async (key: string, principal: KubePrincipal, verb: Verb, question: AccessQuestion): Promise<boolean> => {
    const allowed = await counted(metrics, 'access', () => inner.allowed(principal, verb, question), (answer) => answer);
    cache.set(key, allowed, allowed ? ACCESS_TTL_MS : NO_ACCESS_TTL_MS);
    return allowed;
  };
  return {
    allowed: async (principal, verb, question) => {
      const key = JSON.stringify([principal.name, principal.uid, principal.groups, principal.extra, verb, question.resource, question.namespace ?? null]);
      const known = cache.get(key);
      if (known === undefined) return flights.run(key, () => review(key, principal, verb, question));
      metrics.review('access', 'cached');
      return known.value;
    },
  };
}

async function counted<T>(metrics: ApiMetrics, kind: 'token' | 'access', ask: () => Promise<T>, allowed: (answer: T) => boolean): Promise<T> {
  try {
    const answer = await ask();
    metrics.review(kind, allowed(answer) ? 'allowed' : 'denied');
    return answer;
  } catch (error) {
    metrics.review(kind, 'unavailable');
    throw error;
  }
}
