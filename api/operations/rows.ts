import { z } from 'zod';
import type { ListCursor } from '../../prisma/store/index.ts';
import { ApiError } from '../errors.ts';
import { id } from './fields.ts';
import { InvalidInput } from './problems.ts';

/* What changes and lists of rows have in common, whatever the table. */

/** What an update names beside its fields. */
export const updateKey = { id: id('Which one.'), version: z.int().min(1).max(2_147_483_647).describe('The version the change is based on; another one is a conflict.') };

/** Throws where an update names nothing to change. */
export function demandChange(input: object): void {
  if (Object.keys(input).some((key) => key !== 'id' && key !== 'version')) return;
  throw new InvalidInput([{ field: '', reason: 'Required', message: 'changes nothing: give at least one field beside id and version' }]);
}

/** What a caller is told of a thing that is not there, or not any more. */
export function gone(rowId: string): ApiError {
  return new ApiError('NOT_FOUND', `${rowId} does not exist or is not yours`);
}

/** The one row of a compare-and-set. Throws CONFLICT with the current version, NOT_FOUND where it is gone meanwhile. */
export async function changedRow<Row>(entity: string, input: { readonly id: string; readonly version: number }, rows: readonly Row[], current: () => Promise<{ version: number; deletedAt: Date | null } | null>): Promise<Row> {
  const [row] = rows;
  if (row !== undefined) return row;
  const now = await current();
  if (now === null || now.deletedAt !== null) throw gone(input.id);
  throw new ApiError('CONFLICT', `${entity} ${input.id} is at version ${now.version}, not ${input.version}: read it again, and repeat the change with version ${now.version} if it is still wanted`);
}

/** Keyset of a list, the newest first: one row more than wished tells whether there are more. The first condition lets Postgres begin in the index. */
export function newest({ first, after }: { readonly first: number; readonly after?: ListCursor }) {
  const at = after === undefined ? undefined : new Date(Number(after.value));
  return {
    take: first + 1,
    orderBy: [{ createdAt: 'desc' }, { id: 'desc' }] satisfies { [key: string]: 'desc' }[],
    where: at === undefined || after === undefined ? {} : { AND: [{ createdAt: { lte: at } }, { OR: [{ createdAt: { lt: at } }, { createdAt: at, id: { lt: after.id } }] }] },
  };
}
