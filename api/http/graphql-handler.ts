import type { Request, Response } from 'express';
import type { Clock } from '../../platform/clock/index.ts';
import type { Ids } from '../../platform/ids/index.ts';
import type { Can } from '../auth/can.ts';
import { ApiError, asApiError } from '../errors.ts';
import { runDetails } from '../graphql/context.ts';
import type { ApiContext, Outcome, Services } from '../graphql/context.ts';
import type { Mask } from '../graphql/public-errors.ts';
import type { createGraphql } from '../graphql/yoga.ts';
import type { ApiLog, ApiMetrics, ApiTracing, Authenticator } from '../ports.ts';
import { demandJson, readParams } from './body.ts';
import type { Answers } from '../operations/answers.ts';
import type { RateLimits } from './rate-limit.ts';
import { GONE } from './gone.ts';
import { refuse } from './refuse.ts';
import { executePlain, sendPlain, wantsJson } from './plain-answer.ts';
import type { TrustedDocuments } from './trusted-documents.ts';
import { beginExchange } from './report.ts';
import type { Exchange } from './report.ts';
import { authenticated, traceparentOf } from './request.ts';

/** What the handler stands on. */
export interface HandlerParts {
  readonly authenticator: Authenticator;
  readonly services: Omit<Services, 'can'>;
  readonly limits: RateLimits;
  /** The one decision, with a memory of its own for every request. */
  readonly canOfRequest: () => Can;
  /** Answers that were given before. */
  readonly answers: Answers;
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

type GraphqlExchange = Exchange & { readonly outcome: Outcome };

/** Serves POST /graphql: who calls, then what the body is, then Yoga. One log line and one count per request. */
export function graphqlHandler(parts: HandlerParts): (request: Request, response: Response) => Promise<void> {
  return async (request, response) => {
    const exchange = beginExchange(parts, request, response, { field: 'none', type: 'none', code: 'OK', cost: 0, covered: false });
    try {
      await serve(parts, exchange);
    } catch (error) {
      const shown = asApiError(error) ?? new ApiError('INTERNAL', parts.mask(error).message);
      exchange.outcome.code = shown.publicCode;
      refuse(request, response, shown);
    }
  };
}

async function serve(parts: HandlerParts, exchange: GraphqlExchange): Promise<void> {
  const { request, response, requestId } = exchange;
  const { token, principal } = await authenticated(parts, request);
  exchange.principal = principal;
  parts.limits.principal(principal.name);
  demandJson(request);
  const params = await readParams(request, parts.documents);
  const plain = wantsJson(request);
  const look = await parts.answers.look(principal, plain ? ['graphql', params.query, params.operationName, params.variables] : undefined, parts.canOfRequest(), parts.services.runs);
  if (look.answer !== undefined) {
    Object.assign(exchange.outcome, { type: 'query', field: look.answer.field, cost: look.answer.cost });
    sendPlain(response, { status: 200, headers: {}, body: look.answer.body });
    return;
  }
  const gone = new AbortController();
  response.once('close', () => { gone.abort(GONE); });
  await parts.tracing.span('graphql', traceparentOf(request), async (traceparent) => {
    const context: ApiContext = {
      services: { ...parts.services, can: look.can, runs: look.runs }, principal, requestId, gone: gone.signal, traceparent, outcome: exchange.outcome,
      details: runDetails(look.runs),
      stillValid: async () => await parts.authenticator.authenticate(token) !== undefined,
    };
    if (!plain) {
      request.body = params;
      await parts.graphql(request, response, context);
      return;
    }
    const answer = await executePlain(parts.graphql, params, context);
    const { covered, field, cost } = exchange.outcome;
    if (covered && answer.whole) look.keep({ body: answer.body, field, cost });
    sendPlain(response, answer);
  });
}
