import { nextTurn, type Clock, type TimerHandle } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import type { Log } from '../../platform/log/index.ts';
import { EMPTY, grant, limitStateSchema, type Limits, type LimitState, type Waiter } from './shares.ts';

/*
 * The limits of Models over all runs and all gateways: requests and tokens in any minute, requests at once; who waits longest goes first. What
 * gateways use together stands in one row per Model, changed by compare-and-set. All calls that wait here ask in one statement; a Model without
 * limits costs none.
 */

/** Leave to call; `done` says what the call really took. */
export interface Leave {
  done(tokens: number): void;
}

/** Where gateways meet. */
export interface LimitRows {
  /** Version 0: there is nothing yet. `now`: epoch milliseconds of the clock all go by. */
  read(namespace: string, model: string): Promise<{ readonly version: number; readonly state: Uint8Array | undefined; readonly now: number }>;
  /** Writes what follows `version`, and gives the time; undefined where somebody else did. */
  write(namespace: string, model: string, version: number, state: Uint8Array): Promise<number | undefined>;
}

/** What a limiter works with. */
export interface LimiterParts {
  readonly rows: LimitRows;
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
  /** Name of this gateway, new at every start. */
  readonly holder: string;
}

interface Waiting extends Waiter {
  readonly go: (leave: Leave) => void;
}

/** How soon it is told that calls have ended, so that others may go; those that end together are told together. */
const TELL_MS = 10;
/** How often a gateway says that its calls still go on. */
const RENEW_MS = 2_000;
const TROUBLE_MS = 250;
const MOST_TRIES = 20;

interface Known {
  readonly version: number;
  readonly state: LimitState;
}

