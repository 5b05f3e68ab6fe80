/**
 * What the tool servers of tests and the demo do to the world: effects are counted, and everything that may go wrong is switched on
 * by command. Replicas share one world, as the replicas of a real server share a database.
 */

/** What the servers are told to do; everything is off at first. */
export interface Switches {
  /** Tools beside the usual ones: a server that lists thousands. */
  manyTools: number;
  /** Raised: the tool `changing` has another schema. */
  schemaVersion: number;
  /** The next so many calls of `create`, `charge` and `count` do their effect and are never answered. */
  hangAfterCommit: number;
  /** The next so many calls do their effect and their connection breaks. */
  breakAfterCommit: number;
  /** The next so many calls are refused with 503 before anything happened. */
  unavailable: number;
  /** `structured` answers what its outputSchema forbids. */
  lyingOutput: boolean;
  /** A tool whose inputSchema is no schema is listed. */
  brokenSchema: boolean;
}

/** What happened so far. */
export interface Hits {
  /** Calls that reached a tool, by tool. */
  readonly calls: Readonly<Record<string, number>>;
  /** Effects, by tool: a repeated key has none. */
  readonly effects: Readonly<Record<string, number>>;
  /** Effects by key of tools that dedupe. */
  readonly keys: Readonly<Record<string, number>>;
  /** Keys as they came along, in order, of all calls that carried one. */
  readonly seenKeys: readonly string[];
  /** `Authorization` headers seen; tests look here for credentials that should, or should not, have come. */
  readonly authorizations: readonly string[];
  /** W3C traceparents that came along, in `_meta` or as a header, in order. */
  readonly traceparents: readonly string[];
  /** Requests by replica. */
  readonly replicas: Readonly<Record<string, number>>;
}

const OFF: Switches = { manyTools: 0, schemaVersion: 1, hangAfterCommit: 0, breakAfterCommit: 0, unavailable: 0, lyingOutput: false, brokenSchema: false };

/** The state behind the servers of one process. */
export class World {
  switches: Switches = { ...OFF };
  readonly orders = new Map<string, number>();
  readonly #calls = new Map<string, number>();
  readonly #effects = new Map<string, number>();
  readonly #keys = new Map<string, number>();
  readonly #replicas = new Map<string, number>();
  readonly #seenKeys: string[] = [];
  readonly #authorizations: string[] = [];
  readonly #traceparents: string[] = [];
  #waiting: (() => void)[] = [];

  /** Counts a call. */
  call(tool: string, key: string | undefined): void {
    bump(this.#calls, tool);
    if (key !== undefined) this.#seenKeys.push(key);
  }

  /** Notes the trace a call belongs to. */
  traced(traceparent: unknown): void {
    if (typeof traceparent === 'string') this.#traceparents.push(traceparent);
  }

  /** Does an effect. With a key that was seen before it does nothing; gives how often the effect happened. */
  effect(tool: string, key?: string): number {
    if (key !== undefined && this.#keys.has(key)) return this.#effects.get(tool) ?? 0;
    if (key !== undefined) bump(this.#keys, key);
    return bump(this.#effects, tool);
  }

  /** Counts a request at a replica. */
  request(replica: string, authorization: string | undefined): void {
    bump(this.#replicas, replica);
    if (authorization !== undefined) this.#authorizations.push(authorization);
  }

  /** Takes one of a counted switch: true while there are any left. */
  take(which: 'hangAfterCommit' | 'breakAfterCommit' | 'unavailable'): boolean {
    if (this.switches[which] <= 0) return false;
    this.switches[which] -= 1;
    return true;
  }

  /** Waits until `release`, as a server does that hangs. */
  hang(): Promise<void> {
    return new Promise((resolve) => { this.#waiting.push(resolve); });
  }

  /** Ends everything that hangs. */
  release(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting = [];
  }

  hits(): Hits {
    return {
      calls: Object.fromEntries(this.#calls), effects: Object.fromEntries(this.#effects), keys: Object.fromEntries(this.#keys), seenKeys: [...this.#seenKeys],
      authorizations: [...this.#authorizations], traceparents: [...this.#traceparents], replicas: Object.fromEntries(this.#replicas),
    };
  }

  /** Forgets everything and switches everything off. */
  reset(): void {
    this.release();
    this.switches = { ...OFF };
    for (const map of [this.orders, this.#calls, this.#effects, this.#keys, this.#replicas]) map.clear();
    this.#seenKeys.length = 0;
    this.#authorizations.length = 0;
    this.#traceparents.length = 0;
  }
}

function bump(map: Map<string, number>, key: string): number {
  const next = (map.get(key) ?? 0) + 1;
  map.set(key, next);
  return next;
}
