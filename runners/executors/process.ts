import { Buffer } from 'node:buffer';
import { spawn, type ChildProcess } from 'node:child_process';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock, type TimerHandle } from '../../platform/clock/index.ts';
import { LIMITS } from '../../crds/names.ts';
import { failure, type Execution, type Outcome } from '../core/types.ts';
import { oomKills, outOfMemory } from './memory.ts';

/** Files of one attempt, in its private directory. */
export interface AttemptFiles {
  readonly input: string;
  readonly output: string;
}

/** A program to run for an attempt. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
}

const STDERR_KEPT = 2_048;
/** How long output may still come after the end: only a process that left the group can hold the pipes longer. */
const CLOSE_MS = 1_000;

/** A field of `with` that is text; empty when it is absent or something else. */
export function textField(execution: Pick<Execution, 'dispatch'>, name: string): string {
  const value = execution.dispatch.with[name];
  return typeof value === 'string' ? value : '';
}

/** Writes the input file and returns the paths. */
export async function prepareFiles(execution: Execution): Promise<AttemptFiles> {
  const files = { input: join(execution.dir, 'input.json'), output: join(execution.dir, 'output.json') };
  await writeFile(files.input, inputText(execution), { mode: 0o600 });
  return files;
}

function inputText(execution: Execution): string {
  return JSON.stringify(execution.dispatch.with['input'] ?? null);
}

/** Environment of a node's program: the pool's, the node's, then ours, which cannot be overridden. */
export function programEnv(execution: Execution, files: AttemptFiles): Record<string, string> {
  const { dispatch } = execution;
  const input = inputText(execution);
  const { RAMBO_INPUT: _ours, ...given } = dispatch.env;
  return {
    ...execution.env,
    ...(execution.traceparent === undefined ? {} : { TRACEPARENT: execution.traceparent }),
    HOME: execution.dir,
    TMPDIR: execution.dir,
    ...given,
    ...(Buffer.byteLength(input) <= LIMITS.inputEnvBytes ? { RAMBO_INPUT: input } : {}),
    RAMBO_INPUT_FILE: files.input,
    RAMBO_OUTPUT_FILE: files.output,
    RAMBO_IDEMPOTENCY_KEY: dispatch.idempotencyKey,
    RAMBO_RUN_ID: dispatch.run,
    RAMBO_RUN_NAME: dispatch.runName,
    RAMBO_NAMESPACE: dispatch.namespace,
    RAMBO_NODE: dispatch.node,
    RAMBO_ITEM: String(dispatch.item),
    RAMBO_ATTEMPT: String(dispatch.attempt),
  };
}

/** Runs a program in a process group of its own and waits for its end. */
export async function runProgram(execution: Execution, program: Program): Promise<Outcome> {
  const files = await prepareFiles(execution);
  const env = programEnv(execution, files);
  const unfit = unfitVariable(env);
  if (unfit !== undefined) return failure('User', 'InvalidEnvironment', unfit);
  const kills = oomKills();
  const child = spawn(program.command, [...program.args], { cwd: execution.dir, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const end = await follow(child, execution);
  if (end.error !== undefined) return failure('Infra', 'StartError', `${program.command} could not be started: ${end.error}`);
  if (end.code !== 0) return outOfMemory(end.code, kills) ?? failure('User', 'ExitCode', exitMessage(end.code, end.stderr));
  return readOutput(files.output);
}

/** What Linux takes: one variable below 128 KiB, all of them well below the 2 MiB that arguments and environment share. */
const VARIABLE_BYTES = 131_071;
const VARIABLES_BYTES = 1_048_576;

/** Why an environment cannot be given to a process; starting it would throw, and no other runner could do better. */
function unfitVariable(env: Readonly<Record<string, string>>): string | undefined {
  let total = 0;
  for (const [name, value] of Object.entries(env)) {
    const pair = `${name}=${value}`;
    const size = Buffer.byteLength(pair);
    total += size;
    if (pair.includes('\0')) return `env ${name.replaceAll('\0', '?')}: a NUL cannot stand in an environment variable`;
    if (size > VARIABLE_BYTES) return `env ${name}: ${size} bytes; an environment variable may have ${VARIABLE_BYTES}: pass it as with.input`;
  }
  if (total > VARIABLES_BYTES) return `env: ${total} bytes; an environment may have ${VARIABLES_BYTES}: pass it as with.input`;
  return undefined;
}

/** How a process ended. `code` is 128 + n after signal n. */
export interface ProcessEnd {
  readonly code: number;
  readonly stderr: string;
  readonly error?: string;
}

const SIGNALS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGPIPE: 13, SIGTERM: 15 };

/** Follows a detached process: its output goes to the log; when the attempt is stopped its whole group ends. */
export function follow(child: ChildProcess, execution: Execution): Promise<ProcessEnd> {
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => { execution.log(text); });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT);
    execution.log(text);
  });
  const stopGroup = killer(child, execution);
  return new Promise((resolve) => {
    let late: TimerHandle | undefined;
    child.once('error', (error) => { stopGroup.done(); resolve({ code: -1, stderr, error: error.message }); });
    child.once('exit', () => {
      stopGroup.killLeftovers();
      late = systemClock.after(CLOSE_MS, () => { child.stdout?.destroy(); child.stderr?.destroy(); });
    });
    child.once('close', (code, signal) => {
      late?.cancel();
      stopGroup.done();
      resolve({ code: code ?? 128 + (SIGNALS[signal ?? ''] ?? 0), stderr });
    });
  });
}

/** SIGTERM to the group when the attempt is stopped, SIGKILL after its grace. Grandchildren do not outlive the node. */
function killer(child: ChildProcess, execution: Execution): { done(): void; killLeftovers(): void } {
  const signalGroup = (signal: NodeJS.Signals): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // The group has ended already.
    }
  };
  const stop = (): void => { signalGroup('SIGTERM'); };
  const kill = (): void => { signalGroup('SIGKILL'); };
  if (execution.signal.aborted) stop();
  else execution.signal.addEventListener('abort', stop, { once: true });
  if (execution.kill.aborted) kill();
  else execution.kill.addEventListener('abort', kill, { once: true });
  return {
    done: () => { execution.signal.removeEventListener('abort', stop); execution.kill.removeEventListener('abort', kill); },
    killLeftovers: kill,
  };
}

/** One sentence about a failed program. */
export function exitMessage(code: number, stderr: string): string {
  const said = stderr.trim();
  return `the program ended with exit code ${code}${said === '' ? '' : `: ${said.slice(-1_000)}`}`;
}

/** Reads what a program left in its output file; nothing there means null. */
export async function readOutput(path: string): Promise<Outcome> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || (found.isFile() && found.size === 0)) return { ok: true, output: 'null' };
  if (!found.isFile()) return failure('User', 'OutputInvalid', '$RAMBO_OUTPUT_FILE is not a file any more');
  if (found.size > LIMITS.outputBytes) return failure('User', 'OutputTooLarge', `the output is ${found.size} bytes; an output may have ${LIMITS.outputBytes}`);
  const bytes = await readFile(path).catch(() => undefined);
  if (bytes === undefined) return failure('User', 'OutputInvalid', '$RAMBO_OUTPUT_FILE cannot be read');
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    JSON.parse(text);
    return { ok: true, output: text };
  } catch {
    return failure('User', 'OutputInvalid', `$RAMBO_OUTPUT_FILE does not hold JSON: ${bytes.toString('utf8').slice(0, 120)}`);
  }
}
