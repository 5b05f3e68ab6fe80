import type { Clock } from '../../platform/clock/index.ts';
import type { ObjectPage, ObjectStore } from '../../platform/objects/index.ts';
import type { Gateway } from '../../prisma/gateway/index.ts';
import { projectOfKey } from './names.ts';

/*
 * What nobody can want any more: uploads that were never completed, and files that have lain in the bin for a month. Every
 * replica sweeps: rows go in one statement, so each is swept once, and its object after it. An object that is left behind by a
 * crash between the two costs space and nothing else.
 */

/** An upload that was not completed. */
export const UPLOAD_AGE_MS = 86_400_000;
/** A file in the bin. */
export const BIN_AGE_MS = 30 * 86_400_000;
/** Rows of one statement. */
const AT_ONCE = 200;

/** What the sweep stands on. */
export interface SweepParts {
  readonly gateway: Gateway;
  readonly objects: ObjectStore;
  readonly clock: Pick<Clock, 'now'>;
}

/** Sweeps once: returns how many files went. Throws UnavailableError, before anything is taken away, while the store is away. */
export async function sweepFiles({ gateway, objects, clock }: SweepParts): Promise<number> {
  await objects.ping();
  const [uploads, bin] = [new Date(clock.now() - UPLOAD_AGE_MS), new Date(clock.now() - BIN_AGE_MS)];
  let swept = 0;
  for (let last = AT_ONCE; last === AT_ONCE;) {
    const rows = await gateway.transaction((tx) => tx.$queryRaw<{ key: string }[]>`
      DELETE FROM file WHERE id IN (SELECT id FROM file WHERE kind = 'FILE' AND ((status = 'PENDING' AND created_at < ${uploads}) OR deleted_at < ${bin}) LIMIT ${AT_ONCE}::int FOR UPDATE SKIP LOCKED)
      RETURNING coalesce(object_key, '') AS key`);
    await objects.remove(rows.map((row) => row.key).filter((key) => key !== ''));
    swept += rows.length;
    last = rows.length;
  }
  // A folder goes once nothing is in it: its rows would take those below with them, and their objects would stay.
  for (let last = AT_ONCE; last > 0;) {
    last = await gateway.transaction((tx) => tx.$executeRaw`
      DELETE FROM file WHERE id IN (SELECT f.id FROM file f WHERE f.kind = 'FOLDER' AND f.deleted_at < ${bin} AND NOT EXISTS (SELECT 1 FROM file c WHERE c.parent_id = f.id) LIMIT ${AT_ONCE}::int FOR UPDATE SKIP LOCKED)`);
    swept += last;
  }
  return swept;
}

/** Content of a project that is not there is looked at after so long: an import writes content before its project's row is committed. */
export const ORPHAN_AGE_MS = 86_400_000;
/** What all keys of files begin with. */
const PREFIX = 'projects/';

/**
 * Takes away the content of projects that are not in the table any more, which somebody deleted for good: their rows went with them. Returns how
 * many objects went. Throws UnavailableError.
 */
export async function sweepOrphans({ gateway, objects, clock }: SweepParts, signal?: AbortSignal): Promise<number> {
  let swept = 0;
  for (let after: string | undefined = PREFIX; after !== undefined && signal?.aborted !== true;) {
    const page: ObjectPage = await objects.list(PREFIX, after);
    const old = page.objects.flatMap(({ key, at }) => {
      const projectId = projectOfKey(key);
      return projectId === undefined || at > clock.now() - ORPHAN_AGE_MS ? [] : [{ key, projectId }];
    });
    const there = await projectsThere(gateway, [...new Set(old.map(({ projectId }) => projectId))]);
    const orphans = old.filter(({ projectId }) => !there.has(projectId)).map(({ key }) => key);
    if (orphans.length > 0) await objects.remove(orphans);
    swept += orphans.length;
    after = page.next;
  }
  return swept;
}

async function projectsThere(gateway: Gateway, ids: readonly string[]): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set();
  const rows = await gateway.read((db) => db.$queryRaw<{ id: string }[]>`SELECT id FROM project WHERE id = ANY (${ids}::uuid[])`);
  return new Set(rows.map(({ id }) => id));
}
