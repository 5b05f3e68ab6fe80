import type { ModelSpec } from '../../crds/model.ts';
import type { Clock, TimerHandle } from '../../platform/clock/index.ts';

/*
 * The limits of a Model over all runs: requests and tokens per minute as buckets that refill evenly, and requests at once. Whoever comes
 * first goes first. Each gateway process holds its share: the limit divided by the number of gateways (RAMBO_MODELGATEWAY_REPLICAS).
 */

type Limits = NonNullable<ModelSpec['limits']>;

/** Leave to call; `done` says what the call really took. */
export interface Leave {
  done(tokens: number): void;
}

interface Waiting {
  readonly tokens: number;
  readonly go: (leave: Leave) => void;
}

const MINUTE = 60_000;

/** The limits of one Model. */
class Gate {
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #share: number;
  readonly #waiting: Waiting[] = [];
  #requests: number;
  #tokens: number;
  #at: number;
  #running = 0;
  #timer: TimerHandle | undefined;

  constructor(clock: Clock, limits: Limits, replicas: number) {
    this.#clock = clock;
    this.#limits = limits;
    this.#share = 1 / replicas;
    this.#requests = this.#perMinute('rpm');
    this.#tokens = this.#perMinute('tpm');
    this.#at = clock.monotonic();
  }

  get waiting(): number { return this.#waiting.length; }

  enter(tokens: number, signal: AbortSignal): Promise<Leave | undefined> {
    return new Promise((resolve) => {
      const gone = (): void => {
        const at = this.#waiting.indexOf(entry);
        if (at >= 0) this.#waiting.splice(at, 1);
        resolve(undefined);
        this.#next();
      };
      // More than the bucket holds could never be had at once.
      const entry: Waiting = { tokens: Math.min(tokens, this.#perMinute('tpm')), go: (leave) => { signal.removeEventListener('abort', gone); resolve(leave); } };
      if (signal.aborted) { resolve(undefined); return; }
      signal.addEventListener('abort', gone, { once: true });
      this.#waiting.push(entry);
      this.#next();
    });
  }

  #next(): void {
    this.#refill();
    const most = this.#limits.concurrency === undefined ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(this.#limits.concurrency * this.#share));
    for (let first = this.#waiting[0]; first !== undefined && this.#running < most && this.#requests >= 1 && this.#tokens >= first.tokens; first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#running += 1;
      this.#requests -= 1;
      this.#tokens -= first.tokens;
      first.go(this.#leave(first.tokens));
    }
    this.#timer?.cancel();
    const [head] = this.#waiting;
    if (head === undefined || this.#running >= most) return;
    this.#timer = this.#clock.after(Math.max(1, this.#wait('rpm', 1 - this.#requests), this.#wait('tpm', head.tokens - this.#tokens)), () => { this.#next(); });
  }

  #leave(reserved: number): Leave {
    let left = false;
    return { done: (tokens) => {
      if (left) return;
      left = true;
      this.#running -= 1;
      this.#tokens += reserved - tokens;
      this.#next();
    } };
  }

  #refill(): void {
    const now = this.#clock.monotonic();
    const part = (now - this.#at) / MINUTE;
    this.#at = now;
    this.#requests = refilled(this.#requests, this.#perMinute('rpm'), part);
    this.#tokens = refilled(this.#tokens, this.#perMinute('tpm'), part);
  }

  #wait(kind: 'rpm' | 'tpm', missing: number): number {
    const limit = this.#perMinute(kind);
    return missing <= 0 || limit === Number.POSITIVE_INFINITY ? 0 : Math.ceil((missing / limit) * MINUTE);
  }

  #perMinute(kind: 'rpm' | 'tpm'): number {
    const limit = this.#limits[kind];
    return limit === undefined ? Number.POSITIVE_INFINITY : Math.max(1, limit * this.#share);
  }
}

function refilled(level: number, limit: number, part: number): number {
  return limit === Number.POSITIVE_INFINITY ? limit : Math.min(limit, level + limit * part);
}

/** The limits of all Models that this process calls. */
export class Limiter {
  readonly #clock: Clock;
  readonly #replicas: number;
  readonly #gates = new Map<string, { readonly limits: string; readonly gate: Gate }>();

  constructor(clock: Clock, replicas: number) {
    this.#clock = clock;
    this.#replicas = replicas;
  }

  /** Waits for leave to call a Model with about so many tokens; undefined where `signal` came first. Changed limits hold for who comes then. */
  async enter(key: string, limits: Limits | undefined, tokens: number, signal: AbortSignal): Promise<Leave | undefined> {
    if (limits === undefined || (limits.rpm === undefined && limits.tpm === undefined && limits.concurrency === undefined)) return signal.aborted ? undefined : { done: () => undefined };
    const text = JSON.stringify([limits.rpm, limits.tpm, limits.concurrency]);
    const known = this.#gates.get(key);
    if (known?.limits === text) return known.gate.enter(tokens, signal);
    const gate = new Gate(this.#clock, limits, this.#replicas);
    this.#gates.set(key, { limits: text, gate });
    return gate.enter(tokens, signal);
  }

  /** Calls that wait for leave. */
  get waiting(): number {
    let sum = 0;
    for (const { gate } of this.#gates.values()) sum += gate.waiting;
    return sum;
  }
}
