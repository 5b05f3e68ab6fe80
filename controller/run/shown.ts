import { LIMITS } from '../../crds/names.ts';
import { counts, failures, runRow } from '../../engine/index.ts';
import type { RunState } from '../../engine/index.ts';
import type { Counts, RunRow } from '../../engine/types.ts';
import type { FailureSummary } from './projection.ts';

/** What the status of a WorkflowRun shows of its run. */
export interface Shown {
  readonly row: RunRow;
  readonly counts: Counts;
  readonly failures: readonly FailureSummary[];
}

/**
 * What there is to show of a state. Taken when a commit has succeeded: memory is ahead of Postgres while the next one is
 * under way, and an object that says more than the rows do would be taken for one that outlived its database.
 */
export function shownOf(state: RunState): Shown {
  const n = counts(state);
  return { row: runRow(state), counts: n, failures: n.byStatus.Failed > 0 ? failures(state, LIMITS.statusFailures) : [] };
}
