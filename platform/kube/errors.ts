import { RamboError } from '../errors/index.ts';

/** The API server answered with an error, or did not answer (`status` 0). */
export class KubeError extends RamboError {
  readonly status: number;
  readonly reason: string;
  /** Milliseconds after which the server wants to be asked again. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, reason: string, message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(`Kube${reason === '' ? status : reason}`, message, options.cause === undefined ? {} : { cause: options.cause });
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Whether anything thrown is an API error with that status. */
export function hasStatus(error: unknown, status: number): error is KubeError {
  return error instanceof KubeError && error.status === status;
}
/** The object changed meanwhile (409 Conflict, not AlreadyExists). */
export function isConflict(error: unknown): boolean {
  return hasStatus(error, 409) && error.reason !== 'AlreadyExists';
}
/** There is an object of that name already. */
export function isAlreadyExists(error: unknown): boolean {
  return hasStatus(error, 409) && error.reason === 'AlreadyExists';
}
/** There is no such object. */
export function isNotFound(error: unknown): boolean {
  return hasStatus(error, 404);
}
/** The resource version is too old. */
export function isGone(error: unknown): boolean {
  return hasStatus(error, 410);
}
/** Refused for good: the request itself is wrong or forbidden. */
export function isRefused(error: unknown): boolean {
  return error instanceof KubeError && (error.status === 400 || error.status === 403 || error.status === 422);
}
