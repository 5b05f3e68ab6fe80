import type { Buffer } from 'node:buffer';
import type { Clock } from '../../platform/clock/index.ts';
import { canBy } from '../auth/can.ts';
import type { Can } from '../auth/can.ts';
import type { Principal, RunReader, Target, Verb } from '../ports.ts';

/*
 * Answers to reads that were asked before, per caller. None goes out on trust: what it rested on is looked at anew each time.
 *   - Every question of right that was asked while it was made is asked again and has to be a yes again.
 *   - The rows of a project are all those there were: each change of a project raises its `seq` in the same transaction, and the statement
 *     that decides the right reads that number as well. It is kept as it stood before the rows were read, never after.
 *   - Every run in it still has the version it had.
 * So a write of any replica is seen by the next read, whether or not a notice of it arrives; the age is for what nobody thought of.
 * An answer is kept once its question has been asked twice: what is asked once is not worth the room.
 */

/** An answer as it went out, with what its log line and its metrics say. */
export interface Answer {
  readonly body: Buffer;
  /** Root field or operation. */
  readonly field: string;
  readonly cost: number;
}

/** What the memory is set to. */
export interface AnswerOptions {
  readonly clock: Pick<Clock, 'monotonic'>;
  /** An answer is given so long at most, milliseconds; 0: none is kept at all. */
  readonly maxAgeMs: number;
  /** Bytes held at most. */
  readonly maxBytes: number;
  readonly counted: (result: AnswerResult) => void;
}

/** `hit`: given again; `stale`: what it rested on has changed; `miss`: made, because none was at hand. */
export type AnswerResult = 'hit' | 'miss' | 'stale';

/** One question: the answer, if there is a good one, else what to make it with. */
export interface Look {
  readonly answer: Answer | undefined;
  readonly can: Can;
  readonly runs: RunReader;
  /** Keeps an answer that was made with these `can` and `runs` and rests on nothing else. */
  keep(answer: Answer): void;
}

interface Asked { readonly verb: Verb; readonly target: Target }

interface Entry {
  readonly asked: readonly Asked[];
  readonly seqs: ReadonlyMap<string, number>;
  readonly runs: ReadonlyMap<string, number>;
  /** Absent: what the answer rests on is known, so that it can be looked at before the answer is made again. */
  readonly answer: Answer | undefined;
  readonly until: number;
  readonly bytes: number;
}

/** Longer questions are not remembered: hostile ones must not fill the memory. */
const MOST_QUESTION = 8_192;
/** Answers that are larger, or rest on more runs, are not kept. */
const MOST_ANSWER = 262_144;
const MOST_RUNS = 500;
/** What an entry, and each thing it rests on, takes beside its texts, about. */
const ENTRY_BYTES = 500;
const BASIS_BYTES = 200;

/** The memory of one API process. */
export class Answers {
  readonly #options: AnswerOptions;
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(options: AnswerOptions) {
    this.#options = options;
  }

