import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { run } from '../../../cli/program.ts';
import { ROOT } from '../../../hack/stack/stack.ts';
import { systemClock } from '../../../platform/clock/index.ts';
import { openStore, renewShards, type Db } from '../../../prisma/store/index.ts';
import { type TestServer, testPostgres } from '../../harness/postgres.ts';

/** Backup and restore of Postgres alone, by the commands as people type them. */

let server: TestServer;
let folder: string;
const pools: pg.Pool[] = [];
beforeAll(async () => { server = await testPostgres(); });
afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.end()));
  await server.stop();
});
beforeEach(() => { folder = mkdtempSync(path.join(tmpdir(), 'rambo-backup-')); });
afterEach(() => { rmSync(folder, { recursive: true, force: true }); });

interface Answer { readonly code: number; readonly out: string; readonly said: string }

async function rambo(...args: readonly string[]): Promise<Answer> {
  let [code, out, said] = [0, '', ''];
  await run({ clock: systemClock, print: (text) => { out += text; }, say: (line) => { said += `${line}\n`; }, exit: (value) => { code = value; } }, { version: '0.1.0', unique: randomUUID().slice(0, 8) }, args);
  return { code, out, said };
}

interface Database { readonly url: string; sql<Row extends object>(text: string, values?: readonly unknown[]): Promise<readonly Row[]> }

async function database(): Promise<Database> {
  const url = await server.createDatabase();
  const pool = new pg.Pool({ connectionString: url, max: 3 });
  pool.on('error', () => undefined);
  pools.push(pool);
  return { url, sql: async <Row extends object>(text: string, values: readonly unknown[] = []) => (await pool.query<Row>(text, [...values])).rows };
}

/** A live run and one that has ended, with values that are easily spoilt, and a row in every kind of queue. */
async function fill(db: Database): Promise<void> {
  await db.sql(`INSERT INTO definition (hash, spec) VALUES ('h', $1)`, [Buffer.from([0, 92, 10, 9, 255])]);
  for (const [id, phase, end] of [['00000000-0000-4000-8000-000000000001', 'Running', null], ['00000000-0000-4000-8000-000000000002', 'Succeeded', new Date()]] as const) {
    await db.sql(`INSERT INTO run (id, namespace, name, source, shard, definition_hash, input, principal, created_at, phase, finished_at, started_at)
      VALUES ($1, 'n', $2, 'api', 3, 'h', $3, 'a''b\\c\t"d"', now(), $4, $5, now())`, [id, 'naïve \\N 🙂\nline', Buffer.from('\0\\.\n'), phase, end]);
    await db.sql(`INSERT INTO node_run (run_id, node, item, status, attempt, retries, infra, send) VALUES ($1, 'a', -1, 'Queued', 1, 0, 0, 2)`, [id]);
  }
  await db.sql(`INSERT INTO outbox (id, shard, run_id, node, item, attempt, send) VALUES (41, 3, '00000000-0000-4000-8000-000000000001', 'a', -1, 1, 2)`);
  await db.sql(`INSERT INTO dead_letter (id, subject, reason, payload) VALUES (7, 's', 'r', $1)`, [Buffer.from([0])]);
  await db.sql(`INSERT INTO workflow (namespace, name, uid, generation, resource_version, spec, hash, phase, node_count, updated_at) VALUES ('n', 'w', 'u', 1, '1', '', 'h', 'Ready', 1, now())`);
  await db.sql(`INSERT INTO workflow_node (namespace, workflow, name, position, type, config) VALUES ('n', 'w', 'a', 0, 'script', '')`);
  await fillGateway(db);
  await db.sql(`UPDATE shard SET epoch = 5, owner = 'old', lease_until = now() - interval '1 hour' WHERE id = 3`);
}

const [USER, PROJECT, SPRINT, FLOW] = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b', '00000000-0000-4000-8000-00000000000c', '00000000-0000-4000-8000-00000000000d'];

