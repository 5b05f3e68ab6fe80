import type { Clock } from '../platform/clock/index.ts';
import type { Ids } from '../platform/ids/index.ts';
import type { Log } from '../platform/log/index.ts';
import type { Db } from '../prisma/store/index.ts';
import type { GatewayCounters } from './counters.ts';
import type { Publisher } from './run/notices.ts';

/** What every part of the gateway works with. */
export interface Parts {
  readonly db: Db;
  readonly bus: Publisher;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  /** Name of this process as holder of calls. */
  readonly holder: string;
  readonly counters: GatewayCounters;
  /** Leases of calls: whoever holds one renews it; not renewed for this long, its gateway is taken for gone. Milliseconds. */
  readonly leaseMs: number;
}

/** How often a lease is renewed, in milliseconds. */
export function renewMs(leaseMs: number): number {
  return leaseMs / 3;
}
