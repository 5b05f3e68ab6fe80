import { FINAL_PHASES, type RunPhase } from '../../crds/workflow-run.ts';

/** What the status of a WorkflowRun says. */
export interface StatusSays {
  readonly phase?: RunPhase | undefined;
  /** Ended nodes of all, `3/10`. */
  readonly progress?: string | undefined;
}

/** What the rows of its run say. */
export interface RowSays {
  readonly phase: RunPhase;
  readonly done: number;
}

/**
 * Why a run must not go on by itself: its object says more than its rows, so the rows are older than what was done. Statuses
 * are written after commits, and from what was committed; so an object is never ahead unless the database went back.
 * `undefined` when all is well.
 */
export function ahead(status: StatusSays, row: RowSays): string | undefined {
  if (FINAL_PHASES.includes(row.phase)) return undefined;
  if (status.phase !== undefined && FINAL_PHASES.includes(status.phase)) {
    return `its object says ${status.phase}, the database has it ${row.phase} with ${row.done} ended nodes: the database is older than the run`;
  }
  const done = Number(status.progress?.split('/')[0] ?? 0);
  if (!(done > row.done)) return undefined;
  return `its object shows ${done} ended nodes, the database ${row.done}: the database is older than the run`;
}

/** Why a WorkflowRun without a row must not be accepted as a new one; undefined when it may. `createdAt`, `restoredAt`: epoch milliseconds. */
export function doubtful(cr: { readonly phase?: RunPhase | undefined; readonly createdAt: number }, restoredAt: number | undefined): string | undefined {
  if (cr.phase !== undefined) return `its object says ${cr.phase}, the database does not know it: it was accepted before the database was restored or replaced`;
  if (restoredAt === undefined || cr.createdAt > restoredAt) return undefined;
  return 'it was created before the database was restored, and the database does not know whether it ran';
}
