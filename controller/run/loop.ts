import { advance, attemptInFlight, isDecision, nodeRow, runRow } from '../../engine/index.ts';
import { nextTurn, type Clock, type TimerHandle } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import type { Command, NodeRow } from '../../engine/types.ts';
import type { OutboxRow } from '../../prisma/store/types.ts';
import type { Dispatcher } from './dispatcher.ts';
import { Draft, type OutboxEntry, type Settled } from './draft.ts';
import { placeKey, type Leases } from './leases.ts';
import { rests, type LiveRun } from './live-run.ts';
import { isFinal, type LiveRuns } from './live-runs.ts';
import { shownOf } from './shown.ts';
import type { AfterCommit, PersistResult, RunPersistence, Work } from './ports.ts';
import type { TimerWheel } from './wheel.ts';

/** At most this many events go into one commit: bounds its duration and what a failing one repeats. */
const MAX_BATCH = 500;
/** How long published outbox rows wait for a commit to ride on. */
const TIDY_MS = 250;
/** How long after a failed commit its runs are read again. */
const READ_AGAIN_MS = 250;

/** An attempt that a commit ended of which nobody knows whether it happened. */
interface Doubtful {
  readonly live: LiveRun;
  readonly command: Extract<Command, { type: 'CancelAttempt' }>;
}

/** What the loop reports of itself. */
export interface LoopMetrics {
  batch(events: number, runs: number, seconds: number): void;
  advance(seconds: number): void;
  /** A commit, or the part of one run in it, was not written. */
  failed(reason: 'unavailable' | 'fenced' | 'conflict' | 'poison'): void;
}

/** What the loop is made of. */
export interface LoopParts {
  readonly clock: Clock;
  readonly runs: LiveRuns;
  readonly leases: Leases;
  readonly dispatcher: Dispatcher;
  readonly wheel: TimerWheel;
  readonly persistence: RunPersistence;
  readonly after: AfterCommit;
  readonly metrics: LoopMetrics;
  readonly owns: (shard: number) => boolean;
  readonly shardOf: (run: string) => number;
  /** Sends a dispatch of the outbox once more. */
  readonly sendAgain: (row: OutboxRow) => void;
  /** A commit found that these shards moved. */
  readonly lost: (shards: readonly number[]) => void;
  readonly log: { warn(facts: object, message: string): void; error(facts: object, message: string): void };
}

/**
 * The run loop: whatever has arrived since the last commit goes into the next one, many runs at once.
 *
 *   submit -> inbox -> [load what is not in memory] -> advance each -> admit dispatches -> one commit
 *                                                                                          |
 *          replies, publishes, timers, cancels, notices  <- only after the commit  <-------+
 *
 * One commit is under way at a time; while it is, the inbox fills, so batches grow with the load and an idle loop
 * commits at once. Nothing leaves the process before its commit: a crash between any two lines loses only work that
 * nobody was told of, and whoever sent it sends it again.
 */
export class RunLoop {
  readonly #p: LoopParts;
  #inbox: Work[] = [];
  #resends: { run: string; node: string; item: number; attempt: number }[] = [];
  #running: Promise<void> | undefined;
  #under: Promise<void> = Promise.resolve();
  /** Outbox rows whose dispatch has certainly left; deleted with the next commit. */
  #published: string[] = [];
  /** Runs whose commit failed, with what it ended: read again until that works, because a timer may be all that would ever wake them. */
  readonly #forgotten = new Map<string, readonly Doubtful[]>();
  #again: TimerHandle | undefined;
  #tidy: TimerHandle | undefined;
  #tidyDue = false;
  #stopped = false;

  constructor(parts: LoopParts) {
    this.#p = parts;
  }

  /** Events waiting for a commit. */
  get backlog(): number { return this.#inbox.length; }

  /** Hands in an event. Its `settle` is called exactly once, after the commit or when there is none. */
  submit(work: Work): void {
    if (this.#stopped) {
      work.settle?.({ status: 'Retry', message: 'this controller is shutting down', moved: true });
      return;
    }
    this.#inbox.push(work);
    this.kick();
  }

  /** Sends an attempt once more, under a new send number: the stream lost it, or a runner handed it back. */
  requestResend(run: string, node: string, item: number, attempt: number): void {
    this.#resends.push({ run, node, item, attempt });
    this.kick();
  }

  /** Lets the loop look again: capacity grew, or published rows want deleting. */
  kick(): void {
    this.#running ??= nextTurn().then(() => this.#drain()).finally(() => {
      this.#running = undefined;
      // What came after the last look of the round, and before this line, found it still running.
      if (this.#pending()) this.kick();
    });
  }

