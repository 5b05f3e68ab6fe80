import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { ROOT } from '../../../hack/stack/stack.ts';
import { migrate } from '../../../prisma/migrate.ts';
import { databaseUrl, type TestServer, testPostgres } from '../../harness/postgres.ts';

/** F32: a migrator dies at any statement, in any way; the next one ends at the right schema. */

const FOLDER = path.join(ROOT, 'prisma/migrations');
const MIGRATIONS = readdirSync(FOLDER, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort();
/** One that changes a table the release before uses all the time. */
const REVIEW = '20261127000000_review';

let server: TestServer;
const made: string[] = [];
beforeAll(async () => { server = await testPostgres(); });
afterAll(async () => {
  for (const name of made) await admin(`DROP DATABASE ${name} WITH (FORCE)`);
  await server.stop();
});

interface Database { readonly url: string; sql<Row extends object>(text: string, values?: readonly unknown[]): Promise<readonly Row[]>; close(): Promise<void> }

function open(url: string): Database {
  const pool = new pg.Pool({ connectionString: url, max: 4 });
  pool.on('error', () => undefined);
  return { url, sql: async <Row extends object>(text: string, values: readonly unknown[] = []) => (await pool.query<Row>(text, [...values])).rows, close: () => pool.end() };
}

async function emptyDatabase(): Promise<Database> {
  const name = `killed_${process.pid}_${made.length}`;
  made.push(name);
  await admin(`CREATE DATABASE ${name}`);
  return open(databaseUrl(server.url, name));
}

async function admin(text: string): Promise<void> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query(text);
  await client.end();
}

/** Ends, or delays, the session that does the n-th thing, counted from the last `aim`: a DDL statement, or a write to Prisma's book. */
const TRAP = `
  CREATE SCHEMA trap;
  CREATE SEQUENCE trap.hits;
  CREATE TABLE trap.target (nth int, how text);
  INSERT INTO trap.target VALUES (0, 'none');
  CREATE FUNCTION trap.spring() RETURNS void LANGUAGE plpgsql AS $$ DECLARE t record; BEGIN
    SELECT * INTO t FROM trap.target;
    IF t.how = 'none' OR nextval('trap.hits') <> t.nth THEN RETURN; END IF;
    IF t.how = 'sleep' THEN PERFORM pg_sleep(2); ELSE PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(1); END IF;
  END $$;
  CREATE FUNCTION trap.ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM trap.spring(); END $$;
  CREATE EVENT TRIGGER trap_ddl ON ddl_command_start EXECUTE FUNCTION trap.ddl();
  CREATE FUNCTION trap.row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM trap.spring(); RETURN NULL; END $$`;

async function aim(db: Database, nth: number, how: 'terminate' | 'sleep' | 'none'): Promise<void> {
  await db.sql('UPDATE trap.target SET nth = $1, how = $2', [nth, how]);
  await db.sql("SELECT setval('trap.hits', 1, false)");
}

async function removeTrap(db: Database): Promise<void> {
  await db.sql('DROP EVENT TRIGGER trap_ddl');
  await db.sql('DROP SCHEMA trap CASCADE');
}

/** Tables, columns, indexes, constraints and storage of `public`, as text. */
async function schemaOf(db: Database): Promise<string> {
  const rows = await db.sql<{ line: string }>(`
    SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default) AS line FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT format('%s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT format('%s %s', relname, reloptions) FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1`);
  return rows.map((row) => row.line).join('\n');
}

async function finished(db: Database): Promise<number> {
  return (await db.sql<{ n: number }>('SELECT count(*)::int AS n FROM _prisma_migrations WHERE finished_at IS NOT NULL').catch(() => [{ n: 0 }]))[0]?.n ?? 0;
}

async function sound(db: Database): Promise<void> {
  const right = open(await server.createDatabase());
  expect(await schemaOf(db)).toBe(await schemaOf(right));
  await right.close();
  expect(await db.sql('SELECT migration_name AS name, finished_at IS NOT NULL AS done FROM _prisma_migrations ORDER BY 1')).toEqual(MIGRATIONS.map((name) => ({ name, done: true })));
  expect(await db.sql('SELECT count(*)::int AS n FROM shard')).toEqual([{ n: 257 }]);
  await db.close();
}

/** Runs a migrator; what it said, and whether it failed. */
async function attempt(url: string, folder?: string): Promise<{ readonly failed: boolean; readonly said: string }> {
  const lines: string[] = [];
  const failed = await migrate(url, (line) => { lines.push(line); }, folder === undefined ? {} : { folder }).then(() => false, (error: unknown) => {
    lines.push(String(error));
    return true;
  });
  return { failed, said: lines.join('\n') };
}

test('its session dies at every statement of every migration, one after the other: nothing is ever half there, the release that serves goes on, the last migrator ends at the right schema', async () => {
  const db = await emptyDatabase();
  await db.sql(TRAP);
  let [kills, nth, done] = [0, 1, 0];
  let serving: Served | undefined;
  for (;;) {
    await aim(db, nth, 'terminate');
    const before = await schemaOf(db);
    const { failed } = await attempt(db.url);
    if (!failed) break;
    kills++;
    const now = await finished(db);
    // What was applied before it died stays; of what it was at, nothing does.
    if (now === done && done > 0) expect(await schemaOf(db)).toBe(before);
    // The next run begins with the next migration.
    nth = now > done ? 2 : nth + 1;
    if (now > 0) serving ??= serve(db);
    done = now;
    if (done === 0 && await bookIsThere(db)) await watchBook(db);
  }
  expect(kills).toBeGreaterThanOrEqual(55);
  const served = await serving?.stop();
  expect(served?.n).toBeGreaterThan(10);
  expect(served?.slowest).toBeLessThan(4_000);
  await aim(db, 0, 'none');
  await removeTrap(db);
  await sound(db);
}, 120_000);

