import type { Request, Response } from 'express';
import type { Clock } from '../../platform/clock/index.ts';
import type { Ids } from '../../platform/ids/index.ts';
import type { Outcome } from '../graphql/context.ts';
import type { ApiLog, ApiMetrics, Principal } from '../ports.ts';

/** One request and what became of it, whatever the surface. */
export interface Exchange {
  readonly request: Request;
  readonly response: Response;
  readonly requestId: string;
  /** `cost` is of GraphQL alone. */
  readonly outcome: Omit<Outcome, 'cost'> & { cost?: number };
  principal?: Principal;
}

/** What it takes to tell of a request. */
export interface ReportParts {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly ids: Pick<Ids, 'uuid'>;
  readonly log: ApiLog;
  readonly metrics: Pick<ApiMetrics, 'operation' | 'refused'>;
}

/** Begins an exchange: its answer carries the id that its one log line has, and is kept by nobody on the way. */
export function beginExchange<O extends Exchange['outcome']>(parts: ReportParts, request: Request, response: Response, outcome: O): Exchange & { readonly outcome: O } {
  const exchange: Exchange & { readonly outcome: O } = { request, response, requestId: parts.ids.uuid(), outcome };
  const begun = parts.clock.monotonic();
  response.once('close', () => { report(parts, exchange, parts.clock.monotonic() - begun); });
  response.setHeader('x-request-id', exchange.requestId);
  response.setHeader('cache-control', 'no-store');
  return exchange;
}

/** The line of a request, and its count: once, when the answer is complete or its caller gone. */
function report({ metrics, log }: ReportParts, { request, response, requestId, outcome, principal }: Exchange, ms: number): void {
  const { field, type, code, cost } = outcome;
  if (type === 'none') metrics.refused(code);
  else metrics.operation(field, type, code, ms / 1_000);
  const gone = !response.writableFinished;
  log.info({
    requestId, method: request.method, op: field, type, code, status: response.statusCode, ms: Math.round(ms), ...(cost === undefined ? {} : { cost }), principal: principal?.name, ...(gone ? { gone } : {}),
  }, 'request');
}
