import type { NodePlan } from '../compile/plan.ts';
import { LIMITS } from '../../crds/names.ts';
import { jsonBytes } from '../expr/values.ts';
import { NO_ITEM, type Json, type NodeError, type NodeRow } from '../types.ts';
import { fanAt, planAt, type Fan, type RunState } from './state.ts';
import type { StepBuilder } from './step.ts';

/** What happens when a row becomes terminal: dependents, the forEach around it, the counters of the run. */

const KINDS = { Succeeded: 'NodeSucceeded', Failed: 'NodeFailed', Skipped: 'NodeSkipped', Omitted: 'NodeOmitted', Cancelled: 'NodeCancelled' } as const;
/** A status that is never left. */
export type TerminalStatus = keyof typeof KINDS;
/** Items named in the error of a forEach. */
const MAX_NAMED = 10;

/** A row with nothing in it yet. */
export function emptyRow(plan: NodePlan, item: number): NodeRow {
  return { node: plan.name, item, status: 'Pending', attempt: 0, retries: 0, infra: 0 };
}

/** Facts of a row that hold over its attempts. */
export function baseOf(plan: NodePlan, row: NodeRow): NodeRow {
  return { ...emptyRow(plan, row.item), attempt: row.attempt, retries: row.retries, infra: row.infra };
}

/** Ends a row with a status, and everything that follows from it. `row` is the row as it was. */
export function settle(b: StepBuilder, plan: NodePlan, row: NodeRow, status: TerminalStatus, result: { readonly output?: Json; readonly error?: NodeError } = {}): void {
  const done: NodeRow = {
    ...baseOf(plan, row), status, finishedAt: b.now, ...result,
    ...(row.queuedAt === undefined ? {} : { queuedAt: row.queuedAt }), ...(row.startedAt === undefined ? {} : { startedAt: row.startedAt }),
    ...(row.items === undefined ? {} : { items: row.items }),
  };
  b.setRow(plan, done);
  b.note(KINDS[status], done, result.error?.reason);
  if (row.item === NO_ITEM) settleNode(b, plan, status);
  else settleItem(b, plan, status);
}

function settleNode(b: StepBuilder, plan: NodePlan, status: TerminalStatus): void {
  const { state } = b;
  if (plan.exit) state.exitLive -= 1;
  else {
    state.mainLive -= 1;
    state.mainFinishedAt = Math.max(state.mainFinishedAt, b.now);
  }
  if (status === 'Failed' && !plan.continueOnFailure) {
    state.failed.add(plan.index);
    if (!plan.exit) state.mainFailed += 1;
  }
  for (const dependent of plan.dependents) {
    const left = (state.remaining[dependent] ?? 0) - 1;
    state.remaining[dependent] = left;
    if (left === 0 && state.rows[dependent] === undefined) state.ready.push(dependent);
  }
}

function settleItem(b: StepBuilder, plan: NodePlan, status: TerminalStatus): void {
  const fan = fanAt(b.state, plan.index);
  fan.inFlight -= 1;
  if (status === 'Failed') fan.failed += 1;
  if (!finishFan(b, plan)) offerFan(b.state, plan);
}

/** Whether a forEach starts no further items: its run is being cancelled, or failed fast. */
export function isStopped(state: RunState, plan: NodePlan): boolean {
  return state.rows[plan.index]?.dueAt !== undefined || (state.halted && !plan.exit);
}

/** Puts a forEach that has room for another item where the pump finds it. */
export function offerFan(state: RunState, plan: NodePlan): void {
  const fan = fanAt(state, plan.index);
  if (fan.next >= fan.items.length || fan.inFlight >= plan.inFlight || isStopped(state, plan)) return;
  (plan.mode === 'inline' ? state.inlineFans : state.starters).push(plan.index);
}

/** Ends a forEach when nothing of it is under way and nothing more will start. */
export function finishFan(b: StepBuilder, plan: NodePlan): boolean {
  const { state } = b;
  const fan = fanAt(state, plan.index);
  const row = state.rows[plan.index];
  if (row?.status !== 'Running' || fan.inFlight > 0) return false;
  if (fan.next < fan.items.length && !isStopped(state, plan)) return false;
  const status = fanStatus(fan, row);
  const unstarted = fan.items.length - fan.next;
  state.by.Pending -= unstarted;
  state.by[status === 'Cancelled' ? 'Cancelled' : 'Omitted'] += unstarted;
  const output = status === 'Succeeded' || (status === 'Failed' && plan.continueOnFailure) ? fanOutput(fan) : undefined;
  if (output !== undefined) fan.output = output;
  const error = status === 'Failed' ? fanError(plan, fan) : undefined;
  settle(b, plan, row, status, {
    // A longer list stays out of the row: it is derived from the rows of the items.
    ...(output !== undefined && jsonBytes(output, LIMITS.outputBytes) <= LIMITS.outputBytes ? { output } : {}),
    ...(error === undefined ? {} : { error }),
  });
  return true;
}

function fanStatus(fan: Fan, row: NodeRow): TerminalStatus {
  let succeeded = 0;
  for (const item of fan.rows) if (item?.status === 'Succeeded') succeeded += 1;
  if (succeeded + fan.failed === fan.items.length) return fan.failed > 0 ? 'Failed' : 'Succeeded';
  if (row.dueAt !== undefined) return 'Cancelled';
  return fan.failed > 0 ? 'Failed' : 'Omitted';
}

/** Outputs in item order, null where an item has none. */
export function fanOutput(fan: Fan): readonly Json[] {
  return fan.items.map((_, i) => fan.rows[i]?.output ?? null);
}

function fanError(plan: NodePlan, fan: Fan): NodeError {
  const named: string[] = [];
  let first: NodeError | undefined;
  for (const row of fan.rows) {
    if (row?.status !== 'Failed') continue;
    first ??= row.error;
    if (named.length < MAX_NAMED) named.push(`${plan.name}[${row.item}] (${row.error?.reason ?? 'Failed'})`);
  }
  const more = fan.failed > named.length ? ', …' : '';
  return {
    class: first?.class ?? 'User', reason: 'ItemsFailed',
    message: `${fan.failed} of ${fan.items.length} items failed: ${named.join(', ')}${more}. First: ${first?.message ?? ''}`,
  };
}

/** The plan of a node by name, for events; undefined when there is none. */
export function planNamed(state: RunState, name: string): NodePlan | undefined {
  const index = state.compiled.byName.get(name);
  return index === undefined ? undefined : planAt(state, index);
}
