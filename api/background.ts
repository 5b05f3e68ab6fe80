import type { Clock } from '../platform/clock/index.ts';
import type { Ids } from '../platform/ids/index.ts';
import { accountById } from '../prisma/store/index.ts';
import { principalOfAccount } from './auth/accounts.ts';
import type { Can } from './auth/can.ts';
import { sweepFiles, sweepOrphans } from './file/sweep.ts';
import { sweepAnswers } from './operations/idempotency.ts';
import type { ApiLog, ApiMetrics, Ports } from './ports.ts';
import { startImports } from './project/import/worker.ts';
import type { Imports } from './project/import/worker.ts';
import { sweepProjectEvents } from './project/sweep.ts';
import { startSweeps } from './sweeps.ts';
import type { Sweep } from './sweeps.ts';

/** What the API does between requests. */
export interface Background {
  readonly imports: Imports;
  /** Ends what is under way; what is left is for the next process. */
  stop(): Promise<void>;
}

/** Starts imports and the sweeps. */
export function startBackground(ports: Ports, world: { readonly clock: Clock; readonly ids: Ids; readonly log: ApiLog; readonly metrics: Pick<ApiMetrics, 'swept'> }, can: () => Can): Background {
  const { gateway, objects, projectNotices, db } = ports;
  const imports = startImports({
    gateway, objects, ...world, can, changed: (changes) => { projectNotices.changed(changes); },
    owner: async (userId) => principalOfAccount(await accountById(db, userId)),
  });
  const parts = { gateway, clock: world.clock };
  const ofStore: readonly Sweep[] = objects === undefined ? [] : [
    { what: 'files', run: () => sweepFiles({ ...parts, objects }) }, { what: 'objects', run: (signal) => sweepOrphans({ ...parts, objects }, signal) },
  ];
  const sweeps = startSweeps(world, [
    { what: 'idempotentAnswers', run: (signal) => sweepAnswers(parts, signal) }, { what: 'projectEvents', run: (signal) => sweepProjectEvents(parts, signal) }, ...ofStore,
  ]);
  return { imports, stop: async () => { await Promise.all([imports.stop(), sweeps.stop()]); } };
}
