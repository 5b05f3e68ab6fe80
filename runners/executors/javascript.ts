import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../platform/clock/index.ts';
import { failure, type Execution, type Executor, type Outcome } from '../core/types.ts';
import { JAVASCRIPT_CHILD } from './javascript-child.ts';
import { oomKills, outOfMemory } from './memory.ts';
import { exitMessage, follow, prepareFiles, programEnv, readOutput, textField, type ProcessEnd } from './process.ts';

/**
 * Clean Node processes for JavaScript nodes. A process is started ahead, idle, and used for exactly one node: the node
 * sees a process nobody ran in before, and does not wait for its start.
 */
export class JavascriptProcesses {
  readonly #dir: string;
  readonly #file: string;
  readonly #ahead: number;
  readonly #spare: ChildProcess[] = [];
  #stopped = false;

  /** `ahead`: how many processes wait at most; `scratch`: a private directory of this runner. */
  constructor(scratch: string, ahead: number) {
    this.#dir = mkdtempSync(join(scratch, 'javascript-'));
    this.#file = join(this.#dir, 'child.mjs');
    this.#ahead = ahead;
    writeFileSync(this.#file, JAVASCRIPT_CHILD, { mode: 0o600 });
    this.#refill();
  }

  /** Runs one JavaScript node. */
  readonly execute: Executor = async (execution) => {
    const files = await prepareFiles(execution);
    const source = join(execution.dir, 'node.mjs');
    await writeFile(source, textField(execution, 'source'), { mode: 0o600 });
    const job: Job = { dir: execution.dir, file: source, env: programEnv(execution, files) };
    const kills = oomKills();
    let end = await runIn(this.#take(), execution, job);
    // A spare that died while it waited (memory, say) never saw the node, which loses nothing and is not to blame.
    if (!end.started && !execution.signal.aborted) end = await runIn(this.#start(), execution, job);
    this.#refill();
    if (!end.started) return failure('Infra', 'StartError', `the process ended before the node began: ${end.error ?? exitMessage(end.code, end.stderr)}`);
    return outOfMemory(end.code, kills) ?? outcomeOf(end, files.output);
  };

  /** Ends the processes that wait. */
  stop(): void {
    this.#stopped = true;
    for (const child of this.#spare.splice(0)) child.kill('SIGKILL');
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #take(): ChildProcess {
    for (let child = this.#spare.shift(); child !== undefined; child = this.#spare.shift()) {
      if (child.exitCode === null && child.connected) return child;
    }
    return this.#start();
  }

  #refill(): void {
    while (!this.#stopped && this.#spare.length < this.#ahead) this.#spare.push(this.#start());
  }

  #start(): ChildProcess {
    const child = spawn(process.execPath, ['--no-warnings', this.#file], { cwd: this.#dir, env: {}, detached: true, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    child.on('error', () => undefined);
    return child;
  }
}

interface Job {
  readonly dir: string;
  readonly file: string;
  readonly env: Readonly<Record<string, string>>;
}

interface Answer {
  readonly ok: boolean;
  readonly message?: string;
}

/** How a process ended, whether the node began in it, and what it answered. */
interface JobEnd extends ProcessEnd {
  readonly started: boolean;
  readonly answer?: Answer;
}

/** What a process may still have said when it ended is read for this long. */
const CHANNEL_MS = 1_000;

/** Gives a process its node and waits for its end. */
async function runIn(child: ChildProcess, execution: Execution, job: Job): Promise<JobEnd> {
  let started = false;
  let answer: Answer | undefined;
  child.on('message', (message) => {
    if (message === 'started') started = true;
    answer ??= answerIn(message);
  });
  const ending = follow(child, execution);
  if (child.connected) child.send(job);
  const end = await ending;
  if (child.connected) await disconnected(child);
  if (!started) child.kill('SIGKILL');
  return { ...end, started, ...(answer === undefined ? {} : { answer }) };
}

/** The end of a process may be told before its last messages: they are all read when the channel has ended. */
function disconnected(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    const late = systemClock.after(CHANNEL_MS, resolve);
    child.once('disconnect', () => { late.cancel(); resolve(); });
  });
}

/** The answer that a message is; what else a process may send is not for us. */
function answerIn(message: unknown): Answer | undefined {
  if (typeof message !== 'object' || message === null || !('ok' in message)) return undefined;
  const text = 'message' in message && typeof message.message === 'string' ? { message: message.message } : {};
  return { ok: message.ok === true, ...text };
}

function outcomeOf({ answer, code, stderr }: JobEnd, output: string): Promise<Outcome> | Outcome {
  if (answer !== undefined && !answer.ok) return failure('User', 'ScriptError', answer.message ?? 'the script failed');
  if (code !== 0) return failure('User', 'ExitCode', exitMessage(code, stderr));
  return readOutput(output);
}
