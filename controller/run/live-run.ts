import { isHeld, runRow } from '../../engine/index.ts';
import type { Compiled } from '../../engine/index.ts';
import type { RunState } from '../../engine/index.ts';
import type { RunMeta } from '../../engine/types.ts';
import type { Shown } from './shown.ts';

/** Which WorkflowRun a run belongs to, where it was started by one. */
export interface CrRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Who started a run, and by which door. */
export type RunSource = 'cr' | 'api';

/**
 * A run in its owner's memory. `state` is advanced in place; when a commit fails the whole LiveRun is thrown away and
 * loaded again from its rows, so memory never runs ahead of Postgres for longer than one commit.
 */
export interface LiveRun {
  readonly id: string;
  readonly shard: number;
  readonly meta: RunMeta;
  readonly compiled: Compiled;
  readonly state: RunState;
  readonly source: RunSource;
  readonly cr?: CrRef;
  /** Version of the run row as last committed; compare-and-set. */
  version: number;
  /** What the status may say: the run as last committed. Only of runs with an object. */
  shown?: Shown;
  /** Read from rows that are older than its object: held with the next event, whatever that is. */
  suspect?: string;
  /** How often the current attempt of each place was sent; only places in flight are in here. */
  readonly sends: Map<string, number>;
  /** W3C trace context of the request that started the run. */
  readonly traceparent?: string;
}

/** Whether a run waits for a person: nothing of it may leave, whatever its rows imply. */
export function rests(live: LiveRun): boolean {
  return live.suspect !== undefined || isHeld(runRow(live.state));
}
