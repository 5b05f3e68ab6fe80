import type { Request, Response } from 'express';
import type { Clock } from '../../platform/clock/index.ts';
import type { Ids } from '../../platform/ids/index.ts';
import type { Can } from '../auth/can.ts';
import { ApiError, asApiError } from '../errors.ts';
import { runDetails } from '../graphql/context.ts';
import type { ApiContext, Outcome, Services } from '../graphql/context.ts';
import type { Mask } from '../graphql/public-errors.ts';
import type { createGraphql } from '../graphql/yoga.ts';
import type { ApiLog, ApiMetrics, ApiTracing, Authenticator, Principal } from '../ports.ts';
import { demandJson, readParams } from './body.ts';
import type { RateLimits } from './rate-limit.ts';
import { GONE } from './gone.ts';
import { refuse } from './refuse.ts';
import type { TrustedDocuments } from './trusted-documents.ts';
import { authenticated, traceparentOf } from './request.ts';

/** What the handler stands on. */
export interface HandlerParts {
  readonly authenticator: Authenticator;
  readonly services: Omit<Services, 'can'>;
  readonly limits: RateLimits;
  /** The one decision, with a memory of its own for every request. */
  readonly canOfRequest: () => Can;
  readonly graphql: ReturnType<typeof createGraphql>;
  /** Documents that may be sent by their hash. */
  readonly documents: TrustedDocuments;
  readonly mask: Mask;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: ApiLog;
  readonly metrics: ApiMetrics;
  readonly tracing: ApiTracing;
}

interface Exchange {
  readonly request: Request;
  readonly response: Response;
  readonly requestId: string;
  readonly outcome: Outcome;
  principal?: Principal;
}

/** Serves POST /graphql: who calls, then what the body is, then Yoga. One log line and one count per request. */
export function graphqlHandler(parts: HandlerParts): (request: Request, response: Response) => Promise<void> {
  return async (request, response) => {
    const exchange: Exchange = { request, response, requestId: parts.ids.uuid(), outcome: { field: 'none', type: 'none', code: 'OK', cost: 0 } };
    const begun = parts.clock.monotonic();
    response.once('close', () => { report(parts, exchange, parts.clock.monotonic() - begun); });
    response.setHeader('x-request-id', exchange.requestId);
    response.setHeader('cache-control', 'no-store');
    try {
      await serve(parts, exchange);
    } catch (error) {
      const shown = asApiError(error) ?? new ApiError('INTERNAL', parts.mask(error).message);
      exchange.outcome.code = shown.publicCode;
      refuse(request, response, shown);
    }
  };
}

async function serve(parts: HandlerParts, exchange: Exchange): Promise<void> {
  const { request, response, requestId } = exchange;
  const { token, principal } = await authenticated(parts, request);
  exchange.principal = principal;
  parts.limits.principal(principal.name);
  demandJson(request);
  request.body = await readParams(request, parts.documents);
  const gone = new AbortController();
  response.once('close', () => { gone.abort(GONE); });
  await parts.tracing.span('graphql', traceparentOf(request), async (traceparent) => {
    const context: ApiContext = {
      services: { ...parts.services, can: parts.canOfRequest() }, principal, requestId, gone: gone.signal, traceparent, outcome: exchange.outcome,
      details: runDetails(parts.services.runs),
      stillValid: async () => await parts.authenticator.authenticate(token) !== undefined,
    };
    await parts.graphql(request, response, context);
  });
}

function report(parts: HandlerParts, { request, response, requestId, outcome, principal }: Exchange, ms: number): void {
  const { field, type, code, cost } = outcome;
  if (type === 'none') parts.metrics.refused(code);
  else parts.metrics.operation(field, type, code, ms / 1_000);
  const gone = !response.writableFinished;
  parts.log.info({ requestId, method: request.method, op: field, type, code, status: response.statusCode, ms: Math.round(ms), cost, principal: principal?.name, ...(gone ? { gone } : {}) }, 'request');
}
