import { doubling, type Clock, type TimerHandle } from '../../platform/clock/index.ts';
import { isBug, TerminalError } from '../../platform/errors/index.ts';

/** How a pass over a key ended: done, or again after a time for a reason. It may also throw. */
export type Outcome = 'done' | { readonly afterMs: number; readonly reason: string };

/** What a queue is made of. */
export interface QueueParts {
  readonly name: string;
  readonly worker: (key: string) => Promise<Outcome>;
  readonly concurrency: number;
  readonly clock: Clock;
  readonly observe?: { depth(depth: number): void; done(seconds: number, outcome: 'done' | 'again' | 'error'): void };
  /** Errors that only mean "somebody else was faster": tried again without a word. */
  readonly quiet?: (error: unknown) => boolean;
  readonly log: { warn(facts: object, message: string): void; error(facts: object, message: string): void };
}

const BACKOFF_MIN_MS = 50;
const BACKOFF_MAX_MS = 30_000;

/**
 * Keys to look at. A key is worked on by one worker at a time; added again meanwhile, it is looked at once more
 * afterwards; added many times, it is looked at once. Errors repeat with exponential backoff per key.
 */
export class WorkQueue {
  readonly #p: QueueParts;
  readonly #ready = new Set<string>();
  readonly #active = new Set<string>();
  readonly #again = new Set<string>();
  readonly #timers = new Map<string, { at: number; handle: TimerHandle }>();
  readonly #failures = new Map<string, number>();
  readonly #idle: (() => void)[] = [];
  #stopped = false;

  constructor(parts: QueueParts) {
    this.#p = parts;
  }

  /** Keys that wait for a worker. */
  get depth(): number { return this.#ready.size; }

  add(key: string): void {
    if (this.#stopped) return;
    this.#timers.get(key)?.handle.cancel();
    this.#timers.delete(key);
    if (this.#active.has(key)) this.#again.add(key);
    else this.#ready.add(key);
    this.#pump();
  }

  /** Adds the key after `ms`; the earlier of two times counts. */
  addAfter(key: string, ms: number): void {
    if (this.#stopped) return;
    const at = this.#p.clock.monotonic() + ms;
    const before = this.#timers.get(key);
    if (before !== undefined && before.at <= at) return;
    before?.handle.cancel();
    const handle = this.#p.clock.after(ms, () => { this.#timers.delete(key); this.add(key); });
    this.#timers.set(key, { at, handle });
  }

  /** Takes no more keys and resolves when the workers have finished. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { handle } of this.#timers.values()) handle.cancel();
    this.#timers.clear();
    this.#ready.clear();
    if (this.#active.size > 0) await new Promise<void>((resolve) => { this.#idle.push(resolve); });
  }

  #pump(): void {
    for (const key of this.#ready) {
      if (this.#active.size >= this.#p.concurrency) break;
      this.#ready.delete(key);
      this.#active.add(key);
      void this.#work(key);
    }
    this.#p.observe?.depth(this.#ready.size);
  }

  async #work(key: string): Promise<void> {
    const started = this.#p.clock.monotonic();
    const outcome = await this.#pass(key);
    this.#p.observe?.done((this.#p.clock.monotonic() - started) / 1_000, outcome);
    this.#active.delete(key);
    if (this.#again.delete(key) && !this.#stopped) this.#ready.add(key);
    this.#pump();
    if (this.#active.size === 0) for (const tell of this.#idle.splice(0)) tell();
  }

  async #pass(key: string): Promise<'done' | 'again' | 'error'> {
    try {
      const outcome = await this.#p.worker(key);
      this.#failures.delete(key);
      if (outcome === 'done') return 'done';
      this.addAfter(key, outcome.afterMs);
      return 'again';
    } catch (error) {
      this.#failed(key, error);
      return 'error';
    }
  }

  #failed(key: string, error: unknown): void {
    const facts = { queue: this.#p.name, key, err: error };
    if (error instanceof TerminalError) {
      this.#failures.delete(key);
      this.#p.log.error(facts, 'gave up on this object');
      return;
    }
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    if (isBug(error)) this.#p.log.error({ ...facts, failures }, 'a pass failed by a fault of ours; it is repeated');
    else if (this.#p.quiet?.(error) !== true) this.#p.log.warn({ ...facts, failures }, 'a pass failed; it is repeated');
    this.addAfter(key, doubling(BACKOFF_MIN_MS, BACKOFF_MAX_MS, failures - 1));
  }
}
