import {
  connectionMetrics, createRegistry, gatewayMetrics, kubeCounter, publishConnections, publishWaiting, type ConnectionMetrics, type GatewayMetricsSet, type MetricsPage,
} from '../../platform/metrics/index.ts';
import type { Bus } from '../../platform/nats/bus.ts';
import { ping, type Db } from '../../prisma/store/index.ts';
import type { GatewayCounters } from '../counters.ts';
import { Spenders } from './spenders.ts';

/** Nano-USD per USD. */
const NANO = 1e9;

/** All that the model gateway counts. */
export class GatewayMetrics implements GatewayCounters {
  readonly #registry = createRegistry('modelgateway');
  readonly #m: ConnectionMetrics & GatewayMetricsSet;
  readonly #kube: ReturnType<typeof kubeCounter>;

  readonly #spenders = new Spenders();

  constructor() {
    this.#m = { ...connectionMetrics(this.#registry), ...gatewayMetrics(this.#registry) };
    this.#kube = kubeCounter(this.#m);
  }

  answered: GatewayCounters['answered'] = (provider, usage, nano, seconds, firstSeconds, estimated) => {
    const { input, cached, output, reasoning } = usage;
    for (const [kind, count] of Object.entries({ input: input - cached, cached, output: output - reasoning, reasoning })) this.#m.tokens.inc({ kind, provider }, count);
    this.#m.cost.inc({ provider }, Number(nano) / NANO);
    this.#m.calls.inc({ provider, outcome: 'answered' });
    this.#m.callSeconds.observe({ provider }, seconds);
    if (firstSeconds !== undefined) this.#m.firstSeconds.observe({ provider }, firstSeconds);
    if (estimated) this.#m.estimated.inc();
  };

  spent: GatewayCounters['spent'] = (namespace, agent, usage, nano) => {
    const whose = this.#spenders.labels(namespace, agent);
    this.#m.spenderTokens.inc({ ...whose, kind: 'input' }, usage.input);
    this.#m.spenderTokens.inc({ ...whose, kind: 'output' }, usage.output);
    this.#m.spenderCost.inc(whose, Number(nano) / NANO);
  };

  tool: GatewayCounters['tool'] = (kind, outcome, seconds) => { this.#m.toolSeconds.observe({ kind, outcome }, seconds); };

  failed: GatewayCounters['failed'] = (provider, code) => {
    if (provider !== 'unknown') this.#m.calls.inc({ provider, outcome: 'failed' });
    this.#m.failures.inc({ code });
  };

  again: GatewayCounters['again'] = (how) => { this.#m.again.inc({ how }); };
  exceeded: GatewayCounters['exceeded'] = (action) => { this.#m.budgetRefusals.inc({ action }); };
  inFlight: GatewayCounters['inFlight'] = () => {
    this.#m.inFlight.inc();
    return () => { this.#m.inFlight.dec(); };
  };
  ended: GatewayCounters['ended'] = (phase) => { this.#m.ended.inc({ phase }); };

  /** A request to the door ended. */
  request(route: string, status: number, seconds: number): void {
    this.#m.requests.inc({ route, status: status < 400 ? '2xx' : status < 500 ? '4xx' : '5xx' });
    this.#m.requestSeconds.observe({ route }, seconds);
  }

  /** A request to the API server ended; code 0 without an answer. */
  kube(verb: string, resource: string, code: number): void { this.#kube.observe(verb, resource, code); }

  reconnected(): void { this.#m.natsReconnects.inc(); }
  fault(): void { this.#m.faults.inc(); }

  /** The page while the process waits for what it needs. */
  waitingPage(misses: (name: string) => boolean): Promise<MetricsPage> {
    publishWaiting(this.#m, misses, this.#kube.answered);
    return this.#registry.page();
  }

  /** The page of /metrics. */
  async page(db: Db, bus: Pick<Bus, 'connected'>, waiting: number): Promise<MetricsPage> {
    this.#m.waiting.set(waiting);
    await publishConnections(this.#m, { postgres: db.stats(), ask: () => ping(db), nats: bus.connected, kube: this.#kube.answered });
    return this.#registry.page();
  }
}
