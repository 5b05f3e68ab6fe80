import type { IncomingMessage } from 'node:http';
import { ApiError } from '../errors.ts';

const TRACEPARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The trace a request continues, where it says one that is well-formed. */
export function traceparentOf({ headers: { traceparent } }: IncomingMessage): string | undefined {
  return typeof traceparent === 'string' && TRACEPARENT.test(traceparent) ? traceparent : undefined;
}

/** What a caller without a good token is told, whatever is wrong with it. */
export function unauthenticated(): ApiError {
  return new ApiError('UNAUTHENTICATED', 'send one header `Authorization: Bearer <token>` with a token that is valid for this API: of a sign-in, an access token or one of Kubernetes');
}
