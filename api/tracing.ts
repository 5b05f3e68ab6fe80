import { withSpan } from '../platform/tracing/index.ts';
import type { ApiTracing } from './ports.ts';

/** A span per operation; its traceparent goes on with commands, so that the run's spans hang below it. */
export function apiTracing(): ApiTracing {
  return { span: (name, parent, work) => withSpan(`rambo.api.${name}`, parent, {}, work) };
}
