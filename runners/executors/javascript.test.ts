import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { LIMITS } from '../../crds/names.ts';
import { execution, isAlive, POOL_ENV, removeScratch, scratchDir, until } from '../core/test-kit.ts';
import type { Outcome } from '../core/types.ts';
import { JavascriptProcesses } from './javascript.ts';

let processes: JavascriptProcesses;
let home: string;

beforeEach(() => {
  process.env['RAMBO_NATS_URL'] = 'nats://leak';
  process.env['LEAK'] = 'leak';
  home = scratchDir();
  processes = new JavascriptProcesses(home, 1);
});
afterEach(() => {
  processes.stop();
  removeScratch();
  for (const name of ['RAMBO_NATS_URL', 'LEAK']) Reflect.deleteProperty(process.env, name);
});

function node(source: string, changes: Parameters<typeof execution>[0] = {}): ReturnType<typeof execution> {
  return execution({ ...changes, with: { language: 'javascript', source, ...changes.with } });
}

function run(source: string, changes: Parameters<typeof execution>[0] = {}): Promise<Outcome> {
  return processes.execute(node(source, changes));
}

function outputOf(outcome: Outcome): unknown {
  if (outcome.ok !== true) throw new Error(JSON.stringify(outcome));
  return JSON.parse(outcome.output);
}

test.each<[string, string, unknown]>([
  ['a function', 'export default ({ input }) => ({ twice: input.x * 2 });', { twice: 42 }],
  ['an async function', 'export default async ({ input }) => { await new Promise((r) => setTimeout(r, 5)); return [input.x]; };', [21]],
  ['a value', 'export default { constant: true };', { constant: true }],
  ['null', 'export default () => null;', null],
  ['false', 'export default () => false;', false],
  ['undefined', 'export default () => undefined;', null],
  ['no default export', 'export const a = 1;', null],
  ['nothing', '', null],
  ['await at the top', 'const x = await Promise.resolve(7); export default x;', 7],
  ['imports of the platform', 'import { join } from "node:path"; export default join("a", "b");', 'a/b'],
  ['the output file', 'import { writeFileSync } from "node:fs"; writeFileSync(process.env.RAMBO_OUTPUT_FILE, "[1]");', [1]],
  ['the output file, by a function without result', 'import { writeFileSync } from "node:fs"; export default () => { writeFileSync(process.env.RAMBO_OUTPUT_FILE, "[2]"); };', [2]],
  ['a result before the output file', 'import { writeFileSync } from "node:fs"; export default () => { writeFileSync(process.env.RAMBO_OUTPUT_FILE, "[2]"); return 3; };', 3],
  ['an early exit', 'import { writeFileSync } from "node:fs"; writeFileSync(process.env.RAMBO_OUTPUT_FILE, "4"); process.exit(0);', 4],
  ['what is not JSON becomes what JSON makes of it', 'export default () => ({ d: new Date(0), u: undefined, n: NaN });', { d: '1970-01-01T00:00:00.000Z', n: null }],
  ['lone surrogates', 'export default () => "\\ud83d";', '\ud83d'],
])('output: %s', async (_, source, expected) => {
  expect(outputOf(await run(source, { with: { input: { x: 21 } } }))).toEqual(expected);
});

