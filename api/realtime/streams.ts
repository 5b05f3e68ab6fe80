import { ApiError } from '../errors.ts';
import type { StreamContext } from '../graphql/context.ts';
import type { ApiMetrics } from '../ports.ts';

/** Subscriptions one principal may hold open in one API process. */
export const STREAMS_PER_PRINCIPAL = 100;

interface Closable { close(): void }

/** Opens a stream for whoever a context is about; it ends when they are gone. Throws as `Streams.add`. */
export function openStream<S extends Closable>({ services: { streams }, principal, gone }: StreamContext, open: (onClose: () => void) => S): S {
  const stream = streams.add(principal.name, open);
  if (gone.aborted) stream.close();
  gone.addEventListener('abort', () => { stream.close(); }, { once: true });
  return stream;
}

/** All open subscriptions of this process, so that nobody takes more than a share and a shutdown completes them. */
export class Streams {
  readonly #metrics: ApiMetrics;
  readonly #open = new Map<string, Set<Closable>>();
  #count = 0;
  #closing = false;

  constructor(metrics: ApiMetrics) {
    this.#metrics = metrics;
  }

  /**
   * Opens a stream for a principal; `open` gets what it must call once when the stream ends.
   * Throws TOO_MANY_STREAMS above the share, UNAVAILABLE during shutdown.
   */
  add<S extends Closable>(principal: string, open: (onClose: () => void) => S): S {
    if (this.#closing) throw new ApiError('UNAVAILABLE', 'the server is going down: subscribe again, another one answers');
    const mine = this.#open.get(principal) ?? new Set<Closable>();
    if (mine.size >= STREAMS_PER_PRINCIPAL) throw new ApiError('TOO_MANY_STREAMS', 'too many subscriptions are open: end some of them first');
    const stream = open(() => {
      if (!mine.delete(stream)) return;
      if (mine.size === 0) this.#open.delete(principal);
      this.#metrics.streams(--this.#count);
    });
    mine.add(stream);
    this.#open.set(principal, mine);
    this.#metrics.streams(++this.#count);
    return stream;
  }

  /** Completes all streams; no more are opened. */
  closeAll(): void {
    this.#closing = true;
    for (const mine of [...this.#open.values()]) for (const stream of [...mine]) stream.close();
  }

  /** Streams open now. */
  get size(): number { return this.#count; }
}
