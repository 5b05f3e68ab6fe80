import type { Compiled, NodePlan } from '../compile/plan.ts';
import { NO_ITEM, type NodeRow, type RunMeta, type RunRow } from '../types.ts';
import { addFan } from './decide.ts';
import { fanOutput, offerFan, planNamed } from './settle.ts';
import { createRun, fanAt, isFinal, isLeaf, isParked, isTerminal, keyOf, planAt, type RunState } from './state.ts';

/**
 * Rebuilds a run from what was committed. It goes on exactly as the state would have that made the rows; the owner
 * puts `pendingTimers` on its wheel and sends `redispatch` of `liveAttempts` again. Rows of unknown nodes are ignored.
 */
export function restoreRun(compiled: Compiled, meta: RunMeta, run: RunRow, rows: Iterable<NodeRow>, lastSeq: number): RunState {
  const state = createRun(compiled, meta);
  state.run = run;
  state.seq = lastSeq;
  const items: NodeRow[] = [];
  for (const row of rows) {
    const plan = planNamed(state, row.node);
    if (plan === undefined) continue;
    if (row.item === NO_ITEM) restoreNode(state, plan, row);
    else items.push(row);
  }
  for (const row of items) {
    const plan = planNamed(state, row.node);
    if (plan !== undefined && state.fans.has(plan.index)) restoreItem(state, plan, row);
  }
  state.halted = compiled.failFast && state.mainFailed > 0;
  for (const index of state.fans.keys()) restoreFan(state, planAt(state, index));
  restoreReady(state);
  return state;
}

function move(state: RunState, plan: NodePlan, row: NodeRow): void {
  state.by.Pending -= 1;
  state.by[row.status] += 1;
  if (!isLeaf(plan, row.item)) return;
  const key = keyOf(plan.index, row.item);
  if (row.status === 'Queued' || row.status === 'Running') state.active += 1;
  else if (row.status !== 'Waiting') return;
  state.live.add(key);
  if (row.status === 'Waiting' && row.dueAt === undefined && !isParked(plan, row)) state.due.push(key);
}

function restoreNode(state: RunState, plan: NodePlan, row: NodeRow): void {
  state.rows[plan.index] = row;
  if (row.items !== undefined) addFan(state, plan, row.items);
  move(state, plan, row);
  if (!isTerminal(row.status)) return;
  if (plan.exit) state.exitLive -= 1;
  else {
    state.mainLive -= 1;
    state.mainFinishedAt = Math.max(state.mainFinishedAt, row.finishedAt ?? 0);
  }
  if (row.status === 'Failed' && !plan.continueOnFailure) {
    state.failed.add(plan.index);
    if (!plan.exit) state.mainFailed += 1;
  }
  for (const dependent of plan.dependents) state.remaining[dependent] = (state.remaining[dependent] ?? 0) - 1;
}

function restoreItem(state: RunState, plan: NodePlan, row: NodeRow): void {
  const fan = fanAt(state, plan.index);
  fan.rows[row.item] = row;
  fan.next = Math.max(fan.next, row.item + 1);
  if (row.status === 'Failed') fan.failed += 1;
  if (!isTerminal(row.status)) fan.inFlight += 1;
  move(state, plan, row);
}

function restoreFan(state: RunState, plan: NodePlan): void {
  const fan = fanAt(state, plan.index);
  const row = state.rows[plan.index];
  if (row === undefined) return;
  if (!isTerminal(row.status)) {
    offerFan(state, plan);
    return;
  }
  const unstarted = fan.items.length - fan.next;
  state.by.Pending -= unstarted;
  state.by[row.status === 'Cancelled' ? 'Cancelled' : 'Omitted'] += unstarted;
  if (row.status === 'Succeeded' || (row.status === 'Failed' && plan.continueOnFailure)) fan.output = row.output ?? fanOutput(fan);
}

function restoreReady(state: RunState): void {
  const { run, compiled } = state;
  if (run.startedAt === undefined || isFinal(run)) return;
  const [from, to] = run.exitPhase === undefined ? [0, compiled.mainCount] : [compiled.mainCount, compiled.nodes.length];
  for (let index = from; index < to; index++) {
    if (state.rows[index] === undefined && state.remaining[index] === 0) state.ready.push(index);
  }
}
