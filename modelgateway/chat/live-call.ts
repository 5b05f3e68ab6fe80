import type { AgentEventPayload } from '../../crds/agent-run.ts';
import type { Refusal } from '../http/errors.ts';
import type { Piece } from './answer.ts';

/** How a model call ended for those who wait for it. */
export type Outcome =
  | { readonly ok: true; readonly completed: AgentEventPayload<'ModelCompleted'> }
  | { readonly ok: false; readonly refusal: Refusal };

/** Somebody who waits for a call. `broken`: what came so far is void; ask again. */
export interface Listener {
  piece(piece: Piece): void;
  broken(): void;
  ended(outcome: Outcome): void;
}

/**
 * A model call under way here. It belongs to the journal, not to a request: whoever asks for the same step joins it, hears first what has
 * come so far, and may leave without ending it.
 */
export class LiveCall {
  readonly #abort = new AbortController();
  readonly #listeners = new Set<Listener>();
  #pieces: Piece[] = [];
  #outcome: Outcome | undefined;
  /** Reservation that is held now, for the lease. */
  requestId: string | undefined;
  /** The reservation is being settled: that it is gone is then no loss. */
  settling = false;

  /** Aborts when nobody may have the answer any more: the run was cancelled, the call lost to another gateway, or the process ends. */
  get signal(): AbortSignal { return this.#abort.signal; }
  get outcome(): Outcome | undefined { return this.#outcome; }

  /** Hears all pieces, those that came before too, and the end. Returns how to leave. */
  join(listener: Listener): () => void {
    for (const piece of this.#pieces) listener.piece(piece);
    if (this.#outcome !== undefined) {
      listener.ended(this.#outcome);
      return () => undefined;
    }
    this.#listeners.add(listener);
    return () => { this.#listeners.delete(listener); };
  }

  piece(piece: Piece): void {
    this.#pieces.push(piece);
    for (const listener of this.#listeners) listener.piece(piece);
  }

  /** The answer starts again from nothing. Who has heard a part of it is sent away. */
  restart(): void {
    if (this.#pieces.length === 0) return;
    this.#pieces = [];
    const gone = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of gone) listener.broken();
  }

  end(outcome: Outcome): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    const told = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of told) listener.ended(outcome);
  }

  stop(reason: Error): void {
    this.#abort.abort(reason);
  }
}

/** The outcome, for those who do not watch. */
export function outcomeOf(call: LiveCall): Promise<Outcome> {
  return new Promise((resolve) => {
    const listener: Listener = { piece: () => undefined, broken: () => { call.join(listener); }, ended: resolve };
    call.join(listener);
  });
}
