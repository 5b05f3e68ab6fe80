import type { WorkflowRunStatus } from '../../crds/workflow-run.ts';
import type { RunPhase } from '../../crds/workflow-run.ts';
import { FINAL_PHASES } from '../../crds/workflow-run.ts';
import type { Condition } from '../../crds/parts.ts';
import type { Clock, TimerHandle } from '../../platform/clock/index.ts';
import { errorMessage } from '../../platform/errors/index.ts';
import type { CrRef } from './live-run.ts';
import { seenStatus } from './projection.ts';

/** What the writer knows of the object it writes to. */
export interface RunObject {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly observedGeneration?: number | undefined;
  readonly phase?: RunPhase | undefined;
  /** Its status says that it waits for a person. */
  readonly needsReview?: boolean;
  readonly conditions: readonly Condition[];
}

/** Outcome of one patch. `Stale`: read the object again and repeat. `Gone`: there is nothing to write to any more. */
export type PatchResult = { readonly kind: 'Written'; readonly resourceVersion: string } | { readonly kind: 'Stale' | 'Gone' };

/** The API server, as far as statuses go. */
export interface StatusPort {
  /** The object from the cache, or from the server when `fresh`. */
  read(cr: CrRef, fresh: boolean): Promise<RunObject | undefined>;
  patch(cr: CrRef, resourceVersion: string, status: WorkflowRunStatus): Promise<PatchResult>;
  /** The one Event of a run: it failed. */
  failedEvent(cr: CrRef, message: string): Promise<void>;
}

/** Builds the status anew, from memory or from the rows; undefined when the run is not ours any more, or nothing has to change. */
export type Project = (run: string, object: RunObject) => Promise<WorkflowRunStatus | undefined>;

/** A running run shows after this; runs that end sooner cost one patch less. */
const FIRST_MS = 100;
/** Progress follows at these distances. The first is long enough that a run of 6 s stays within four writes. */
const PROGRESS_MS = [6_000, 8_000, 16_000, 32_000, 60_000];
/** Patches under way at once: the API server is the scarce resource. */
const CONCURRENCY = 16;
const RETRY_MS = [200, 400, 800, 1_600, 3_200, 5_000];

interface Entry {
  readonly run: string;
  readonly cr: CrRef;
  phase: RunPhase;
  /** The run waits for a person. */
  held: boolean;
  written?: RunPhase;
  writtenHeld?: boolean;
  patches: number;
  failures: number;
  writtenVersion: string | undefined;
  dirty: boolean;
  busy: boolean;
  timer: TimerHandle | undefined;
}

/** What the writer is made of. */
export interface StatusWriterParts {
  readonly clock: Clock;
  readonly port: StatusPort;
  readonly project: Project;
  readonly log: { warn(facts: object, message: string): void };
}

/**
 * Writes the summary of CR-started runs: one merge patch when the phase changes, progress ever more rarely. Nothing is
 * remembered beyond the run's life: after a restart the CR is compared with the rows.
 */
export class StatusWriter {
  readonly #p: StatusWriterParts;
  readonly #entries = new Map<string, Entry>();
  readonly #ready: Entry[] = [];
  #busy = 0;
  #stopped = false;

  constructor(parts: StatusWriterParts) {
    this.#p = parts;
  }

