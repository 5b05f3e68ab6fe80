import type { IncomingMessage } from 'node:http';
import { bearerToken } from '../auth/bearer.ts';
import { ApiError } from '../errors.ts';
import type { Authenticator, Principal } from '../ports.ts';
import type { RateLimits } from './rate-limit.ts';

const TRACEPARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The trace a request continues, where it says one that is well-formed. */
export function traceparentOf({ headers: { traceparent } }: IncomingMessage): string | undefined {
  return typeof traceparent === 'string' && TRACEPARENT.test(traceparent) ? traceparent : undefined;
}

/** Who calls, by the token of a request. Whoever has none counts against their address. Throws UNAUTHENTICATED, RATE_LIMITED, UnavailableError. */
export async function authenticated(
  { authenticator, limits }: { readonly authenticator: Authenticator; readonly limits: RateLimits }, request: IncomingMessage,
): Promise<{ readonly token: string; readonly principal: Principal }> {
  const token = bearerToken(request.headersDistinct['authorization']);
  const principal = token === undefined ? undefined : await authenticator.authenticate(token);
  if (token !== undefined && principal !== undefined) return { token, principal };
  limits.address(request);
  throw unauthenticated();
}

/** What a caller without a good token is told, whatever is wrong with it. */
function unauthenticated(): ApiError {
  return new ApiError('UNAUTHENTICATED', 'send one header `Authorization: Bearer <token>` with a token that is valid for this API: of a sign-in, an access token or one of Kubernetes');
}
