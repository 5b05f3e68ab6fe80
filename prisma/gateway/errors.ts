import { errorMessage, RamboError, UnavailableError } from '../../platform/errors/index.ts';
import { Prisma } from '../generated/client.ts';
import { RowError, sqlState, storeError } from '../store/errors.ts';

/** A row with such a value is there already. `constraint` is the unique index of the migrations it offends, such as `app_user_email_key`. */
export class UniqueError extends RowError {
  readonly constraint: string;

  constructor(message: string, constraint: string, cause: unknown) {
    super(message, cause);
    this.constraint = constraint;
  }
}

/** A row that had to be there is not: an update or a delete by its key met nothing, or a foreign key points nowhere. */
export class MissingRowError extends RowError {}

/** Codes of Prisma that say that Postgres, or a connection to it, is away for now. */
const PASSING = ['P1000', 'P1001', 'P1002', 'P1003', 'P1008', 'P1011', 'P1017', 'P2024', 'P2028', 'P2034', 'P2037'];
/** Codes of Prisma that say that a value cannot be stored. */
const ROW = ['P2000', 'P2004', 'P2005', 'P2006', 'P2007', 'P2011', 'P2012', 'P2014', 'P2019', 'P2020', 'P2023', 'P2033'];

/** What `pg` and its pool say, in errors without a code that Prisma passes on as they are, when a connection does not come, is lost or is silent. */
const CONNECTION = /^(timeout exceeded when trying to connect|timeout expired|Query read timeout|Connection terminated|Client (has encountered a connection error|was closed)|Cannot use a pool after calling end)/;

/** What a failure of Prisma or of Postgres means to the caller; the same classes as those of the store. */
export function gatewayError(error: unknown): unknown {
  if (error instanceof RamboError) return error;
  if (error instanceof Prisma.PrismaClientKnownRequestError) return knownError(error);
  if (error instanceof Prisma.PrismaClientInitializationError || error instanceof Prisma.PrismaClientRustPanicError) return new UnavailableError('Postgres', error);
  if (error instanceof Prisma.PrismaClientUnknownRequestError) return new UnavailableError('Postgres', error);
  if (error instanceof Prisma.PrismaClientValidationError) return new RamboError('Bug', 'a query of ours does not fit the schema', { cause: error });
  if (sqlState(error) !== undefined || (error instanceof Error && CONNECTION.test(error.message))) return storeError('prisma', error);
  return error;
}

function knownError(error: Prisma.PrismaClientKnownRequestError): RamboError {
  const { code } = error;
  const model = typeof error.meta?.['modelName'] === 'string' ? error.meta['modelName'] : 'a row';
  if (code === 'P2002') return new UniqueError(`${model} is there already`, constraintOf(error.meta), error);
  if (code === 'P2025' || code === 'P2003' || code === 'P2018') return new MissingRowError(`${model}: what it needs is not there`, error);
  if (PASSING.includes(code)) return new UnavailableError(`Postgres (${code})`, error);
  if (ROW.includes(code)) return new RowError(`${model}: ${code}`, error);
  return driverError(error) ?? new RamboError('Database', `${model}: ${errorMessage(error)}`, { cause: error });
}

/** Errors of Postgres that Prisma has no code for come as P2010 or P2039 with the driver's beneath. */
function driverError(error: Prisma.PrismaClientKnownRequestError): RamboError | undefined {
  const cause = driverCause(error.meta);
  const state = cause === undefined ? undefined : stringAt(cause, 'originalCode') ?? stringAt(cause, 'code');
  return state === undefined || !/^[0-9A-Z]{5}$/.test(state) ? undefined : storeError('prisma', Object.assign(new Error(error.code), { code: state, severity: 'ERROR' }));
}

function constraintOf(meta: Readonly<Record<string, unknown>> | undefined): string {
  const constraint: unknown = Reflect.get(driverCause(meta) ?? {}, 'constraint');
  return typeof constraint === 'object' && constraint !== null ? stringAt(constraint, 'index') ?? '' : '';
}

function driverCause(meta: Readonly<Record<string, unknown>> | undefined): object | undefined {
  const { driverAdapterError } = meta ?? {};
  const cause: unknown = typeof driverAdapterError === 'object' && driverAdapterError !== null ? Reflect.get(driverAdapterError, 'cause') : undefined;
  return typeof cause === 'object' && cause !== null ? cause : undefined;
}

function stringAt(from: object, key: string): string | undefined {
  const value: unknown = Reflect.get(from, key);
  return typeof value === 'string' ? value : undefined;
}
