import { Prisma } from '../../prisma/gateway/index.ts';
import type { FileModel, GatewayDb } from '../../prisma/gateway/index.ts';
import { ApiError } from '../errors.ts';

/* Folders of a project: where things may go, and what lies below. */

/** Folders within folders. */
const MOST_LEVELS = 32;
/** Half of the advisory lock's key, so that other uses of it do not meet ours. */
const TREE_LOCK = 0x66_69_6c_65; // "file"

/**
 * One at a time changes the shape of a project's trees, until its transaction ends: two moves at once could otherwise close a
 * ring that neither of them sees.
 */
export async function lockTree(tx: GatewayDb, projectId: string): Promise<void> {
  await tx.$queryRaw`SELECT pg_advisory_xact_lock(${TREE_LOCK}::int4, hashtext(${projectId}))::text AS locked`;
}

/** Throws unless `parentId` is a folder of that project and area that is not deleted, not `moved` and not below it. */
export async function demandFolder(tx: GatewayDb, place: { readonly projectId: string; readonly area: string }, parentId: string | null, moved?: string): Promise<void> {
  let above = parentId;
  for (let level = 0; above !== null; level++) {
    if (above === moved) throw new ApiError('CONFLICT', `parentId ${parentId ?? ''} is the folder itself or lies in it: choose another one`);
    if (level >= MOST_LEVELS - 1) throw new ApiError('CONFLICT', `parentId ${parentId ?? ''} lies too deep: at most ${MOST_LEVELS} folders within one another`);
    const folder: { parentId: string | null } | null = await tx.file.findFirst({ where: { id: above, projectId: place.projectId, area: place.area, kind: 'FOLDER', deletedAt: null }, select: { parentId: true } });
    if (folder === null) throw new ApiError('NOT_FOUND', `parentId ${parentId ?? ''} is no folder there, or is deleted`);
    above = folder.parentId;
  }
}

/** Levels below a folder count too: a deep one cannot go where there is no room for it. */
export async function demandRoom(tx: GatewayDb, moved: string, parentId: string | null): Promise<void> {
  const [row] = await tx.$queryRaw<{ above: number; below: number }[]>`
    WITH RECURSIVE up AS (SELECT id, parent_id, 1 AS n FROM file WHERE id = ${parentId}::uuid UNION ALL SELECT f.id, f.parent_id, n + 1 FROM file f JOIN up ON f.id = up.parent_id WHERE n < 100),
      down AS (SELECT id, kind, 1 AS n FROM file WHERE id = ${moved}::uuid UNION ALL SELECT f.id, f.kind, n + 1 FROM file f JOIN down ON f.parent_id = down.id WHERE n < 100)
    SELECT (SELECT coalesce(max(n), 0) FROM up)::int AS above, (SELECT coalesce(max(n) FILTER (WHERE kind = 'FOLDER'), 0) FROM down)::int AS below`;
  if (row !== undefined && row.above + row.below > MOST_LEVELS) throw new ApiError('CONFLICT', `there it would lie too deep: at most ${MOST_LEVELS} folders within one another`);
}

/** Deletes a file or folder with all that is in it, as of one moment. Returns the row itself; undefined where it is deleted already. */
export async function binTree(tx: GatewayDb, row: FileModel, at: Date): Promise<FileModel | undefined> {
  await tx.$executeRaw`
    WITH RECURSIVE tree AS (SELECT id FROM file WHERE id = ${row.id}::uuid AND deleted_at IS NULL UNION ALL SELECT f.id FROM file f JOIN tree ON f.parent_id = tree.id AND f.deleted_at IS NULL)
    UPDATE file SET deleted_at = ${at}, updated_at = ${at}, version = version + 1 WHERE id IN (SELECT id FROM tree)`;
  return await tx.file.findFirst({ where: { id: row.id, deletedAt: at } }) ?? undefined;
}

/** Takes back what was deleted at the same moment; what was deleted before stays so. Throws CONFLICT where the folder it was in is gone. */
export async function restoreTree(tx: GatewayDb, row: FileModel, at: Date): Promise<FileModel | undefined> {
  if (row.parentId !== null && await tx.file.findFirst({ where: { id: row.parentId, deletedAt: null }, select: { id: true } }) === null) {
    throw new ApiError('CONFLICT', 'the folder it was in is deleted: restore that first');
  }
  const moment = Prisma.sql`(SELECT deleted_at FROM file WHERE id = ${row.id}::uuid)`;
  await tx.$executeRaw`
    WITH RECURSIVE tree AS (SELECT id FROM file WHERE id = ${row.id}::uuid UNION ALL SELECT f.id FROM file f JOIN tree ON f.parent_id = tree.id WHERE f.deleted_at = ${moment})
    UPDATE file SET deleted_at = NULL, updated_at = ${at}, version = version + 1 WHERE id IN (SELECT id FROM tree)`;
  return await tx.file.findFirst({ where: { id: row.id, deletedAt: null } }) ?? undefined;
}
