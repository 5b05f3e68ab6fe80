import DataLoader from 'dataloader';
import type { Executor } from '../../prisma/store/index.ts';

/** Rows of single keys at most in one statement. */
const AT_ONCE = 200;

const loaders = new WeakMap<Executor, Map<string, unknown>>();

/**
 * Rows by their ids, read together with whatever other requests ask for within the same turn of the event loop. Nothing is remembered:
 * what one caller is told never answers another, and the right is asked for on what comes back.
 */
export function together<Row extends { readonly id: string }>(db: Executor, name: string, read: (ids: readonly string[]) => Promise<readonly Row[]>, id: string): Promise<Row | undefined> {
  const mine = loaders.get(db) ?? new Map<string, unknown>();
  loaders.set(db, mine);
  const known = mine.get(name);
  const loader = known instanceof DataLoader ? known : new DataLoader<string, Row | undefined>(async (ids) => {
    const rows = new Map((await read([...new Set(ids)])).map((row): [string, Row] => [row.id, row]));
    return ids.map((each) => rows.get(each));
  }, { cache: false, maxBatchSize: AT_ONCE, batchScheduleFn: (load) => { setImmediate(load); } });
  mine.set(name, loader);
  return loader.load(id);
}
