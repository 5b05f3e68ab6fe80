import type { IncomingMessage, ServerResponse } from 'node:http';

/** Cross-origin headers for listed origins, and for nobody else. Never with credentials: there are no cookies. */
export function applyCors(origins: readonly string[], request: IncomingMessage, response: ServerResponse): void {
  if (origins.length === 0) return;
  response.setHeader('vary', 'origin');
  const { origin } = request.headers;
  if (origin === undefined || !origins.includes(origin)) return;
  response.setHeader('access-control-allow-origin', origin);
  if (request.method !== 'OPTIONS') return;
  response.setHeader('access-control-allow-methods', 'POST');
  response.setHeader('access-control-allow-headers', 'authorization, content-type, traceparent');
  response.setHeader('access-control-max-age', '600');
}
