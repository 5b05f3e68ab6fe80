import type { Clock } from '../platform/clock/index.ts';
import type { Ids } from '../platform/ids/index.ts';
import { accountById } from '../prisma/store/index.ts';
import { principalOfAccount } from './auth/accounts.ts';
import type { Can } from './auth/can.ts';
import { startFileSweep } from './file/sweep.ts';
import type { ApiLog, Ports } from './ports.ts';
import { startImports } from './project/import/worker.ts';
import type { Imports } from './project/import/worker.ts';

/** What the API does between requests. */
export interface Background {
  readonly imports: Imports;
  /** Ends what is under way; what is left is for the next process. */
  stop(): Promise<void>;
}

/** Starts imports and the sweep of files. */
export function startBackground(ports: Ports, world: { readonly clock: Clock; readonly ids: Ids; readonly log: ApiLog }, can: () => Can): Background {
  const { gateway, objects, projectNotices, db } = ports;
  const imports = startImports({
    gateway, objects, ...world, can, changed: (changes) => { projectNotices.changed(changes); },
    owner: async (userId) => principalOfAccount(await accountById(db, userId)),
  });
  const sweep = objects === undefined ? undefined : startFileSweep({ gateway, objects, ...world });
  return { imports, stop: async () => { await Promise.all([imports.stop(), sweep?.stop()]); } };
}
