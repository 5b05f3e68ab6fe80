import { RamboError, UnavailableError } from '../platform/errors/index.ts';

/** Every `extensions.code` a caller can meet, with the HTTP status of an answer that holds nothing else. */
export const ERROR_CODES = {
  BAD_REQUEST: 400,
  BAD_USER_INPUT: 400,
  GRAPHQL_PARSE_FAILED: 400,
  GRAPHQL_VALIDATION_FAILED: 400,
  QUERY_TOO_COMPLEX: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  MFA_REQUIRED: 403,
  RECENT_SIGN_IN_REQUIRED: 403,
  NOT_FOUND: 404,
  UNKNOWN_DOCUMENT: 404,
  METHOD_NOT_ALLOWED: 405,
  CONFLICT: 409,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  RATE_LIMITED: 429,
  TOO_MANY_STREAMS: 429,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  TIMEOUT: 504,
} as const;

/** One of the documented codes. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** Seconds after which a caller that met UNAVAILABLE tries again. */
export const RETRY_AFTER_S = 2;

/** An error whose message is meant for the caller. Everything else is masked. */
export class ApiError extends RamboError {
  readonly publicCode: ErrorCode;
  /** Seconds after which trying again may help, where that is known. */
  readonly retryAfterS: number | undefined;

  constructor(code: ErrorCode, message: string, retryAfterS?: number) {
    super(code, message);
    this.publicCode = code;
    this.retryAfterS = retryAfterS;
  }
}

/** The public face of an error: an ApiError as it is, something away as UNAVAILABLE, the rest as undefined. */
export function asApiError(error: unknown): ApiError | undefined {
  if (error instanceof ApiError) return error;
  if (error instanceof UnavailableError) return unavailable();
  return undefined;
}

/** Something behind the API is away; says nothing about what. */
export function unavailable(): ApiError {
  return new ApiError('UNAVAILABLE', `the service cannot answer for the moment: try again in ${RETRY_AFTER_S} s; repeating is safe`);
}

/** Whether a text is one of the codes. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERROR_CODES, code);
}
