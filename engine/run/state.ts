import { FINAL_PHASES } from '../../crds/workflow-run.ts';
import { NODE_STATUSES, type NodeStatus } from '../../crds/node.ts';
import type { Compiled, NodePlan } from '../compile/plan.ts';
import { EngineBug } from '../errors.ts';
import type { Cel } from '../expr/values.ts';
import { NO_ITEM, type Json, type NodeRow, type RunMeta, type RunRow } from '../types.ts';
import { Heap } from './heap.ts';

/** Items of a forEach that has expanded. */
export interface Fan {
  readonly items: readonly Json[];
  readonly rows: (NodeRow | undefined)[];
  /** First item that has not started; items start in order. */
  next: number;
  /** Started items that are not terminal. */
  inFlight: number;
  failed: number;
  /** Outputs in item order once it ended, also where the list is too long to be stored with the parent. */
  output?: Json;
}

/**
 * A live run in memory. Opaque to the rest of the program: read it through the functions of this room. `advance`
 * changes it in place; when the commit of a step fails, throw it away and restore it from its rows.
 */
export interface RunState {
  readonly compiled: Compiled;
  readonly meta: RunMeta;
  run: RunRow;
  seq: number;
  readonly rows: (NodeRow | undefined)[];
  /** Dependencies of each node that are not terminal yet. */
  readonly remaining: number[];
  readonly fans: Map<number, Fan>;
  /** Nodes to decide: all they depend on is terminal. */
  readonly ready: Heap;
  /** Nodes that were decided to run and wait for a slot of the run's `parallelism`, and forEach nodes with room. */
  readonly starters: Heap;
  /** forEach nodes executed inline that have room. */
  readonly inlineFans: Heap;
  /** Row keys of attempts whose back-off is over and which wait for a slot. */
  readonly due: Heap;
  /** Row keys of leaf rows that are Queued, Running or Waiting. */
  readonly live: Set<number>;
  readonly by: Record<NodeStatus, number>;
  total: number;
  /** Leaf rows that are Queued or Running. */
  active: number;
  mainLive: number;
  exitLive: number;
  /** Nodes that failed for good and count against the run. */
  readonly failed: Set<number>;
  mainFailed: number;
  /** When the last main node became terminal: the start of onExit. */
  mainFinishedAt: number;
  halted: boolean;
  /** CEL views of JSON values already converted. */
  readonly cel: WeakMap<object, Cel>;
}

const ITEM_SPAN = 131_072;

/** One number for a node and an item: orders rows by node, then item. */
export function keyOf(index: number, item: number): number {
  return index * ITEM_SPAN + item + 1;
}

/** Node index of a row key. */
export function indexOfKey(key: number): number {
  return Math.floor(key / ITEM_SPAN);
}

/** Item of a row key. */
export function itemOfKey(key: number): number {
  return (key % ITEM_SPAN) - 1;
}

const TERMINAL: ReadonlySet<NodeStatus> = new Set(['Succeeded', 'Failed', 'Skipped', 'Omitted', 'Cancelled']);

/** Whether a status is never left. */
export function isTerminal(status: NodeStatus): boolean {
  return TERMINAL.has(status);
}

/** Whether a run has ended. */
export function isFinal(run: RunRow): boolean {
  return FINAL_PHASES.includes(run.phase);
}

/** Whether a row stands for attempts, and not for a forEach as a whole. */
export function isLeaf(plan: NodePlan, item: number): boolean {
  return item !== NO_ITEM || plan.forEach === undefined;
}

/** Status of a node or item; without a row it is Pending. */
export function statusOf(state: RunState, index: number): NodeStatus {
  return state.rows[index]?.status ?? 'Pending';
}

/**
 * Whether a row is that of an agent that waits for somebody, with no attempt in flight: `Waiting` without a time to go on
 * at, like a row past its back-off, but with the start of the attempt that parked, which a back-off never keeps.
 */
export function isParked(plan: NodePlan, row: NodeRow): boolean {
  return plan.type === 'agent' && row.status === 'Waiting' && row.dueAt === undefined && row.startedAt !== undefined;
}

/** The plan of a node by index. */
export function planAt(state: RunState, index: number): NodePlan {
  const plan = state.compiled.nodes[index];
  if (plan === undefined) throw new EngineBug(`no node ${index}`);
  return plan;
}

/** The fan of an expanded forEach. */
export function fanAt(state: RunState, index: number): Fan {
  const fan = state.fans.get(index);
  if (fan === undefined) throw new EngineBug(`node ${index} has not expanded`);
  return fan;
}

/** The row of a node or item, if it has one. */
export function rowAt(state: RunState, index: number, item: number): NodeRow | undefined {
  return item === NO_ITEM ? state.rows[index] : state.fans.get(index)?.rows[item];
}

function zeroCounts(): Record<NodeStatus, number> {
  return { Pending: 0, Queued: 0, Running: 0, Waiting: 0, Succeeded: 0, Failed: 0, Skipped: 0, Omitted: 0, Cancelled: 0 };
}

/** A run before its first event. */
export function createRun(compiled: Compiled, meta: RunMeta): RunState {
  const by = zeroCounts();
  by.Pending = compiled.nodes.length;
  return {
    compiled, meta, run: { phase: 'Pending', suspended: false }, seq: 0,
    rows: compiled.nodes.map(() => undefined),
    remaining: compiled.nodes.map((node) => node.deps.length),
    fans: new Map(), ready: new Heap(), starters: new Heap(), inlineFans: new Heap(), due: new Heap(), live: new Set(),
    by, total: compiled.nodes.length, active: 0,
    mainLive: compiled.mainCount, exitLive: compiled.nodes.length - compiled.mainCount,
    failed: new Set(), mainFailed: 0, mainFinishedAt: 0, halted: false, cel: new WeakMap(),
  };
}

/** Every status, for callers that list them. */
export const STATUSES: readonly NodeStatus[] = NODE_STATUSES;
