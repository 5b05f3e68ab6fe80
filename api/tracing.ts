import type { ApiTracing } from './ports.ts';

/** Hands the caller's traceparent on to commands. Spans of the API's own come with `platform/tracing`. */
export function apiTracing(): ApiTracing {
  return { span: (_name, parent, work) => work(parent) };
}
