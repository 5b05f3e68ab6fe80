import { liveAttempts, pendingTimers, runRow } from '../../engine/index.ts';
import { FINAL_PHASES } from '../../crds/workflow-run.ts';
import type { Dispatcher } from './dispatcher.ts';
import { rests, type LiveRun } from './live-run.ts';
import { placeKey, type Leases } from './leases.ts';
import { shownOf } from './shown.ts';
import type { TimerWheel } from './wheel.ts';

/**
 * The runs this replica owns, in memory, together with what hangs on them: timers, leases, queue places. Adding and
 * dropping keep the four in step, whatever the reason.
 */
export class LiveRuns {
  readonly #runs = new Map<string, LiveRun>();
  readonly #wheel: TimerWheel;
  readonly #leases: Leases;
  readonly #dispatcher: Dispatcher;
  readonly #suspected: (run: string) => void;
  #moves = 0;

  /** `suspected` is told of runs that have to be held. */
  constructor(wheel: TimerWheel, leases: Leases, dispatcher: Dispatcher, suspected: (run: string) => void) {
    this.#suspected = suspected;
    this.#wheel = wheel;
    this.#leases = leases;
    this.#dispatcher = dispatcher;
  }

  get size(): number { return this.#runs.size; }
  get(id: string): LiveRun | undefined { return this.#runs.get(id); }
  values(): IterableIterator<LiveRun> { return this.#runs.values(); }

  /** A run that is new: nothing hangs on it yet. */
  add(live: LiveRun): void {
    this.#runs.set(live.id, live);
  }

  /**
   * A run read from its rows: its timers are set again; attempts that were sent get a fresh lease, so that nodes that
   * kept running while no controller looked survive; attempts that were not sent wait for room in their pool. One that
   * waits for a person gets none of these.
   */
  restore(live: LiveRun): void {
    this.drop(live.id);
    this.#runs.set(live.id, live);
    if (live.cr !== undefined) live.shown = shownOf(live.state);
    if (live.suspect !== undefined) this.#suspected(live.id);
    else if (!rests(live)) this.wake(live);
  }

  /** A person has decided about a run that was held: what its rows imply begins again. */
  wake(live: LiveRun): void {
    for (const { timer, at } of pendingTimers(live.state)) this.#wheel.set(live.id, timer, at);
    for (const a of liveAttempts(live.state)) {
      const sent = live.sends.get(placeKey('', a.node, a.item)) ?? 0;
      if (sent > 0) this.#dispatcher.reopen(live, a, a.status === 'Running');
      else this.#dispatcher.enqueue(live, a);
    }
  }

  /** Forgets a run: it ended, its shard moved, or its commit failed and it has to be read again. */
  drop(id: string): LiveRun | undefined {
    const live = this.#runs.get(id);
    if (live === undefined) return undefined;
    this.#runs.delete(id);
    this.rest(live);
    return live;
  }

  /** Nothing may happen to the run by itself any more. */
  rest(live: LiveRun): void {
    this.#wheel.clearRun(live.id);
    for (const lease of this.#leases.closeRun(live.id)) this.#dispatcher.release(lease);
    this.#dispatcher.forget(live);
  }

  /** How often shards moved away: rows read before the last time may be older than what their next owner wrote. */
  get moves(): number { return this.#moves; }

  /** Forgets the runs of shards that moved. */
  dropShards(shards: ReadonlySet<number>): void {
    this.#moves++;
    for (const live of [...this.#runs.values()]) if (shards.has(live.shard)) this.drop(live.id);
  }
}

/** Whether a run has ended. */
export function isFinal(live: LiveRun): boolean {
  return FINAL_PHASES.includes(runRow(live.state).phase);
}
