import pg from 'pg';
import { sqlState, storeError } from './errors.ts';

/** A statement with a constant text: each connection prepares it once under its name. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** What runs statements: a pool, or one transaction. */
export interface Executor {
  /** Rows of one statement. Buffers go over in binary. Throws UnavailableError, RowError or RamboError `Database`. */
  query<Row extends object>(statement: Statement, values: readonly unknown[]): Promise<readonly Row[]>;
}

/** The store's handle on Postgres. */
export interface Db extends Executor {
  /** Runs `work` in one transaction; any error rolls it back. */
  transaction<T>(work: (tx: Executor) => Promise<T>): Promise<T>;
  /** Connections open, idle and callers waiting for one: for metrics. */
  stats(): { readonly total: number; readonly idle: number; readonly waiting: number };
  close(): Promise<void>;
}

/** Where Postgres is and how long it may take. Milliseconds. */
export interface StoreOptions {
  readonly url: string;
  /** Connections at most; 8. */
  readonly max?: number;
  /** A statement is ended by Postgres after so long; 2 s, below the shard lease. */
  readonly statementTimeoutMs?: number;
  /** For a connection, new or from the pool; 2 s. */
  readonly connectTimeoutMs?: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string;
}

const STATEMENT_TIMEOUT_MS = 2_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** Beyond Postgres's own timeout: for a server that does not answer at all. */
const ANSWER_MARGIN_MS = 1_000;

/**
 * Session settings. Times come as UTC. Every statement is prepared and goes by key: one generic plan per connection is
 * right, but a plan made while the tables are still small would scan and join them whole, and be kept as they grow.
 */
export const SESSION = [
  'timezone=UTC', 'plan_cache_mode=force_generic_plan', 'jit=off', 'enable_seqscan=off', 'enable_hashjoin=off', 'enable_mergejoin=off',
].map((setting) => `-c ${setting}`).join(' ');

/** Opens a pool. Connects lazily: a database that is away shows as UnavailableError of the first statement. */
export function openStore(options: StoreOptions): Db {
  const statementTimeout = options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS;
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.max ?? 8,
    connectionTimeoutMillis: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    application_name: options.applicationName ?? 'rambo',
    statement_timeout: statementTimeout,
    lock_timeout: statementTimeout,
    idle_in_transaction_session_timeout: statementTimeout,
    query_timeout: statementTimeout + ANSWER_MARGIN_MS,
    options: SESSION,
    types: { getTypeParser },
  });
  // A connection that breaks also fails its statement, and the pool replaces it; unheard, the event would end the process.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => { client.on('error', () => undefined); });
  return {
    query: (statement, values) => withClient(pool, statement.name, (client) => run(client, statement, values)),
    transaction: (work) => withClient(pool, 'transaction', (client) => inTransaction(client, work)),
    stats: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: () => pool.end(),
  };
}

async function withClient<T>(pool: pg.Pool, what: string, use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  let client: pg.PoolClient | undefined;
  let broken = false;
  try {
    client = await pool.connect();
    return await use(client);
  } catch (error) {
    broken = sqlState(error) === undefined; // not an answer of Postgres: the connection is in doubt
    throw storeError(what, error);
  } finally {
    client?.release(broken);
  }
}

async function run<Row extends object>(client: pg.PoolClient, statement: Statement, values: readonly unknown[]): Promise<readonly Row[]> {
  const result = await client.query<Row>({ name: statement.name, text: statement.text, values: [...values] });
  return result.rows;
}

async function inTransaction<T>(client: pg.PoolClient, work: (tx: Executor) => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    const result = await work({ query: (statement, values) => run(client, statement, values) });
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

const TIMESTAMPTZ: number = pg.types.builtins.TIMESTAMPTZ;
/** The library types oids as an enum of those it knows; Postgres sends others too. */
const builtInParser: (oid: number, format: 'text') => (value: string) => unknown = pg.types.getTypeParser;

/** Times as epoch milliseconds; the rest as pg has it (bytea: Buffer, bigint: text). Times arrive as `2026-11-24 03:53:54.123+00`. */
function getTypeParser(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  if (oid === TIMESTAMPTZ && format !== 'binary') return parseTime;
  return builtInParser(oid, 'text');
}

function parseTime(text: string): number {
  return Date.parse(`${text.slice(0, 10)}T${text.slice(11, -3)}Z`);
}

const PING: Statement = { name: 'ping', text: 'SELECT 1' };

/** The check of readiness: throws where Postgres does not answer. */
export async function ping(db: Db): Promise<undefined> {
  await db.query(PING, []);
  return undefined;
}
