import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { ROOT } from '../../../hack/stack/stack.ts';
import { applyScript } from '../../../prisma/apply-script.ts';
import { migrate } from '../../../prisma/migrate.ts';
import { databaseUrl, type TestServer, testPostgres } from '../../harness/postgres.ts';

/** F32: a migrator dies at any statement, at any step around it, in any way; the next one ends at the right schema. */

const FOLDER = path.join(ROOT, 'prisma/migrations');
const MIGRATIONS = readdirSync(FOLDER, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort();
const LAST = MIGRATIONS.at(-1) ?? '';

let server: TestServer;
let made = 0;
beforeAll(async () => { server = await testPostgres(); });
afterAll(async () => { await server.stop(); });

interface Database { readonly url: string; sql<Row extends object>(text: string, values?: readonly unknown[]): Promise<readonly Row[]> }

async function withDatabase(use: (db: Database) => Promise<void>): Promise<void> {
  const name = `killed_${process.pid}_${++made}`;
  const url = databaseUrl(server.url, name);
  await admin(`CREATE DATABASE ${name}`);
  const pool = new pg.Pool({ connectionString: url, max: 4 });
  pool.on('error', () => undefined);
  try {
    await use({ url, sql: async <Row extends object>(text: string, values: readonly unknown[] = []) => (await pool.query<Row>(text, [...values])).rows });
  } finally {
    await pool.end();
    await admin(`DROP DATABASE ${name} WITH (FORCE)`);
  }
}

async function admin(text: string): Promise<void> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query(text);
  await client.end();
}

/**
 * Ends (or delays) the session that runs the n-th DDL statement of a migration, counted from the last `aim`; or the one
 * that records a migration after its script has been committed.
 */
const TRAP = `
  CREATE SCHEMA trap;
  CREATE SEQUENCE trap.hits;
  CREATE TABLE trap.target (migration text, nth int, how text);
  INSERT INTO trap.target VALUES ('', 0, 'none');
  CREATE FUNCTION trap.spring() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    IF (SELECT how FROM trap.target) = 'sleep' THEN PERFORM pg_sleep(2);
    ELSE PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(1); END IF;
  END $$;
  CREATE FUNCTION trap.ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE now_at text := ''; t record; BEGIN
    SELECT * INTO t FROM trap.target;
    IF t.how NOT IN ('terminate', 'sleep') THEN RETURN; END IF;
    IF to_regclass('public._prisma_migrations') IS NOT NULL THEN
      SELECT coalesce(max(migration_name), '') INTO now_at FROM public._prisma_migrations WHERE finished_at IS NULL AND rolled_back_at IS NULL;
    END IF;
    IF now_at = t.migration AND nextval('trap.hits') = t.nth THEN PERFORM trap.spring(); END IF;
  END $$;
  CREATE EVENT TRIGGER trap_ddl ON ddl_command_start EXECUTE FUNCTION trap.ddl();
  CREATE FUNCTION trap.recorded() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF (SELECT how = 'record' AND migration = NEW.migration_name FROM trap.target) AND NEW.applied_steps_count > OLD.applied_steps_count THEN PERFORM trap.spring(); END IF;
    RETURN NEW;
  END $$`;

async function aim(db: Database, migration: string, nth: number, how: 'terminate' | 'sleep' | 'record' | 'none'): Promise<void> {
  await db.sql('UPDATE trap.target SET migration = $1, nth = $2, how = $3', [migration, nth, how]);
  await db.sql("SELECT setval('trap.hits', 1, false)");
}

/** Tables, columns, indexes, constraints of `public`, as text. */
async function schemaOf(db: Database): Promise<string> {
  const rows = await db.sql<{ line: string }>(`
    SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default) AS line FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT format('%s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT format('%s %s', relname, reloptions) FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1`);
  return rows.map((row) => row.line).join('\n');
}

