import type pg from 'pg';

/* Rows of the load: one user, a project with 20 tasks of 5 runs each, and a project with half of a million tasks. */

function id(kind: number, i: number): string {
  return `00000000-0000-7000-800${kind}-${i.toString(16).padStart(12, '0')}`;
}

/** Whose token it is. */
export const USER = id(0, 1);
/** Half of all tasks are in it. */
export const BIG = id(1, 1);
/** Twenty tasks with five runs each. */
export const SMALL = id(1, 30_000);
/** One of its tasks. */
export const TASK = id(3, 2_000_001);

const made = (kind: number, number: string): string => `('00000000-0000-7000-800${kind}-' || lpad(to_hex(${number}), 12, '0'))::uuid`;

const statements = (rows: number): readonly string[] => [
  `INSERT INTO app_user (id, role, email_verified, created_at, updated_at) VALUES ('${USER}', 'DEVELOPER', true, now(), now())`,
  `INSERT INTO project (id, name, status, owner_id, namespace, created_at, updated_at) SELECT ${made(1, 'i')}, 'project ' || i, 'ACTIVE', '${USER}', 'load-' || i, now(), now() FROM generate_series(1, 1000) i`,
  `INSERT INTO project (id, name, status, owner_id, namespace, created_at, updated_at) VALUES ('${SMALL}', 'small', 'ACTIVE', '${USER}', 'load-small', now(), now())`,
  `INSERT INTO task (id, project_id, title, status, assigned_to, created_at, updated_at) SELECT ${made(3, 'i')}, ${made(1, 'CASE WHEN i % 2 = 0 THEN 1 ELSE 1 + i % 1000 END')}, 'task ' || i,
    (ARRAY['TO_DO','IN_PROGRESS','DONE','BLOCKED'])[1 + i % 4], 'agent ' || i % 500, date_trunc('milliseconds', now()) - i * interval '1 second', now() FROM generate_series(1, ${rows}) i`,
  `INSERT INTO task (id, project_id, title, status, created_at, updated_at) SELECT ${made(3, '2000000 + i')}, '${SMALL}', 'task ' || i, 'TO_DO', date_trunc('milliseconds', now()) - i * interval '1 second', now() FROM generate_series(1, 20) i`,
  `INSERT INTO definition (hash, spec) VALUES ('load', '{}') ON CONFLICT DO NOTHING`,
  `INSERT INTO run (id, namespace, name, source, shard, workflow, definition_hash, input, priority, principal, created_at, phase, finished_at, suspended, seq, total, done, version)
    SELECT ${made(4, 'i')}, 'load-small', 'run-' || i, 'api', i % 256, 'wf', 'load', '{}', 0, 'x', date_trunc('milliseconds', now()) - i * interval '1 second', 'Succeeded', now(), false, 1, 1, 1, 1 FROM generate_series(1, 100) i`,
  `INSERT INTO task_run (task_id, run_id, created_at) SELECT ${made(3, '2000001 + i % 20')}, ${made(4, '1 + i')}, date_trunc('milliseconds', now()) FROM generate_series(0, 99) i`,
];

/** Fills the tables of an empty stack with so many tasks. */
export async function seed(client: pg.Client, rows: number): Promise<void> {
  await client.query('SET session_replication_role = replica'); // rows by the million: no foreign key is looked up
  await client.query('SET synchronous_commit = off');
  for (const statement of statements(rows)) await client.query(statement);
  await client.query('VACUUM ANALYZE');
}
