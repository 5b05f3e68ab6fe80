import type { RunEvent, RunRow } from '../types.ts';
import type { StepBuilder } from './step.ts';

/*
 * A run is held when its rows may be older than what it has done, because the database was restored: going on by itself
 * could repeat effects. Its rows stay exactly as they are until a person says Resume (what the rows do not know to have
 * ended runs again, under the same idempotency keys) or Cancel.
 */

/** Whether nothing may happen to the run before a person decides. */
export function isHeld(run: RunRow): boolean {
  return run.review !== undefined;
}

/** Whether an event is such a decision. */
export function isDecision(event: RunEvent): boolean {
  return event.type === 'Resume' || event.type === 'Cancel';
}

/** Holds the run. Its owner takes its timers, leases and places in the queue away; they follow from the rows again later. */
export function hold(b: StepBuilder, why: string): boolean {
  b.setRun({ ...b.state.run, review: why });
  b.note('RunHeld', undefined, 'NeedsReview');
  return true;
}

/** The person has decided; the event itself says how. */
export function release(b: StepBuilder): void {
  const { review: _, ...run } = b.state.run;
  b.setRun(run);
  b.note('RunReleased');
}
