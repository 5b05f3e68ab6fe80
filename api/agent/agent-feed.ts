import { isFinalAgentPhase } from '../../crds/agent-run.ts';
import type { AgentEvent as JournalEvent } from '../../crds/agent-run.ts';
import type { Clock } from '../../platform/clock/index.ts';
import type { AgentDelta } from '../../platform/messages/payloads.ts';
import type { AgentRunRow } from '../../prisma/store/index.ts';
import { ApiError } from '../errors.ts';
import type { AgentNotices } from '../ports.ts';
import { WatchedFeed } from '../realtime/watched-feed.ts';

/** Events read at once. */
const AT_ONCE = 100;
/** Pieces of an answer that wait for a slow reader at most: the oldest are dropped, the committed text replaces them anyway. */
const MOST_DELTAS = 256;

/** What a stream of an agent run gives: an event of its journal, or a piece of an answer that is not in it yet. */
export type AgentNews = { readonly kind: 'event'; readonly event: JournalEvent } | { readonly kind: 'delta'; readonly delta: AgentDelta };

/** What a feed needs. */
export interface AgentFeedParts {
  readonly clock: Clock;
  readonly notices: AgentNotices;
  readonly run: (id: string) => Promise<AgentRunRow | undefined>;
  /** Events above a number, the oldest first. */
  readonly events: (id: string, afterSeq: number, first: number) => Promise<readonly JournalEvent[]>;
  /** Whether the caller may (still) watch it. Asked before every emission. */
  readonly mayWatch: (run: Pick<AgentRunRow, 'namespace'>) => Promise<boolean>;
}

/**
 * The journal of one agent run from a number on, every event once and in order, and between them the pieces of answers while they come. Events
 * are read from Postgres, whatever a notice says: after a cut, whoever asks for what is above the last number gets the same bytes. Pieces
 * have no number and no memory. Ends after the last event of a run that has ended. One that is not there and one that may not be watched end
 * alike, with NOT_FOUND.
 */
export class AgentFeed extends WatchedFeed<AgentNews> {
  readonly #parts: AgentFeedParts;
  readonly #id: string;
  readonly #ready: JournalEvent[] = [];
  readonly #deltas: AgentDelta[] = [];
  #after: number;
  /** There may be events; pieces alone need no look at Postgres. */
  #grown = true;
  #namespace: string | undefined;
  /** The last answer that is in the journal, as far as it was given. */
  #answered = 0;
  #ended = false;

  /** `after`: the last number the caller knows; 0 for all of it. */
  constructor(parts: AgentFeedParts, id: string, after: number, onClose: () => void = () => undefined) {
    super(parts.clock, onClose);
    this.#parts = parts;
    this.#id = id;
    this.#after = after;
  }

  /** Whether the run has ended and all of it was given. */
  get ended(): boolean { return this.#ended; }

  /** Asks whether there is something to watch, before anything of it is given. Throws NOT_FOUND. */
  async open(): Promise<void> {
    await this.#demand();
  }

  protected async subscribe(wake: () => void): Promise<{ close(): void }> {
    await this.#demand();
    const deltas = this.#parts.notices.deltas(this.#id, (delta) => { this.#hear(delta); });
    try {
      const watch = await this.#parts.notices.watch(this.#id, wake);
      return { close: () => { watch.close(); deltas.close(); } };
    } catch (error) {
      deltas.close();
      throw error;
    }
  }

  protected override wake(): void {
    this.#grown = true;
    super.wake();
  }

  protected override hasMore(): boolean { return this.#ready.length > 0 || this.#deltas.length > 0; }

  protected async take(): Promise<AgentNews | undefined> {
    await this.#demand();
    if (!this.#grown) this.looking();
    else if (this.#ready.length === 0) await this.#read();
    const event = this.#ready.shift();
    if (event !== undefined) {
      this.#after = event.seq;
      if (event.kind === 'ModelCompleted' && event.payload.purpose === 'step') this.#replace(event.payload.step);
      if (event.kind === 'RunCompleted') this.#end();
      return { kind: 'event', event };
    }
    const delta = this.#deltas.shift();
    return delta === undefined ? undefined : { kind: 'delta', delta };
  }

  async #read(): Promise<void> {
    this.#grown = false;
    this.looking();
    const events = await this.#parts.events(this.#id, this.#after, AT_ONCE);
    this.#ready.push(...events);
    if (events.length === AT_ONCE) this.wake();
    if (events.length > 0) return;
    const run = await this.#parts.run(this.#id);
    if (run === undefined) throw this.#missing();
    // Ended, and its last event was known before: there is nothing more to come.
    if (isFinalAgentPhase(run.phase) && run.seq <= this.#after) this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.close();
  }

  /** What was committed takes the place of its pieces, also of those that are still on their way. */
  #replace(step: number): void {
    this.#answered = step;
    this.#deltas.splice(0, this.#deltas.length, ...this.#deltas.filter((delta) => delta.step > step));
  }

  #hear(delta: AgentDelta): void {
    if (delta.step <= this.#answered) return;
    this.#deltas.push(delta);
    if (this.#deltas.length > MOST_DELTAS) this.#deltas.shift();
    super.wake();
  }

  async #demand(): Promise<void> {
    this.#namespace ??= (await this.#parts.run(this.#id))?.namespace;
    if (this.#namespace === undefined || !await this.#parts.mayWatch({ namespace: this.#namespace })) throw this.#missing();
  }

  #missing(): ApiError {
    return new ApiError('NOT_FOUND', `agent run ${this.#id} does not exist or is not yours to watch`);
  }
}
