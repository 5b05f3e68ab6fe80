import type { NodePlan } from '../compile/plan.ts';
import { NO_ITEM, type AttemptRecord, type Command, type HistoryEntry, type NodeError, type NodeRow, type RunRow, type Step } from '../types.ts';
import { RunScope } from './scope.ts';
import { fanAt, isLeaf, keyOf, rowAt, type RunState } from './state.ts';

const NOTHING: readonly never[] = Object.freeze([]);
/** The step of an event that changed nothing. */
export const EMPTY_STEP: Step = Object.freeze({ nodes: NOTHING, attempts: NOTHING, history: NOTHING, commands: NOTHING });

/** Collects what one event does, and keeps the state's indexes in line with every row that is written. */
export class StepBuilder {
  readonly state: RunState;
  readonly now: number;
  readonly scope: RunScope;
  readonly attempts: AttemptRecord[] = [];
  readonly history: HistoryEntry[] = [];
  readonly commands: Command[] = [];
  /** Pieces of work done so far; the caller of `pump` bounds them. */
  work = 0;
  private readonly dirty = new Map<number, NodeRow>();
  private runDirty = false;

  constructor(state: RunState, now: number) {
    this.state = state;
    this.now = now;
    this.scope = new RunScope(state);
  }

  /** The finished step. */
  build(): Step {
    if (this.history.length === 0 && this.dirty.size === 0 && !this.runDirty && this.commands.length === 0) return EMPTY_STEP;
    return {
      ...(this.runDirty ? { run: this.state.run } : {}),
      nodes: [...this.dirty.values()], attempts: this.attempts, history: this.history, commands: this.commands,
    };
  }

  /** Replaces the run's row. */
  setRun(run: RunRow): void {
    this.state.run = run;
    this.runDirty = true;
  }

  /** Writes a row and keeps every index of the state in line. */
  setRow(plan: NodePlan, row: NodeRow): void {
    const { state } = this;
    const key = keyOf(plan.index, row.item);
    const old = rowAt(state, plan.index, row.item);
    const before = old?.status ?? 'Pending';
    if (row.item === NO_ITEM) state.rows[plan.index] = row;
    else fanAt(state, plan.index).rows[row.item] = row;
    this.dirty.set(key, row);
    if (before === row.status) return;
    state.by[before] -= 1;
    state.by[row.status] += 1;
    if (!isLeaf(plan, row.item)) return;
    const isActive = row.status === 'Queued' || row.status === 'Running';
    const wasActive = before === 'Queued' || before === 'Running';
    if (isActive !== wasActive) state.active += isActive ? 1 : -1;
    if (isActive || row.status === 'Waiting') state.live.add(key);
    else state.live.delete(key);
  }

  /** Adds a line to the run's history. */
  note(kind: string, row?: NodeRow, reason?: string): void {
    this.state.seq += 1;
    this.history.push({
      seq: this.state.seq, at: this.now, kind,
      ...(row === undefined ? {} : { node: row.node, ...(row.item === NO_ITEM ? {} : { item: row.item }), ...(row.attempt === 0 ? {} : { attempt: row.attempt }) }),
      ...(reason === undefined ? {} : { reason }),
    });
  }

  /** Records the end of a dispatched attempt. Inline nodes have none: their row says all. */
  record(row: NodeRow, status: AttemptRecord['status'], error?: NodeError): void {
    this.attempts.push({
      node: row.node, item: row.item, attempt: row.attempt, status, finishedAt: this.now,
      ...(error === undefined ? {} : { error }),
      ...(row.queuedAt === undefined ? {} : { queuedAt: row.queuedAt }), ...(row.startedAt === undefined ? {} : { startedAt: row.startedAt }),
    });
  }

  setTimer(timer: string, at: number): void {
    this.commands.push({ type: 'SetTimer', timer, at });
  }

  clearTimer(timer: string | undefined): void {
    if (timer !== undefined) this.commands.push({ type: 'ClearTimer', timer });
  }

  cancelAttempt(row: NodeRow, graceMs: number): void {
    this.commands.push({ type: 'CancelAttempt', node: row.node, item: row.item, attempt: row.attempt, graceMs });
  }
}