async function wanted(): Promise<string> {
  const db = await server.createDatabase();
  const pool = new pg.Pool({ connectionString: db });
  pool.on('error', () => undefined);
  const text = await schemaOf({ url: db, sql: async <Row extends object>(query: string) => (await pool.query<Row>(query)).rows });
  await pool.end();
  return text;
}

async function soundNow(db: Database): Promise<void> {
  expect(await schemaOf(db)).toBe(await wanted());
  expect(await db.sql('SELECT migration_name AS name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL AND logs IS NULL ORDER BY 1')).toEqual(MIGRATIONS.map((name) => ({ name })));
  expect(await db.sql('SELECT 1 FROM _prisma_migrations WHERE finished_at IS NULL AND rolled_back_at IS NULL')).toEqual([]);
  expect(await db.sql('SELECT count(*)::int AS n FROM shard')).toEqual([{ n: 257 }]);
}

/** Runs a migrator; what it said, and whether it failed. */
async function attempt(db: Database): Promise<{ readonly failed: boolean; readonly said: string }> {
  const lines: string[] = [];
  const failed = await migrate(db.url, (line) => { lines.push(line); }).then(() => false, (error: unknown) => {
    lines.push(String(error));
    return true;
  });
  return { failed, said: lines.join('\n') };
}

test('a script whose session dies at any of its statements leaves nothing; every statement of every migration', async () => {
  await withDatabase(async (db) => {
    await db.sql(TRAP);
    let kills = 0;
    for (const name of MIGRATIONS) {
      const script = readFileSync(path.join(FOLDER, name, 'migration.sql'), 'utf8');
      for (let nth = 1; ; nth++) {
        await aim(db, '', nth, 'terminate');
        const before = await schemaOf(db);
        const client = new pg.Client({ connectionString: db.url });
        client.on('error', () => undefined);
        await client.connect();
        const died = await applyScript(client, script).then(() => false, () => true);
        await client.end().catch(() => undefined);
        if (!died) break;
        kills++;
        expect(await schemaOf(db)).toBe(before);
      }
    }
    expect(kills).toBeGreaterThanOrEqual(40);
  });
}, 120_000);

test('migrators that die one after the other, in statements and between a commit and its record: the last one ends at the right schema, and the release that serves goes on', async () => {
  const targets = MIGRATIONS.flatMap((name, i) => [[name, i === 0 ? 20 : 1, 'terminate'], [name, 0, 'record']] as const);
  await withDatabase(async (db) => {
    await db.sql(TRAP);
    let serving: Served | undefined;
    const saids: string[] = [];
    for (const [name, nth, how] of targets) {
      await aim(db, name, nth, how);
      const { failed, said } = await attempt(db);
      expect([name, how, failed, said]).toEqual([name, how, true, said]);
      saids.push(said);
      // The table of records exists from the first run on.
      if (saids.length === 1) await db.sql('CREATE TRIGGER trap_recorded BEFORE UPDATE ON _prisma_migrations FOR EACH ROW EXECUTE FUNCTION trap.recorded()');
      if (how === 'record') serving ??= serve(db);
    }
    await aim(db, '', 0, 'none');
    const last = await attempt(db);
    expect(last).toMatchObject({ failed: false });
    saids.push(last.said);
    expect(saids.filter((said) => said.includes('nothing of it is in the database, so it is applied again'))).toHaveLength(MIGRATIONS.length);
    expect(saids.filter((said) => said.includes('all of it is in the database, so it is recorded now'))).toHaveLength(MIGRATIONS.length);
    const served = await serving?.stop();
    expect(served?.slowest).toBeLessThan(4_000);
    expect(served?.n).toBeGreaterThan(20);
    await db.sql('DROP TRIGGER trap_recorded ON _prisma_migrations');
    await db.sql('DROP EVENT TRIGGER trap_ddl');
    await db.sql('DROP SCHEMA trap CASCADE');
    await soundNow(db);
  });
}, 240_000);

