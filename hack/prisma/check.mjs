#!/usr/bin/env node
/**
 * Proves, against a temporary Postgres, that
 *   1. the migrations bring an empty database to exactly what schema.prisma says (no drift), and
 *   2. no index or constraint of the migrations was left invalid (a failed CONCURRENTLY, a NOT VALID never validated).
 * Exit 0 when so, 1 with what differs. Needs Node 24 (it imports TypeScript): `node hack/prisma/check.mjs`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { migrate } from '../../prisma/migrate.ts';
import { startPostgres } from '../stack/postgres.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CLI = path.join(ROOT, 'node_modules', 'prisma', 'build', 'index.js');

process.exitCode = await main();

async function main() {
  const dir = mkdtempSync(path.join(tmpdir(), 'rambo-prisma-check-'));
  const server = await startPostgres({ dir });
  try {
    const url = server.url.replace(/postgres$/, 'drift');
    await migrate(url, () => undefined);
    const problems = [...drift(url), ...await unsound(url)];
    for (const problem of problems) process.stderr.write(`${problem}\n`);
    if (problems.length === 0) process.stdout.write('prisma: schema.prisma and the migrations agree\n');
    return problems.length === 0 ? 0 : 1;
  } finally {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** What `migrate diff` would still have to do. */
function drift(url) {
  const result = spawnSync(process.execPath, [CLI, 'migrate', 'diff', '--from-config-datasource', '--to-schema', 'prisma/schema.prisma', '--exit-code'], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { DATABASE_URL: url, PATH: path.dirname(process.execPath), CHECKPOINT_DISABLE: '1', PRISMA_HIDE_UPDATE_MESSAGE: '1', NO_COLOR: '1' },
  });
  if (result.status === 0) return [];
  return [`the migrations do not give what prisma/schema.prisma says; add a migration (docs: hack/prisma/prisma.sh migrate diff):\n${result.stdout}${result.stderr}`];
}

/** Invalid indexes and constraints that were added NOT VALID and never validated. */
async function unsound(url) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query(`
      SELECT format('index %s is invalid', indexrelid::regclass) AS problem FROM pg_index WHERE NOT indisvalid
      UNION ALL SELECT format('constraint %s on %s is not validated', conname, conrelid::regclass) FROM pg_constraint WHERE NOT convalidated`);
    return rows.map((row) => row.problem);
  } finally {
    await client.end();
  }
}
