import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startPostgres } from '../../hack/stack/postgres.ts';
import { keepServer } from './postgres-shared.ts';

/** jest `globalSetup`: one Postgres for all test files of a run, told to them by RAMBO_TEST_DATABASE_URL. */
export default async function setup(): Promise<void> {
  if (process.env['RAMBO_TEST_DATABASE_URL'] !== undefined) return;
  const dir = mkdtempSync(path.join(tmpdir(), 'rambo-test-postgres-'));
  const server = await startPostgres({ dir });
  keepServer(server, dir);
  process.env['RAMBO_TEST_DATABASE_URL'] = server.url;
}
