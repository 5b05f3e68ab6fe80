import { apiMetrics, connectionMetrics, createRegistry, kubeCounter, publishConnections, publishWaiting, type ApiLabels, type ConnectionMetrics, type MetricsPage } from '../platform/metrics/index.ts';
import type { Bus } from '../platform/nats/bus.ts';
import { ping } from '../prisma/store/index.ts';
import type { Db } from '../prisma/store/index.ts';
import { ERROR_CODES } from './errors.ts';
import { schema } from './graphql/schema.ts';
import type { ApiMetrics } from './ports.ts';

/** Label values that the schema and the table of errors know. */
export function apiLabels(): ApiLabels {
  const names = (type: { getFields(): object } | null | undefined): readonly string[] => Object.keys(type?.getFields() ?? {});
  return {
    fields: { query: names(schema.getQueryType()), mutation: names(schema.getMutationType()), subscription: names(schema.getSubscriptionType()) },
    codes: Object.keys(ERROR_CODES),
  };
}

/** All that the API counts. */
export class ApiCounters {
  readonly #registry = createRegistry('api');
  readonly #m: ConnectionMetrics = connectionMetrics(this.#registry);
  readonly #kube = kubeCounter(this.#m);
  /** What the server counts. */
  readonly api: ApiMetrics = countersOf(apiMetrics(this.#registry, apiLabels()));

  /** A request to the API server of Kubernetes ended; code 0 without an answer. */
  request(verb: string, resource: string, code: number): void { this.#kube.observe(verb, resource, code); }

  reconnected(): void { this.#m.natsReconnects.inc(); }

  /** A line of level error was logged. */
  fault(): void { this.#m.faults.inc(); }

  /** The page of /metrics. */
  async page(db: Db, bus: Pick<Bus, 'connected'>): Promise<MetricsPage> {
    await publishConnections(this.#m, { postgres: db.stats(), ask: () => ping(db), nats: bus.connected, kube: this.#kube.answered });
    return this.#registry.page();
  }

  /** The page while the process still waits for what it cannot do without. */
  async waiting(misses: (name: string) => boolean): Promise<MetricsPage> {
    publishWaiting(this.#m, misses, this.#kube.answered);
    return this.#registry.page();
  }
}

function countersOf(counters: ReturnType<typeof apiMetrics>): ApiMetrics {
  return {
    operation: (field, type, code, seconds) => {
      counters.requests.inc({ field, type, code });
      if (type !== 'subscription') counters.seconds.observe({ type }, seconds);
    },
    refused: (code) => { counters.requests.inc({ field: 'none', type: 'none', code }); },
    review: (kind, result) => { counters.reviews.inc({ kind, result }); },
    signIn: (kind, result) => { counters.signIns.inc({ kind, result }); },
    answer: (result) => { counters.answers.inc({ result }); },
    swept: (what, count) => { counters.swept.inc({ what }, count); },
    streams: (open) => { counters.subscriptions.set(open); },
  };
}