/** Rows of the gateway that refer to one another in every way there is; children lie before their parents. */
async function fillGateway(db: Database): Promise<void> {
  const id = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
  const insert = (table: string, row: Readonly<Record<string, unknown>>): Promise<unknown> => {
    const columns = Object.keys(row);
    return db.sql(`INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map((_, i) => `$${i + 1}`).join(', ')})`, Object.values(row));
  };
  const at = new Date('2026-01-02T03:04:05.678Z');
  const times = { created_at: at, updated_at: at };
  const json = '{"NUL":"\\u0000","big":12345678901234567890,"naïve":"\\\\N \\t"}';
  await insert('app_user', { id: USER, email: 'a@example.com', role: 'ADMIN', ...times });
  await insert('profile', { user_id: USER, display_name: 'A\tB', preferences: json, updated_at: at });
  await insert('access_token', { id: id(21), user_id: USER, name: 't', hash: Buffer.from([0, 1]), scopes: ['a,b', '{"c"}'], expires_at: at, created_at: at });
  await insert('audit', { seq: 1, at, principal: 'p', operation: 'o', outcome: 'DONE', code: 'OK', request_id: 'r', details: json, prev_hash: Buffer.alloc(32), hash: Buffer.alloc(32, 1) });
  await insert('api_idempotency', { principal: 'p', key: 'k', operation: 'o', body_hash: 'h', answer: json, expires_at: at });
  await insert('project', { id: PROJECT, name: 'P', status: 'ACTIVE', owner_id: USER, metadata: json, seq: 3, ...times });
  await insert('project_member', { project_id: PROJECT, user_id: USER, role: 'VIEWER', created_at: at });
  await insert('project_invitation', { id: id(22), project_id: PROJECT, email: 'b@example.com', role: 'VIEWER', invited_by: 'p', created_at: at, expires_at: at });
  await insert('project_event', { project_id: PROJECT, seq: 3, at, kind: 'CREATED', entity: 'Task', entity_id: id(23), principal: 'p' });
  await insert('sprint', { id: SPRINT, project_id: PROJECT, name: 'S', status: 'ACTIVE', start_date: '2026-02-28', ...times });
  // The parent comes last: a copy has them in this order, and the reference is checked when all are in.
  await insert('task', { id: id(31), project_id: PROJECT, title: 'child', status: 'DONE', sprint_id: SPRINT, metadata: json, ...times });
  await insert('task', { id: id(32), project_id: PROJECT, title: 'parent', status: 'TO_DO', ...times });
  await db.sql('UPDATE task SET parent_id = $2 WHERE id = $1', [id(31), id(32)]);
  await insert('task_run', { task_id: id(31), run_id: id(1), created_at: at });
  await insert('ticket', { id: id(33), project_id: PROJECT, title: 'T', status: 'OPEN', priority: 'HIGH', type: 'BUG', sprint_id: SPRINT, ...times });
  await insert('requirement', { id: id(34), project_id: PROJECT, title: 'R', status: 'DRAFT', priority: 'HIGH', revision: '1.0', ...times });
  await insert('project_workflow', { id: FLOW, project_id: PROJECT, owner_id: USER, name: 'W', definition: json, status: 'DRAFT', problems: '[]', ...times });
  await insert('project_workflow_node', { id: id(35), workflow_id: FLOW, name: 'a', position: 0, type: 'agent', configuration: json });
  await insert('project_agent', { id: id(36), owner_id: USER, name: 'G', type: 'T', status: 'IDLE', ...times });
  await insert('file', { id: id(41), project_id: PROJECT, name: 'naïve.txt', kind: 'FILE', area: 'FILES', size: '9007199254740993', checksum: Buffer.alloc(32, 255), object_key: 'k', status: 'READY', ...times });
  await insert('file', { id: id(42), project_id: PROJECT, name: 'folder', kind: 'FOLDER', area: 'FILES', status: 'READY', ...times });
  await db.sql('UPDATE file SET parent_id = $2 WHERE id = $1', [id(41), id(42)]);
  await insert('import', { id: id(51), owner_id: USER, status: 'RUNNING', digest: 'd', created_at: at });
  await insert('import_item', { import_id: id(51), position: 0, key: 'k', kind: 'task', status: 'KEPT_RAW', raw: Buffer.from([0, 255, 92, 10]) });
  await insert('imported_id', { owner_id: USER, kind: 'task', old_id: 'x', entity_id: id(31) });
}

/** A fingerprint of every table, but for what marking a restored database changes. */
async function fingerprint(db: Database): Promise<Readonly<Record<string, string>>> {
  const out: Record<string, string> = {};
  for (const table of await tablesOf(db)) {
    // Rows as Postgres writes them: jsonb would refuse what json columns hold, and change its numbers.
    const columns = (await db.sql<{ name: string }>(`SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attname <> ALL ('{review,send}') ORDER BY attnum`, [table])).map(({ name }) => name);
    const [row] = await db.sql<{ sum: string }>(`SELECT count(*) || ' ' || coalesce(md5(string_agg(t, '|' ORDER BY t)), '') AS sum FROM (SELECT ROW(${columns.join(', ')})::text AS t FROM ${table}) y`);
    out[table] = row?.sum ?? '';
  }
  return out;
}

