import { Buffer } from 'node:buffer';
import type { Clock, TimerHandle } from '../../platform/clock/index.ts';

const FLUSH_MS = 100;
const PIECE_CHARS = 16_384;
/** What waits to be sent at most; a node that writes faster loses its oldest lines, never its speed. */
const WAITING_CHARS = 1_048_576;

/** Sends the output of a node in pieces. Never blocks the node; offsets count bytes, so repeats are recognised. */
export class LogPump {
  readonly #clock: Clock;
  readonly #send: (offset: number, text: string) => void;
  #waiting = '';
  #offset = 0;
  #timer: TimerHandle | undefined;

  constructor(clock: Clock, send: (offset: number, text: string) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  write(text: string): void {
    this.#waiting += text;
    if (this.#waiting.length > WAITING_CHARS) {
      const lost = this.#waiting.length - WAITING_CHARS;
      this.#waiting = `[${lost} characters left out]\n${this.#waiting.slice(lost)}`;
    }
    if (this.#waiting.length >= PIECE_CHARS) this.#flush();
    else this.#timer ??= this.#clock.after(FLUSH_MS, () => { this.#flush(); });
  }

  /** Sends what is left. */
  end(): Promise<void> {
    this.#flush();
    return Promise.resolve();
  }

  #flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#waiting !== '') {
      const piece = this.#waiting.slice(0, PIECE_CHARS);
      this.#waiting = this.#waiting.slice(piece.length);
      this.#send(this.#offset, piece);
      this.#offset += Buffer.byteLength(piece);
    }
  }
}
