import { readdirSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { ROOT } from '../../../hack/stack/stack.ts';
import { UnavailableError } from '../../../platform/errors/index.ts';
import { migrate } from '../../../prisma/migrate.ts';
import { databaseUrl, type TestServer, testPostgres } from '../../harness/postgres.ts';

let server: TestServer;
const made: string[] = [];
beforeAll(async () => { server = await testPostgres(); });
afterAll(async () => {
  for (const name of made) await query(server.url, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
  await server.stop();
});

async function query(url: string, text: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

function freshUrl(): string {
  const name = `migrate_${process.pid}_${made.length}`;
  made.push(name);
  return databaseUrl(server.url, name);
}

/** By name, in the order they are applied. */
const MIGRATIONS = readdirSync(path.join(ROOT, 'prisma/migrations'), { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort();

test('two migrators at once make the database and apply each migration once; a third does nothing, quickly', async () => {
  const url = freshUrl();
  const lines: string[] = [];
  await Promise.all([migrate(url, (line) => { lines.push(line); }), migrate(url, (line) => { lines.push(line); })]);
  expect(lines.filter((line) => line.startsWith('applying'))).toHaveLength(1);
  expect(await query(url, 'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL ORDER BY migration_name')).toEqual(MIGRATIONS.map((name) => ({ migration_name: name })));
  expect(await query(url, 'SELECT count(*)::int AS n, min(id) AS low, max(id) AS high FROM shard')).toEqual([{ n: 257, low: 0, high: 256 }]);
  const again: string[] = [];
  const start = performance.now();
  await migrate(url, (line) => { again.push(line); });
  expect(again).toEqual(['database schema is up to date']);
  expect(performance.now() - start).toBeLessThan(1_000);
}, 60_000);

test('a migration whose text was changed afterwards is no success', async () => {
  const url = await server.createDatabase();
  await query(url, `UPDATE _prisma_migrations SET migration_name = 'unknown', checksum = 'x'`);
  await expect(migrate(url, () => undefined)).rejects.toMatchObject({ code: 'MigrationFailed' });
}, 60_000);

test('a server that does not answer: progress is told, then the error names the place and no password', async () => {
  const lines: string[] = [];
  const failure: unknown = await migrate('postgresql://me:secret@127.0.0.1:1/rambo', (line) => { lines.push(line); }, { waitMs: 200 }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(UnavailableError);
  expect(String(failure)).toContain('127.0.0.1:1/rambo');
  expect(String(failure) + lines.join()).not.toContain('secret');
  expect(lines[0]).toContain('waiting for Postgres at 127.0.0.1:1/rambo');
});

test('a wrong password fails at once', async () => {
  const url = new URL(freshUrl());
  url.password = 'wrong';
  await expect(migrate(url.toString(), () => undefined)).rejects.toBeInstanceOf(UnavailableError);
});
