import type { Page } from './types.ts';

/** Rows of a page at most, and of what is read by a list of ids. */
export const MOST_ROWS = 500;

/** Before every id that is a UUID: where keyset paging begins. */
export const FIRST_ID = '00000000-0000-0000-0000-000000000000';
/** After every one: where it begins in descending order. */
export const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** Rows wished, 1 to 500; what is no number is as many as there may be. */
export function clamp(first: number): number {
  return Number.isFinite(first) ? Math.min(MOST_ROWS, Math.max(1, Math.floor(first))) : MOST_ROWS;
}

/** A page of rows of which one more was read than is shown. */
export function cut<T>(rows: readonly T[], limit: number): Page<T> {
  return { rows: rows.slice(0, limit), hasMore: rows.length > limit };
}
