import { errorMessage, RamboError, UnavailableError } from '../../platform/errors/index.ts';

/** A row that Postgres, or the encoder, refuses as such: a value out of range, NUL in a text, too large. Repeating cannot help. */
export class RowError extends RamboError {
  constructor(message: string, cause?: unknown) {
    super('RowRefused', message, cause === undefined ? {} : { cause });
  }
}

/** SQLSTATE classes that say the row is wrong: data exception, integrity, program limit. */
const ROW_CLASSES = ['22', '23', '54'];
/** SQLSTATE classes that pass: connection, rollback (serialization, deadlock), resources, operator intervention, I/O. */
const PASSING_CLASSES = ['08', '40', '53', '57', '58'];
/** Single codes that pass: lock timeout, idle-transaction timeouts, read-only (a failover), object in use. */
const PASSING_CODES = ['55P03', '55006', '25P03', '25P04', '25006'];

/** What a failure of the driver or of Postgres means to the caller. Messages carry no values of rows. */
export function storeError(what: string, error: unknown): RamboError {
  if (error instanceof RamboError) return error;
  const state = sqlState(error);
  if (state === undefined) return new UnavailableError(`Postgres (${what}: ${errorMessage(error)})`, error);
  const text = `${what}: ${errorMessage(error)} (${state})`;
  if (PASSING_CODES.includes(state) || PASSING_CLASSES.includes(state.slice(0, 2))) return new UnavailableError(`Postgres (${text})`, error);
  if (ROW_CLASSES.includes(state.slice(0, 2))) return new RowError(text, error);
  return new RamboError('Database', text, { cause: error });
}

/** SQLSTATE of an error that Postgres itself sent; undefined for those of the network and the driver. */
export function sqlState(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error) || !('severity' in error)) return undefined;
  return typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code) ? error.code : undefined;
}
