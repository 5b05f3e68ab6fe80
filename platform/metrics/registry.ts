import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Values of a label: all there are, or in words what names them where objects of the cluster do. */
export type LabelValues = readonly string[] | string;

/** What a metric says of itself, for people and for `docs/metrics.md`. */
export interface MetricFacts<L extends string> {
  readonly name: `rambo_${string}`;
  readonly help: string;
  /** What happens at the moment it is measured. */
  readonly where: string;
  readonly labels?: Readonly<Record<L, LabelValues>>;
}

/** A metric with the facts that the library does not keep. */
export interface KnownMetric extends MetricFacts<string> {
  readonly type: 'counter' | 'gauge' | 'histogram';
}

/** What /metrics answers. */
export interface MetricsPage {
  readonly type: string;
  readonly text: string;
}

/** A registry that knows of each metric where it is measured. Series whose labels are all closed stand at zero from the start. */
export class MetricRegistry extends Registry {
  /** Metrics of ours in the order of their making; Node's own are not among them. */
  readonly known: KnownMetric[] = [];

  /** A sum that only rises. */
  counter<L extends string = never>(facts: MetricFacts<L>): Counter<L> {
    const counter = new Counter<L>({ ...this.#options(facts, 'counter') });
    for (const labels of combinations(facts.labels)) counter.inc(labels, 0);
    return counter;
  }

  /** A value that goes up and down. */
  gauge<L extends string = never>(facts: MetricFacts<L>): Gauge<L> {
    const gauge = new Gauge<L>({ ...this.#options(facts, 'gauge') });
    for (const labels of combinations(facts.labels)) gauge.set(labels, 0);
    return gauge;
  }

  /** A distribution over `buckets`, upper bounds in the metric's unit. */
  histogram<L extends string = never>(facts: MetricFacts<L> & { readonly buckets: readonly number[] }): Histogram<L> {
    const histogram = new Histogram<L>({ ...this.#options(facts, 'histogram'), buckets: [...facts.buckets] });
    for (const labels of combinations(facts.labels)) histogram.zero(labels);
    return histogram;
  }

  /** All of it, as Prometheus reads it. */
  async page(): Promise<MetricsPage> {
    return { type: this.contentType, text: await this.metrics() };
  }

  #options<L extends string>(facts: MetricFacts<L>, type: KnownMetric['type']): { name: string; help: string; labelNames: L[]; registers: Registry[] } {
    const { name, help, where, labels } = facts;
    this.known.push({ name, help, where, type, ...(labels === undefined ? {} : { labels }) });
    return { name, help, labelNames: labelNames(labels), registers: [this] };
  }
}

/** A registry with the metrics every process has: Node's own, event-loop delay included. */
export function createRegistry(process: string): MetricRegistry {
  const registry = new MetricRegistry();
  registry.setDefaultLabels({ process });
  collectDefaultMetrics({ register: registry, prefix: 'rambo_' });
  return registry;
}

function labelNames<L extends string>(labels: Readonly<Record<L, LabelValues>> | undefined): L[] {
  const names: L[] = [];
  for (const name in labels) names.push(name);
  return names;
}

/** Every combination of label values; none where a label is open, or where there are no labels: those stand at zero by themselves. */
function combinations<L extends string>(labels: Readonly<Record<L, LabelValues>> | undefined): readonly Partial<Record<L, string>>[] {
  let all: readonly Partial<Record<L, string>>[] = [{}];
  const names = labelNames(labels);
  if (labels === undefined || names.length === 0) return [];
  for (const name of names) {
    const values = labels[name];
    if (typeof values === 'string') return [];
    all = all.flatMap((some) => values.map((value) => ({ ...some, [name]: value })));
  }
  return all;
}
