import type { ListCursor } from '../../../prisma/store/index.ts';

/** The order of lists by time, the newest first. */
export const CREATED_DESC = [{ createdAt: 'desc' }, { id: 'desc' }] as const;

interface Before {
  readonly createdAt?: { readonly lte: Date };
  readonly OR?: ({ createdAt: { lt: Date } } | { createdAt: Date; id: { lt: string } })[];
}

/** What stands behind a place in that order; the first condition lets Postgres begin there in the index. */
export function before(after: ListCursor | undefined): Before {
  if (after === undefined) return {};
  const at = new Date(after.value);
  return { createdAt: { lte: at }, OR: [{ createdAt: { lt: at } }, { createdAt: at, id: { lt: after.id } }] };
}

/** A page of rows of which one more was read than is shown. */
export function cut<Row, T>(rows: readonly Row[], first: number, show: (row: Row) => T): { readonly items: readonly T[]; readonly hasMore: boolean } {
  return { items: rows.slice(0, first).map(show), hasMore: rows.length > first };
}