  /** Bytes held, about. */
  get bytes(): number { return this.#bytes; }

  /** `question`: everything the answer depends on beside the caller and the rows; undefined for what is never kept. Throws UnavailableError. */
  async look(principal: Principal, question: readonly unknown[] | undefined, can: Can, runs: RunReader): Promise<Look> {
    if (question === undefined || this.#options.maxAgeMs === 0) return unkept(can, runs);
    const key = `${identityOf(principal)} ${JSON.stringify(question)}`;
    if (key.length > MOST_QUESTION) return unkept(can, runs);
    const entry = this.#found(key);
    if (entry === undefined) return this.#made(key, can, runs, new Map(), 'miss');
    if (!await stands(entry, principal, can, runs)) return this.#made(key, can, runs, can.seen(), entry.answer === undefined ? 'miss' : 'stale');
    if (entry.answer === undefined) return this.#made(key, can, runs, can.seen(), 'miss');
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    this.#options.counted('hit');
    return { answer: entry.answer, can, runs, keep: () => undefined };
  }

  #found(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.until > this.#options.clock.monotonic()) return entry;
    this.#drop(key);
    return undefined;
  }

  /** `before`: numbers of projects as they stood before any row of the answer was read. */
  #made(key: string, can: Can, runs: RunReader, before: ReadonlyMap<string, number>, result: AnswerResult): Look {
    this.#options.counted(result);
    this.#drop(key);
    const basis = new Basis();
    return {
      answer: undefined, can: basis.noting(can), runs: basis.notingRuns(runs),
      keep: (answer) => {
        if (!basis.holds() || answer.body.length > MOST_ANSWER) return;
        const projects = basis.projects();
        const known = projects.every((id) => before.has(id));
        this.#keep(key, {
          asked: basis.asked(), seqs: new Map(projects.flatMap((id) => { const seq = before.get(id); return seq === undefined ? [] : [[id, seq]]; })),
          runs: basis.runs, answer: known ? answer : undefined,
        });
      },
    };
  }

  #keep(key: string, entry: Omit<Entry, 'until' | 'bytes'>): void {
    const bytes = ENTRY_BYTES + 2 * key.length + (entry.answer?.body.length ?? 0) + BASIS_BYTES * (entry.asked.length + entry.seqs.size + entry.runs.size);
    this.#drop(key);
    this.#entries.set(key, { ...entry, bytes, until: this.#options.clock.monotonic() + this.#options.maxAgeMs });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#options.maxBytes) return;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0;
    this.#entries.delete(key);
  }
}

function unkept(can: Can, runs: RunReader): Look {
  return { answer: undefined, can, runs, keep: () => undefined };
}

async function stands({ asked, seqs, runs: versions }: Entry, principal: Principal, can: Can, runs: RunReader): Promise<boolean> {
  const [decisions, unchanged] = await Promise.all([
    Promise.all(asked.map(({ verb, target }) => can.decide(principal, verb, target))),
    versions.size === 0 || runs.stand(versions),
  ]);
  if (!unchanged || decisions.some((decision) => decision !== 'yes')) return false;
  const seen = can.seen();
  for (const [id, seq] of seqs) if (seen.get(id) !== seq) return false;
  return true;
}

/** What an answer rests on, noted while it is made. */
class Basis {
  readonly runs = new Map<string, number>();
  readonly #asked = new Map<string, Asked>();
  #refused = false;

  noting(can: Can): Can {
    return canBy(async (principal, verb, target) => {
      const decision = await can.decide(principal, verb, target);
      if (decision !== 'yes') this.#refused = true;
      this.#asked.set(`${verb} ${JSON.stringify(target)}`, { verb, target });
      return decision;
    }, can.seen);
  }

  notingRuns(runs: RunReader): RunReader {
    return {
      ...runs,
      run: async (id) => {
        const row = await runs.run(id);
        if (row !== undefined) this.runs.set(row.id, row.version);
        return row;
      },
      ofTasks: async (taskIds, after, first) => {
        const pages = await runs.ofTasks(taskIds, after, first);
        for (const { rows } of pages) for (const row of rows) this.runs.set(row.id, row.version);
        return pages;
      },
    };
  }

  /** Whether everything was allowed, there was something to rest on, and not too much. */
  holds(): boolean {
    return !this.#refused && this.runs.size <= MOST_RUNS && (this.#asked.size > 0 && (this.runs.size > 0 || this.projects().length > 0));
  }

  asked(): readonly Asked[] { return [...this.#asked.values()]; }

  projects(): readonly string[] {
    return [...new Set([...this.#asked.values()].flatMap(({ target }) => (target.kind === 'project' ? [target.projectId] : [])))];
  }
}

const identities = new WeakMap<Principal, string>();

/** Everything about a caller that an answer could depend on; what a token is good for is part of it. */
function identityOf(principal: Principal): string {
  const known = identities.get(principal);
  if (known !== undefined) return known;
  const identity = JSON.stringify(principal.kind === 'user'
    ? ['user', principal.userId, principal.role, principal.via, principal.scopes ?? null]
    : ['kubernetes', principal.name, principal.uid ?? null, principal.groups, principal.extra ?? null]);
  identities.set(principal, identity);
  return identity;
}
