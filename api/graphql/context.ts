import DataLoader from 'dataloader';
import type { Clock } from '../../platform/clock/index.ts';
import type { Ids } from '../../platform/ids/index.ts';
import type { RunRecord } from '../../prisma/store/index.ts';
import type { AuditQueue } from '../auth/audit.ts';
import type { Can } from '../auth/can.ts';
import type { Ports, Principal, RunReader } from '../ports.ts';
import type { Streams } from '../realtime/streams.ts';

/** What the resolvers work with; the same for all requests. */
export interface Services extends Pick<Ports, 'runs' | 'definitions' | 'commands' | 'logs' | 'notices' | 'gateway'> {
  readonly can: Can;
  /** For refused attempts, which have no transaction. */
  readonly audit: AuditQueue;
  readonly ids: Ids;
  readonly clock: Clock;
  readonly streams: Streams;
}

/** What a request turned out to be, filled in on the way, for its log line and its metrics. */
export interface Outcome {
  /** Root field of the schema, `multiple`, or `none` before it is known. */
  field: string;
  type: 'query' | 'mutation' | 'subscription' | 'none';
  /** `OK` or the first error code. */
  code: string;
  cost: number;
}

/** One request, as the resolvers see it. */
export interface ApiContext {
  readonly services: Services;
  readonly principal: Principal;
  readonly requestId: string;
  /** Aborts when the client is gone. */
  readonly gone: AbortSignal;
  /** Whether the token is still good: long streams ask again. Throws UnavailableError. */
  readonly stillValid: () => Promise<boolean>;
  readonly traceparent: string | undefined;
  readonly outcome: Outcome;
  /** Full rows of runs that a list gave without payloads. */
  readonly details: DataLoader<string, RunRecord | undefined>;
}

/** A loader for one request. Rows are read one by one, each once. */
export function runDetails(runs: Pick<RunReader, 'run'>): ApiContext['details'] {
  return new DataLoader((ids: readonly string[]) => Promise.all(ids.map((id) => runs.run(id))));
}
