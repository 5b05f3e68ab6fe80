import type { NodeSpec } from '../../crds/node.ts';
import type { Program } from '../expr/program.ts';
import type { Template } from '../expr/template.ts';
import type { Validator } from '../schema/library.ts';
import type { DispatchMode, Json, Problem } from '../types.ts';

/** Where a node is executed: in the engine itself, or by a runner. */
export type Mode = 'inline' | DispatchMode;

/** A retry rule with every default applied, times in milliseconds. */
export interface RetryPlan {
  readonly limit: number;
  readonly durationMs: number;
  readonly factor: number;
  readonly maxMs: number;
  readonly jitter: number;
  readonly infraLimit: number;
  readonly on?: Program;
}

/** One case of a `switch`. */
export interface CasePlan { readonly when: Program; readonly output: Template }

/** A node as the run reads it: defaults merged, units settled, every expression parsed. */
export interface NodePlan {
  /** Position in `Compiled.nodes`. */
  readonly index: number;
  readonly name: string;
  readonly type: NodeSpec['type'];
  readonly mode: Mode;
  readonly pool: string;
  readonly exit: boolean;
  /** The node with the workflow's defaults merged in. */
  readonly spec: NodeSpec;
  readonly deps: readonly number[];
  readonly dependents: readonly number[];
  /** Dependencies whose `status` or `error` the `when` names: exempt from the test of success. */
  readonly exempt: ReadonlySet<number>;
  readonly when?: Program;
  readonly forEach?: Program;
  /** Items of a forEach in flight at most. */
  readonly inFlight: number;
  readonly retry: RetryPlan;
  readonly timeoutMs?: number;
  readonly pendingTimeoutMs: number;
  readonly continueOnFailure: boolean;
  /** Fields of `with` that are evaluated or passed on. */
  readonly fields: readonly (readonly [string, Template])[];
  readonly env: readonly (readonly [string, Template])[];
  readonly cases: readonly CasePlan[];
  readonly otherwise?: Template;
  readonly waitMs?: number;
  readonly until?: Template;
  readonly expectStatus?: readonly number[];
  readonly expect?: Program;
  readonly outputSchema?: Json;
}

/** Prepared validators of a definition: the run's input, and the outputs of nodes by index. */
export interface Validators {
  readonly input?: Validator;
  readonly outputs: ReadonlyMap<number, Validator>;
}

/** A definition that can be run. Shared by all its runs; immutable but for `validators`, which `compileSchemas` sets. */
export interface Compiled {
  readonly name?: string;
  /** Main nodes, then onExit nodes. */
  readonly nodes: readonly NodePlan[];
  readonly mainCount: number;
  readonly byName: ReadonlyMap<string, number>;
  readonly outputs: readonly (readonly [string, Template])[];
  readonly timeoutMs?: number;
  /** Dispatched attempts of the whole run at once. */
  readonly parallelism: number;
  readonly failFast: boolean;
  readonly priority: number;
  readonly inputSchema?: Json;
  validators?: Validators;
}

/** A definition, or everything that is wrong with it. */
export type CompileResult =
  | { readonly ok: true; readonly compiled: Compiled }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Items of one forEach in flight at most, whatever its `parallelism`. */
export const MAX_IN_FLIGHT = 500;
/** Default of `pendingTimeout`, and the timeout of the whole onExit graph. */
export const TEN_MINUTES = 600_000;
/** Pool of nodes that name none. */
export const DEFAULT_POOL = 'default';