/** All tables but those that a restored database has of its own. */
async function tablesOf(db: Database): Promise<readonly string[]> {
  const rows = await db.sql<{ name: string }>(`SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    AND relname <> ALL ('{_prisma_migrations,replica,restoration,shard,outbox}') ORDER BY relname`);
  return rows.map(({ name }) => name);
}

async function backupOf(db: Database, name = 'b.tar.gz'): Promise<string> {
  const file = path.join(folder, name);
  expect(await rambo('backup', '--database-url', db.url, '--no-objects', '--out', file)).toMatchObject({ code: 0 });
  return file;
}

test.each(['b.tar.gz', 'b.tgz', 'b.tar', 'folder'])('what is restored from %s is what was backed up, to the byte; and it is marked', async (name) => {
  const from = await database();
  await fill(from);
  const before = await fingerprint(from);
  const file = await backupOf(from, name);
  const to = await database();
  const { code, said } = await rambo('restore', '--database-url', to.url, '--from', file);
  expect([code, said]).toEqual([0, said]);
  expect(await fingerprint(to)).toEqual(before);
  expect(said).toMatch(/1 run that was live in it will be Stalled \(NeedsReview\)/);
  expect(said).toMatch(/NATS was not emptied/);
  expect(await to.sql('SELECT phase, review IS NOT NULL AS held FROM run ORDER BY id')).toEqual([{ phase: 'Running', held: true }, { phase: 'Succeeded', held: false }]);
  expect(await to.sql('SELECT 1 FROM outbox')).toEqual([]);
  expect(await to.sql('SELECT send FROM node_run ORDER BY run_id')).toEqual([{ send: 0 }, { send: 2 }]);
  expect(await to.sql('SELECT runs, taken_at IS NOT NULL AS known FROM restoration')).toEqual([{ runs: 1, known: true }]);
  // Epochs rise above any that a controller of the lost database may still hold; nobody owns anything; ids go on.
  const [shard] = await to.sql<{ owner: string | null; epoch: string }>('SELECT owner, epoch FROM shard WHERE id = 3');
  expect(shard?.owner).toBeNull();
  expect(Number(shard?.epoch)).toBeGreaterThan(1_700_000_000_000);
  expect(await to.sql(`INSERT INTO dead_letter (subject, reason, payload) VALUES ('s', 'r', '') RETURNING id`)).toEqual([{ id: '8' }]);
  expect(readdirSync(folder)).toEqual([name]);
});

test('a backup is of one moment, whatever is written while it is taken', async () => {
  const db = await database();
  await db.sql(`INSERT INTO definition (hash, spec) VALUES ('h', '')`);
  let on = true;
  const writer = (async () => {
    for (let i = 0; on; i++) {
      const id = randomUUID();
      await db.sql(`WITH r AS (INSERT INTO run (id, namespace, name, source, shard, definition_hash, input, principal, created_at, phase) VALUES ($1, 'n', $2, 'api', 0, 'h', '', 'p', now(), 'Pending'))
        INSERT INTO node_run (run_id, node, item, status, attempt, retries, infra) VALUES ($1, 'a', -1, 'Pending', 0, 0, 0)`, [id, `r${i}`]);
    }
  })();
  await new Promise((resolve) => { setTimeout(resolve, 300); });
  const file = await backupOf(db);
  on = false;
  await writer;
  const to = await database();
  expect((await rambo('restore', '--database-url', to.url, '--from', file)).code).toBe(0);
  const [counts] = await to.sql<{ runs: number; nodes: number }>('SELECT (SELECT count(*) FROM run)::int AS runs, (SELECT count(*) FROM node_run)::int AS nodes');
  expect(counts?.runs).toBeGreaterThan(10);
  expect(counts?.nodes).toBe(counts?.runs);
});

