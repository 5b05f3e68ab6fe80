import { sleep } from '../../platform/clock/index.ts';
import type { Clock } from '../../platform/clock/index.ts';
import { UnavailableError } from '../../platform/errors/index.ts';
import type { Ids } from '../../platform/ids/index.ts';
import type { ObjectStore } from '../../platform/objects/index.ts';
import type { Gateway } from '../../prisma/gateway/index.ts';
import type { ApiLog } from '../ports.ts';

/*
 * What nobody can want any more: uploads that were never completed, and files that have lain in the bin for a month. Every
 * replica sweeps: rows go in one statement, so each is swept once, and its object after it. An object that is left behind by a
 * crash between the two costs space and nothing else.
 */

/** An upload that was not completed. */
export const UPLOAD_AGE_MS = 86_400_000;
/** A file in the bin. */
export const BIN_AGE_MS = 30 * 86_400_000;
const EVERY_MS = 3_600_000;
/** Rows of one statement. */
const AT_ONCE = 200;

/** What the sweep stands on. */
export interface SweepParts {
  readonly gateway: Gateway;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly ids: Pick<Ids, 'random'>;
  readonly log: ApiLog;
}

/** Sweeps once: returns how many files went. Throws UnavailableError, before anything is taken away, while the store is away. */
export async function sweepFiles({ gateway, objects, clock }: Pick<SweepParts, 'gateway' | 'objects' | 'clock'>): Promise<number> {
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

/** Sweeps about once an hour until it is stopped. */
export function startFileSweep(parts: SweepParts): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const run = async (): Promise<void> => {
    for (;;) {
      await sleep(parts.clock, EVERY_MS * (0.5 + parts.ids.random()), stopping.signal);
      if (stopping.signal.aborted) return;
      await sweepFiles(parts).then((count) => {
        if (count > 0) parts.log.info({ removed: count }, 'files nobody can want any more are gone');
      }, (error: unknown) => {
        if (error instanceof UnavailableError) parts.log.warn({ err: error }, 'files could not be swept');
        else parts.log.error({ err: error }, 'the sweep of files failed');
      });
    }
  };
  const running = run();
  return {
    stop: () => {
      stopping.abort();
      return running;
    },
  };
}
