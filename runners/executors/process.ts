import { spawn, type ChildProcess } from 'node:child_process';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock, type TimerHandle } from '../../platform/clock/index.ts';
import { LIMITS } from '../../crds/names.ts';
import { failure, type Execution, type Outcome } from '../core/types.ts';

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
  return {
    ...execution.env,
    HOME: execution.dir,
    TMPDIR: execution.dir,
    ...dispatch.env,
    ...(input.length <= LIMITS.inputEnvBytes ? { RAMBO_INPUT: input } : {}),
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
  const child = spawn(program.command, [...program.args], {
    cwd: execution.dir, env: programEnv(execution, files), detached: true, stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end = await follow(child, execution);
  if (end.error !== undefined) return failure('Infra', 'StartError', `${program.command} could not be started: ${end.error}`);
  if (end.code !== 0) return failure('User', 'ExitCode', exitMessage(end.code, end.stderr));
  return readOutput(files.output);
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
    child.once('error', (error) => { stopGroup.done(); resolve({ code: -1, stderr, error: error.message }); });
    child.once('exit', () => { stopGroup.killLeftovers(); });
    child.once('close', (code, signal) => {
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
  let timer: TimerHandle | undefined;
  const stop = (): void => {
    if (execution.graceMs() === 0) {
      signalGroup('SIGKILL');
      return;
    }
    signalGroup('SIGTERM');
    timer = systemClock.after(execution.graceMs(), () => { signalGroup('SIGKILL'); });
  };
  if (execution.signal.aborted) stop();
  else execution.signal.addEventListener('abort', stop, { once: true });
  return {
    done: () => { timer?.cancel(); execution.signal.removeEventListener('abort', stop); },
    killLeftovers: () => { signalGroup('SIGKILL'); },
  };
}

/** One sentence about a failed program. */
export function exitMessage(code: number, stderr: string): string {
  const said = stderr.trim();
  return `the program ended with exit code ${code}${said === '' ? '' : `: ${said.slice(-1_000)}`}`;
}

/** Reads what a program left in its output file; nothing there means null. */
export async function readOutput(path: string): Promise<Outcome> {
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  if (size === 0) return { ok: true, output: 'null' };
  if (size > LIMITS.outputBytes) return failure('User', 'OutputTooLarge', `the output is ${size} bytes; an output may have ${LIMITS.outputBytes}`);
  const text = await readFile(path, 'utf8');
  try {
    JSON.parse(text);
    return { ok: true, output: text };
  } catch {
    return failure('User', 'OutputInvalid', `$RAMBO_OUTPUT_FILE does not hold JSON: ${text.slice(0, 120)}`);
  }
}
