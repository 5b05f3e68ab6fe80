import type { NodePlan } from '../compile/plan.ts';
import { NO_ITEM, type NodeError, type NodeRow } from '../types.ts';
import { armTimer, GRACE_MS } from './attempt.ts';
import { emptyRow, finishFan, settle, type TerminalStatus } from './settle.ts';
import { indexOfKey, isParked, isTerminal, itemOfKey, planAt, rowAt, type RunState } from './state.ts';
import type { StepBuilder } from './step.ts';
import { timerOf } from './timers.ts';

/** Which nodes a stop is about. */
export type Part = 'main' | 'exit';

interface Live { readonly plan: NodePlan; readonly row: NodeRow }

function plansOf(state: RunState, part: Part): readonly NodePlan[] {
  const { nodes, mainCount } = state.compiled;
  return part === 'main' ? nodes.slice(0, mainCount) : nodes.slice(mainCount);
}

function liveOf(state: RunState, part: Part): readonly Live[] {
  const out: Live[] = [];
  for (const key of [...state.live].sort((a, b) => a - b)) {
    const plan = planAt(state, indexOfKey(key));
    const row = rowAt(state, indexOfKey(key), itemOfKey(key));
    if (row !== undefined && plan.exit === (part === 'exit')) out.push({ plan, row });
  }
  return out;
}

/** Whether everything of a graph has ended or was already asked to stop. */
export function isStopping(state: RunState, part: Part): boolean {
  return plansOf(state, part).every((plan) => {
    const row = state.rows[plan.index];
    return row !== undefined && (isTerminal(row.status) || row.dueAt !== undefined && row.status === 'Running');
  });
}

function endPending(b: StepBuilder, part: Part, status: TerminalStatus): void {
  for (const plan of plansOf(b.state, part)) {
    if (b.state.rows[plan.index] === undefined) settle(b, plan, emptyRow(plan, NO_ITEM), status);
  }
}

function endFans(b: StepBuilder, part: Part): void {
  for (const plan of plansOf(b.state, part)) if (b.state.fans.has(plan.index)) finishFan(b, plan);
}

/** Both graphs never start nodes at the same time, so all that waits to start belongs to the part that stops. */
function forgetWaiting(state: RunState): void {
  state.ready.clear();
  state.starters.clear();
  state.inlineFans.clear();
  state.due.clear();
}

/**
 * Cancels a graph: what has not started is `unstarted`, attempts nobody took end at once, running ones get `graceMs`
 * to stop (0: none). Costs what is live plus the nodes of the graph; happens once or twice in a run.
 */
export function drain(b: StepBuilder, part: Part, error: NodeError, graceMs: number, unstarted: TerminalStatus = 'Cancelled'): void {
  for (const plan of plansOf(b.state, part)) {
    const row = b.state.rows[plan.index];
    if (row?.status === 'Running' && plan.forEach !== undefined) b.setRow(plan, { ...row, dueAt: b.now + graceMs });
  }
  endPending(b, part, unstarted);
  for (const { plan, row } of liveOf(b.state, part)) {
    b.clearTimer(timerOf(plan, row)?.timer);
    if (row.status === 'Running' && graceMs > 0) askToStop(b, plan, row);
    else endNow(b, plan, row, error);
  }
  endFans(b, part);
  forgetWaiting(b.state);
}

function askToStop(b: StepBuilder, plan: NodePlan, row: NodeRow): void {
  if (row.dueAt !== undefined) return;
  const stopping: NodeRow = { ...row, dueAt: b.now + GRACE_MS };
  b.setRow(plan, stopping);
  b.note('NodeCancelling', stopping);
  b.cancelAttempt(stopping, GRACE_MS);
  armTimer(b, plan, stopping);
}

/** Ends a live attempt without waiting for it. */
export function endNow(b: StepBuilder, plan: NodePlan, row: NodeRow, error: NodeError, status: TerminalStatus = 'Cancelled'): void {
  if (row.status !== 'Waiting') {
    b.cancelAttempt(row, 0);
    b.record(row, 'Cancelled', error);
  }
  settle(b, plan, row, status, status === 'Omitted' ? {} : { error });
}

/** Why an attempt that could still come will not, where another node failed and the workflow has failFast. */
export const FAIL_FAST: NodeError = { class: 'Cancelled', reason: 'FailFast', message: 'another node failed and the workflow has failFast' };

/** failFast after a failure: nothing new starts, what runs goes on, what waits for another attempt has failed, a parked agent is cancelled. */
export function halt(b: StepBuilder): void {
  b.state.halted = true;
  b.note('RunHalted');
  endPending(b, 'main', 'Omitted');
  for (const { plan, row } of liveOf(b.state, 'main')) {
    if (row.status === 'Running' || plan.type === 'wait') continue;
    b.clearTimer(timerOf(plan, row)?.timer);
    if (row.status === 'Queued') endNow(b, plan, row, FAIL_FAST, 'Omitted');
    else if (isParked(plan, row)) endNow(b, plan, row, FAIL_FAST);
    else settle(b, plan, row, 'Failed', { error: row.error ?? FAIL_FAST });
  }
  endFans(b, 'main');
  forgetWaiting(b.state);
}
