import { RamboError } from '../../platform/errors/index.ts';
import type { Prisma } from '../../prisma/gateway/index.ts';

/* How columns become values of an answer, and the other way. */

/** What most rows carry beside their own. */
export interface VersionedRow {
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly deletedAt: Date | null;
}

/** Version and moments of a row, as an answer gives them. */
export function timesOf({ version, createdAt, updatedAt, deletedAt }: VersionedRow): { version: number; createdAt: string; updatedAt: string; deletedAt: string | null } {
  return { version, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString(), deletedAt: deletedAt?.toISOString() ?? null };
}

/** The object in a JSON column. */
export function objectIn(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** The list in a JSON column. */
export function listIn(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A word of a closed set that a column holds. Throws a bug for any other: inputs let nothing else in. */
export function wordIn<T extends string>(options: readonly T[], value: string): T {
  const found = options.find((option) => option === value);
  if (found === undefined) throw new RamboError('Bug', `a row holds ${value}, which is no word of its column`);
  return found;
}

/** Any JSON for a JSON column, through its text: what is not JSON in it is gone, and `__proto__` is a key like any other. */
export function jsonIn(value: object): Prisma.InputJsonValue {
  const json: Prisma.InputJsonObject = JSON.parse(JSON.stringify(value));
  return json;
}
