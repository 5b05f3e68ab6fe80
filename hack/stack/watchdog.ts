import { spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** How often the list of programs is written anew. */
const WRITE_MS = 500;

/** Ends the programs of a stack when whoever started them is killed before it could: a process of its own looks on. */
export class Watchdog {
  readonly #file: string;
  readonly #process: ChildProcess;
  readonly #timer: NodeJS.Timeout;

  /** `file`: where the list of `pids` is kept. */
  constructor(file: string, pids: () => readonly number[]) {
    this.#file = file;
    const write = (): void => { writeFileSync(file, JSON.stringify(pids())); };
    write();
    this.#process = spawn(process.execPath, [fileURLToPath(new URL('watchdog.mjs', import.meta.url)), file], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    this.#process.unref();
    this.#process.stdin?.on('error', () => undefined);
    this.#timer = setInterval(write, WRITE_MS);
    this.#timer.unref();
  }

  /** All programs have ended in order. */
  stop(): void {
    clearInterval(this.#timer);
    writeFileSync(this.#file, '[]');
    this.#process.kill('SIGKILL');
  }
}
