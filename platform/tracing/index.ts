import { SpanStatusCode, trace, type Attributes } from '@opentelemetry/api';
import { contextOf, traceparentOf } from './parent.ts';

/** Names that may stand on a span. Inputs, outputs and environment never do. */
export type SpanFacts = Readonly<Partial<Record<'run' | 'node' | 'item' | 'attempt' | 'namespace' | 'workflow' | 'operation', string | number>>>;

/**
 * Sends spans over OTLP when an endpoint is given; without one nothing is loaded and spans cost next to nothing.
 * Returns how to flush and stop.
 */
export async function startTracing(service: string, endpoint: string | undefined): Promise<() => Promise<void>> {
  if (endpoint === undefined) return () => Promise.resolve();
  const { startSdk } = await import('./sdk.ts');
  return startSdk(`rambo-${service}`, `${endpoint.replace(/\/$/, '')}/v1/traces`);
}

/**
 * Runs `work` in a span that continues `parent` (a W3C traceparent). `work` gets the traceparent to hand on: the new
 * span's, or the parent's where no spans are made.
 */
export function withSpan<T>(name: string, parent: string | undefined, facts: SpanFacts, work: (traceparent: string | undefined) => Promise<T>): Promise<T> {
  return trace.getTracer('rambo').startActiveSpan(name, { attributes: attributesOf(facts) }, contextOf(parent), async (span) => {
    try {
      return await work(traceparentOf(span) ?? parent);
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}

function attributesOf(facts: SpanFacts): Attributes {
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [`rambo.${name}`, value]));
}