describe('refused before anything is changed', () => {
  async function filled(): Promise<{ db: Database; file: string }> {
    const db = await database();
    await fill(db);
    return { db, file: await backupOf(db, 'dir') };
  }

  test('a database that is not empty, unless --force is given', async () => {
    const { db, file } = await filled();
    const before = await fingerprint(db);
    const refused = await rambo('restore', '--database-url', db.url, '--from', file);
    expect(refused).toMatchObject({ code: 1, said: expect.stringMatching(/is not empty \(rows in .*run.*\).*--force to replace ALL its rows/) as string });
    expect(await fingerprint(db)).toEqual(before);
    expect((await rambo('restore', '--database-url', db.url, '--from', file, '--force')).code).toBe(0);
    expect(await fingerprint(db)).toEqual(before);
  });

  test('a database on which a controller lives, whatever is given', async () => {
    const { db, file } = await filled();
    const store: Db = openStore({ url: db.url });
    await renewShards(store, 'controller-7-abcdefgh', 60_000);
    await store.close();
    for (const args of [['--from', file, '--force'], ['--mark-only']]) {
      expect(await rambo('restore', '--database-url', db.url, ...args)).toMatchObject({ code: 1, said: expect.stringMatching(/controller-7-abcdefgh lives on database .*stop the controllers/) as string });
    }
    expect(await db.sql('SELECT 1 FROM restoration')).toEqual([]);
  });

  test('a database without a schema, and one of an older release', async () => {
    const { file } = await filled();
    const bare = await database();
    await bare.sql('DROP TABLE _prisma_migrations');
    expect(await rambo('restore', '--database-url', bare.url, '--from', file)).toMatchObject({ code: 1, said: expect.stringMatching(/has no schema of RamBo: run the migration/) as string });
    const older = await database();
    await older.sql('DELETE FROM _prisma_migrations WHERE migration_name = (SELECT max(migration_name) FROM _prisma_migrations)');
    expect(await rambo('restore', '--database-url', older.url, '--from', file)).toMatchObject({ code: 1, said: expect.stringMatching(/has migration \d{14}_\w+, which the database lacks.*newer release/) as string });
  });

  test.each<[string, (dir: string) => void, RegExp]>([
    ['one byte is another', (dir) => {
      const file = path.join(dir, 'table.run.copy.gz');
      const bytes = readFileSync(file);
      bytes[bytes.length - 9] = (bytes[bytes.length - 9] ?? 0) ^ 1;
      writeFileSync(file, bytes);
    }, /table\.run\.copy\.gz is not what was written \(SHA-256 differs\)/],
    ['a file is cut', (dir) => { writeFileSync(path.join(dir, 'table.run.copy.gz'), 'x'); }, /has 1 bytes where the manifest says/],
    ['a file is missing', (dir) => { rmSync(path.join(dir, 'table.node_run.copy.gz')); }, /table\.node_run\.copy\.gz is missing/],
    ['the manifest is missing', (dir) => { rmSync(path.join(dir, 'manifest.json')); }, /has no manifest\.json: it is no backup, or one that was never finished/],
    ['the manifest is no JSON', (dir) => { writeFileSync(path.join(dir, 'manifest.json'), '{'); }, /not valid JSON/],
    ['the manifest is of a later format', (dir) => { writeFileSync(path.join(dir, 'manifest.json'), '{"format":2}'); }, /has format 2, this rambo reads up to 1/],
    ['the manifest leads out of the backup', (dir) => { writeFileSync(path.join(dir, 'manifest.json'), readFileSync(path.join(dir, 'manifest.json'), 'utf8').replace('table.run.copy.gz', '../x')); }, /manifest\.json cannot be used: tables\.\d+\.file/],
  ])('a backup in which %s', async (_, spoil, why) => {
    const { file } = await filled();
    const copy = path.join(folder, 'copy');
    cpSync(file, copy, { recursive: true });
    spoil(copy);
    const to = await database();
    expect(await rambo('restore', '--database-url', to.url, '--from', copy)).toMatchObject({ code: 1, said: expect.stringMatching(why) as string });
    expect(await to.sql('SELECT 1 FROM run')).toEqual([]);
  });

  test('an archive that ends too soon, and nothing at all', async () => {
    const db = await database();
    await fill(db);
    const file = await backupOf(db);
    const bytes = readFileSync(file);
    const cut = path.join(folder, 'cut.tar.gz');
    writeFileSync(cut, bytes.subarray(0, bytes.length >> 1));
    const to = await database();
    expect(await rambo('restore', '--database-url', to.url, '--from', cut)).toMatchObject({ code: 1, said: expect.stringMatching(/cut\.tar\.gz cannot be unpacked|is missing/) as string });
    expect(await rambo('restore', '--database-url', to.url, '--from', path.join(folder, 'none'))).toMatchObject({ code: 1, said: expect.stringMatching(/none does not exist/) as string });
    expect(readdirSync(folder).sort()).toEqual(['b.tar.gz', 'cut.tar.gz']);
  });
});

