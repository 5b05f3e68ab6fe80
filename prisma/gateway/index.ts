import { PrismaPg } from '@prisma/adapter-pg';
import { Prisma, PrismaClient } from '../generated/client.ts';
import { gatewayError } from './errors.ts';

export { MissingRowError, UniqueError } from './errors.ts';
export { Prisma } from '../generated/client.ts';
export type * from '../generated/models.ts';

/** Tables of the gateway, typed: outside or inside a transaction. An `undefined` anywhere in a query is an error. */
export type GatewayDb = Prisma.TransactionClient;

/** The gateway's handle on Postgres. Failures come as UnavailableError, UniqueError, MissingRowError, RowError or RamboError `Database`. */
export interface Gateway {
  /** Runs reads that need not be one. */
  read<T>(work: (db: GatewayDb) => Promise<T>): Promise<T>;
  /** Runs `work` in one transaction; any error rolls it back, and any that Postgres says ends it. */
  transaction<T>(work: (tx: GatewayDb) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** How long things may take and how many connections there are at most. */
export interface GatewayOptions {
  /** 6. */
  readonly max?: number;
  /** A statement is ended by Postgres after so long; 5 s. */
  readonly statementTimeoutMs?: number;
  /** A transaction is rolled back after so long; 8 s, below the deadline of an operation. */
  readonly transactionTimeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 2_000;

/** Opens a pool of its own. Connects lazily: a database that is away shows as UnavailableError of the first query. */
export function openGateway(url: string, options: GatewayOptions = {}): Gateway {
  const statementTimeout = options.statementTimeoutMs ?? 5_000;
  const adapter = new PrismaPg({
    connectionString: url, max: options.max ?? 6, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, idleTimeoutMillis: 60_000, keepAlive: true,
    application_name: 'rambo-api-gateway', statement_timeout: statementTimeout, lock_timeout: statementTimeout,
    idle_in_transaction_session_timeout: statementTimeout, query_timeout: statementTimeout + 1_000, options: '-c timezone=UTC -c jit=off',
  }, { onPoolError: () => undefined, onConnectionError: () => undefined });
  const client = new PrismaClient({ adapter, errorFormat: 'minimal', log: [] });
  return {
    read: (work) => mapped(() => work(client)),
    transaction: (work) => mapped(() => client.$transaction(work, {
      maxWait: CONNECT_TIMEOUT_MS, timeout: options.transactionTimeoutMs ?? 8_000, isolationLevel: Prisma.TransactionIsolationLevel.ReadCommitted,
    })),
    close: () => client.$disconnect(),
  };
}

async function mapped<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw gatewayError(error);
  }
}
