import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

/** A message of JSON-RPC as it is looked into here. */
export interface Message {
  readonly id?: unknown;
  readonly method?: unknown;
  readonly result?: unknown;
  readonly error?: unknown;
}

/** A line of the server may be so long; a longer one is a server that went wrong. */
const MAX_LINE = 64 * 1024 * 1024;
const GONE = -32_000;
const NO_METHOD = -32_601;

interface Waiting { readonly id: unknown; readonly answer: (message: object) => void }

/** One conversation with a process of the server: its questions get numbers of ours, because callers do not know of each other's. */
export class Session {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ended: () => void;
  #last = 0;
  #line = '';
  #over = false;

  /** Starts the process. `ended` is called once, when it is gone, whatever the cause. */
  constructor(command: readonly string[], ended: () => void) {
    this.#ended = ended;
    const [program = '', ...args] = command;
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout.setEncoding('utf8');
    this.#child.stdout.on('data', (text: string) => { this.#read(text); });
    this.#child.stdin.on('error', () => undefined);
    this.#child.on('error', (error) => { this.#end(`the server cannot be started: ${error.message}`); });
    this.#child.on('exit', (code, signal) => { this.#end(`the server ended with ${code === null ? String(signal) : `code ${code}`}`); });
  }

  /** Whether nothing is under way. */
  get idle(): boolean { return this.#waiting.size === 0; }

  /** Asks the server; resolves with its answer under the caller's id. Aborted: the server is told, and nobody waits. */
  ask(message: Message, signal: AbortSignal): Promise<object> {
    if (this.#over) return Promise.resolve(failure(message.id, GONE, 'the server has ended'));
    const number = ++this.#last;
    return new Promise((resolve) => {
      this.#waiting.set(number, { id: message.id, answer: resolve });
      signal.addEventListener('abort', () => {
        if (this.#waiting.delete(number)) this.tell({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: number } });
      }, { once: true });
      this.#write({ ...message, id: number });
    });
  }

  /** Tells the server something that has no answer. */
  tell(message: object): void {
    if (!this.#over) this.#write(message);
  }

  /** Ends the process, at first politely: its input closes. */
  stop(): void {
    if (this.#over) return;
    this.#child.stdin.end();
    this.#child.kill('SIGTERM');
  }

  #write(message: object): void {
    this.#child.stdin.write(`${JSON.stringify(message)}\n`);
  }

  #read(text: string): void {
    const lines = `${this.#line}${text}`.split('\n');
    this.#line = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') this.#take(line);
    if (this.#line.length <= MAX_LINE) return;
    this.#child.kill('SIGKILL');
    this.#end('the server wrote a line without an end');
  }

  #take(line: string): void {
    const message = parse(line);
    if (message === undefined) {
      // Servers that print to their output are many; what is no message is for whoever reads the log.
      process.stderr.write(`${line.slice(0, 4_096)}\n`);
      return;
    }
    if (message.method !== undefined) return this.#asked(message);
    const waiting = this.#waiting.get(Number(message.id));
    this.#waiting.delete(Number(message.id));
    waiting?.answer({ ...message, id: waiting.id });
  }

  /** What the server asks of whoever calls it: nobody is behind this bridge, but that it is alive. */
  #asked(message: Message): void {
    if (message.id === undefined) return;
    this.#write(message.method === 'ping' ? { jsonrpc: '2.0', id: message.id, result: {} } : failure(message.id, NO_METHOD, 'the bridge passes on no questions of the server'));
  }

  #end(why: string): void {
    if (this.#over) return;
    this.#over = true;
    for (const { id, answer } of this.#waiting.values()) answer(failure(id, GONE, why));
    this.#waiting.clear();
    process.stderr.write(`bridge: ${why}\n`);
    this.#ended();
  }
}

function failure(id: unknown, code: number, message: string): object {
  return { jsonrpc: '2.0', id: id ?? null, error: { code, message } };
}

/** One message of JSON-RPC; undefined for any other text. */
export function parse(text: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
