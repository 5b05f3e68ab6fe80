/** An error with a stable `code`: tests and callers look at the code, people at the message. */
export class RamboError extends Error {
  readonly code: string;
  /** Typed facts for logs; never secrets. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: { cause?: unknown; details?: Readonly<Record<string, unknown>> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** Trying again cannot help: the work queue drops the key after reporting it. */
export class TerminalError extends RamboError {}

/** Something outside is away for now (database, NATS, API server); the caller may try again. */
export class UnavailableError extends RamboError {
  constructor(what: string, cause?: unknown) {
    super('Unavailable', `${what} is not available`, cause === undefined ? {} : { cause });
  }
}

/** Message of anything thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Ends a switch over a closed union: a new member fails to compile here. */
export function assertNever(value: never): never {
  throw new RamboError('Bug', `unexpected value ${JSON.stringify(value)}`);
}

const COMPLAINTS = [TypeError, RangeError, ReferenceError, SyntaxError, EvalError, URIError];

/**
 * Whether only a bug explains an error. What a server, a network or a person may cause is a RamboError or an error of the
 * system with a code; what remains are the language's own complaints.
 */
export function isBug(error: unknown): boolean {
  if (error instanceof RamboError) return error.code === 'Bug';
  // `fetch` wraps what the network did into a TypeError.
  if (!(error instanceof Error) || 'code' in error || (error.cause instanceof Error && 'code' in error.cause)) return false;
  return COMPLAINTS.some((kind) => error instanceof kind);
}
