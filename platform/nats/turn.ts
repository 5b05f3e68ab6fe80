interface Waiting {
  readonly send: () => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Gathers what is sent within one turn of the event loop and hands it over in one go. The client flushes its socket
 * once per microtask burst: a hundred messages that are handled in one turn would otherwise cost a hundred writes.
 */
export class TurnQueue {
  #waiting: Waiting[] = [];

  /**
   * Runs `send` with all others of this turn, in order. What it throws goes to `failed` (the client refuses a message over the
   * server's limit): it is nobody's of this turn but its own, and nobody above would catch it.
   */
  add(send: () => void, failed: (error: unknown) => void): void {
    this.#waiting.push({ send, failed });
    if (this.#waiting.length === 1) setImmediate(() => { this.flush(); });
  }

  /** Runs what waits now. */
  flush(): void {
    const sends = this.#waiting;
    this.#waiting = [];
    for (const { send, failed } of sends) {
      try {
        send();
      } catch (error) {
        failed(error);
      }
    }
  }
}
