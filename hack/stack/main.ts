import { spawn } from 'node:child_process';
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { signInHelp } from './auth-accounts.ts';
import { type AgentFixtures, startAgentFixtures } from './agent-fixtures.ts';
import { demoAgents, type DemoFixtures } from './demo-agents.ts';
import { demoGateway } from './demo-gateway.ts';
import { demo } from './demo.ts';
import { PIDS_FILE, postgresDirOf, ROOT, Stack, type StackAddresses } from './stack.ts';

const DIR = path.join(ROOT, '.rambo');
const STATE = path.join(DIR, 'state.json');
const PIDS = path.join(DIR, PIDS_FILE);
const USAGE = `usage: stack up | down | clean | status | serve | demo   [--use-current-context] [--replicas=N]

  up       starts the stack in the background and writes .rambo/env
  down     stops it and checks that nothing is left
  clean    down, and removes its data
  status   says what runs
  serve    runs the stack in the foreground until Ctrl-C
  demo     up, runs examples/, shows what happened, stays until Ctrl-C (RAMBO_DEMO_EXIT=1: ends)

  --replicas=N   so many controllers share the runs; 1`;

/** What the flags say. */
interface Flags {
  readonly currentContext: boolean;
  readonly replicas: number;
  /** As given, for the supervisor in the background. */
  readonly given: readonly string[];
}

interface State extends StackAddresses, DemoFixtures {
  readonly supervisor: number;
}

const started = Date.now();
function say(line: string): void {
  process.stderr.write(`==> [${Math.round((Date.now() - started) / 1_000)}s] ${line}\n`);
}

function readState(): State | undefined {
  if (!existsSync(STATE)) return undefined;
  const state: State = JSON.parse(readFileSync(STATE, 'utf8'));
  return alive(state.supervisor) ? state : undefined;
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Runs until a signal comes. */
async function serve({ currentContext, replicas }: Flags): Promise<void> {
  if (readState() !== undefined) throw new Error('a stack of this checkout runs already: `make status`, `make down`');
  rmSync(STATE, { force: true });
  const kubeconfig = process.env['KUBECONFIG'] ?? path.join(process.env['HOME'] ?? '', '.kube/config');
  const stack = new Stack({ dir: DIR, persistent: true, controllers: replicas, api: true, modelgateway: true, signIn: true, log: say, ...(currentContext ? { kubeconfig } : {}) });
  let fixtures: AgentFixtures | undefined;
  const stop = async (code: number): Promise<void> => {
    say('stopping');
    rmSync(STATE, { force: true });
    await Promise.all([stack.stop(), fixtures?.stop()]);
    say('stopped');
    process.exit(code);
  };
  let stopping = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      void stop(0);
    });
  }
  try {
    const [addresses, scripted] = await Promise.all([stack.start(), startAgentFixtures(DIR, say).then((started) => (fixtures = started))]);
    writeEnv(addresses, stack.healthUrls(), scripted);
    writeCli();
    writeFileSync(STATE, JSON.stringify({ ...addresses, scriptedModel: scripted.scriptedModel, toolServer: scripted.toolServer, supervisor: process.pid }), { mode: 0o600 });
    say('up: `. .rambo/env` sets PATH and addresses for this shell');
    for (const line of signInHelp(addresses.authEmulator)) say(line);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    await stop(1);
  }
}

function writeEnv(a: StackAddresses, health: Readonly<Record<string, string>>, fixtures: AgentFixtures): void {
  const quote = (value: string): string => `'${value.replaceAll("'", "'\\''")}'`;
  const lines = {
    KUBECONFIG: a.kubeconfig, RAMBO_API_URL: a.apiUrl, RAMBO_TOKEN: a.token, DATABASE_URL: a.databaseUrl, NATS_URL: a.natsUrl, NATS_CREDS: a.natsCreds,
    RAMBO_CONTROLLER_METRICS: a.controllerMetrics, RAMBO_MODELGATEWAY: a.modelgateway, RAMBO_SCRIPTED_MODEL: fixtures.scriptedModel, RAMBO_TOOL_SERVER: fixtures.toolServer, RAMBO_AUTH_EMULATOR: a.authEmulator, RAMBO_MAILS: a.mails, RAMBO_PROCESSES: Object.entries(health).map(([name, url]) => `${name}=${url}`).join(','), RAMBO_LOGS: path.join(DIR, 'logs'),
  };
  const text = [`export PATH=${quote(path.join(DIR, 'bin'))}:"$PATH"`, ...Object.entries(lines).map(([name, value]) => `export ${name}=${quote(value)}`), ''].join('\n');
  writeFileSync(path.join(DIR, 'env'), text, { mode: 0o600 });
}

