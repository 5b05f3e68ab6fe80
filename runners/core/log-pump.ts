import { Buffer } from 'node:buffer';
import type { Clock, TimerHandle } from '../../platform/clock/index.ts';

const FLUSH_MS = 100;
const PIECE_CHARS = 16_384;
/** What waits to be sent at most, and what one flush sends: a node that writes more loses its oldest lines, never its speed. */
const WAITING_CHARS = 1_048_576;

/**
 * Sends the output of a node in pieces, at most 1 Mi characters every 100 ms. Never blocks the node, and never holds
 * more than 1 Mi characters, also while the connection is away. Offsets count bytes, so repeats are recognised.
 */
export class LogPump {
  readonly #clock: Clock;
  readonly #send: (offset: number, text: string) => void;
  readonly #ready: () => boolean;
  #waiting = '';
  #lost = 0;
  #offset = 0;
  #timer: TimerHandle | undefined;

  /** `ready` says whether sending makes sense now; what is written meanwhile waits. */
  constructor(clock: Clock, send: (offset: number, text: string) => void, ready: () => boolean = () => true) {
    this.#clock = clock;
    this.#send = send;
    this.#ready = ready;
  }

  /** Takes a piece of output. */
  write(text: string): void {
    this.#waiting += text;
    if (this.#waiting.length > WAITING_CHARS) {
      const lost = charBoundary(this.#waiting, this.#waiting.length - WAITING_CHARS);
      this.#lost += lost;
      this.#waiting = this.#waiting.slice(lost);
    }
    this.#timer ??= this.#clock.after(FLUSH_MS, () => { this.#tick(); });
  }

  /** Sends what is left. */
  end(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#flush();
  }

  #tick(): void {
    this.#timer = undefined;
    if (this.#ready()) this.#flush();
    else this.#timer = this.#clock.after(FLUSH_MS, () => { this.#tick(); });
  }

  #flush(): void {
    if (this.#lost > 0) this.#piece(`[${this.#lost} characters left out]\n`);
    this.#lost = 0;
    const text = this.#waiting;
    this.#waiting = '';
    for (let from = 0; from < text.length;) {
      const to = charBoundary(text, from + PIECE_CHARS);
      this.#piece(text.slice(from, to));
      from = to;
    }
  }

  #piece(text: string): void {
    this.#send(this.#offset, text);
    this.#offset += Buffer.byteLength(text);
  }
}

/** The first place at or after `at` where a text can be cut without tearing a surrogate pair: its bytes would change. */
function charBoundary(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff ? at + 1 : at;
}
