import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { sleep, systemClock } from '../clock/index.ts';

declare global {
  /**
   * Set by the bundler: true only in the bundles of test/chaos. Written out at each use, because the bundler folds it
   * there: in all other bundles the branches, and with them this file, vanish.
   */
  var RAMBO_CHAOS: boolean | undefined;
}

/** What happens at a failpoint: the process is killed (-9) or stopped (SIGSTOP), the effect fails, waits, is left out, or comes twice. */
export type FaultAction = 'kill' | 'stop' | 'error' | 'drop' | 'repeat' | { readonly delayMs: number };

/** A fault that was armed: at the `hit`th time (from 1) that a process comes by the point. */
export interface Fault {
  readonly point: string;
  readonly hit: number;
  readonly action: FaultAction;
}

/** The control file, `armed.json` in the folder of RAMBO_CHAOS_DIR: written by the harness, read when it changes. */
export interface Armed {
  readonly id: string;
  readonly faults: readonly Fault[];
  /** Append every hit to `hits`, to learn which points a run comes by. */
  readonly count: boolean;
  /** Hits are counted over all processes, not in each: a point that whichever process comes by is then the same one in every run. */
  readonly shared?: boolean;
  /** A deliberate defect, to prove that the oracle sees it. */
  readonly defect?: 'ackBeforeCommit' | 'noFencing' | 'sentBeforePublish';
}

const NOTHING: Armed = { id: '', faults: [], count: false };

/** Where one process stands: hits since the control file changed. */
class Control {
  readonly #dir: string | undefined;
  readonly #hits = new Map<string, number>();
  #armed = NOTHING;
  #stamp = -1;

  constructor(dir: string | undefined) {
    this.#dir = dir;
  }

  get armed(): Armed {
    this.#refresh();
    return this.#armed;
  }

  hit(point: string): FaultAction | undefined {
    if (this.#dir === undefined) return undefined;
    this.#refresh();
    const n = this.#armed.shared === true ? this.#sharedHit(point) : (this.#hits.get(point) ?? 0) + 1;
    this.#hits.set(point, n);
    if (this.#armed.count) appendFileSync(path.join(this.#dir, 'hits'), `${point}\n`);
    const fault = this.#armed.faults.find((f) => f.point === point && f.hit === n);
    return fault !== undefined && this.#first(fault) ? fault.action : undefined;
  }

  /** Notes something for the oracle. */
  note(file: string, line: string): void {
    if (this.#dir !== undefined) appendFileSync(path.join(this.#dir, file), `${line}\n`);
  }

  #refresh(): void {
    if (this.#dir === undefined) return;
    const file = path.join(this.#dir, 'armed.json');
    const stamp = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? -1;
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    this.#hits.clear();
    try {
      const armed: Armed = JSON.parse(readFileSync(file, 'utf8'));
      this.#armed = armed;
    } catch {
      this.#armed = NOTHING;
    }
  }

  /** Which hit of all processes this is; only points at which something is to happen are counted so. */
  #sharedHit(point: string): number {
    if (!this.#armed.faults.some((fault) => fault.point === point)) return 0;
    let n = (this.#hits.get(point) ?? 0) + 1;
    while (!this.#leave(`hit-${this.#armed.id}-${point}-${n}`)) n++;
    return n;
  }

  /** A fault strikes once, whichever process comes first and however often it starts again. */
  #first(fault: Fault): boolean {
    return this.#leave(`fired-${this.#armed.id}-${fault.point}-${fault.hit}`);
  }

  /** Leaves a file with this process's id, unless it is there. */
  #leave(name: string): boolean {
    try {
      writeFileSync(path.join(this.#dir ?? '', name.replaceAll('/', '_')), `${process.pid}\n`, { flag: 'wx' });
      return true;
    } catch {
      return false;
    }
  }
}

// eslint-disable-next-line no-restricted-properties -- the harness's own switch; dead code in every bundle but its own
const control = /* @__PURE__ */ new Control(globalThis.RAMBO_CHAOS === true ? process.env['RAMBO_CHAOS_DIR'] : undefined);

/** The defect that is switched on, if any. */
export function defect(): Armed['defect'] {
  return control.armed.defect;
}

/** Notes a line for the oracle in a file of the control folder. */
export function note(file: string, line: string): void {
  control.note(file, line);
}

/** An error as the outside would give it; which one is up to whoever wraps the effect. */
export type FaultError = (point: string) => Error;

/** Passes a point where nothing can be waited for. Returns what to do with the effect; kills the process when told. */
export function pass(point: string): 'do' | 'drop' | 'repeat' {
  const action = control.hit(point);
  if (action === 'kill') process.kill(process.pid, 'SIGKILL');
  return action === 'drop' || action === 'repeat' ? action : 'do';
}

/** An outside effect with a failpoint before and one after it. An error after it is an answer that got lost. */
export async function around<T>(point: string, effect: () => Promise<T>, error: FaultError): Promise<T> {
  const before = await strike(`${point}.before`, error);
  if (before === 'repeat') await effect();
  const result = await effect();
  await strike(`${point}.after`, error);
  return result;
}

/** Passes a point where something can be waited for. Returns what to do with the effect; throws, waits or kills when told. */
export async function strike(point: string, error: FaultError): Promise<FaultAction | undefined> {
  const action = control.hit(point);
  if (action === 'kill') process.kill(process.pid, 'SIGKILL');
  if (action === 'stop') process.kill(process.pid, 'SIGSTOP');
  if (action === 'error') throw error(point);
  if (typeof action === 'object') await sleep(systemClock, action.delayMs);
  return action;
}
