import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { type PostgresServer, startPostgres } from '../../hack/stack/postgres.ts';
import { migrate } from '../../prisma/migrate.ts';

export { startPostgres, type PostgresServer } from '../../hack/stack/postgres.ts';

/** Where a jest run finds the server that its global set-up started (test/harness/postgres-setup.ts). */
const SHARED = 'RAMBO_TEST_DATABASE_URL';
const MIGRATIONS = fileURLToPath(new URL('../../prisma/migrations', import.meta.url));

/** A server for tests: the shared one, or one of its own that `stop` ends and removes. */
export interface TestServer {
  /** Superuser's URL of the `postgres` database. */
  readonly url: string;
  /** Set where the server is this test's own, so that it may be killed. */
  readonly own: PostgresServer | undefined;
  /** URL of a new migrated database, copied from a template. About 50 ms. */
  createDatabase(name?: string): Promise<string>;
  stop(): Promise<void>;
}

/** The shared server where there is one, else (or with `own`) one started here. */
export async function testPostgres(options: { readonly own?: boolean } = {}): Promise<TestServer> {
  const shared = process.env[SHARED];
  if (shared !== undefined && options.own !== true) return testServer(shared, undefined, () => Promise.resolve());
  const { server, stop } = await scratchPostgres();
  return testServer(server.url, server, stop);
}

/** A server in a folder of its own, both gone after `stop`. */
export async function scratchPostgres(): Promise<{ readonly server: PostgresServer; stop(): Promise<void> }> {
  const dir = mkdtempSync(path.join(tmpdir(), 'rambo-test-postgres-'));
  const server = await startPostgres({ dir });
  const stop = async (): Promise<void> => {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  return { server, stop };
}

function testServer(url: string, own: PostgresServer | undefined, stopServer: () => Promise<void>): TestServer {
  const made: string[] = [];
  let template: Promise<string> | undefined;
  return {
    url, own,
    createDatabase: async (name = `test_${randomBytes(6).toString('hex')}`) => {
      template ??= ensureTemplate(url);
      const from = await template;
      await admin(url, (client) => client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)} TEMPLATE ${pg.escapeIdentifier(from)} STRATEGY file_copy`));
      made.push(name);
      return databaseUrl(url, name);
    },
    stop: async () => {
      if (own !== undefined) return stopServer();
      for (const name of made) await admin(url, (client) => client.query(`DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`));
    },
  };
}

/** One migrated database per content of the migrations, made once per server whoever comes first. */
async function ensureTemplate(url: string): Promise<string> {
  const hash = createHash('sha256');
  for (const entry of readdirSync(MIGRATIONS, { recursive: true, withFileTypes: true }).filter((found) => found.isFile())) {
    hash.update(readFileSync(path.join(entry.parentPath, entry.name)));
  }
  const name = `template_${hash.digest('hex').slice(0, 16)}`;
  await admin(url, async (client) => {
    await client.query('SELECT pg_advisory_lock(726)');
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate', [name]);
    if (rowCount !== 0) return;
    await migrate(databaseUrl(url, name), () => undefined);
    await client.query(`ALTER DATABASE ${pg.escapeIdentifier(name)} IS_TEMPLATE true`);
  });
  return name;
}

/** Runs `use` in a superuser's session on the `postgres` database. */
async function admin(url: string, use: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await use(client);
  } finally {
    await client.end();
  }
}

/** The same server, another database. */
export function databaseUrl(url: string, name: string): string {
  const parsed = new URL(url);
  parsed.pathname = `/${encodeURIComponent(name)}`;
  return parsed.toString();
}
