/** Asks the consumer for up to `count` messages; ends when they came or `expiresMs` passed. Throws when it cannot. */
export type PullBatch<T> = (count: number, expiresMs: number) => Promise<AsyncIterable<T>>;

interface Waiter<T> {
  readonly resolve: (message: T | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Turns many takers, each of which wants one message, into few pulls: those that begin to wait within one turn of the
 * event loop share one. What is asked for is never more than what somebody waits for, so nothing is delivered that
 * cannot start at once.
 */
export class Puller<T> {
  readonly #pull: PullBatch<T>;
  #waiting: Waiter<T>[] = [];
  /** Messages asked for that have not come yet. */
  #asked = 0;
  #soon = false;

  constructor(pull: PullBatch<T>) {
    this.#pull = pull;
  }

  /** The next message, or undefined when none came in time. Rejects when the consumer cannot be asked. */
  next(expiresMs: number): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (this.#soon) return;
      this.#soon = true;
      setImmediate(() => {
        this.#soon = false;
        void this.#ask(expiresMs);
      });
    });
  }

  async #ask(expiresMs: number): Promise<void> {
    const count = this.#waiting.length - this.#asked;
    if (count <= 0) return;
    this.#asked += count;
    let open = count;
    const end = (settle: (waiter: Waiter<T>) => void): void => {
      this.#asked -= open;
      for (const waiter of this.#waiting.splice(0, open)) settle(waiter);
    };
    try {
      for await (const message of await this.#pull(count, expiresMs)) {
        open--;
        this.#asked--;
        this.#waiting.shift()?.resolve(message);
      }
      end((waiter) => { waiter.resolve(undefined); });
    } catch (error) {
      end((waiter) => { waiter.reject(error); });
    }
  }
}
