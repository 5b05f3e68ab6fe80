import type { IncomingMessage, ServerResponse } from 'node:http';
import { ERROR_CODES, RETRY_AFTER_S } from '../errors.ts';
import type { ApiError } from '../errors.ts';

/** Answers a request that never becomes an operation, in the shape of a GraphQL error. */
export function refuse(request: IncomingMessage, response: ServerResponse, error: ApiError): void {
  request.resume(); // what is still coming is thrown away unread, so that the client gets to read the answer
  if (response.headersSent || response.destroyed) return;
  const code = error.publicCode;
  response.statusCode = ERROR_CODES[code];
  response.setHeader('content-type', 'application/json; charset=utf-8');
  if (code === 'UNAUTHENTICATED') response.setHeader('www-authenticate', 'Bearer realm="rambo"');
  if (code === 'METHOD_NOT_ALLOWED') response.setHeader('allow', 'POST');
  if (code === 'UNAVAILABLE') response.setHeader('retry-after', String(RETRY_AFTER_S));
  response.end(JSON.stringify({ errors: [{ message: error.message, extensions: { code } }] }));
}
