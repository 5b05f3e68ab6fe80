import { createServer } from 'node:http';
import type { Server } from 'node:http';
import express from 'express';
import type { Express, NextFunction, Request, Response } from 'express';
import { nextTurn, sleep } from '../platform/clock/index.ts';
import type { Clock } from '../platform/clock/index.ts';
import { listenOn } from '../platform/health/listen.ts';
import type { Ids } from '../platform/ids/index.ts';
import { addAgentStream } from './agent/agent-sse.ts';
import { startBackground } from './background.ts';
import type { Background } from './background.ts';
import { AuditQueue } from './auth/audit.ts';
import { createCan } from './auth/can.ts';
import type { Can } from './auth/can.ts';
import { placesOfRequest } from './auth/places.ts';
import { cachedAuthenticator, cachedAuthorizer } from './auth/reviews.ts';
import { ApiError } from './errors.ts';
import { createMask } from './graphql/public-errors.ts';
import { createGraphql } from './graphql/yoga.ts';
import { operations, streams } from './modules.ts';
import { Answers } from './operations/answers.ts';
import type { AnswerOptions } from './operations/answers.ts';
import { API_VERSION, openapi } from './operations/openapi.ts';
import { addRoutes } from './operations/rest.ts';
import { applyCors } from './http/cors.ts';
import { graphqlHandler } from './http/graphql-handler.ts';
import type { HandlerParts } from './http/graphql-handler.ts';
import { RateLimits } from './http/rate-limit.ts';
import type { RateSettings } from './http/rate-limit.ts';
import { addGraphiql } from './http/graphiql.ts';
import { refuse } from './http/refuse.ts';
import { NO_DOCUMENTS } from './http/trusted-documents.ts';
import type { TrustedDocuments } from './http/trusted-documents.ts';
import { addDocs } from './http/swagger.ts';
import type { ApiLog, ApiMetrics, ApiTracing, Ports } from './ports.ts';
import { FEEDS } from './realtime/feeds.ts';
import { attachSockets } from './realtime/sockets.ts';
import type { SocketParts } from './realtime/sockets.ts';
import { Streams } from './realtime/streams.ts';

/** What an API server is made of. */
export interface ApiParts {
  readonly ports: Ports;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: ApiLog;
  readonly metrics: ApiMetrics;
  readonly tracing: ApiTracing;
  readonly settings: {
    /** Whether the schema may be read through the API; also lets errors suggest names. */
    readonly introspection: boolean;
    /** Origins of web pages that may call; none by default. */
    readonly corsOrigins: readonly string[];
    /** Documents that pages may send by their hash; none when absent. */
    readonly documents?: TrustedDocuments;
    /** How often somebody may call; as often as they like when absent. */
    readonly rate?: RateSettings;
    /** Answers to reads are given again so long at most, and take so many bytes; none are kept when absent. */
    readonly answers?: Pick<AnswerOptions, 'maxAgeMs' | 'maxBytes'>;
  };
}

/** A running API server. */
export interface ApiServer {
  readonly port: number;
  /** Subscriptions open now. */
  readonly streams: number;
  /** From now on every answer ends its connection: callers with kept ones leave by themselves, none is cut while it sends. */
  linger(): void;
  /** Takes no more connections, completes subscriptions, waits for what is under way, at most `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

/** Serves the API at host:port; port 0 lets the system choose. */
export async function startApi(parts: ApiParts, host: string, port: number): Promise<ApiServer> {
  const streams = new Streams(parts.metrics);
  const can = canMaker(parts);
  const background = startBackground(parts.ports, parts, can);
  const made = handlerParts(parts, streams, can, background);
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000, keepAliveTimeout: 65_000, maxHeaderSize: 32_768 }, createApp(parts, made));
  const sockets = attachSockets(server, socketParts(parts, made));
  let stopping = false;
  let lingering = false;
  server.prependListener('request', (_, response) => {
    if (lingering) response.setHeader('connection', 'close');
    // A connection is kept alive after its answer: while stopping it must not be.
    response.once('close', () => { if (stopping) void nextTurn().then(() => { server.closeIdleConnections(); }); });
  });
  const listening = await listenOn(server, host, port);
  return {
    port: listening,
    get streams() { return streams.size; },
    linger: () => { lingering = true; },
    stop: async (graceMs) => {
      stopping = true;
      sockets.close();
      await Promise.all([stop(server, streams, parts.clock, graceMs), background.stop()]);
    },
  };
}

