import { context, propagation, type Context, type Span } from '@opentelemetry/api';

/** Where a span begins: below `parent` (a W3C traceparent), without one below the span that is active here. */
export function contextOf(parent: string | undefined): Context {
  return parent === undefined ? context.active() : propagation.extract(context.active(), { traceparent: parent });
}

/** The traceparent to hand on from a span: its own; undefined where no spans are made. */
export function traceparentOf(span: Span): string | undefined {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return span.isRecording() ? `00-${traceId}-${spanId}-0${traceFlags.toString(16)}` : undefined;
}
