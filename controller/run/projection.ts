import { REASONS } from '../../crds/conditions.ts';
import { LIMITS } from '../../crds/names.ts';
import type { Condition } from '../../crds/parts.ts';
import type { RunPhase, WorkflowRunStatus } from '../../crds/workflow-run.ts';
import { FINAL_PHASES } from '../../crds/workflow-run.ts';
import type { Counts, Json, RunRow } from '../../engine/types.ts';

/** A failing node as the status names it. */
export interface FailureSummary {
  readonly node: string;
  readonly reason: string;
  readonly message: string;
}

/** What the status of a WorkflowRun is made of. */
export interface ProjectionInput {
  readonly runId: string;
  readonly generation: number;
  readonly row: RunRow;
  readonly counts: Counts;
  readonly failures: readonly FailureSummary[];
  /** Conditions the object has now, so that transition times stay where nothing changed. */
  readonly conditions: readonly Condition[];
  readonly now: number;
}

/** The status of a WorkflowRun: a function of the run's rows, under 8 KiB and its outputs whatever the size of the run. */
export function projectStatus(input: ProjectionInput): WorkflowRunStatus {
  const { row, counts } = input;
  const failures = [...runFailure(row), ...input.failures].slice(0, LIMITS.statusFailures).map(shorten);
  return {
    observedGeneration: input.generation,
    phase: row.phase,
    runId: input.runId,
    ...(row.startedAt === undefined ? {} : { startedAt: iso(row.startedAt) }),
    ...(row.finishedAt === undefined ? {} : { finishedAt: iso(row.finishedAt) }),
    progress: `${counts.done}/${counts.total}`,
    counts: countsByStatus(counts),
    ...(failures.length === 0 ? {} : { failures }),
    ...outputs(input.runId, row.outputs),
    conditions: row.review === undefined ? conditions(input, failures) : reviewConditions(input, row.review),
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function runFailure(row: RunRow): readonly FailureSummary[] {
  return row.error === undefined ? [] : [{ node: '', reason: row.error.reason, message: row.error.message }];
}

function shorten(failure: FailureSummary): FailureSummary {
  const cut = (text: string, max: number): string => (text.length <= max ? text : `${text.slice(0, max - 1)}…`);
  return { node: cut(failure.node, 128), reason: cut(failure.reason, 128), message: cut(failure.message, 512) };
}

function countsByStatus(counts: Counts): NonNullable<WorkflowRunStatus['counts']> {
  const entries = Object.entries(counts.byStatus).filter(([, n]) => n > 0).map(([status, n]) => [status.toLowerCase(), n] as const);
  return Object.fromEntries(entries);
}

function outputs(runId: string, values: Readonly<Record<string, Json>> | undefined): Pick<WorkflowRunStatus, 'outputs' | 'outputsRef'> {
  if (values === undefined || Object.keys(values).length === 0) return {};
  const size = Buffer.byteLength(JSON.stringify(values));
  // Too large for an object of the API server: the API serves them from Postgres.
  return size <= LIMITS.statusOutputsBytes ? { outputs: values } : { outputsRef: `rambo://runs/${runId}/outputs` };
}

const FINISHED_MESSAGE: Readonly<Record<string, string>> = {
  Succeeded: 'the run succeeded', Failed: 'the run failed', Cancelled: 'the run was cancelled',
};

function conditions(input: ProjectionInput, failures: readonly FailureSummary[]): Condition[] {
  const { row } = input;
  const final = FINAL_PHASES.includes(row.phase);
  const refused = row.error?.class === 'Invalid';
  const failed = row.phase === 'Failed';
  // A run that was cancelled did not do its work: whoever waits for it (Flux, Argo CD) must not go on as if it had.
  const stalled = failed || row.phase === 'Cancelled';
  const why = failures[0];
  const detail = failed && why !== undefined ? `${why.node === '' ? '' : `node ${why.node}: `}${why.reason}: ${why.message}` : undefined;
  const reason = refused && row.error !== undefined ? row.error.reason : row.phase;
  const ended = detail ?? FINISHED_MESSAGE[row.phase] ?? 'the run has not ended';
  return [
    condition(input, 'Accepted', !(refused && row.startedAt === undefined), refused ? reason : 'Accepted', refused ? (row.error?.message ?? '') : 'the run has a row of its own'),
    condition(input, 'Reconciling', !final, row.phase, final ? 'nothing is left to do' : 'the run is under way'),
    condition(input, 'Completed', final, reason, ended),
    condition(input, 'Stalled', stalled, stalled ? reason : 'NotStalled', stalled ? ended : 'the run is not stalled'),
  ];
}

/** The way out, in every message of a run that waits for a person. */
const DECIDE = 'resume it (spec.suspend: false) to run again what the database does not know to have ended, or cancel it (spec.cancel)';

function reviewConditions(input: ProjectionInput, why: string): Condition[] {
  const reason = REASONS.needsReview;
  return [
    condition(input, 'Accepted', true, 'Accepted', 'the run has a row of its own'),
    condition(input, 'Reconciling', false, reason, 'the run waits for a person'),
    condition(input, 'Completed', false, reason, 'the run has not ended'),
    condition(input, 'Stalled', true, reason, `${why}; ${DECIDE}`),
  ];
}

/**
 * What a run that lives changes in an object that has ended, which outlived its database: only whether it waits for a
 * person. Phase and outputs stay as they are. Undefined when nothing has to change.
 */
export function projectReview(input: ProjectionInput): WorkflowRunStatus | undefined {
  const { review } = input.row;
  const before = input.conditions.find((c) => c.type === 'Stalled');
  if (review === undefined && before?.reason !== REASONS.needsReview) return undefined;
  const stalled = review === undefined
    ? condition(input, 'Stalled', false, 'NotStalled', 'a person has decided about the run that the restored database still had')
    : condition(input, 'Stalled', true, REASONS.needsReview, `${review}; ${DECIDE}`);
  return { observedGeneration: input.generation, conditions: [...input.conditions.filter((c) => c.type !== 'Stalled'), stalled] };
}

function condition(input: ProjectionInput, type: string, on: boolean, reason: string, message: string): Condition {
  const status = on ? 'True' : 'False';
  const before = input.conditions.find((c) => c.type === type);
  const lastTransitionTime = before?.status === status ? before.lastTransitionTime : iso(input.now);
  return { type, status, observedGeneration: input.generation, lastTransitionTime, reason, message: message.slice(0, 1_024) };
}

/**
 * The status of a run that has ended and whose spec was changed afterwards (`suspend`, `cancel`, too late to matter): all it
 * needs to say is that this generation was seen, else kstatus takes the object for one that is being worked on, for ever.
 */
export function seenStatus(generation: number, phase: RunPhase, conditions: readonly Condition[]): WorkflowRunStatus {
  return { observedGeneration: generation, phase, conditions: conditions.map((condition) => ({ ...condition, observedGeneration: generation })) };
}

/** Whether a phase is one a person has to see at once. */
export function phaseChanged(before: RunPhase | undefined, after: RunPhase): boolean {
  return before !== after;
}
