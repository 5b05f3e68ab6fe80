import DataLoader from 'dataloader';
import type { Clock } from '../../platform/clock/index.ts';
import type { Ids } from '../../platform/ids/index.ts';
import type { RunRecord } from '../../prisma/store/index.ts';
import type { AuditQueue } from '../auth/audit.ts';
import type { Can } from '../auth/can.ts';
import type { Ports, Principal, RunReader } from '../ports.ts';
import type { Imports } from '../project/import/worker.ts';
import type { Streams } from '../realtime/streams.ts';

/** What the resolvers work with; the same for all requests. */
export interface Services extends Pick<Ports, 'runs' | 'definitions' | 'commands' | 'logs' | 'notices' | 'gateway' | 'projectNotices' | 'agentNotices' | 'db' | 'objects' | 'publisher' | 'places' | 'identities'> {
  readonly can: Can;
  /** For refused attempts, which have no transaction. */
  readonly audit: AuditQueue;
  readonly ids: Ids;
  readonly clock: Clock;
  readonly streams: Streams;
  /** Imports of the prototype, which go on in the background. */
  readonly imports: Pick<Imports, 'wake'>;
}

/** One request, as operations see it, over whichever surface it came. */
export interface OperationContext {
  readonly services: Services;
  readonly principal: Principal;
  readonly requestId: string;
  /** Aborts when the client is gone. */
  readonly gone: AbortSignal;
  readonly traceparent: string | undefined;
}

/** What a request turned out to be, filled in on the way, for its log line and its metrics. */
export interface Outcome {
  /** Root field of the schema, `multiple`, or `none` before it is known. */
  field: string;
  type: 'query' | 'mutation' | 'subscription' | 'none';
  /** `OK` or the first error code. */
  code: string;
  cost: number;
  /** Whether its answer rests on nothing but rows of projects and runs. */
  covered: boolean;
}

/** One request, as the resolvers see it. */
export interface ApiContext extends OperationContext {
  /** Whether the token is still good: long streams ask again. Throws UnavailableError. */
  readonly stillValid: () => Promise<boolean>;
  readonly outcome: Outcome;
  /** Full rows of runs that a list gave without payloads. */
  readonly details: DataLoader<string, RunRecord | undefined>;
}

/** Of a request, what something needs that goes on: a subscription, a socket. */
export type StreamContext = Pick<ApiContext, 'services' | 'principal' | 'gone' | 'stillValid'>;

/** A loader for one request. Rows are read one by one, each once. */
export function runDetails(runs: Pick<RunReader, 'run'>): ApiContext['details'] {
  return new DataLoader((ids: readonly string[]) => Promise.all(ids.map((id) => runs.run(id))));
}

/** Reads what many entries of one request ask for at once. Its answer is in the order of the keys. */
export interface Batch<K, V> {
  /** Tells the batches apart. */
  readonly name: string;
  readonly read: (context: OperationContext, keys: readonly K[]) => Promise<readonly V[]>;
  /** Text of a key that is no string. */
  readonly keyText?: (key: K) => string;
}

const loaders = new WeakMap<OperationContext, Map<string, unknown>>();

/** The value for `key`; everything that one request asks of a batch within a turn is read in one go, and only once. */
export function batched<K, V>(context: OperationContext, batch: Batch<K, V>, key: K): Promise<V> {
  const mine = loaders.get(context) ?? new Map<string, unknown>();
  loaders.set(context, mine);
  const { keyText } = batch;
  const known = mine.get(batch.name);
  const loader = known instanceof DataLoader ? known : new DataLoader<K, V, unknown>(
    async (keys) => await batch.read(context, keys), { maxBatchSize: 200, ...(keyText === undefined ? {} : { cacheKeyFn: keyText }) },
  );
  mine.set(batch.name, loader);
  return loader.load(key);
}
