import { Buffer } from 'node:buffer';
import { NODE_STATUSES, type NodeStatus } from '../../crds/node.ts';
import { getRun, type Db } from '../../prisma/store/index.ts';
import type { FailureSummary, ProjectionInput } from '../run/projection.ts';
import { fromProgress } from '../run/rows.ts';

/** What a status needs, out of a run's row: for runs that are not in memory any more. */
export async function projectRow(db: Db, run: string): Promise<Pick<ProjectionInput, 'row' | 'counts' | 'failures'> | undefined> {
  const row = await getRun(db, run);
  if (row === undefined) return undefined;
  const stored: Partial<Record<NodeStatus, number>> = JSON.parse(row.counts ?? '{}');
  const zero: Record<NodeStatus, number> = { Pending: 0, Queued: 0, Running: 0, Waiting: 0, Succeeded: 0, Failed: 0, Skipped: 0, Omitted: 0, Cancelled: 0 };
  for (const status of NODE_STATUSES) zero[status] = stored[status] ?? 0;
  const failures: readonly FailureSummary[] = row.failures === null ? [] : JSON.parse(Buffer.from(row.failures).toString('utf8'));
  return { row: fromProgress(row), counts: { total: row.total, done: row.done, byStatus: zero }, failures };
}
