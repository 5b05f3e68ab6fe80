import type { z } from 'zod';
import type { GatewayDb } from '../../prisma/gateway/index.ts';
import type { AuditEntry } from '../auth/audit.ts';
import type { OperationContext } from '../graphql/context.ts';
import type { Target, Verb } from '../ports.ts';
import type { Entity, EntityValue, Output, OutputValue, PageOf, PageValue } from './entity.ts';

export type { OperationContext } from '../graphql/context.ts';

/** What an operation asks of its caller; the rows of the authorisation matrix are made from it. */
export interface Right {
  readonly verb: Verb;
  readonly resource: Target['resource'];
  /** Where the thing lies. `self`: the caller alone; `public`: nobody is asked. */
  readonly on: 'project' | 'namespace' | 'user' | 'installation' | 'self' | 'public';
  /** What only administrators do, with a second factor and a recent sign-in. */
  readonly admin?: true;
}

/** A loaded row and the place the right is decided for. */
export interface Reached<Row> {
  readonly target: Target;
  readonly row: Row;
}

/** What changed in a project: written with the change, told to subscribers after the commit. */
export interface Change {
  readonly projectId: string;
  readonly kind: 'CREATED' | 'UPDATED' | 'DELETED' | 'RESTORED';
  /** Name of the entity: `Task`. */
  readonly entity: string;
  readonly entityId: string;
}

/** Of a mutation: everything it writes goes through `tx`, together with its events, its audit entry and its idempotent answer. */
export interface MutationContext extends OperationContext {
  readonly tx: GatewayDb;
  /** Notes a change of a project. */
  changed(change: Change): void;
}

/** The route of an operation below /api/v1. Braces name fields of the input. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  readonly path: string;
  /** 200, or 201 for what creates. */
  readonly status?: number;
}

interface Common<I extends z.ZodObject, O extends Output, Row> {
  /** As GraphQL calls it; operationId of OpenAPI. */
  readonly name: string;
  readonly summary: string;
  readonly description?: string;
  readonly rest: Route;
  readonly input: I;
  readonly output: O;
  readonly right: Right;
  /**
   * Loads what it is about and says where that lies; undefined: it is not there. Where it is left out the input says the
   * place by `projectId`, `namespace`, or it is the caller or the installation. `can` decides before `run` is called.
   */
  readonly reach?: (context: OperationContext, input: z.output<I>) => Promise<Reached<Row> | undefined>;
  /** Bytes of its body over REST at most, where that is more than others may send. */
  readonly bodyLimit?: number;
  /** A read that rests on nothing but rows of its project, and runs: its answer may be given again while they have not changed. */
  readonly covered?: true;
  /** A read that the state of its row may refuse, with CONFLICT; every mutation may be. */
  readonly conflicts?: true;
  /** False: GraphQL has a field of its own for it already. */
  readonly graphql?: false;
  /** Further fields of the audit entry; never what people wrote. */
  readonly audit?: (input: z.output<I>) => NonNullable<AuditEntry['details']>;
}

/** A read of one thing, or of a page of them. */
export interface QueryDefinition<I extends z.ZodObject, O extends Output, Value, Row> extends Common<I, O, Row> {
  readonly run: (context: OperationContext, input: z.output<I>, row: Row) => Promise<Value>;
}

/** A change. */
export interface MutationDefinition<I extends z.ZodObject, O extends Entity, Row, Effect> extends Common<I, O, Row> {
  /** What has to happen outside of Postgres, before the transaction: safe to repeat. `key`: the idempotency key. */
  readonly effect?: (context: OperationContext, input: z.output<I>, row: Row, key: string | undefined) => Promise<Effect>;
  /** True: its answer holds a secret. It takes no idempotency key, because the answer would be kept. */
  readonly secret?: true;
  /** What a caller is told whose change meets a row that is there already: a value that has to be unique. */
  readonly taken?: (input: z.output<I>) => string;
  readonly run: (context: MutationContext, input: z.output<I>, row: Row, effect: Effect) => Promise<EntityValue<O>>;
}

/** A read as the adapters see it: the types of its input and its row are its own business. */
export interface AnyQuery extends QueryDefinition<z.ZodObject, Output, OutputValue<Output>, unknown> { readonly kind: 'query' }
/** A change as the adapters see it. */
export interface AnyMutation extends MutationDefinition<z.ZodObject, Entity, unknown, unknown> { readonly kind: 'mutation' }
/** Any operation, as the adapters see it. */
export type Operation = AnyQuery | AnyMutation;

/** Declares a read of one thing. Everything surfaces need is made from it. */
export function defineQuery<I extends z.ZodObject, E extends Entity, Row = undefined>(operation: QueryDefinition<I, E, EntityValue<E>, Row>): Operation {
  return erase({ kind: 'query', ...operation });
}

/** Declares a list. */
export function defineList<I extends z.ZodObject, E extends Entity, Row = undefined>(operation: QueryDefinition<I, PageOf<E>, PageValue<EntityValue<E>>, Row>): Operation {
  return erase({ kind: 'query', ...operation });
}

/** Declares a change. */
export function defineMutation<I extends z.ZodObject, E extends Entity, Row = undefined, Effect = undefined>(operation: MutationDefinition<I, E, Row, Effect>): Operation {
  return erase({ kind: 'mutation', ...operation });
}

/** The executor hands `run` what `input` parsed and `reach` loaded; the compiler cannot follow that through a list. */
function erase(operation: unknown): Operation {
  return operation as Operation;
}
