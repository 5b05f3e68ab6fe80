import type { IncomingMessage, ServerResponse } from 'node:http';
import { ERROR_CODES, RETRY_AFTER_S } from '../errors.ts';
import type { ApiError } from '../errors.ts';

/** Seconds after which a caller tries again; undefined where trying again helps nobody. */
export function retryAfterOf(error: ApiError): number | undefined {
  if (error.retryAfterS !== undefined) return error.retryAfterS;
  return error.publicCode === 'UNAVAILABLE' ? RETRY_AFTER_S : undefined;
}

/** Answers a request that never becomes an operation, in the shape of a GraphQL error. */
export function refuse(request: IncomingMessage, response: ServerResponse, error: ApiError): void {
  request.resume(); // what is still coming is thrown away unread, so that the client gets to read the answer
  if (response.headersSent || response.destroyed) return;
  const code = error.publicCode;
  response.statusCode = ERROR_CODES[code];
  response.setHeader('content-type', 'application/json; charset=utf-8');
  if (code === 'UNAUTHENTICATED') response.setHeader('www-authenticate', 'Bearer realm="rambo"');
  if (code === 'METHOD_NOT_ALLOWED') response.setHeader('allow', 'POST');
  const retry = retryAfterOf(error);
  if (retry !== undefined) response.setHeader('retry-after', String(retry));
  response.end(JSON.stringify({ errors: [{ message: error.message, extensions: { code } }] }));
}