test('rows that do not fit in the middle of a restore: the database stays as it was', async () => {
  const db = await database();
  await fill(db);
  const before = await fingerprint(db);
  const file = await backupOf(db);
  // The last table but one refuses its rows: those before it were in already.
  await db.sql(`ALTER TABLE workflow_node ADD CONSTRAINT trap CHECK (name <> 'a') NOT VALID`);
  expect(await rambo('restore', '--database-url', db.url, '--from', file, '--force')).toMatchObject({ code: 1, said: expect.stringContaining('trap') as string });
  expect(await fingerprint(db)).toEqual(before);
  expect(await db.sql('SELECT review FROM run WHERE finished_at IS NULL')).toEqual([{ review: null }]);
});

test('a backup that is killed leaves nothing under its name', async () => {
  const db = await database();
  await db.sql(`INSERT INTO definition (hash, spec) SELECT g::text, decode(repeat(md5(g::text), 64), 'hex') FROM generate_series(1, 200000) g`);
  const file = path.join(folder, 'b.tar.gz');
  const child = spawn(process.execPath, ['--no-warnings', path.join(ROOT, 'dist/cli.mjs'), 'backup', '--no-objects', '--out', file], { stdio: 'ignore', env: { DATABASE_URL: db.url, PATH: process.env['PATH'] ?? '' } });
  const ended = new Promise((resolve) => { child.once('exit', resolve); });
  while (!readdirSync(folder).some((name) => name.includes('.partial-'))) await new Promise((resolve) => { setTimeout(resolve, 5); });
  child.kill('SIGKILL');
  await ended;
  expect(existsSync(file)).toBe(false);
  const [draft = ''] = readdirSync(folder);
  expect(existsSync(path.join(folder, draft, 'manifest.json'))).toBe(false);
  // The next one is not in its way, and a finished one is never overwritten.
  expect((await rambo('backup', '--database-url', db.url, '--no-objects', '--out', file)).code).toBe(0);
  expect(await rambo('backup', '--database-url', db.url, '--no-objects', '--out', file)).toMatchObject({ code: 1, said: expect.stringMatching(/exists already/) as string });
}, 60_000);

test('another tool restored the database: --mark-only holds its live runs, once', async () => {
  const db = await database();
  await fill(db);
  expect((await rambo('restore', '--database-url', db.url, '--mark-only', '--taken-at', '2026-11-26T09:30:00Z')).code).toBe(0);
  expect(await db.sql('SELECT review FROM run WHERE finished_at IS NULL')).toEqual([{ review: expect.stringMatching(/from a backup taken at 2026-11-26T09:30:00Z/) as string }]);
});

test.each<[readonly string[], RegExp]>([
  [['backup', '--no-objects'], /--out/],
  [['backup', '--no-objects', '--out', 'x'], /no database: set DATABASE_URL/],
  [['backup', '--database-url', 'postgresql://x', '--kubeconfig', '/none', '--out', 'x'], /kubeconfig \/none does not exist.*--no-objects/],
  [['restore', '--database-url', 'postgresql://x'], /say which backup: --from/],
  [['restore', '--database-url', 'postgresql://x', '--from', 'x', '--nats-url', 'nats://x'], /--nats-url needs --nats-creds/],
  [['restore', '--mark-only', '--taken-at', 'soon'], /2026-11-26T09:30:00Z/],
  [['bakup'], /unknown command 'bakup'[\s\S]*Did you mean backup/],
])('rambo %j ends with code 2 and says what is wrong', async (args, why) => {
  const { code, said } = await rambo(...args);
  expect(said).toMatch(why);
  expect(code).toBe(2);
});

test('an address that leads nowhere is named without its password', async () => {
  const { code, said } = await rambo('backup', '--no-objects', '--database-url', 'postgresql://me:hunter2@127.0.0.1:1/rambo', '--out', path.join(folder, 'x'));
  expect([code, said]).toEqual([1, said]);
  expect(said).toContain('127.0.0.1:1/rambo');
  expect(said).not.toContain('hunter2');
});
