import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failure, type Executor, type Outcome } from '../core/types.ts';
import { JAVASCRIPT_CHILD } from './javascript-child.ts';
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
    const child = this.#take();
    const answered = answerOf(child);
    const ending = follow(child, execution);
    if (child.connected) child.send({ dir: execution.dir, file: source, env: programEnv(execution, files) });
    const end = await ending;
    this.#refill();
    if (end.error !== undefined) return failure('Infra', 'StartError', `the process could not be started: ${end.error}`);
    return outcomeOf(answered(), end, files.output);
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

function outcomeOf(answer: Answer | undefined, end: ProcessEnd, output: string): Promise<Outcome> | Outcome {
  if (answer !== undefined && !answer.ok) return failure('User', 'ScriptError', answer.message ?? 'the script failed');
  if (end.code !== 0) return failure('User', 'ExitCode', exitMessage(end.code, end.stderr));
  return readOutput(output);
}

interface Answer {
  readonly ok: boolean;
  readonly message?: string;
}

/** Remembers the child's answer; what else it may send is not for us. */
function answerOf(child: ChildProcess): () => Answer | undefined {
  let answer: Answer | undefined;
  child.on('message', (message) => {
    if (typeof message !== 'object' || message === null || !('ok' in message)) return;
    const text = 'message' in message && typeof message.message === 'string' ? { message: message.message } : {};
    answer ??= { ok: message.ok === true, ...text };
  });
  return () => answer;
}
