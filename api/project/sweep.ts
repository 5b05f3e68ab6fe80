import type { Clock } from '../../platform/clock/index.ts';
import type { Gateway } from '../../prisma/gateway/index.ts';

/** Changes of a project are kept so long, */
export const EVENT_AGE_MS = 30 * 86_400_000;
/** and this many of them however old they are. */
export const EVENTS_KEPT = 1_000;
/** Rows of one project in one statement, and projects looked at in one. */
const AT_ONCE = 1_000;
const PROJECTS_AT_ONCE = 200;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/**
 * Sweeps the history of projects once: returns how many changes went. They are numbered in the order of their time, so the oldest are looked
 * at alone; a project that has too few, or none old enough, costs two look-ups.
 */
export async function sweepProjectEvents({ gateway, clock }: { readonly gateway: Gateway; readonly clock: Pick<Clock, 'now'> }, signal?: AbortSignal): Promise<number> {
  const before = new Date(clock.now() - EVENT_AGE_MS);
  let swept = 0;
  for (let after: string | undefined = FIRST_ID; after !== undefined && !over(signal);) {
    const from: string = after;
    const projects = await gateway.read((db) => db.$queryRaw<{ id: string }[]>`SELECT id FROM project WHERE id > ${from}::uuid ORDER BY id LIMIT ${PROJECTS_AT_ONCE}::int`);
    const ids = projects.map(({ id }) => id);
    for (let last = ids.length; last > 0 && !over(signal);) {
      last = await gateway.transaction((tx) => tx.$executeRaw`
        DELETE FROM project_event d USING (
          SELECT old.project_id, old.seq FROM project p CROSS JOIN LATERAL (
            SELECT e.project_id, e.seq, e.at FROM project_event e WHERE e.project_id = p.id AND e.seq <= p.seq - ${EVENTS_KEPT}::int ORDER BY e.seq LIMIT ${AT_ONCE}::int FOR UPDATE SKIP LOCKED
          ) old WHERE p.id = ANY (${ids}::uuid[]) AND p.seq > ${EVENTS_KEPT}::int AND old.at < ${before}
        ) gone WHERE d.project_id = gone.project_id AND d.seq = gone.seq`);
      swept += last;
    }
    after = ids.length < PROJECTS_AT_ONCE ? undefined : ids.at(-1);
  }
  return swept;
}

function over(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}
