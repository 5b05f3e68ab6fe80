import type { NodeSpec, NodeStatus } from '../../crds/node.ts';
import type { Mode } from '../compile/plan.ts';
import type { DispatchMode, Counts, Dispatch, NodeRow, RunRow } from '../types.ts';
import { buildDispatch } from './dispatch.ts';
import { RunScope } from './scope.ts';
import { planNamed } from './settle.ts';
import { indexOfKey, isLeaf, itemOfKey, planAt, rowAt, STATUSES, isTerminal, type RunState } from './state.ts';

/** How many nodes, items included, are in each status. Costs nothing that grows with the run. */
export function counts(state: RunState): Counts {
  let done = 0;
  for (const status of STATUSES) if (isTerminal(status)) done += state.by[status];
  return { total: state.total, done, byStatus: { ...state.by } };
}

/** A node that failed, as status and events show it. */
export interface Failure {
  readonly node: string;
  readonly reason: string;
  readonly message: string;
}

/** Nodes that failed for good and failed the run, in the order of the definition, at most `max`. */
export function failures(state: RunState, max: number): readonly Failure[] {
  return [...state.failed].sort((a, b) => a - b).slice(0, max).map((index) => {
    const { error } = state.rows[index] ?? {};
    return { node: planAt(state, index).name, reason: error?.reason ?? 'Failed', message: error?.message ?? '' };
  });
}

/** The run's own row. */
export function runRow(state: RunState): RunRow {
  return state.run;
}

/** Every row that exists, by node, then item. Costs the whole run: for tests and the CLI. */
export function nodeRows(state: RunState): readonly NodeRow[] {
  const out: NodeRow[] = [];
  state.rows.forEach((row, index) => {
    if (row !== undefined) out.push(row);
    for (const item of state.fans.get(index)?.rows ?? []) if (item !== undefined) out.push(item);
  });
  return out;
}

/** The row of one node or item, or undefined when it has none. */
export function nodeRow(state: RunState, node: string, item: number): NodeRow | undefined {
  const plan = planNamed(state, node);
  return plan === undefined ? undefined : rowAt(state, plan.index, item);
}

/** Number of the attempt of a place that is on its way or running; undefined when there is none. */
export function attemptInFlight(state: RunState, node: string, item: number): number | undefined {
  const row = nodeRow(state, node, item);
  return row?.status === 'Queued' || row?.status === 'Running' ? row.attempt : undefined;
}

/** A node as it is defined, the workflow's defaults merged in. */
export function nodeSpecOf(state: RunState, node: string): NodeSpec | undefined {
  return planNamed(state, node)?.spec;
}

/** Where attempts of a node run; `inline` for nodes that never leave the controller, and for unknown ones. */
export function placementOf(state: RunState, node: string): { readonly mode: Mode; readonly pool?: string } {
  const plan = planNamed(state, node);
  return plan === undefined || plan.mode === 'inline' ? { mode: 'inline' } : { mode: plan.mode, pool: plan.pool };
}

/** Sequence number of the last entry of the run's history. */
export function lastSeq(state: RunState): number {
  return state.seq;
}

/** An attempt that is queued or running. */
export interface LiveAttempt {
  readonly node: string;
  readonly item: number;
  readonly attempt: number;
  readonly status: Extract<NodeStatus, 'Queued' | 'Running'>;
  readonly queuedAt?: number;
  readonly startedAt?: number;
  readonly mode: DispatchMode;
  readonly pool: string;
}

/** Attempts that are queued or running, in no particular order. Costs what is live. */
export function* liveAttempts(state: RunState): Generator<LiveAttempt> {
  for (const key of state.live) {
    const plan = planAt(state, indexOfKey(key));
    const row = rowAt(state, indexOfKey(key), itemOfKey(key));
    if (row?.status !== 'Queued' && row?.status !== 'Running') continue;
    yield {
      node: row.node, item: row.item, attempt: row.attempt, status: row.status, mode: plan.mode === 'pod' ? 'pod' : 'warm', pool: plan.pool,
      ...(row.queuedAt === undefined ? {} : { queuedAt: row.queuedAt }), ...(row.startedAt === undefined ? {} : { startedAt: row.startedAt }),
    };
  }
}

/** The dispatch of a queued or running attempt, as it was sent: for sending it again. Undefined when there is none. */
export function redispatch(state: RunState, node: string, item: number): Dispatch | undefined {
  const plan = planNamed(state, node);
  if (plan === undefined || !isLeaf(plan, item)) return undefined;
  const row = rowAt(state, plan.index, item);
  if (row?.status !== 'Queued' && row?.status !== 'Running') return undefined;
  return buildDispatch(plan, item, row.attempt, new RunScope(state));
}

