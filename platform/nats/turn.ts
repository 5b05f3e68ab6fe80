/**
 * Gathers what is sent within one turn of the event loop and hands it over in one go. The client flushes its socket
 * once per microtask burst: a hundred messages that are handled in one turn would otherwise cost a hundred writes.
 */
export class TurnQueue {
  #waiting: (() => void)[] = [];

  /** Runs `send` with all others of this turn, in order. */
  add(send: () => void): void {
    this.#waiting.push(send);
    if (this.#waiting.length === 1) setImmediate(() => { this.flush(); });
  }

  /** Runs what waits now. */
  flush(): void {
    const sends = this.#waiting;
    this.#waiting = [];
    for (const send of sends) send();
  }
}
