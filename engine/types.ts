import type { CancelMode } from '../crds/workflow-run.ts';
import type { ErrorClass, NodeStatus, NodeType } from '../crds/node.ts';
import type { RunPhase } from '../crds/workflow-run.ts';

/** Any JSON value. Inputs and outputs are plain JSON; prototypes of foreign objects never enter the engine. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Why a node, or an attempt of it, did not succeed. */
export interface NodeError {
  readonly class: ErrorClass;
  /** CamelCase, documented, stable: what alerts and `retry.on` match. */
  readonly reason: string;
  /** One plain sentence that names the object, the field and the value. */
  readonly message: string;
}

/** Index of a row that is no item of a forEach. */
export const NO_ITEM = -1;

/**
 * What is stored of one node (`item` = NO_ITEM) or of one item of a forEach. A step returns the whole row of everything
 * it touched, so the store only ever upserts, and a run is restored from its rows alone. Times are epoch milliseconds.
 */
export interface NodeRow {
  readonly node: string;
  readonly item: number;
  readonly status: NodeStatus;
  /** Number of the current or last attempt; 0 before the first. Rises over retries and infra restarts. */
  readonly attempt: number;
  /** Attempts that counted as retries (class User or Timeout, or what `retry.on` says). */
  readonly retries: number;
  /** Attempts lost to infrastructure, bounded by `retry.infraLimit`. */
  readonly infra: number;
  readonly output?: Json;
  readonly error?: NodeError;
  /** When the current attempt became ready to be dispatched. */
  readonly queuedAt?: number;
  /** When the current attempt was taken by a runner or its pod started. */
  readonly startedAt?: number;
  readonly finishedAt?: number;
  /** When a waiting row goes on: a `wait` node, or the back-off before the next attempt. */
  readonly dueAt?: number;
  /** Items of a forEach, on the parent's row, written once when it expands. */
  readonly items?: readonly Json[];
}

/** Facts of a run that never change after acceptance. */
export interface RunMeta {
  readonly id: string;
  readonly name: string;
  readonly namespace: string;
  readonly workflowName?: string;
  readonly workflowLabels?: Readonly<Record<string, string>>;
  readonly input: Json;
  readonly priority: number;
}

/** What is stored of a run's own progress. */
export interface RunRow {
  readonly phase: RunPhase;
  readonly startedAt?: number;
  readonly finishedAt?: number;
  readonly cancel?: CancelMode;
  readonly suspended: boolean;
  /** Set once every main node is terminal and the onExit graph has begun: the phase the run will end with. */
  readonly exitPhase?: RunPhase;
  readonly outputs?: Readonly<Record<string, Json>>;
  /** Why the run as a whole failed where no node did: Invalid, Timeout, an output that cannot be evaluated. */
  readonly error?: NodeError;
  /** Why nothing may happen to the run before a person decides: its rows may be older than its effects. */
  readonly review?: string;
}

/** What keeps an attempt from being taken, in the words of whoever would run it: its image, its pool. */
export interface Hindrance {
  readonly reason: string;
  readonly message: string;
}

/** Something that happened to a run. A repeated, late or unknown event changes nothing. */
export type RunEvent =
  | { readonly type: 'Start' }
  | { readonly type: 'Taken'; readonly node: string; readonly item: number; readonly attempt: number; readonly at: number }
  | { readonly type: 'Succeeded'; readonly node: string; readonly item: number; readonly attempt: number; readonly output: Json; readonly startedAt?: number }
  | { readonly type: 'Failed'; readonly node: string; readonly item: number; readonly attempt: number; readonly error: NodeError; readonly startedAt?: number }
  /** An agent waits for somebody (`why`: approval, child, …): its attempt is over, and the next begins with `Wake`. */
  | { readonly type: 'Parked'; readonly node: string; readonly item: number; readonly attempt: number; readonly why: string; readonly startedAt?: number }
  /** What a parked agent waited for may have come. Of a row that is not parked it changes nothing. */
  | { readonly type: 'Wake'; readonly node: string; readonly item: number }
  /** `hindrance`: for an attempt that nobody took in time, what is known to have kept it. */
  | { readonly type: 'Timer'; readonly timer: string; readonly hindrance?: Hindrance }
  | { readonly type: 'Cancel'; readonly mode: CancelMode }
  | { readonly type: 'Suspend' }
  | { readonly type: 'Resume' }
  /** The rows may be older than what the run has done: nothing but Resume and Cancel is heard from now on. */
  | { readonly type: 'Hold'; readonly why: string }
  /** The run cannot go on at all (Invalid definition, missing workflow): it fails at once. */
  | { readonly type: 'Reject'; readonly error: NodeError };