function createApp(parts: ApiParts, made: HandlerParts): Express {
  const handler = graphqlHandler(made);
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.use((request: Request, response: Response, next: NextFunction) => {
    response.setHeader('x-content-type-options', 'nosniff');
    applyCors(parts.settings.corsOrigins, request, response);
    if (request.method === 'OPTIONS') response.status(204).end();
    else next();
  });
  app.post('/graphql', handler);
  app.all('/graphql', (request: Request, response: Response) => {
    refuse(request, response, new ApiError('METHOD_NOT_ALLOWED', 'use POST with application/json; subscriptions too, with Accept: text/event-stream'));
  });
  addGraphiql(app, parts.settings.introspection);
  addDocs(app, () => openapi(operations, API_VERSION, streams));
  addAgentStream(app, made);
  addRoutes(app, made, operations);
  app.use((request: Request, response: Response) => { refuse(request, response, new ApiError('NOT_FOUND', 'there is nothing here: the API is at /graphql and /api/v1')); });
  return app;
}

/** Makes the one decision anew for every request: what it remembers is the caller's. */
function canMaker({ ports, clock, metrics }: ApiParts): () => Can {
  const authorizer = cachedAuthorizer(ports.authorizer, clock, metrics);
  return () => createCan({ authorizer, places: placesOfRequest(ports.places, clock), standing: ports.standing, clock });
}

function handlerParts(parts: ApiParts, streams: Streams, canOfRequest: () => Can, background: Background): HandlerParts {
  const { ports, clock, ids, log, metrics, tracing, settings } = parts;
  const mask = createMask(log, ids, settings.introspection);
  const services = {
    runs: ports.runs, definitions: ports.definitions, commands: ports.commands, logs: ports.logs, notices: ports.notices, gateway: ports.gateway, identities: ports.identities,
    db: ports.db, projectNotices: ports.projectNotices, agentNotices: ports.agentNotices, objects: ports.objects, publisher: ports.publisher, places: ports.places, imports: background.imports,
    audit: new AuditQueue(ports.gateway, log),
    ids, clock, streams,
  };
  return {
    limits: new RateLimits(clock, settings.rate ?? { principal: 0, address: 0, hops: 0 }),
    authenticator: cachedAuthenticator(ports.authenticator, clock, metrics), services, canOfRequest, mask, clock, ids, log, metrics, tracing,
    answers: new Answers({ clock, maxAgeMs: settings.answers?.maxAgeMs ?? 0, maxBytes: settings.answers?.maxBytes ?? 0, counted: (result) => { metrics.answer(result); } }),
    documents: settings.documents ?? NO_DOCUMENTS, graphql: createGraphql({ clock, introspection: settings.introspection, mask }),
  };
}

function socketParts({ clock, log, metrics, settings }: ApiParts, { authenticator, services, canOfRequest }: HandlerParts): SocketParts {
  return { authenticator, services, canOfRequest, clock, log, metrics, corsOrigins: settings.corsOrigins, feeds: FEEDS };
}

async function stop(server: Server, streams: Streams, clock: Clock, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => { server.close(() => { resolve(); }); });
  streams.closeAll();
  server.closeIdleConnections();
  const grace = new AbortController();
  await Promise.race([closed, sleep(clock, graceMs, grace.signal)]);
  grace.abort();
  server.closeAllConnections();
  await closed;
}
