/** Copies of the whole database: what the command line's `backup`, `restore` and `doctor` need, and nobody else. */
export { openSnapshot, type Snapshot } from './snapshot.ts';
export { openTarget, type IncomingTable, type Target } from './restore.ts';
export type { Marked, RestoreMark } from './mark.ts';
export { placeOf, type AppliedMigration, type TableShape } from './tables.ts';
export { databaseFacts, type DatabaseFacts, type HeldRun } from './facts.ts';
export { knownMigrations } from './known.ts';
