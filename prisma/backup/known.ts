import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { AppliedMigration } from './tables.ts';

/** Put in by the bundler (hack/build/bundle.mjs): a bundle has no folder of migrations beside it. */
declare global {
  var RAMBO_MIGRATIONS: readonly AppliedMigration[] | undefined;
}

/** Migrations of this release, in order: what a database of it has. */
export function knownMigrations(): readonly AppliedMigration[] {
  return globalThis.RAMBO_MIGRATIONS ?? readMigrations(path.join(import.meta.dirname, '..', 'migrations'));
}

/** Migrations in a folder, as Prisma records them: name, and SHA-256 of the text. */
export function readMigrations(folder: string): readonly AppliedMigration[] {
  const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort();
  return names.map((name) => ({ name, checksum: createHash('sha256').update(readFileSync(path.join(folder, name, 'migration.sql'))).digest('hex') }));
}
