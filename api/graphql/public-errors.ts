import { GraphQLError } from 'graphql';
import { errorMessage } from '../../platform/errors/index.ts';
import type { Ids } from '../../platform/ids/index.ts';
import { asApiError, ERROR_CODES, isErrorCode, RETRY_AFTER_S } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { ApiLog } from '../ports.ts';

/** Makes of anything thrown what a caller may see. Giving it its own result changes nothing. */
export type Mask = (error: unknown) => GraphQLError;

/** A message never echoes more of what was sent. */
const MOST_MESSAGE = 1_000;

/**
 * Errors meant for callers keep their message and get their code; graphql's own lose their suggestions, which would tell
 * the schema to those who may not read it; everything else is logged under an id, which is all the caller sees of it.
 */
export function createMask(log: ApiLog, ids: Ids, suggestions: boolean): Mask {
  const made = new WeakSet<GraphQLError>();
  return (error) => {
    if (error instanceof GraphQLError && made.has(error)) return error;
    const masked = maskOne(error, log, ids, suggestions);
    made.add(masked);
    return masked;
  };
}

function maskOne(error: unknown, log: ApiLog, ids: Ids, suggestions: boolean): GraphQLError {
  const origin = originOf(error);
  const known = asApiError(origin);
  if (known !== undefined) return publicError(error, known.message, known.publicCode);
  if (origin instanceof GraphQLError) {
    const message = suggestions ? origin.message : withoutSuggestion(origin.message);
    return publicError(error, message, codeOf(origin));
  }
  const errorId = ids.uuid();
  log.error({ errorId, err: origin instanceof Error ? origin : errorMessage(origin), path: error instanceof GraphQLError ? error.path?.join('.') : undefined }, 'an operation failed by a fault of ours');
  return publicError(error, `internal error ${errorId}: the log of the API has it under this id`, 'INTERNAL', { errorId });
}

function originOf(error: unknown): unknown {
  let origin = error;
  while (origin instanceof GraphQLError && origin.originalError != null) origin = origin.originalError;
  return origin;
}

function publicError(error: unknown, message: string, code: ErrorCode, more: Readonly<Record<string, unknown>> = {}): GraphQLError {
  const place = error instanceof GraphQLError ? { nodes: error.nodes ?? null, source: error.source ?? null, positions: error.positions ?? null, path: error.path ?? null } : {};
  const retry = code === 'UNAVAILABLE' ? { retryAfterSeconds: RETRY_AFTER_S } : {};
  return new GraphQLError(message.slice(0, MOST_MESSAGE), { ...place, extensions: { code, ...retry, ...more } });
}

function codeOf(error: GraphQLError): ErrorCode {
  const { code } = error.extensions;
  if (isErrorCode(code)) return code;
  return error.message.startsWith('Syntax Error') ? 'GRAPHQL_PARSE_FAILED' : 'BAD_USER_INPUT';
}

/** graphql appends `Did you mean ...?` to what it knows better. */
function withoutSuggestion(message: string): string {
  return message.replace(/ ?Did you mean .*$/s, '');
}

/** HTTP status of an answer that holds nothing but errors: the gravest. */
export function statusOf(errors: readonly GraphQLError[]): number {
  return Math.max(400, ...errors.map(({ extensions: { code } }) => (isErrorCode(code) ? ERROR_CODES[code] : 500)));
}

/** Code of the first error. */
export function firstCode(errors: readonly GraphQLError[]): string {
  const code = errors[0]?.extensions['code'];
  return isErrorCode(code) ? code : 'INTERNAL';
}
