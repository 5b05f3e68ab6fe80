import type { z } from 'zod';
import { shaped } from './fields.ts';

/** A kind of object that the API shows: an object type of GraphQL, a component of OpenAPI. */
export interface Entity<S extends z.ZodObject = z.ZodObject> {
  readonly kind: 'entity';
  readonly name: string;
  readonly description: string;
  readonly schema: S;
}

/** An entry of an entity as operations give it: what REST sends, times as RFC 3339. */
export type EntityValue<E extends Entity> = z.output<E['schema']>;

/** Declares an entity. Relations to others are added to its GraphQL type by its module. */
export function defineEntity<S extends z.ZodObject>(name: string, description: string, schema: S): Entity<S> {
  return { kind: 'entity', name, description, schema: shaped(schema, { object: name }) };
}

/** A list of an entity: a relay connection in GraphQL, `{items, nextCursor}` in REST. */
export interface PageOf<E extends Entity = Entity> {
  readonly kind: 'page';
  readonly entity: E;
}

/** Declares the answer of a list. */
export function page<E extends Entity>(entity: E): PageOf<E> {
  return { kind: 'page', entity };
}

/** One page as an operation gives it. */
export interface PageValue<T> {
  readonly items: readonly T[];
  readonly hasMore: boolean;
  /** Whether it began at a cursor. */
  readonly started: boolean;
  readonly cursorOf: (item: T) => string;
}

/** What an operation can answer with. */
export type Output = Entity | PageOf;

/** The value of an answer. */
export type OutputValue<O extends Output> = O extends PageOf<infer E> ? PageValue<EntityValue<E>> : O extends Entity ? EntityValue<O> : never;