  #pending(): boolean {
    return this.#inbox.length > 0 || this.#resends.length > 0 || this.#p.dispatcher.hasStirred || this.#mustTidy();
  }

  /** Refuses new work, commits what was handed in, and resolves when all is settled. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#again?.cancel();
    this.#tidy?.cancel();
    await this.#running;
    this.#tidyDue = true;
    await this.#drain();
  }

  /** Resolves when the round that is under way now has ended, its commit with it; later ones are not waited for. */
  async roundEnded(): Promise<void> {
    await this.#under.catch(() => undefined);
  }

  async #drain(): Promise<void> {
    while (this.#pending()) {
      const works = this.#inbox.length <= MAX_BATCH ? this.#inbox : this.#inbox.slice(0, MAX_BATCH);
      this.#inbox = this.#inbox.length <= MAX_BATCH ? [] : this.#inbox.slice(MAX_BATCH);
      try {
        this.#under = this.#round(works);
        await this.#under;
      } catch (error) {
        // Only a bug comes here: expected failures are settled inside. Nobody may wait for an answer for ever.
        this.#p.log.error({ err: error }, 'run loop round failed');
        for (const work of works) this.#postpone(work, 'internal error');
      }
    }
  }

  /** Published outbox rows ride on the next commit; without one they are deleted on their own a little later. */
  #mustTidy(): boolean {
    return this.#published.length >= MAX_BATCH || (this.#tidyDue && this.#published.length > 0);
  }

  /** An outbox row whose dispatch has certainly left, or is not needed any more. */
  left(outboxId: string): void {
    this.#published.push(outboxId);
    if (this.#stopped) return;
    this.#tidy ??= this.#p.clock.after(TIDY_MS, () => {
      this.#tidy = undefined;
      this.#tidyDue = true;
      if (this.#published.length > 0) this.kick();
    });
  }

  async #round(works: readonly Work[]): Promise<void> {
    const unread = await this.#load(works);
    const drafts = new Map<string, Draft>();
    for (const work of works) {
      if (unread.has(work.run)) this.#postpone(work, 'the database is not available');
      else this.#apply(work, drafts);
    }
    this.#admit(drafts);
    this.#resendAll(drafts);
    await this.#commit([...drafts.values()].filter((draft) => draft.dirty), works.length);
  }

  /** Not now: whoever waits is told, and the run is read again, because a timer that fired would never come again. */
  #postpone(work: Work, message: string): void {
    this.#p.runs.drop(work.run);
    this.#later(work.run);
    work.settle?.({ status: 'Retry', message });
  }

  #later(run: string, doubtful: readonly Doubtful[] = []): void {
    this.#remember(run, doubtful);
    this.#again ??= this.#p.clock.after(READ_AGAIN_MS, () => { void this.#readAgain(); });
  }

  #remember(run: string, doubtful: readonly Doubtful[]): void {
    this.#forgotten.set(run, [...(this.#forgotten.get(run) ?? []), ...doubtful]);
  }

  /** Reads the runs that are ours and not in memory, all at once. Returns those that could not be read: the others go on. */
  async #load(works: readonly Work[]): Promise<ReadonlySet<string>> {
    const missing = new Set<string>();
    for (const { run, create } of works) {
      if (create === undefined && this.#p.runs.get(run) === undefined && this.#p.owns(this.#p.shardOf(run))) missing.add(run);
    }
    if (missing.size === 0) return missing;
    try {
      for (const live of await this.#read([...missing])) this.#p.runs.restore(live);
      return new Set();
    } catch (error) {
      this.#p.log.warn({ err: errorMessage(error), runs: missing.size }, 'could not load runs');
      return missing;
    }
  }

  /** Runs that are ours. Where shards moved during the read, it is repeated: one that left and came back has newer rows. */
  async #read(ids: readonly string[]): Promise<readonly LiveRun[]> {
    for (;;) {
      const { moves } = this.#p.runs;
      const found = await this.#p.persistence.load(ids);
      if (moves === this.#p.runs.moves) return found.filter((live) => this.#p.owns(live.shard));
    }
  }

  #apply(work: Work, drafts: Map<string, Draft>): void {
    const draft = this.#draftFor(work, drafts);
    if (draft === undefined) {
      work.settle?.(this.#p.owns(this.#p.shardOf(work.run)) ? { status: 'Unknown' } : { status: 'Retry', message: 'not the owner of this run', moved: true });
      return;
    }
    this.#heed(draft, work);
    const before = this.#p.clock.monotonic();
    const step = advance(draft.live.state, work.event, this.#p.clock.now());
    this.#p.metrics.advance((this.#p.clock.monotonic() - before) / 1_000);
    const changed = draft.add(step) || work.create !== undefined;
    if (work.event.type === 'Hold') this.#p.runs.rest(draft.live);
    for (const command of step.commands) this.#before(draft, command);
    this.#closeLeases(draft, step.nodes);
    if (work.settle === undefined) return;
    if (changed) draft.settles.push(work.settle);
    else if (draft.dirty) draft.settles.push((settled) => work.settle?.(settled.status === 'Committed' ? { status: 'Unchanged' } : settled));
    else work.settle({ status: 'Unchanged' });
  }

  /** A run whose rows are in doubt is held before anything else; one that was held gets its timers and leases back for a decision. */
  #heed(draft: Draft, { event }: Work): void {
    const { live } = draft;
    if (live.suspect !== undefined) {
      draft.add(advance(live.state, { type: 'Hold', why: live.suspect }, this.#p.clock.now()));
      delete live.suspect;
    }
    if (rests(live) && isDecision(event)) this.#p.runs.wake(live);
  }

  #draftFor(work: Work, drafts: Map<string, Draft>): Draft | undefined {
    const existing = drafts.get(work.run);
    if (existing !== undefined) return existing;
    const known = this.#p.runs.get(work.run);
    if (known === undefined && work.create !== undefined) this.#p.runs.add(work.create.live);
    const live = known ?? work.create?.live;
    if (live === undefined || !this.#p.owns(live.shard)) return undefined;
    const draft = new Draft(live, known === undefined ? work.create?.record : undefined);
    drafts.set(work.run, draft);
    return draft;
  }

  /** Ready attempts take their place in the order of their pool before this very commit, so that it can carry them. */
  #before(draft: Draft, command: Command): void {
    if (command.type === 'Dispatch') {
      draft.live.sends.delete(placeKey('', command.dispatch.node, command.dispatch.item));
      this.#p.dispatcher.enqueue(draft.live, command.dispatch);
    }
  }

  /** Whatever is not in flight any more frees its place in the pool. */
  #closeLeases(draft: Draft, rows: readonly NodeRow[]): void {
    const { live } = draft;
    for (const row of rows) {
      if (row.status === 'Running' || row.status === 'Queued') continue;
      const lease = this.#p.leases.close(live.id, row.node, row.item);
      if (lease !== undefined) {
        this.#p.dispatcher.release(lease);
        if (lease.runner !== undefined) draft.runners.set(placeKey(String(lease.attempt), row.node, row.item), lease.runner);
      }
      live.sends.delete(placeKey('', row.node, row.item));
    }
  }

  #admit(drafts: Map<string, Draft>): void {
    for (const at of this.#p.dispatcher.admit()) {
      const live = this.#p.runs.get(at.run);
      const row = live === undefined ? undefined : nodeRow(live.state, at.node, at.item);
      if (live === undefined || row?.status !== 'Queued' || row.attempt !== at.attempt) {
        const lease = this.#p.leases.close(at.run, at.node, at.item, at.attempt);
        if (lease !== undefined) this.#p.dispatcher.release(lease);
        continue;
      }
      this.#sendRow(live, row, drafts);
    }
  }

  #resendAll(drafts: Map<string, Draft>): void {
    const resends = this.#resends;
    this.#resends = [];
    for (const { run, node, item, attempt } of resends) {
      const live = this.#p.runs.get(run);
      const row = live === undefined || rests(live) ? undefined : nodeRow(live.state, node, item);
      if (live !== undefined && row?.status === 'Queued' && row.attempt === attempt) this.#sendRow(live, row, drafts);
    }
  }

  /** Puts a (further) sending of an attempt into the next commit. */
  #sendRow(live: LiveRun, row: NodeRow, drafts: Map<string, Draft>): void {
    const place = placeKey('', row.node, row.item);
    const send = (live.sends.get(place) ?? 0) + 1;
    live.sends.set(place, send);
    let draft = drafts.get(live.id);
    if (draft === undefined) {
      draft = new Draft(live);
      drafts.set(live.id, draft);
    }
    draft.nodes.set(place, row);
    draft.outbox.push({ node: row.node, item: row.item, attempt: row.attempt, send });
  }

  async #commit(drafts: readonly Draft[], events: number): Promise<void> {
    const published = this.#published;
    this.#tidyDue = false;
    if (drafts.length === 0 && published.length === 0) return;
    this.#published = [];
    const started = this.#p.clock.monotonic();
    try {
      const result = await this.#p.persistence.persist(drafts, published);
      this.#p.metrics.batch(events, drafts.length, (this.#p.clock.monotonic() - started) / 1_000);
      this.#settleAll(drafts, result);
    } catch (error) {
      this.#published.push(...published);
      this.#p.metrics.failed('unavailable');
      this.#p.log.warn({ err: errorMessage(error), runs: drafts.length }, 'commit failed; the runs are read again');
      for (const draft of drafts) this.#forget(draft, { status: 'Retry', message: 'the database is not available' });
    }
  }

  #settleAll(drafts: readonly Draft[], result: PersistResult): void {
    const lost = new Set(result.lostShards);
    const conflicts = new Set(result.conflicts);
    for (const draft of drafts) {
      const poison = result.poisoned.get(draft.live.id);
      if (lost.size > 0) this.#leftOut(draft, 'fenced', { status: 'Retry', message: 'the shard of this run moved', moved: true });
      else if (poison !== undefined) this.#leftOut(draft, 'poison', { status: 'Poisoned', message: poison });
      else if (conflicts.has(draft.live.id)) this.#leftOut(draft, 'conflict', { status: 'Retry', message: 'the run changed meanwhile' });
      else this.#committed(draft, result.outboxIds.get(draft.live.id) ?? []);
    }
    if (lost.size > 0) this.#p.lost([...lost]);
  }

  #leftOut(draft: Draft, reason: Parameters<LoopMetrics['failed']>[0], settled: Settled): void {
    this.#p.metrics.failed(reason);
    this.#forget(draft, settled);
  }

  /** Memory ran ahead of a commit that did not happen: the rows are the truth, so the run is read again when next asked for. */
  #forget(draft: Draft, settled: Settled): void {
    this.#p.runs.drop(draft.live.id);
    this.#later(draft.live.id, draft.commands.flatMap((command) => (command.type === 'CancelAttempt' ? [{ live: draft.live, command }] : [])));
    draft.settle(settled);
  }

  /** Stops an attempt that a commit ended whose answer was lost; where the rows still have it, that did not happen. */
  #stopEnded({ live, command }: Doubtful): void {
    const now = this.#p.runs.get(live.id);
    if (now !== undefined && attemptInFlight(now.state, command.node, command.item) === command.attempt) return;
    this.#p.after.cancel(live, command.node, command.item, command.attempt, command.graceMs);
  }

  async #readAgain(): Promise<void> {
    this.#again = undefined;
    await this.#running;
    const forgotten = [...this.#forgotten].filter(([id]) => this.#p.owns(this.#p.shardOf(id)));
    const ids = forgotten.map(([id]) => id);
    this.#forgotten.clear();
    if (ids.length === 0 || this.#stopped) return;
    try {
      for (const live of await this.#read(ids.filter((id) => this.#p.runs.get(id) === undefined))) {
        if (this.#p.runs.get(live.id) === undefined) this.#p.runs.restore(live);
      }
      // The commit may have happened and only its answer been lost: then nobody has sent what it holds.
      for (const row of await this.#p.persistence.outbox(ids)) this.#p.sendAgain(row);
      for (const [, doubtful] of forgotten) for (const one of doubtful) this.#stopEnded(one);
      this.kick();
    } catch (error) {
      this.#p.log.warn({ err: errorMessage(error), runs: ids.length }, 'could not read runs again after a failed commit');
      for (const [id, doubtful] of forgotten) this.#remember(id, doubtful);
      this.#again ??= this.#p.clock.after(READ_AGAIN_MS * 4, () => { void this.#readAgain(); });
    }
  }

  #committed(draft: Draft, outboxIds: readonly string[]): void {
    const { live } = draft;
    live.version++;
    if (live.cr !== undefined) live.shown = shownOf(live.state);
    draft.settle({ status: 'Committed', version: live.version });
    for (const [i, entry] of draft.outbox.entries()) this.#send(live, entry, outboxIds[i]);
    for (const command of draft.commands) this.#effect(live, command);
    const finished = isFinal(live);
    this.#p.after.changed(draft, finished);
    if (finished) this.#p.runs.drop(live.id);
  }

  #send(live: LiveRun, entry: OutboxEntry, outboxId: string | undefined): void {
    if (outboxId === undefined) return;
    this.#p.after.send({ live, outboxId, ...entry }, () => { this.left(outboxId); });
  }

  #effect(live: LiveRun, command: Command): void {
    if (command.type === 'SetTimer' && this.#p.runs.get(live.id) === live) this.#p.wheel.set(live.id, command.timer, command.at);
    if (command.type === 'ClearTimer') this.#p.wheel.clear(live.id, command.timer);
    if (command.type === 'CancelAttempt') this.#p.after.cancel(live, command.node, command.item, command.attempt, command.graceMs);
  }

  /** The row of a run as it stands in memory; for whoever answers questions about live runs. */
  phaseOf(run: string): string | undefined {
    const live = this.#p.runs.get(run);
    return live === undefined ? undefined : runRow(live.state).phase;
  }
}
