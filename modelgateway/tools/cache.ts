import type { Clock } from '../../platform/clock/index.ts';

/** An answer of a tool that serves the same call again. */
export interface CachedAnswer {
  readonly text: string;
  readonly structured?: unknown;
}

const MOST = 1_000;
/** Larger answers are asked for again. */
const MOST_LENGTH = 65_536;

/** Answers of ReadOnly tools that say for how long they are good. In memory, of this process alone. */
export class AnswerCache {
  readonly #clock: Clock;
  readonly #answers = new Map<string, { readonly until: number; readonly answer: CachedAnswer }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(key: string): CachedAnswer | undefined {
    const found = this.#answers.get(key);
    if (found === undefined || found.until > this.#clock.monotonic()) return found?.answer;
    this.#answers.delete(key);
    return undefined;
  }

  put(key: string, answer: CachedAnswer, ms: number): void {
    if (answer.text.length > MOST_LENGTH) return;
    if (this.#answers.size >= MOST) this.#answers.delete(this.#answers.keys().next().value ?? '');
    this.#answers.set(key, { until: this.#clock.monotonic() + ms, answer });
  }
}