/** `rambo` and `kubectl rambo` of this checkout, for shells that read .rambo/env. */
function writeCli(): void {
  const file = path.join(DIR, 'bin/rambo');
  const alias = path.join(DIR, 'bin/kubectl-rambo');
  writeFileSync(file, [
    '#!/bin/sh', '# The command line of this checkout; called as kubectl-rambo it is the plugin.',
    `case "$0" in *kubectl-rambo) RAMBO_CLI_AS='kubectl rambo'; export RAMBO_CLI_AS ;; esac`,
    `exec '${path.join(ROOT, 'node_modules/.bin/node')}' --no-warnings '${path.join(ROOT, 'dist/cli.mjs')}' "$@"`, '',
  ].join('\n'));
  chmodSync(file, 0o755);
  rmSync(alias, { force: true });
  symlinkSync('rambo', alias);
}

/** Starts the supervisor in the background and shows its progress until it is up. */
async function up(flags: Flags): Promise<State> {
  const running = readState();
  if (running !== undefined) {
    say('the stack is up already');
    return running;
  }
  mkdirSync(path.join(DIR, 'logs'), { recursive: true, mode: 0o700 });
  const file = path.join(DIR, 'logs/supervisor.log');
  writeFileSync(file, '');
  const log = openSync(file, 'a');
  const supervisor = spawn(process.execPath, [fileURLToPath(import.meta.url), 'serve', ...flags.given], { detached: true, stdio: ['ignore', log, log] });
  supervisor.unref();
  closeSync(log);
  let shown = 0;
  let ended = false;
  supervisor.once('exit', () => { ended = true; });
  for (;;) {
    const text = readFileSync(file, 'utf8');
    process.stderr.write(text.slice(shown));
    shown = text.length;
    const state = readState();
    if (state !== undefined) return state;
    if (ended) throw new Error('the stack could not be started; the reason is above and in .rambo/logs');
    await new Promise((resolve) => { setTimeout(resolve, 200); });
  }
}

/** Stops the supervisor and checks that its programs have ended. */
async function clean(): Promise<void> {
  await down();
  for (const dir of [postgresDirOf(DIR), DIR]) rmSync(dir, { recursive: true, force: true });
}

async function down(): Promise<void> {
  const state = readState();
  const pids: number[] = existsSync(PIDS) ? JSON.parse(readFileSync(PIDS, 'utf8')) : [];
  if (state === undefined) say('no stack is up');
  else {
    process.kill(state.supervisor, 'SIGTERM');
    for (let i = 0; i < 300 && alive(state.supervisor); i++) await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  const left = [...(state === undefined ? [] : [state.supervisor]), ...pids].filter(alive);
  if (left.length > 0) throw new Error(`still running: ${left.join(', ')}`);
  if (state !== undefined) say('down; nothing is left running');
}

function status(): void {
  const state = readState();
  process.stdout.write(state === undefined ? 'down\n' : `up\n  API         ${state.apiUrl}/graphql\n  metrics     ${state.controllerMetrics}\n  kubeconfig  ${state.kubeconfig}\n${state.modelgateway === '' ? '' : `  gateway     ${state.modelgateway}\n`}`);
}

async function main(): Promise<void> {
  const [verb, ...given] = process.argv.slice(2);
  const flags = readFlags(given);
  if (verb === 'serve') await serve(flags);
  else if (verb === 'up') await up(flags);
  else if (verb === 'down') await down();
  else if (verb === 'clean') await clean();
  else if (verb === 'status') status();
  else if (verb === 'demo') await runDemo(flags);
  else {
    process.stdout.write(`${USAGE}\n`);
    process.exitCode = verb === undefined || verb === 'help' || verb === '--help' ? 0 : 2;
  }
}

function readFlags(given: readonly string[]): Flags {
  const replicas = Number(given.find((flag) => flag.startsWith('--replicas='))?.slice('--replicas='.length) ?? 1);
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > 16) throw new Error('--replicas: a number from 1 to 16');
  return { currentContext: given.includes('--use-current-context'), replicas, given };
}

async function runDemo(flags: Flags): Promise<void> {
  const state = await up(flags);
  let leaving = false;
  const leave = async (code: number): Promise<void> => {
    if (leaving) return;
    leaving = true;
    await down();
    process.exit(code);
  };
  process.on('SIGINT', () => { void leave(0); });
  process.on('SIGTERM', () => { void leave(0); });
  const shown = async (): Promise<boolean> => await demo(state, say) && await demoGateway(state, say) && await demoAgents(state, say);
  const fine = await shown().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return false;
  });
  if (!fine) return leave(1);
  if (process.env['RAMBO_DEMO_EXIT'] === '1' || !process.stdin.isTTY) return leave(0);
  say('the stack stays up; Ctrl-C stops it');
  setInterval(() => undefined, 60_000);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
