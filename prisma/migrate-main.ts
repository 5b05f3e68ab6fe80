import { z } from 'zod';
import { stayAlive } from '../platform/clock/index.ts';
import { databaseVariables, duration, logLevel, readConfig, readDatabaseUrl } from '../platform/config/index.ts';
import { errorMessage } from '../platform/errors/index.ts';
import { createLog } from '../platform/log/index.ts';
import { migrate } from './migrate.ts';

/** Environment of the migration Job. */
const migrateConfigSchema = z.object({
  ...databaseVariables,
  RAMBO_MIGRATE_WAIT: duration('60s'),
  RAMBO_LOG_LEVEL: logLevel(),
});

/** The migration process: brings the database to the schema of this release and ends; with code 1 and the reason when it cannot. */
async function main(): Promise<void> {
  const config = readConfig(migrateConfigSchema);
  const log = createLog('migrate', config.RAMBO_LOG_LEVEL);
  const alive = stayAlive();
  await migrate(readDatabaseUrl(config), (line) => { log.info({ step: line }, 'migrating'); }, { waitMs: config.RAMBO_MIGRATE_WAIT });
  alive.cancel();
}

main().catch((error: unknown) => {
  process.stderr.write(`${errorMessage(error)}\n`);
  process.exit(1);
});