test.each<[string, (pid: number) => void]>([
  ['the migrator alone, so that its engine goes on without it', (pid) => { process.kill(pid, 'SIGKILL'); }],
  ['the migrator and its engine, so that Postgres finishes the statement alone', (pid) => { process.kill(-pid, 'SIGKILL'); }],
])('kill -9 of %s: a second migrator that starts at once waits for what goes on, and ends at the right schema', async (_, kill) => {
  await withDatabase(async (db) => {
    await db.sql(TRAP);
    await aim(db, MIGRATIONS[0] ?? '', 10, 'sleep');
    const code = `import { migrate } from '${ROOT}/prisma/migrate.ts'; await migrate(process.env.DATABASE_URL, () => undefined);`;
    const child = spawn(process.execPath, ['--no-warnings', '--input-type=module-typescript', '-e', code], { detached: true, stdio: 'ignore', env: { ...process.env, DATABASE_URL: db.url } });
    const ended = new Promise((resolve) => { child.once('exit', resolve); });
    await until(async () => (await db.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")).length === 1);
    kill(child.pid ?? 0);
    await ended;
    expect(await attempt(db)).toMatchObject({ failed: false });
    await db.sql('DROP EVENT TRIGGER trap_ddl');
    await db.sql('DROP SCHEMA trap CASCADE');
    await soundNow(db);
  });
}, 120_000);

test('a migration that does not get its locks gives way within 2 s, is tried again, and says so', async () => {
  const url = await server.createDatabase();
  const pool = new pg.Pool({ connectionString: url, max: 3 });
  pool.on('error', () => undefined);
  const db: Database = { url, sql: async <Row extends object>(text: string, values: readonly unknown[] = []) => (await pool.query<Row>(text, [...values])).rows };
  await db.sql('ALTER TABLE run DROP COLUMN review');
  await db.sql('DROP TABLE restoration');
  await db.sql('DELETE FROM _prisma_migrations WHERE migration_name = $1', [LAST]);
  const reader = new pg.Client({ connectionString: url });
  await reader.connect();
  await reader.query('BEGIN');
  await reader.query('SELECT count(*) FROM run');
  const serving = serve(db);
  const waiting: string[] = [];
  const done = migrate(url, (line) => { waiting.push(line); });
  await until(() => Promise.resolve(waiting.some((line) => line.includes('did not get its locks within 2 s'))));
  await reader.end();
  await done;
  const { slowest, n } = await serving.stop();
  expect(slowest).toBeLessThan(4_000);
  expect(n).toBeGreaterThan(20);
  await soundNow(db);
  await pool.end();
}, 120_000);

interface Served { stop(): Promise<{ readonly n: number; readonly slowest: number }> }

/** Does what the release before would do: names its own columns, reads and writes all the time. A refusal fails the test. */
function serve(db: Database): Served {
  let on = true;
  let n = 0;
  let slowest = 0;
  const work = (async () => {
    while (on) {
      const started = performance.now();
      const [row] = await db.sql<{ id: string }>(`INSERT INTO run (id, namespace, name, source, shard, definition_hash, input, principal, created_at, phase)
        VALUES (gen_random_uuid(), 'n', 'r', 'api', 0, 'h', '', 'p', now(), 'Running') RETURNING id`);
      await db.sql('UPDATE run SET version = version + 1, done = done WHERE id = $1', [row?.id]);
      await db.sql('DELETE FROM run WHERE id = $1', [row?.id]);
      n++;
      slowest = Math.max(slowest, performance.now() - started);
      await new Promise((resolve) => { setTimeout(resolve, 10); });
    }
  })();
  work.catch(() => undefined);
  return { stop: async () => {
    on = false;
    await work;
    return { n, slowest };
  } };
}

async function until(probe: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!await probe()) {
    if (performance.now() > deadline) throw new Error('timed out');
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}
