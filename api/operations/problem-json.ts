import { STATUS_CODES } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ERROR_CODES } from '../errors.ts';
import type { ApiError } from '../errors.ts';
import { retryAfterOf } from '../http/refuse.ts';
import { InvalidInput } from './problems.ts';
import type { InputProblem } from './problems.ts';

/** An error as REST answers it (RFC 9457). */
export interface ProblemDocument {
  readonly type: 'about:blank';
  /** Words of the status. */
  readonly title: string;
  readonly status: number;
  /** Stable: what programs match. */
  readonly code: string;
  /** What is wrong and the way out. */
  readonly detail: string;
  /** The request, as the log of the API has it. */
  readonly requestId: string;
  /** Fields that are wrong. */
  readonly errors?: readonly InputProblem[];
}

/** The document of an error. */
export function problemOf(error: ApiError, requestId: string): ProblemDocument {
  const status = ERROR_CODES[error.publicCode];
  return {
    type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, code: error.publicCode, detail: error.message.slice(0, 1_000), requestId,
    ...(error instanceof InvalidInput ? { errors: error.problems } : {}),
  };
}

/** Answers with an error. */
export function sendProblem(request: IncomingMessage, response: ServerResponse, error: ApiError, requestId: string): void {
  request.resume(); // what is still coming is thrown away unread, so that the client gets to read the answer
  if (response.headersSent || response.destroyed) return;
  const problem = problemOf(error, requestId);
  response.statusCode = problem.status;
  response.setHeader('content-type', 'application/problem+json; charset=utf-8');
  if (error.publicCode === 'UNAUTHENTICATED') response.setHeader('www-authenticate', 'Bearer realm="rambo"');
  const retry = retryAfterOf(error);
  if (retry !== undefined) response.setHeader('retry-after', String(retry));
  response.end(JSON.stringify(problem));
}
