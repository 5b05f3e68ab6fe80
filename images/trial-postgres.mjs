// Postgres for trials: one server, no backup. Understands what the official image does: POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE,
// POSTGRES_USER, POSTGRES_DB, PGDATA; arguments go to the server. Runs as any user, on a read-only root with PGDATA and /tmp writable.
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const BIN = '/opt/postgres/bin';
const { PGDATA: data = '/var/lib/postgresql/data/pgdata', TMPDIR: tmp = '/tmp', POSTGRES_PASSWORD_FILE: file, POSTGRES_USER: user = 'postgres', POSTGRES_DB: database = user } = process.env;
const password = file === undefined ? process.env.POSTGRES_PASSWORD : readFileSync(file, 'utf8').trim();
if (password === undefined || password === '') fail('set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE: there is no superuser without a password');

function fail(message) {
  process.stderr.write(`trial-postgres: ${message}\n`);
  process.exit(1);
}

/** Makes the data where there are none. A run that was killed in the middle leaves a folder of another name behind. */
function initialise() {
  const draft = `${data}.new`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(path.dirname(data), { recursive: true });
  const secret = path.join(tmp, 'password');
  writeFileSync(secret, password, { mode: 0o600 });
  const made = spawnSync(`${BIN}/initdb`, [`--pgdata=${draft}`, `--username=${user}`, `--pwfile=${secret}`, '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', '--no-instructions'], { stdio: ['ignore', 'inherit', 'inherit'] });
  rmSync(secret, { force: true });
  if (made.status !== 0) fail(`initdb ended with ${made.status ?? made.signal ?? made.error?.message}`);
  appendFileSync(path.join(draft, 'pg_hba.conf'), 'host all all all scram-sha-256\n');
  createDatabase(draft, database);
  renameSync(draft, data);
}

/** In single-user mode: there is no client program in this image. */
function createDatabase(draft, name) {
  if (name === 'postgres') return;
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(name)) fail(`POSTGRES_DB: ${JSON.stringify(name)} is no plain name`);
  const made = spawnSync(`${BIN}/postgres`, ['--single', '-D', draft, 'postgres'], { input: `CREATE DATABASE ${name}\n`, stdio: ['pipe', 'ignore', 'inherit'] });
  if (made.status !== 0) fail(`creating database ${name} ended with ${made.status ?? made.signal ?? made.error?.message}`);
}

if (!existsSync(path.join(data, 'PG_VERSION'))) initialise();
// A server that was killed leaves its pid behind, which in a container is that of this very program.
rmSync(path.join(data, 'postmaster.pid'), { force: true });
const server = spawn(`${BIN}/postgres`, ['-D', data, '-c', 'listen_addresses=*', '-c', 'unix_socket_directories=', ...process.argv.slice(2)], { stdio: ['ignore', 'inherit', 'inherit'] });
for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT']) process.on(signal, () => { server.kill(signal === 'SIGTERM' ? 'SIGINT' : signal); });
server.once('error', (error) => { fail(error.message); });
server.once('exit', (code, signal) => { process.exit(code ?? (signal === null ? 1 : 128)); });
