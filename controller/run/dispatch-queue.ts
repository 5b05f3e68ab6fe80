/** An attempt that waits for room in its pool. */
export interface QueuedAttempt {
  readonly run: string;
  readonly node: string;
  readonly item: number;
  readonly attempt: number;
}

interface Lane {
  /** Runs of one priority in turn, each with its attempts in order of arrival. */
  readonly runs: Map<string, QueuedAttempt[]>;
}

/**
 * Attempts that wait for one pool, in the order in which they may start: higher priority first; within a priority the
 * runs take turns, so that one run's fan-out of thousands does not starve another's single node.
 *
 * A Map keeps insertion order: taking from the first run and inserting it again at the end is the turn.
 */
export class DispatchQueue {
  readonly #lanes = new Map<number, Lane>();
  #priorities: number[] = [];
  #size = 0;

  /** Number of attempts waiting. */
  get size(): number { return this.#size; }

  push(priority: number, entry: QueuedAttempt): void {
    let lane = this.#lanes.get(priority);
    if (lane === undefined) {
      lane = { runs: new Map() };
      this.#lanes.set(priority, lane);
      this.#priorities = [...this.#lanes.keys()].sort((a, b) => b - a);
    }
    const waiting = lane.runs.get(entry.run);
    if (waiting === undefined) lane.runs.set(entry.run, [entry]);
    else waiting.push(entry);
    this.#size++;
  }

  /** Takes the attempt whose turn it is, or undefined when none waits. */
  shift(): QueuedAttempt | undefined {
    for (const priority of this.#priorities) {
      const lane = this.#lanes.get(priority);
      const entry = lane === undefined ? undefined : takeTurn(lane);
      if (entry === undefined) continue;
      this.#size--;
      return entry;
    }
    return undefined;
  }

  /** Forgets everything a run has waiting: it was dropped from memory or its attempts were cancelled. Returns how much that was. */
  removeRun(run: string): number {
    const before = this.#size;
    for (const lane of this.#lanes.values()) {
      const waiting = lane.runs.get(run);
      if (waiting === undefined) continue;
      this.#size -= waiting.length;
      lane.runs.delete(run);
    }
    return before - this.#size;
  }

  /** Forgets one attempt. Returns whether it was there. */
  remove(entry: QueuedAttempt): boolean {
    for (const lane of this.#lanes.values()) {
      const waiting = lane.runs.get(entry.run);
      const at = waiting?.findIndex((w) => w.node === entry.node && w.item === entry.item && w.attempt === entry.attempt) ?? -1;
      if (waiting === undefined || at < 0) continue;
      waiting.splice(at, 1);
      this.#size--;
      if (waiting.length === 0) lane.runs.delete(entry.run);
      return true;
    }
    return false;
  }
}

function takeTurn(lane: Lane): QueuedAttempt | undefined {
  for (const [run, waiting] of lane.runs) {
    lane.runs.delete(run);
    const entry = waiting.shift();
    if (waiting.length > 0) lane.runs.set(run, waiting);
    if (entry !== undefined) return entry;
  }
  return undefined;
}
