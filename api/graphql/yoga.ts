import type { DocumentNode } from 'graphql';
import { createYoga } from 'graphql-yoga';
import type { YogaServerInstance } from 'graphql-yoga';
import type { Clock } from '../../platform/clock/index.ts';
import type { ApiContext } from './context.ts';
import { DocumentCache } from './document-cache.ts';
import { guard } from './guard.ts';
import type { Mask } from './public-errors.ts';
import { schema } from './schema.ts';

/** Yoga without the defaults that do not fit: no CORS of its own, no multipart, no batches, no GraphiQL, no landing page. */
export function createGraphql(options: { readonly clock: Clock; readonly introspection: boolean; readonly mask: Mask }): YogaServerInstance<ApiContext, object> {
  return createYoga<ApiContext>({
    schema, graphqlEndpoint: '/graphql', logging: false, cors: false, graphiql: false, landingPage: false, multipart: false, batching: false, maxRequestBodySize: false,
    healthCheckEndpoint: '/graphql/never-served',
    maskedErrors: { maskError: options.mask, errorMessage: 'internal error' },
    parserAndValidationCache: { documentCache: new DocumentCache<DocumentNode>(), errorCache: new DocumentCache<unknown>() },
    plugins: [guard(options)],
  });
}