  /** Statuses not yet written. */
  get pending(): number { return this.#entries.size; }

  /** The run has changed. A change of phase, or of whether it waits for a person, is written soon, progress when its time has come. */
  changed(run: string, cr: CrRef, phase: RunPhase, held = false): void {
    let entry = this.#entries.get(run);
    if (entry === undefined) {
      entry = { run, cr, phase, held, patches: 0, failures: 0, writtenVersion: undefined, dirty: true, busy: false, timer: undefined };
      this.#entries.set(run, entry);
    }
    entry.phase = phase;
    entry.held = held;
    entry.dirty = true;
    if (!entry.busy) this.#schedule(entry);
  }

  /** Forgets a run whose object is gone or whose shard moved. */
  forget(run: string): void {
    this.#entries.get(run)?.timer?.cancel();
    this.#entries.delete(run);
  }

  /** Writes what is due at once (final phases) and stops. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const due = [...this.#entries.values()].filter((entry) => entry.phase !== entry.written);
    for (const entry of this.#entries.values()) entry.timer?.cancel();
    await Promise.allSettled(due.filter((entry) => !entry.busy).map((entry) => this.#write(entry)));
  }

  #schedule(entry: Entry): void {
    const final = FINAL_PHASES.includes(entry.phase);
    const urgent = entry.phase !== entry.written || entry.held !== (entry.writtenHeld ?? entry.held);
    if (entry.timer !== undefined && !(urgent && (final || entry.written !== undefined))) return;
    entry.timer?.cancel();
    const wait = final ? 0 : urgent ? FIRST_MS : PROGRESS_MS[Math.min(entry.patches, PROGRESS_MS.length) - 1] ?? FIRST_MS;
    this.#later(entry, wait);
  }

  #later(entry: Entry, ms: number): void {
    if (this.#stopped) return;
    entry.timer = this.#p.clock.after(ms, () => {
      entry.timer = undefined;
      this.#ready.push(entry);
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#busy < CONCURRENCY && !this.#stopped) {
      const entry = this.#ready.shift();
      if (entry === undefined) return;
      if (entry.busy || this.#entries.get(entry.run) !== entry) continue;
      this.#busy++;
      void this.#write(entry).finally(() => {
        this.#busy--;
        this.#pump();
      });
    }
  }

  async #write(entry: Entry): Promise<void> {
    entry.busy = true;
    entry.dirty = false;
    try {
      const done = await this.#attempt(entry);
      if (!done) throw new Error('the object changed meanwhile');
      entry.failures = 0;
    } catch (error) {
      entry.dirty = true;
      entry.failures++;
      if (entry.failures > 2) this.#p.log.warn({ run: entry.run, err: errorMessage(error), failures: entry.failures }, 'could not write the status; it is tried again');
      this.#later(entry, RETRY_MS[Math.min(entry.failures, RETRY_MS.length) - 1] ?? 5_000);
      return;
    } finally {
      entry.busy = false;
    }
    if (entry.written !== undefined && FINAL_PHASES.includes(entry.written)) this.forget(entry.run);
    else if (entry.dirty) this.#schedule(entry);
  }

  /** Returns false when the object was at another version than expected. */
  async #attempt(entry: Entry): Promise<boolean> {
    // Our own last write may not have come back through the watch yet: its version is the newer one.
    const object = await this.#p.port.read(entry.cr, entry.failures > 0);
    const status = object === undefined || object.uid !== entry.cr.uid ? undefined : await this.#statusFor(entry, object);
    if (object === undefined || status === undefined) {
      this.forget(entry.run);
      return true;
    }
    const version = entry.failures === 0 && entry.writtenVersion !== undefined ? entry.writtenVersion : object.resourceVersion;
    const result = await this.#p.port.patch(entry.cr, version, status);
    if (result.kind === 'Written') {
      // The Event of a failed run was written with its end.
      await this.#written(entry, status, result.resourceVersion, endOf(object) === undefined);
      return true;
    }
    entry.writtenVersion = undefined;
    if (result.kind === 'Gone') this.forget(entry.run);
    return result.kind === 'Gone';
  }

  /** Undefined when there is nothing to write. An object that has ended gets no more than that its last spec was seen, or that its run waits for a person. */
  async #statusFor(entry: Entry, object: RunObject): Promise<WorkflowRunStatus | undefined> {
    const ended = endOf(object);
    if (ended === undefined || entry.held || object.needsReview === true) return this.#p.project(entry.run, object);
    return object.observedGeneration === object.generation ? undefined : seenStatus(object.generation, ended, object.conditions);
  }

  async #written(entry: Entry, status: WorkflowRunStatus, resourceVersion: string, news: boolean): Promise<void> {
    entry.writtenVersion = resourceVersion;
    entry.patches++;
    entry.writtenHeld = entry.held;
    // Only a note on an object that has ended: nothing will follow.
    if (status.phase === undefined) this.forget(entry.run);
    if (status.phase === undefined) return;
    entry.written = status.phase;
    if (status.phase !== 'Failed' || !news) return;
    const why = status.conditions?.find((c) => c.type === 'Completed')?.message ?? 'the run failed';
    await this.#p.port.failedEvent(entry.cr, why).catch((error: unknown) => {
      this.#p.log.warn({ run: entry.run, err: errorMessage(error) }, 'could not record the Event of a failed run');
    });
  }
}

/** The final phase of an object that has ended. */
function endOf(object: RunObject): RunPhase | undefined {
  return object.phase !== undefined && FINAL_PHASES.includes(object.phase) ? object.phase : undefined;
}
