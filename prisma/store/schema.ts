import { errorMessage, RamboError, UnavailableError } from '../../platform/errors/index.ts';
import { openStore, type Db, type Statement, type StoreOptions } from './db.ts';
import { sqlState } from './errors.ts';

/** The newest migration this release needs: a folder of prisma/migrations. A test holds it to the newest there. */
export const NEWEST_MIGRATION = '20261130000300_model_limits';

const APPLIED: Statement = {
  name: 'schema_applied',
  text: 'SELECT 1 FROM _prisma_migrations WHERE migration_name = $1 AND finished_at IS NOT NULL AND rolled_back_at IS NULL',
};

/**
 * Opens the store once Postgres answers and its schema is that of this release, or newer. Throws UnavailableError or
 * RamboError `SchemaMissing`, `SchemaOld`, `Database` saying where Postgres is and what to do; never with its password.
 */
export async function openReadyStore(options: StoreOptions): Promise<Db> {
  const place = placeOf(options.url);
  const db = openStore(options);
  try {
    const rows = await db.query(APPLIED, [NEWEST_MIGRATION]);
    if (rows.length > 0) return db;
    throw new RamboError('SchemaOld', `the schema of ${place} is older than this release, it lacks ${NEWEST_MIGRATION}: the migration Job has to run first`);
  } catch (error) {
    await db.close();
    throw explained(place, error);
  }
}

function explained(place: string, error: unknown): RamboError {
  const state = error instanceof Error ? sqlState(error.cause) : undefined;
  if (state === '42P01') return new RamboError('SchemaMissing', `${place} has no schema of RamBo yet: the migration Job has to run first`);
  if (state === '3D000') return new RamboError('SchemaMissing', `${place}: the database does not exist: the migration Job makes it`);
  if (state?.startsWith('28') === true) return new RamboError('Database', `${place} refuses the user of the URL (${errorMessage(error)}): look at the Secret`, { cause: error });
  if (state === '42501') return new RamboError('Database', `${place}: the user of the URL may not read _prisma_migrations: grant it SELECT`, { cause: error });
  if (error instanceof UnavailableError) return new RamboError('Unavailable', `${place} does not answer (${errorMessage(error.cause ?? error)}): is it running, is the URL right, does a NetworkPolicy let us through?`);
  return error instanceof RamboError ? error : new RamboError('Database', `${place}: ${errorMessage(error)}`, { cause: error });
}

/** Host and database, without the credentials. */
function placeOf(databaseUrl: string): string {
  try {
    const url = new URL(databaseUrl);
    return `Postgres at ${url.host}${url.pathname}`;
  } catch {
    throw new RamboError('Config', 'the URL of Postgres cannot be read: it looks like postgresql://user:password@host:5432/database');
  }
}
