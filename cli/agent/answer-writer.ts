import { z } from 'zod';
import type { News } from '../api/events.ts';
import { plain, plainJson } from '../io/plain.ts';

const completedSchema = z.looseObject({ step: z.int(), purpose: z.string(), text: z.string() });

/**
 * Writes the answers of one turn. In a terminal their pieces as they come: what was committed takes the place of the pieces, so where a piece
 * was lost the rest is written, and where the model began anew the answer is. Elsewhere only the output, once, at the end.
 */
export class AnswerWriter {
  readonly #write: (text: string) => void;
  readonly #live: boolean;
  /** Of the answer under way. */
  #step = 0;
  #pieces = '';
  /** Number that the next piece has; another one means that some were lost. */
  #next = 0;
  /** The last whole answer that stands there. */
  #last: string | undefined;
  /** The line that was written last has not ended. */
  #open = false;

  constructor(write: (text: string) => void, live: boolean) {
    this.#write = write;
    this.#live = live;
  }

  hear(news: News): void {
    if (!this.#live) return;
    if (news.kind === 'delta') this.#piece(news.delta);
    else if (news.event.kind === 'ModelCompleted') this.#completed(news.event.payload);
  }

  /** Something else is said beside it. */
  pause(): void {
    if (!this.#open) return;
    this.#write('\n');
    this.#open = false;
  }

  /** The turn is over: its output, unless it stands there already. */
  end(output: unknown): void {
    this.pause();
    if (output === undefined || (typeof output === 'string' && output === this.#last)) return;
    this.#write(`${typeof output === 'string' ? plain(output) : plainJson(output)}\n`);
  }

  #piece({ step, n, text }: Extract<News, { kind: 'delta' }>['delta']): void {
    if (step < this.#step) return;
    // A step begins, or begins anew because its answer was cut off.
    if (step > this.#step || n === 0) this.#begin(step);
    // Behind a piece that was lost nothing is written: the committed text has all of it.
    if (n !== this.#next) return;
    this.#next++;
    if (text === null || text === '') return;
    this.#pieces += text;
    this.#write(plain(text));
    this.#open = true;
  }

  #begin(step: number): void {
    this.pause();
    this.#step = step;
    this.#pieces = '';
    this.#next = 0;
  }

  #completed(payload: unknown): void {
    const of = completedSchema.safeParse(payload);
    if (!of.success || of.data.purpose !== 'step') return;
    const { step, text } = of.data;
    if (step !== this.#step) this.#begin(step);
    if (text.startsWith(this.#pieces)) this.#write(plain(text.slice(this.#pieces.length)));
    else {
      this.pause();
      this.#write(plain(text));
    }
    if (text !== '') {
      this.#open = true;
      this.#last = text;
    }
    // Pieces that come late are of an answer that stands there.
    this.#step = step + 1;
    this.#pieces = '';
    this.#next = 0;
    this.pause();
  }
}
