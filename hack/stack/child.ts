import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';

/** How to run a program of the stack. */
export interface ChildSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Started again when it ends by itself. */
  readonly restart: boolean;
  readonly onLine?: (line: string) => void;
  readonly log: (line: string) => void;
}

const BACKOFF_MS = [100, 500, 1_000, 2_000, 5_000];
const STOP_MS = 15_000;
/** A program that ran for so long was well: its next end starts the waiting anew. */
const WELL_MS = 2_000;

/** A program of the stack: its output goes to a file, it comes back when it dies, it ends when told. */
export class Child {
  readonly #spec: ChildSpec;
  #process: ChildProcess | undefined;
  #stopping = false;
  #starts = 0;
  #again: NodeJS.Timeout | undefined;

  constructor(spec: ChildSpec) {
    this.#spec = spec;
  }

  get pid(): number | undefined { return this.#process?.pid; }

  /** Whether it is meant to run: not yet told to stop. */
  get wanted(): boolean { return !this.#stopping; }

  start(): void {
    const { command, args, env, logFile, name } = this.#spec;
    const file = openSync(logFile, 'a', 0o600);
    this.#starts++;
    const began = performance.now();
    const child = spawn(command, [...args], { env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#process = child;
    let rest = '';
    const take = (text: string): void => {
      writeSync(file, text);
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#spec.onLine?.(line);
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.once('error', (error) => { this.#spec.log(`${name} could not be started: ${error.message}`); });
    child.once('close', (code, signal) => {
      closeSync(file);
      this.#process = undefined;
      if (performance.now() - began >= WELL_MS) this.#starts = 1;
      this.#ended(code, signal);
    });
  }

  /** SIGTERM, SIGKILL after 15 s; resolves when it has ended. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#again);
    const child = this.#process;
    if (child === undefined) return;
    const ended = new Promise<void>((resolve) => { child.once('close', () => { resolve(); }); });
    child.kill(signal);
    const timer = setTimeout(() => { child.kill('SIGKILL'); }, STOP_MS);
    await ended;
    clearTimeout(timer);
  }

  /** kill -9, for faults; it comes back by itself where `restart` is set. */
  kill(): void {
    this.#process?.kill('SIGKILL');
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#stopping) return;
    const { name, log, restart, logFile } = this.#spec;
    log(`${name} ended (${signal ?? `code ${code ?? 0}`}); its log is ${logFile}`);
    if (!restart) return;
    const wait = BACKOFF_MS[Math.min(this.#starts - 1, BACKOFF_MS.length - 1)] ?? 5_000;
    this.#again = setTimeout(() => { this.start(); }, wait);
  }
}
