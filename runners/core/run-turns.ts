import { doubling, type Clock, type TimerHandle } from '../../platform/clock/index.ts';

/** How long a dispatch of another run waits for this pod to become free before it is handed back. */
const HOLD_MS = 250;
/** After handing back, so long nothing is asked for: what came back would only come again. Doubles. */
const PAUSE_MIN_MS = 250;
const PAUSE_MAX_MS = 8_000;

interface Waiter {
  readonly run: string;
  readonly settle: (mine: boolean) => void;
}

/**
 * Pools with `reuse: Run` give a pod to one run at a time. All runs share one consumer, so a runner cannot ask for
 * dispatches of its run only; what comes of another run waits for a moment (most nodes are quick), then goes back to its
 * owner, who sends it again: to another pod, if one is free. While something waits nothing more is asked for.
 */
export class RunTurns {
  readonly #clock: Clock;
  #run: string | undefined;
  #active = 0;
  #waiting: Waiter[] = [];
  #open: (() => void)[] = [];
  #pause: TimerHandle | undefined;
  #handedBack = 0;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when it makes sense to ask for work. */
  async ready(): Promise<void> {
    while (!this.#closed && (this.#waiting.length > 0 || this.#pause !== undefined)) await new Promise<void>((resolve) => { this.#open.push(resolve); });
  }

  /** Whether an attempt of this run may start; false: it goes back. After true, `leave` is called once. */
  async enter(run: string): Promise<boolean> {
    if (this.#closed) return false;
    if (this.#active === 0 || this.#run === run) {
      this.#begin(run);
      return true;
    }
    return this.#wait(run);
  }

  /** An attempt that entered has ended. */
  leave(): void {
    this.#active--;
    if (this.#active > 0) return;
    this.#endPause();
    const next = this.#waiting[0]?.run;
    if (next !== undefined) {
      const [turn, others] = [this.#waiting.filter((w) => w.run === next), this.#waiting.filter((w) => w.run !== next)];
      this.#waiting = others;
      for (const waiter of turn) waiter.settle(true);
    }
    this.#tell();
  }

  /** The runner drains: whatever waits goes back. */
  close(): void {
    this.#closed = true;
    this.#endPause();
    for (const waiter of this.#waiting.splice(0)) waiter.settle(false);
    this.#tell();
  }

  #begin(run: string): void {
    this.#run = run;
    this.#active++;
    this.#handedBack = 0;
  }

  #wait(run: string): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(HOLD_MS, () => {
        this.#waiting = this.#waiting.filter((w) => w !== waiter);
        this.#pauseAfterReturn();
        resolve(false);
        this.#tell();
      });
      const waiter: Waiter = { run, settle: (mine) => {
        timer.cancel();
        if (mine) this.#begin(run);
        resolve(mine);
      } };
      this.#waiting.push(waiter);
    });
  }

  #pauseAfterReturn(): void {
    if (this.#pause !== undefined) return;
    this.#pause = this.#clock.after(doubling(PAUSE_MIN_MS, PAUSE_MAX_MS, this.#handedBack), () => {
      this.#pause = undefined;
      this.#tell();
    });
    this.#handedBack++;
  }

  #endPause(): void {
    this.#pause?.cancel();
    this.#pause = undefined;
  }

  #tell(): void {
    for (const go of this.#open.splice(0)) go();
  }
}
