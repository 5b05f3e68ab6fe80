import { readModelLimit, writeModelLimit, type Executor } from '../../prisma/store/index.ts';
import type { LimitRows } from './limiter.ts';

/** Where the gateways of an installation meet: rows of Postgres. */
export function limitRows(db: Executor): LimitRows {
  return { read: (namespace, model) => readModelLimit(db, namespace, model), write: (namespace, model, version, state) => writeModelLimit(db, namespace, model, version, state) };
}
