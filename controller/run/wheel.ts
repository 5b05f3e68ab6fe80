import type { Clock, TimerHandle } from '../../platform/clock/index.ts';

interface Entry {
  readonly at: number;
  readonly run: string;
  readonly timer: string;
}

/**
 * The timers of all live runs of this replica: a binary heap with one clock timer for its head, so that 20,000 sleeping
 * runs cost nothing while they sleep. The rows are the truth; this is rebuilt from them when a shard is taken over.
 */
export class TimerWheel {
  readonly #clock: Clock;
  readonly #fire: (run: string, timer: string) => void;
  readonly #heap: Entry[] = [];
  /** The valid entry of each (run, timer); heap entries that are not in here were replaced or cleared. */
  readonly #current = new Map<string, Map<string, Entry>>();
  #size = 0;
  #armed: { at: number; handle: TimerHandle } | undefined;

  constructor(clock: Clock, fire: (run: string, timer: string) => void) {
    this.#clock = clock;
    this.#fire = fire;
  }

  /** Number of timers waiting. */
  get size(): number { return this.#size; }

  /** Wakes `run` with `timer` at `at` (epoch ms); replaces an earlier time of the same timer. */
  set(run: string, timer: string, at: number): void {
    const entry = { at, run, timer };
    let timers = this.#current.get(run);
    if (timers === undefined) {
      timers = new Map();
      this.#current.set(run, timers);
    }
    if (!timers.has(timer)) this.#size++;
    timers.set(timer, entry);
    this.#push(entry);
    this.#arm();
  }

  clear(run: string, timer: string): void {
    this.#forget(run, timer);
    this.#shedStale();
  }

  /** Forgets all timers of a run. */
  clearRun(run: string): void {
    this.#size -= this.#current.get(run)?.size ?? 0;
    this.#current.delete(run);
    this.#shedStale();
  }

  /** Stops firing; used at shutdown. */
  stop(): void {
    this.#armed?.handle.cancel();
    this.#armed = undefined;
    this.#current.clear();
    this.#size = 0;
    this.#heap.length = 0;
  }

  #valid(entry: Entry): boolean {
    return this.#current.get(entry.run)?.get(entry.timer) === entry;
  }

  /** Timeouts that are cleared long before they fire would otherwise pile up: rebuild when most entries are stale. */
  #shedStale(): void {
    if (this.#heap.length < 1_024 || this.#heap.length < 4 * this.#size) return;
    const alive = this.#heap.filter((entry) => this.#valid(entry));
    this.#heap.length = 0;
    for (const entry of alive) this.#push(entry);
  }

  #arm(): void {
    let head = this.#heap[0];
    while (head !== undefined && !this.#valid(head)) {
      this.#pop();
      head = this.#heap[0];
    }
    if (head === undefined || this.#armed?.at === head.at) return;
    this.#armed?.handle.cancel();
    const at = head.at;
    this.#armed = { at, handle: this.#clock.after(at - this.#clock.now(), () => { this.#due(); }) };
  }

  #due(): void {
    this.#armed = undefined;
    const now = this.#clock.now();
    for (let head = this.#heap[0]; head !== undefined && head.at <= now; head = this.#heap[0]) {
      this.#pop();
      if (!this.#valid(head)) continue;
      this.#forget(head.run, head.timer);
      this.#fire(head.run, head.timer);
    }
    this.#arm();
  }

  #forget(run: string, timer: string): void {
    const timers = this.#current.get(run);
    if (timers?.delete(timer) !== true) return;
    this.#size--;
    if (timers.size === 0) this.#current.delete(run);
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up];
      if (parent === undefined || parent.at <= entry.at) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let i = 0;
    for (;;) {
      const left = 2 * i + 1;
      const a = heap[left];
      const b = heap[left + 1];
      if (a === undefined) break;
      const child = b !== undefined && b.at < a.at ? b : a;
      if (child.at >= last.at) break;
      heap[i] = child;
      i = child === a ? left : left + 1;
    }
    heap[i] = last;
  }
}
