import { BREAK, getOperationAST, GraphQLError, Kind, parse, visit } from 'graphql';
import type { DocumentNode, ExecutionArgs, GraphQLSchema, Source } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Clock } from '../../platform/clock/index.ts';
import { ApiError, RETRY_AFTER_S } from '../errors.ts';
import { startDeadline } from '../http/deadline.ts';
import type { ApiContext, Outcome } from './context.ts';
import { MAX_COST, operationCost } from './cost.ts';
import { isCovered } from './coverage.ts';
import { firstCode, statusOf } from './public-errors.ts';
import type { Mask } from './public-errors.ts';
import { SHAPE_LIMITS, shapeProblem } from './shape.ts';

/** What the guard is set to. */
export interface GuardOptions {
  readonly clock: Clock;
  readonly introspection: boolean;
  readonly mask: Mask;
}

/**
 * Everything between a request and its execution: size of the document before validation, introspection, cost with
 * variables resolved, the deadline; and everything between the result and its answer: public errors, status, outcome.
 */
export function guard(options: GuardOptions): Plugin<ApiContext, ApiContext> {
  return {
    onParse: ({ setParseFn }) => { setParseFn((source: string | Source) => parseBounded(source)); },
    onValidate: () => {
      return ({ result, setResult }) => {
        if (result.length > 0) {
          const found: readonly unknown[] = result;
          setResult(found.filter((error) => error instanceof GraphQLError).map((error) => validationError(error)));
        }
      };
    },
    onExecute: async ({ args }) => {
      charge(args, args.contextValue.outcome);
      const { document, schema }: { readonly document: DocumentNode; readonly schema: GraphQLSchema } = args;
      args.contextValue.outcome.covered = isCovered(schema, document);
      if (!options.introspection && introspects(document)) await demandSchema(args.contextValue);
      const deadline = startDeadline(options.clock, args.contextValue.gone);
      Object.assign(args, { signal: deadline.signal, hideSuggestions: !options.introspection });
      return { onExecuteDone: () => { deadline.clear(); } };
    },
    onSubscribe: ({ args }) => {
      const { outcome } = args.contextValue;
      charge(args, outcome);
      Object.assign(args, { hideSuggestions: !options.introspection });
      return {
        onSubscribeResult: () => ({
          onNext: ({ result }) => { if (result.errors !== undefined) outcome.code = firstCode(result.errors.map(options.mask)); },
        }),
        onSubscribeError: ({ error }) => { outcome.code = firstCode([options.mask(error)]); },
      };
    },
    onExecutionResult: ({ result, setResult, context }) => {
      if (result === undefined || Symbol.asyncIterator in result || !('errors' in result) || result.errors === undefined) return;
      const errors = result.errors.map((error) => options.mask(error));
      context.outcome.code = firstCode(errors);
      if ('data' in result && result.data != null) setResult({ ...result, errors });
      else setResult({ ...result, errors, extensions: { http: { status: statusOf(errors), headers: headersOf(errors) } } });
    },
  };
}

/** Whether a document asks for the schema; fragments count, whoever spreads them. What was asked is remembered by document. */
function introspects(document: DocumentNode): boolean {
  const known = introspecting.get(document);
  if (known !== undefined) return known;
  let found = false;
  visit(document, { Field: ({ name }) => {
    if (name.value !== '__schema' && name.value !== '__type') return undefined;
    found = true;
    return BREAK;
  } });
  introspecting.set(document, found);
  return found;
}
const introspecting = new WeakMap<DocumentNode, boolean>();

/** Validation is shared by all callers, so whether this one may read the schema is asked when it executes. */
async function demandSchema({ services, principal }: ApiContext): Promise<void> {
  if (await services.can(principal, 'get', { kind: 'installation', resource: 'schema' })) return;
  throw new GraphQLError('the schema is not served to you: it is committed as api/schema.graphql, and administrators may read it here', { extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } });
}

function headersOf(errors: readonly GraphQLError[]): Record<string, string> {
  return firstCode(errors) === 'UNAVAILABLE' ? { 'retry-after': String(RETRY_AFTER_S) } : {};
}

function parseBounded(source: string | Source): DocumentNode {
  const document = parseTokens(source);
  const problem = shapeProblem(document);
  if (problem !== undefined) throw new ApiError('QUERY_TOO_COMPLEX', problem);
  return document;
}

function parseTokens(source: string | Source): DocumentNode {
  try {
    return parse(source, { maxTokens: SHAPE_LIMITS.tokens });
  } catch (error) {
    if (error instanceof GraphQLError && error.message.includes('Document contains more')) throw new ApiError('QUERY_TOO_COMPLEX', 'the document is too long: split it');
    throw error;
  }
}

function validationError(error: GraphQLError): GraphQLError {
  return new GraphQLError(error.message, { nodes: error.nodes ?? null, source: error.source ?? null, positions: error.positions ?? null, extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } });
}

function charge(args: Pick<ExecutionArgs, 'schema' | 'document' | 'operationName' | 'variableValues'>, outcome: Outcome): void {
  describe(args.schema, args.document, args.operationName, outcome);
  outcome.cost = operationCost(args.schema, args.document, args.operationName, args.variableValues);
  if (outcome.cost <= MAX_COST) return;
  throw new ApiError('QUERY_TOO_COMPLEX', 'the operation costs too much: ask for smaller pages, fewer payloads or fewer levels');
}

/** Fills in what may be a label: names of the schema, never names a client made up. */
function describe(schema: GraphQLSchema, document: DocumentNode, operationName: string | null | undefined, outcome: Outcome): void {
  const operation = getOperationAST(document, operationName);
  if (operation == null) return;
  outcome.type = operation.operation;
  const known = schema.getRootType(operation.operation)?.getFields() ?? {};
  const names = new Set(operation.selectionSet.selections.map((selection) => (selection.kind === Kind.FIELD ? selection.name.value : '')));
  const [name] = names;
  outcome.field = names.size === 1 && name !== undefined && Object.hasOwn(known, name) ? name : 'multiple';
}