/** Where a node's attempt runs. */
export type DispatchMode = 'warm' | 'pod';

/** What an executor needs, every expression evaluated. */
export interface Dispatch {
  readonly node: string;
  readonly item: number;
  readonly attempt: number;
  readonly type: NodeType;
  readonly mode: DispatchMode;
  readonly pool: string;
  /** `with` of the node, evaluated; kept as written where expressions may not stand (`source`). */
  readonly with: Readonly<Record<string, Json>>;
  /** `runner.env` and `with.env`, evaluated, as name -> text. */
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** What the owner of the run has to do once the step is committed. */
export type Command =
  /** The attempt is ready: queue it, and dispatch it when its pool has room. */
  | { readonly type: 'Dispatch'; readonly dispatch: Dispatch }
  /** Stop an attempt that no longer counts: after graceMs its process or pod is killed. */
  | { readonly type: 'CancelAttempt'; readonly node: string; readonly item: number; readonly attempt: number; readonly graceMs: number }
  /** Wake the run with `Timer` at `at`; the same id replaces. */
  | { readonly type: 'SetTimer'; readonly timer: string; readonly at: number }
  | { readonly type: 'ClearTimer'; readonly timer: string };

/** How an attempt ended. `Parked`: an agent waits, and goes on in a later attempt. */
export type AttemptStatus = 'Succeeded' | 'Failed' | 'Cancelled' | 'Parked';

/** One finished attempt, for the history: inserted once, never changed. */
export interface AttemptRecord {
  readonly node: string;
  readonly item: number;
  readonly attempt: number;
  readonly status: AttemptStatus;
  readonly error?: NodeError;
  readonly queuedAt?: number;
  readonly startedAt?: number;
  readonly finishedAt: number;
}

/** One line of a run's history. `seq` rises by one within the run. */
export interface HistoryEntry {
  readonly seq: number;
  readonly at: number;
  /** RunStarted, NodeQueued, NodeRunning, NodeSucceeded, NodeFailed, NodeRetrying, NodeSkipped, NodeOmitted, ... */
  readonly kind: string;
  readonly node?: string;
  readonly item?: number;
  readonly attempt?: number;
  readonly reason?: string;
}

/** What one event did to a run. Empty lists and no `run` when it changed nothing. */
export interface Step {
  readonly run?: RunRow;
  readonly nodes: readonly NodeRow[];
  readonly attempts: readonly AttemptRecord[];
  readonly history: readonly HistoryEntry[];
  readonly commands: readonly Command[];
}

/** How many nodes, items included, are in each status. `total` is the second number of `progress`. */
export interface Counts {
  readonly total: number;
  readonly done: number;
  readonly byStatus: Readonly<Record<NodeStatus, number>>;
}

/** Something wrong with a definition or an input, addressed so that a person finds it. */
export interface Problem {
  /** Node name, or undefined when the workflow itself is meant. */
  readonly node?: string;
  /** Path below the node or the spec: `with.output`, `dependsOn[1]`. */
  readonly field: string;
  /** What stands there, shortened. */
  readonly value?: string;
  /** Cycle, UnknownNode, ExpressionInvalid, UnsupportedType, ... */
  readonly reason: string;
  readonly message: string;
}
