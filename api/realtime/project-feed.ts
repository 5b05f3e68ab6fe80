import type { Clock } from '../../platform/clock/index.ts';
import type { ProjectEventRow } from '../../prisma/store/index.ts';
import { ApiError } from '../errors.ts';
import type { ProjectNotices } from '../ports.ts';
import { WatchedFeed } from './watched-feed.ts';

/** Changes read at once. */
const AT_ONCE = 100;

/** What a feed needs. */
export interface ProjectFeedParts {
  readonly clock: Clock;
  readonly notices: ProjectNotices;
  /** Changes above a number, the oldest first. */
  readonly changes: (projectId: string, afterSeq: number, first: number) => Promise<readonly ProjectEventRow[]>;
  /** Number of the last change; undefined for a project that is not there. */
  readonly lastSeq: (projectId: string) => Promise<number | undefined>;
  /** Whether the caller may (still) watch it. Asked before every emission. */
  readonly mayWatch: (projectId: string) => Promise<boolean>;
}

/**
 * The changes of one project from a number on, every one of them once and in order: subscribe to notices, read what is above the last
 * number emitted, and again whenever a notice says so, or after 15 s, which heals a lost notice and finds a right that is gone.
 * A project that is not there and one that may not be watched end alike, with NOT_FOUND.
 */
export class ProjectFeed extends WatchedFeed<ProjectEventRow> {
  readonly #parts: ProjectFeedParts;
  readonly #id: string;
  readonly #ready: ProjectEventRow[] = [];
  #after: number | undefined;

  /** `after`: the last number the caller knows; undefined: only what happens from now on. */
  constructor(parts: ProjectFeedParts, id: string, after: number | undefined, onClose: () => void = () => undefined) {
    super(parts.clock, onClose);
    this.#parts = parts;
    this.#id = id;
    this.#after = after;
  }

  protected async subscribe(wake: () => void): Promise<{ close(): void }> {
    await this.#demand();
    return this.#parts.notices.watch(this.#id, wake);
  }

  protected override hasMore(): boolean { return this.#ready.length > 0; }

  protected async take(): Promise<ProjectEventRow | undefined> {
    await this.#demand();
    // Notices come already: nothing that happens from now on can be missed.
    this.#after ??= await this.#parts.lastSeq(this.#id);
    if (this.#after === undefined) throw this.#missing();
    if (this.#ready.length === 0) await this.#read(this.#after);
    const change = this.#ready.shift();
    if (change !== undefined) this.#after = change.seq;
    return change;
  }

  async #read(after: number): Promise<void> {
    this.looking();
    const rows = await this.#parts.changes(this.#id, after, AT_ONCE);
    const [oldest] = rows;
    // Numbers have no gaps: where some are missing, the sweep of the history has been there.
    if (oldest !== undefined && oldest.seq > after + 1) throw new ApiError('CONFLICT', `changes ${after + 1} to ${oldest.seq - 1} of project ${this.#id} are not kept any more: read it anew, and subscribe after its seq`);
    this.#ready.push(...rows);
    // A full page: there may be more, and nobody will say so again.
    if (rows.length === AT_ONCE) this.wake();
  }

  async #demand(): Promise<void> {
    if (!await this.#parts.mayWatch(this.#id)) throw this.#missing();
  }

  #missing(): ApiError {
    return new ApiError('NOT_FOUND', `project ${this.#id} does not exist or is not yours`);
  }
}
