import DataLoader from 'dataloader';
import type { Clock } from '../../platform/clock/index.ts';
import type { PlaceReader, ProjectPlace } from '../ports.ts';

/** Within a request a place is believed so long: a subscription is one request and asks again before every event. */
export const PLACE_TTL_MS = 1_000;

/** Places as one request saw them. */
export interface PlacesOfRequest extends PlaceReader {
  /** Number of the last change of each project that was looked at, as of the first look: what is read afterwards is as new, or newer. */
  seen(): ReadonlyMap<string, number>;
}

/**
 * Remembers places for one request, so that a page of rows asks once per project. Made anew for every request: what one
 * caller is told never answers another.
 */
export function placesOfRequest(inner: PlaceReader, clock: Pick<Clock, 'monotonic'>): PlacesOfRequest {
  const known = new Map<string, { readonly at: number; readonly place: Promise<ProjectPlace | undefined> }>();
  const seqs = new Map<string, number>();
  const once = (kind: 'project' | 'namespace', name: string, userId: string | undefined, read: () => Promise<ProjectPlace | undefined>): Promise<ProjectPlace | undefined> => {
    const key = JSON.stringify([kind, name, userId ?? null]);
    const found = known.get(key);
    if (found !== undefined && clock.monotonic() - found.at < PLACE_TTL_MS) return found.place;
    const place = read().then((row) => {
      if (row?.seq !== undefined && !seqs.has(row.id)) seqs.set(row.id, row.seq);
      return row;
    });
    known.set(key, { at: clock.monotonic(), place });
    place.catch(() => { known.delete(key); });
    return place;
  };
  return {
    seen: () => new Map(seqs),
    byProject: (projectId, userId) => once('project', projectId, userId, () => inner.byProject(projectId, userId)),
    byNamespace: (namespace, userId) => once('namespace', namespace, userId, () => inner.byNamespace(namespace, userId)),
  };
}

/** Reads many places at once. */
export type ReadPlaces = (projectIds: readonly string[], userId: string | undefined) => Promise<readonly ProjectPlace[]>;

/** Projects that are asked about within one turn of the event loop, by whomever, share a statement per user. */
export function batchedPlaces(read: ReadPlaces, byNamespace: PlaceReader['byNamespace']): PlaceReader {
  const loader = new DataLoader<{ readonly projectId: string; readonly userId: string | undefined }, ProjectPlace | undefined, string>(async (keys) => {
    const users = new Set(keys.map((key) => key.userId));
    const found = new Map<string, ProjectPlace>();
    await Promise.all([...users].map(async (userId) => {
      const ids = [...new Set(keys.filter((key) => key.userId === userId).map((key) => key.projectId))];
      for (const place of await read(ids, userId)) found.set(`${userId ?? ''}/${place.id}`, place);
    }));
    return keys.map((key) => found.get(`${key.userId ?? ''}/${key.projectId}`));
  }, { cache: false, maxBatchSize: 200, batchScheduleFn: (load) => { setImmediate(load); } });
  return { byProject: (projectId, userId) => loader.load({ projectId, userId }), byNamespace };
}