test.each<[string, string, string, string]>([
  ['a throw', 'export default () => { throw new Error("no luck"); };', 'ScriptError', 'no luck'],
  ['a throw of a subclass', 'export default ({ input }) => input.a.b;', 'ScriptError', 'TypeError: Cannot read properties'],
  ['a rejection', 'export default async () => { throw new RangeError("too far"); };', 'ScriptError', 'RangeError: too far'],
  ['a throw of a text', 'export default () => { throw "just text"; };', 'ScriptError', 'just text'],
  ['a throw at the top', 'throw new Error("early");', 'ScriptError', 'early'],
  ['a rejection nobody handles', 'Promise.reject(new Error("lost")); export default () => new Promise((r) => setTimeout(r, 1000));', 'ExitCode', 'lost'],
  ['an exit code', 'console.error("bye"); process.exit(9);', 'ExitCode', 'exit code 9: bye'],
  ['an exit code for later', 'process.exitCode = 5; export default () => 1;', 'ExitCode', 'exit code 5'],
  ['a syntax error, with its line', 'const a = 1;\nconst b = ;\nexport default a;', 'ScriptError', 'SyntaxError: Unexpected token \';\' (line 2)'],
  ['a module that is not there', 'import "nowhere-at-all";', 'ScriptError', 'nowhere-at-all'],
  ['a result that refers to itself', 'export default () => { const a = {}; a.a = a; return a; };', 'ScriptError', 'circular'],
  ['a BigInt', 'export default () => 1n;', 'ScriptError', 'BigInt'],
  ['a function as result', 'export default () => () => 1;', 'ScriptError', 'cannot be written as JSON'],
  ['too much', `export default () => "x".repeat(${LIMITS.outputBytes});`, 'OutputTooLarge', String(LIMITS.outputBytes + 2)],
  ['its own kill', 'process.kill(process.pid, "SIGKILL"); export default () => new Promise(() => {});', 'ExitCode', 'exit code 137'],
])('error of the node: %s', async (_, source, reason, message) => {
  expect(await run(source, { with: { input: {} } })).toMatchObject({ ok: false, error: { class: 'User', reason, message: expect.stringContaining(message) } });
});

test('the stack of an error and the place of a syntax error are in the log', async () => {
  const thrown = node('export default function step() {\n  throw new Error("here");\n}');
  await processes.execute(thrown);
  expect(thrown.logged.join('')).toMatch(/Error: here\n\s+at step .*node\.mjs:2/);
  const wrong = node('const b = ;');
  await processes.execute(wrong);
  expect(wrong.logged.join('')).toMatch(/node\.mjs:1\nconst b = ;/);
});

test('the environment is exactly the allowed one', async () => {
  const job = node('export default () => process.env;', { env: { MINE: 'yes', RAMBO_RUN_ID: 'forged' } });
  expect(outputOf(await processes.execute(job))).toEqual({
    ...POOL_ENV, MINE: 'yes', HOME: job.dir, TMPDIR: job.dir, RAMBO_INPUT: 'null', RAMBO_INPUT_FILE: join(job.dir, 'input.json'),
    RAMBO_OUTPUT_FILE: join(job.dir, 'output.json'), RAMBO_IDEMPOTENCY_KEY: 'run-1/a/-1', RAMBO_RUN_ID: 'run-1', RAMBO_RUN_NAME: 'first',
    RAMBO_NAMESPACE: 'team', RAMBO_NODE: 'a', RAMBO_ITEM: '-1', RAMBO_ATTEMPT: '1',
  });
});

test('the process was started without anything of the runner\'s, and works in the folder of its attempt', async () => {
  const job = node('import { readFileSync } from "node:fs"; export default () => ({ environ: readFileSync("/proc/self/environ", "utf8"), cwd: process.cwd() });');
  const seen = outputOf(await processes.execute(job));
  expect(seen).toMatchObject({ cwd: job.dir });
  expect(JSON.stringify(seen)).not.toContain('leak');
});

test('input over 32 KiB is only in the file', async () => {
  const source = 'import { readFileSync } from "node:fs";\nexport default ({ input }) => ({ variable: process.env.RAMBO_INPUT ?? null, argument: input.length, file: JSON.parse(readFileSync(process.env.RAMBO_INPUT_FILE, "utf8")).length });';
  expect(outputOf(await run(source, { with: { input: 'x'.repeat(LIMITS.inputEnvBytes) } }))).toEqual({ variable: null, argument: LIMITS.inputEnvBytes, file: LIMITS.inputEnvBytes });
});

test('no node sees anything of another: every one has a process nobody ran in', async () => {
  const source = 'const before = globalThis.seen ?? null; globalThis.seen = 1; process.env.LEFT = "1"; Array.prototype.left = 1; export default { before, left: process.env.LEFT_BEFORE ?? null, pid: process.pid };';
  const seen = [];
  for (let i = 0; i < 4; i++) seen.push(outputOf(await run(source)));
  expect(seen.map((s) => Object(s).before)).toEqual([null, null, null, null]);
  expect(new Set(seen.map((s) => Object(s).pid)).size).toBe(4);
  const together = await Promise.all([run(source), run(source), run(source)]);
  expect(new Set(together.map((o) => Object(outputOf(o)).pid)).size).toBe(3);
});

