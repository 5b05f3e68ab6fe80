import type { RunEvent } from '../../engine/types.ts';
import type { RunCr } from './intake.ts';

/** What an object asked for when it was last looked at. */
export interface Seen {
  readonly generation: number;
  readonly suspend: boolean;
  readonly cancel: string | undefined;
}

/** What an object asks for now. */
export function seenOf(cr: RunCr): Seen {
  return { generation: cr.generation, suspend: cr.spec?.suspend === true, cancel: cr.spec?.cancel };
}

/** `suspend` and `cancel` act when their value changes; of a run not looked at before, where they say more than nothing. */
export function wishes(cr: RunCr, seen: Seen | undefined): readonly RunEvent[] {
  const { suspend, cancel } = { suspend: cr.spec?.suspend === true, cancel: cr.spec?.cancel };
  const events: RunEvent[] = [];
  if (seen === undefined ? suspend : suspend !== seen.suspend) events.push({ type: suspend ? 'Suspend' : 'Resume' });
  if (cancel !== undefined && cancel !== seen?.cancel) events.push({ type: 'Cancel', mode: cancel });
  return events;
}

/**
 * A person's decision about a run that waits for one: a changed spec that says `suspend: false` or another `cancel`. Only
 * what was written after the object said NeedsReview counts: what it asked for before was asked of another past.
 */
export function decision(cr: RunCr, seen: Seen | undefined): readonly RunEvent[] {
  if (seen === undefined && cr.needsReview !== true) return [];
  const { suspend, cancel } = cr.spec ?? {};
  if (cancel !== undefined && cancel !== seen?.cancel) return [{ type: 'Cancel', mode: cancel }];
  if (suspend !== false) return [];
  return [cancel === undefined ? { type: 'Resume' } : { type: 'Cancel', mode: cancel }];
}