async function bookIsThere(db: Database): Promise<boolean> {
  return (await db.sql<{ found: boolean }>(`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS found`))[0]?.found === true;
}

/** From the moment there is a book, its writes count as well. */
async function watchBook(db: Database): Promise<void> {
  if ((await db.sql(`SELECT 1 FROM pg_trigger WHERE tgname = 'trap_book'`)).length > 0) return;
  await aim(db, 0, 'none');
  await db.sql('CREATE TRIGGER trap_book AFTER INSERT OR UPDATE OR DELETE ON _prisma_migrations FOR EACH STATEMENT EXECUTE FUNCTION trap.row()');
}

test('kill -9 of the migrator while Postgres is at a statement: a second one that starts at once ends at the right schema', async () => {
  const db = await emptyDatabase();
  await db.sql(TRAP);
  await aim(db, 10, 'sleep');
  const code = `import { migrate } from '${ROOT}/prisma/migrate.ts'; await migrate(process.env.DATABASE_URL, () => undefined);`;
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module-typescript', '-e', code], { stdio: 'ignore', env: { ...process.env, DATABASE_URL: db.url } });
  const ended = new Promise((resolve) => { child.once('exit', resolve); });
  await until(async () => (await db.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")).length === 1);
  child.kill('SIGKILL');
  await ended;
  expect(await attempt(db.url)).toMatchObject({ failed: false });
  await removeTrap(db);
  await sound(db);
}, 60_000);

test('entries that the Prisma CLI left behind (P3009) are told of and repaired', async () => {
  const db = await withoutReview();
  await db.sql(`INSERT INTO _prisma_migrations (id, checksum, migration_name, logs) VALUES ('x', 'c', $1, E'A migration failed\n to apply')`, [REVIEW]);
  const { failed, said } = await attempt(db.url);
  expect([failed, said]).toEqual([false, said]);
  expect(said).toMatch(new RegExp(`migration ${REVIEW} was begun at 20.* and never finished \\(P3009; it failed: A migration failed to apply\\): it is applied again`));
  await sound(db);
}, 60_000);

test('a migration that does not get its locks gives way within 2 s, is tried again, and says so', async () => {
  const db = await withoutReview();
  const reader = new pg.Client({ connectionString: db.url });
  await reader.connect();
  await reader.query('BEGIN');
  await reader.query('SELECT count(*) FROM run');
  const serving = serve(db);
  const said: string[] = [];
  const done = migrate(db.url, (line) => { said.push(line); });
  await until(() => Promise.resolve(said.some((line) => line.includes(`${REVIEW} waits for a lock that others hold`))));
  await reader.end();
  await done;
  const { slowest, n } = await serving.stop();
  expect(slowest).toBeLessThan(4_000);
  expect(n).toBeGreaterThan(10);
  await sound(db);
}, 60_000);

test.each<[string, string]>([
  ['was killed half-way and left an invalid one', `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'late'::regclass`],
  ['was killed when it was there, before its entry', ''],
])('an index that is built beside the traffic, and whose migrator %s', async (_, spoil) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'rambo-migrations-'));
  cpSync(FOLDER, folder, { recursive: true });
  mkdirSync(path.join(folder, '20990101000000_late'));
  writeFileSync(path.join(folder, '20990101000000_late', 'migration.sql'), '-- an index\nCREATE INDEX CONCURRENTLY "late" ON "run"("priority");\n');
  const db = open(await server.createDatabase());
  await db.sql('CREATE INDEX late ON run (priority)');
  if (spoil !== '') await db.sql(spoil);
  expect(await attempt(db.url, folder)).toMatchObject({ failed: false });
  expect(await db.sql(`SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = 'late'::regclass`)).toEqual([{ valid: true }]);
  expect(await finished(db)).toBe(MIGRATIONS.length + 1);
  await db.close();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** A database that lacks what one migration brings. */
async function withoutReview(): Promise<Database> {
  const db = open(await server.createDatabase());
  await db.sql('ALTER TABLE run DROP COLUMN review');
  await db.sql('DROP TABLE restoration');
  await db.sql('DELETE FROM _prisma_migrations WHERE migration_name = $1', [REVIEW]);
  return db;
}

interface Served { stop(): Promise<{ readonly n: number; readonly slowest: number }> }

/** Does what the release before would do: names its own columns, reads and writes all the time. A refusal fails the test. */
function serve(db: Database): Served {
  let on = true;
  let [n, slowest] = [0, 0];
  const work = (async () => {
    while (on) {
      const started = performance.now();
      const [row] = await db.sql<{ id: string }>(`INSERT INTO run (id, namespace, name, source, shard, definition_hash, input, principal, created_at, phase)
        VALUES (gen_random_uuid(), 'n', 'r', 'api', 0, 'h', '', 'p', now(), 'Running') RETURNING id`);
      await db.sql('UPDATE run SET version = version + 1, done = done WHERE id = $1', [row?.id]);
      await db.sql('DELETE FROM run WHERE id = $1', [row?.id]);
      n++;
      slowest = Math.max(slowest, performance.now() - started);
      await new Promise((resolve) => { setTimeout(resolve, 5); });
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