/** One Model. One statement is under way at a time; what comes meanwhile goes with the next. */
class Gate {
  readonly #p: LimiterParts;
  readonly #namespace: string;
  readonly #model: string;
  readonly #waiting: Waiting[] = [];
  readonly #corrections = new Map<number, number>();
  limits: Limits;
  #running = 0;
  /** Calls under way as Postgres has them. */
  #told = 0;
  #known: Known | undefined;
  /** From our clock to Postgres's. */
  #offset: number | undefined;
  #asking = false;
  #again = false;
  #timer: TimerHandle | undefined;
  #dueAt = Infinity;
  #current: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(parts: LimiterParts, namespace: string, model: string, limits: Limits) {
    this.#p = parts;
    this.#namespace = namespace;
    this.#model = model;
    this.limits = limits;
  }

  get waiting(): number { return this.#waiting.length; }
  get idle(): boolean { return this.#running === 0 && this.#told === 0 && this.#waiting.length === 0 && this.#corrections.size === 0 && !this.#asking; }

  enter(tokens: number, signal: AbortSignal): Promise<Leave | undefined> {
    return new Promise((resolve) => {
      if (signal.aborted) { resolve(undefined); return; }
      const gone = (): void => {
        const at = this.#waiting.indexOf(entry);
        if (at < 0) return;
        this.#waiting.splice(at, 1);
        resolve(undefined);
        this.#soon(TELL_MS);
      };
      const entry: Waiting = { tokens, since: this.#now(), go: (leave) => { signal.removeEventListener('abort', gone); resolve(leave); } };
      signal.addEventListener('abort', gone, { once: true });
      this.#waiting.push(entry);
      void this.#ask();
    });
  }

  /** Tells what is left to tell, and nothing after it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#current;
    if (!this.idle) await this.#ask();
  }

  #now(): number {
    return this.#offset === undefined ? this.#p.clock.now() : this.#p.clock.monotonic() + this.#offset;
  }

  #soon(ms: number): void {
    const at = this.#p.clock.monotonic() + ms;
    if (this.#closed || at >= this.#dueAt) return;
    this.#timer?.cancel();
    this.#dueAt = at;
    this.#timer = this.#p.clock.after(ms, () => { void this.#ask(); });
  }

  #ask(): Promise<void> {
    if (this.#asking) this.#again = true;
    else this.#current = this.#askNow();
    return this.#current;
  }

  async #askNow(): Promise<void> {
    this.#asking = true;
    this.#timer?.cancel();
    this.#dueAt = Infinity;
    try {
      // Whoever comes in the same turn goes along.
      await nextTurn();
      this.#again = false;
      const againMs = await this.#exchange();
      if (againMs === undefined) this.#soon(TELL_MS);
      else if (this.#waiting.length > 0) this.#soon(againMs);
      else if (this.#running > 0) this.#soon(RENEW_MS);
    } catch (error) {
      this.#p.log.warn({ namespace: this.#namespace, model: this.#model, err: errorMessage(error) }, 'the limits of a Model could not be looked at; calls of it wait');
      this.#known = undefined;
      this.#soon(TROUBLE_MS);
    } finally {
      this.#asking = false;
      if (this.#again && !this.#closed) void this.#ask();
    }
  }

  /** Reads where needed, decides, writes; again where another gateway was faster. Undefined: others always were. */
  async #exchange(): Promise<number | undefined> {
    for (let tries = 1; ; tries++) {
      const { version, state } = this.#known ?? await this.#read();
      const corrections = [...this.#corrections];
      const queue = [...this.#waiting];
      const running = this.#running;
      const { granted, second, againMs, state: next } = grant(state, this.limits, { holder: this.#p.holder, running, queue, corrections }, this.#now());
      const now = await this.#p.rows.write(this.#namespace, this.#model, version, Buffer.from(JSON.stringify(next)));
      if (now === undefined) {
        this.#known = undefined;
        if (tries >= MOST_TRIES) return undefined;
        continue;
      }
      this.#offset = now - this.#p.clock.monotonic();
      this.#told = running + granted;
      this.#known = { version: version + 1, state: next };
      for (const [at, tokens] of corrections) this.#correct(at, -tokens);
      this.#let(queue.slice(0, granted), second);
      return againMs;
    }
  }

  async #read(): Promise<Known> {
    const { version, state, now } = await this.#p.rows.read(this.#namespace, this.#model);
    this.#offset = now - this.#p.clock.monotonic();
    const parsed = state === undefined ? undefined : limitStateSchema.safeParse(JSON.parse(new TextDecoder().decode(state)));
    return { version, state: parsed?.data ?? EMPTY };
  }

  /** Lets them go. One that has left meanwhile has used nothing. */
  #let(granted: readonly Waiting[], second: number): void {
    for (const entry of granted) {
      const counted = this.limits.tpm === undefined ? 0 : Math.min(entry.tokens, this.limits.tpm);
      const at = this.#waiting.indexOf(entry);
      if (at < 0) {
        this.#correct(second, -counted);
        this.#soon(TELL_MS);
        continue;
      }
      this.#waiting.splice(at, 1);
      this.#running += 1;
      entry.go(this.#leave(second, counted));
    }
  }

  #leave(second: number, counted: number): Leave {
    let left = false;
    return { done: (tokens) => {
      if (left) return;
      left = true;
      this.#running -= 1;
      if (this.limits.tpm !== undefined) this.#correct(second, tokens - counted);
      this.#soon(this.#waiting.length > 0 ? 0 : TELL_MS);
    } };
  }

  #correct(second: number, tokens: number): void {
    const sum = (this.#corrections.get(second) ?? 0) + tokens;
    if (sum === 0) this.#corrections.delete(second);
    else this.#corrections.set(second, sum);
  }
}

/** The limits of all Models that this process calls. */
export class Limiter {
  readonly #parts: LimiterParts;
  readonly #gates = new Map<string, Gate>();

  constructor(parts: LimiterParts) {
    this.#parts = parts;
  }

  /** Waits for leave to call a Model with about so many tokens; undefined where `signal` came first. Changed limits hold for who comes then. */
  async enter(namespace: string, model: string, limits: Limits | undefined, tokens: number, signal: AbortSignal): Promise<Leave | undefined> {
    if (limits === undefined || (limits.rpm === undefined && limits.tpm === undefined && limits.concurrency === undefined)) return signal.aborted ? undefined : { done: () => undefined };
    const key = `${namespace}/${model}`;
    const known = this.#gates.get(key);
    if (known === undefined) this.#forget();
    const gate = known ?? new Gate(this.#parts, namespace, model, limits);
    gate.limits = limits;
    this.#gates.set(key, gate);
    return gate.enter(tokens, signal);
  }

  /** Calls that wait for leave. */
  get waiting(): number {
    let sum = 0;
    for (const gate of this.#gates.values()) sum += gate.waiting;
    return sum;
  }

  /** Gives back what is held: others need not wait until it is taken for lost. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#gates.values()].map((gate) => gate.close()));
  }

  /** Models that nobody calls: what is known of them stands in Postgres. */
  #forget(): void {
    for (const [key, gate] of this.#gates) if (gate.idle) this.#gates.delete(key);
  }
}
