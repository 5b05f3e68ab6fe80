import { TEN_MINUTES, type NodePlan } from '../compile/plan.ts';
import { NO_ITEM, type NodeRow } from '../types.ts';
import { indexOfKey, isFinal, itemOfKey, planAt, rowAt, type RunState } from './state.ts';

/** A timer of a run: wake it with `Timer` at `at` (epoch milliseconds). */
export interface Timer {
  readonly timer: string;
  readonly at: number;
}

/** Timer of the run's own timeout. */
export const RUN_TIMEOUT = 'run-timeout';
/** Timer of the onExit graph's timeout. */
export const EXIT_TIMEOUT = 'exit-timeout';
/** Timer that goes on with work which one step left over. */
export const CONTINUE = 'continue';

/** Kinds of timers that belong to one attempt. */
export type AttemptTimer = 'pending' | 'timeout' | 'retry' | 'wait' | 'cancel';

/** Id of an attempt's timer. Node names hold no colon. */
export function timerId(kind: AttemptTimer, row: NodeRow): string {
  return `${kind}:${row.node}:${row.item}:${row.attempt}`;
}

/** The timer a row implies, if any. Timers are rebuilt from rows alone, so this is the one place that says which. */
export function timerOf(plan: NodePlan, row: NodeRow): Timer | undefined {
  switch (row.status) {
    case 'Queued': return row.queuedAt === undefined ? undefined : { timer: timerId('pending', row), at: row.queuedAt + plan.pendingTimeoutMs };
    case 'Running':
      if (row.item === NO_ITEM && plan.forEach !== undefined) return undefined;
      if (row.dueAt !== undefined) return { timer: timerId('cancel', row), at: row.dueAt };
      if (plan.timeoutMs === undefined || row.startedAt === undefined) return undefined;
      return { timer: timerId('timeout', row), at: row.startedAt + plan.timeoutMs };
    case 'Waiting': return row.dueAt === undefined ? undefined : { timer: timerId(plan.type === 'wait' ? 'wait' : 'retry', row), at: row.dueAt };
    default: return undefined;
  }
}

/** When the run's own timeout fires, while it can. */
export function runTimeoutAt(state: RunState): number | undefined {
  const { run, compiled } = state;
  if (compiled.timeoutMs === undefined || run.startedAt === undefined || isFinal(run)) return undefined;
  if (run.exitPhase !== undefined || run.cancel !== undefined || run.error !== undefined) return undefined;
  return run.startedAt + compiled.timeoutMs;
}

/** When the onExit graph times out, while it runs. */
export function exitTimeoutAt(state: RunState): number | undefined {
  if (state.run.exitPhase === undefined || isFinal(state.run)) return undefined;
  return state.mainFinishedAt + TEN_MINUTES;
}

/** Every timer a run waits for, from its rows alone: what a new owner puts on its wheel. */
export function pendingTimers(state: RunState): readonly Timer[] {
  const out: Timer[] = [];
  const runAt = runTimeoutAt(state);
  if (runAt !== undefined) out.push({ timer: RUN_TIMEOUT, at: runAt });
  const exitAt = exitTimeoutAt(state);
  if (exitAt !== undefined) out.push({ timer: EXIT_TIMEOUT, at: exitAt });
  for (const key of [...state.live].sort((a, b) => a - b)) {
    const row = rowAt(state, indexOfKey(key), itemOfKey(key));
    const timer = row === undefined ? undefined : timerOf(planAt(state, indexOfKey(key)), row);
    if (timer !== undefined) out.push(timer);
  }
  if (hasLeftOver(state)) out.push({ timer: CONTINUE, at: 0 });
  return out;
}

/** Whether a run can go on without any event: one step does a bounded amount of work. */
export function hasLeftOver(state: RunState): boolean {
  if (isFinal(state.run) || state.run.suspended || state.run.startedAt === undefined) return false;
  if (state.ready.size > 0 || state.inlineFans.size > 0) return true;
  return (state.starters.size > 0 || state.due.size > 0) && state.active < state.compiled.parallelism;
}