test('a spare process that died is not used', async () => {
  const job = node('export default 1;');
  const children = spares();
  expect(children).toHaveLength(1);
  for (const pid of children) process.kill(Number(pid), 'SIGKILL');
  await until('its end', () => !children.some((pid) => isAlive(Number(pid))));
  expect(outputOf(await processes.execute(job))).toBe(1);
});

test('a spare process that dies in the moment it is used costs the node nothing', async () => {
  for (let i = 0; i < 8; i++) {
    const job = node('import { appendFileSync } from "node:fs"; appendFileSync("ran", "x"); export default () => 1;');
    await until('a spare process', () => spares().length === 1);
    process.kill(Number(spares()[0]), 'SIGKILL');
    expect(outputOf(await processes.execute(job))).toBe(1);
    expect(readFileSync(join(job.dir, 'ran'), 'utf8')).toBe('x');
  }
});

test('a node whose process dies after it began is not run again', async () => {
  const job = node('import { appendFileSync } from "node:fs"; appendFileSync("ran", "x"); process.kill(process.pid, "SIGKILL"); export default () => new Promise(() => {});');
  expect(await processes.execute(job)).toMatchObject({ ok: false, error: { class: 'User', reason: 'ExitCode', message: expect.stringContaining('137') } });
  expect(readFileSync(join(job.dir, 'ran'), 'utf8')).toBe('x');
});

test('when no process can be started the runner is to blame', async () => {
  const [folder] = readdirSync(home);
  for (const pid of spares()) process.kill(Number(pid), 'SIGKILL');
  rmSync(join(home, folder ?? '', 'child.mjs'));
  expect(await processes.execute(node('export default 1;'))).toMatchObject({ ok: false, error: { class: 'Infra', reason: 'StartError', message: expect.stringContaining('before the node began') } });
});

/** Processes of this test that were prepared. */
function spares(): string[] {
  return readdirSync('/proc').filter((pid) => /^[0-9]+$/.test(pid) && commandOf(pid).includes(join(home, 'javascript-')) && isAlive(Number(pid)));
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

test('log and console go to the log of the attempt', async () => {
  const job = node('export default ({ log }) => { log("a", { b: 1 }); console.error("é"); };');
  outputOf(await processes.execute(job));
  expect(job.logged.join('')).toContain('a { b: 1 }\n');
  expect(job.logged.join('')).toContain('é\n');
});

test('a cancel reaches the signal of the function, which may still give its result', async () => {
  const job = node('export default ({ signal, log }) => new Promise((resolve) => { const t = setInterval(() => {}, 1000); signal.addEventListener("abort", () => { clearInterval(t); resolve("stopped"); }); log("ready"); });');
  const outcome = processes.execute(job);
  await until('its start', () => job.logged.join('').includes('ready'));
  job.stop.abort();
  expect(outputOf(await outcome)).toBe('stopped');
});

test('the kill ends a function that never yields, with all it has started', async () => {
  const job = node('import { spawn } from "node:child_process";\nconst c = spawn("sleep", ["1000"]); console.log(`pid ${process.pid} pid ${c.pid}`);\nexport default () => { for (;;); };');
  const outcome = processes.execute(job);
  await until('both processes', () => job.logged.join('').includes('\n'));
  const pids = [...job.logged.join('').matchAll(/pid ([0-9]+)/g)].map((m) => Number(m[1]));
  expect(pids).toHaveLength(2);
  job.stop.abort();
  // The signal goes to the whole group: `sleep` ends of it, the program has a handler and goes on.
  await until('the end of sleep', () => pids.filter(isAlive).length === 1);
  expect(pids.map(isAlive)).toEqual([true, false]);
  job.end.abort();
  expect(await outcome).toMatchObject({ ok: false, error: { message: expect.stringContaining('137') } });
  await until('their end', () => !pids.some(isAlive));
});

test('stop ends the spare processes', async () => {
  const children = spares();
  expect(children.length).toBeGreaterThan(0);
  processes.stop();
  await until('their end', () => !children.some((pid) => isAlive(Number(pid))));
  expect(readdirSync(home)).toEqual([]);
});
