import { z } from 'zod';
import { ConfigError, duration, logLevel, readConfig, readSecretFile, text } from '../platform/config/index.ts';
import { errorMessage } from '../platform/errors/index.ts';
import { createLog } from '../platform/log/index.ts';
import { migrate } from './migrate.ts';

/** Environment of the migration Job. */
const migrateConfigSchema = z.object({
  RAMBO_DATABASE_URL: text().optional(),
  RAMBO_DATABASE_URL_FILE: text().optional(),
  RAMBO_MIGRATE_WAIT: duration('60s'),
  RAMBO_LOG_LEVEL: logLevel(),
});

function databaseUrl({ RAMBO_DATABASE_URL: url, RAMBO_DATABASE_URL_FILE: file }: z.output<typeof migrateConfigSchema>): string {
  if (url !== undefined) return url;
  if (file !== undefined) return readSecretFile('RAMBO_DATABASE_URL_FILE', file);
  throw new ConfigError('Config', 'RAMBO_DATABASE_URL or RAMBO_DATABASE_URL_FILE must say where Postgres is');
}

/** The migration process: brings the database to the schema of this release and ends; with code 1 and the reason when it cannot. */
async function main(): Promise<void> {
  const config = readConfig(migrateConfigSchema);
  const log = createLog('migrate', config.RAMBO_LOG_LEVEL);
  await migrate(databaseUrl(config), (line) => { log.info({ step: line }, 'migrating'); }, { waitMs: config.RAMBO_MIGRATE_WAIT });
}

main().catch((error: unknown) => {
  process.stderr.write(`${errorMessage(error)}\n`);
  process.exit(1);
});
