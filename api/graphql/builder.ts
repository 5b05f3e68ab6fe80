import SchemaBuilder from '@pothos/core';
import RelayPlugin from '@pothos/plugin-relay';
import { GraphQLError, Kind, valueFromASTUntyped } from 'graphql';
import type { ValueNode } from 'graphql';
import { tooDeepAt } from '../../crds/canonical.ts';
import { LIMITS } from '../../crds/names.ts';
import type { Json } from '../../engine/types.ts';
import type { ApiContext } from './context.ts';

/** What the schema knows of TypeScript. */
export interface Types {
  Context: ApiContext;
  DefaultFieldNullability: false;
  DefaultEdgesNullability: { list: false; items: false };
  Scalars: {
    JSON: { Input: Json; Output: Json };
    /** Epoch milliseconds inside, or what an entity holds: the text already. */
    Time: { Input: number; Output: number | string };
    ID: { Input: string; Output: string };
  };
}

/** The one builder of the schema. Types register themselves on it; `schema.ts` puts them together. */
export const builder = new SchemaBuilder<Types>({
  plugins: [RelayPlugin],
  defaultFieldNullability: false,
  relay: {
    nodeQueryOptions: false,
    nodesQueryOptions: false,
    cursorType: 'String',
    edgesFieldOptions: { nullable: { list: false, items: false }, description: 'Entries of this page, in order.' },
    nodeFieldOptions: { description: 'The entry itself.' },
    cursorFieldOptions: { description: 'Place of this entry: give it back as `after` or `before`.' },
    pageInfoFieldOptions: { description: 'Where this page stands and whether there are more.' },
    pageInfoTypeOptions: { description: 'Where a page stands.' },
    hasNextPageFieldOptions: { description: 'Whether there are entries after this page. Paging backwards: whether the page began at a cursor.' },
    hasPreviousPageFieldOptions: { description: 'Whether there are entries before this page. Paging forwards: whether the page began at a cursor.' },
    startCursorFieldOptions: { description: 'Cursor of the first entry; null for an empty page.' },
    endCursorFieldOptions: { description: 'Cursor of the last entry; null for an empty page.' },
    firstArgOptions: { description: 'Entries from the start: 1 to 100, 20 if not given; other numbers are cut to that range.' },
    lastArgOptions: { description: 'Entries before `before`: 1 to 100; other numbers are cut to that range.' },
    afterArgOptions: { description: 'Start after this cursor.' },
    beforeArgOptions: { description: 'End before this cursor. Goes with `last`.' },
  },
});

builder.queryType({ description: 'Reads. What is not yours and what does not exist are answered alike.' });
builder.mutationType({ description: 'Commands. Answered after the owner of the run has committed them; every one may be repeated.' });
builder.subscriptionType({ description: 'Streams over server-sent events: POST with `Accept: text/event-stream`.' });

builder.scalarType('JSON', {
  description: 'Any JSON value: an object, a list, a string, a number, a boolean or null. Nested at most 100 levels.',
  serialize: (value) => value,
  parseValue: (value) => checkedJson(value),
  parseLiteral: (node, variables) => checkedJson(literal(node, variables ?? {})),
});

builder.scalarType('Time', {
  description: 'A moment, RFC 3339 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`.',
  serialize: (value) => (typeof value === 'string' ? value : new Date(value).toISOString()),
  parseValue: () => { throw new GraphQLError('a Time cannot be given'); },
});

function checkedJson(value: unknown): Json {
  if (tooDeepAt(value, LIMITS.jsonDepth) !== undefined) throw new GraphQLError('the value is nested too deeply: flatten it', { extensions: { code: 'BAD_USER_INPUT' } });
  return value as Json; // It came out of JSON.parse or `literal`: there is nothing else it could be.
}

/** Entries become own properties, whatever their name: `__proto__` is data like any other. */
function literal(node: ValueNode, variables: { readonly [name: string]: unknown }): unknown {
  switch (node.kind) {
    case Kind.INT:
    case Kind.FLOAT: return Number(node.value);
    case Kind.LIST: return node.values.map((item) => literal(item, variables));
    case Kind.OBJECT: return Object.fromEntries(node.fields.map((field) => [field.name.value, literal(field.value, variables)]));
    case Kind.ENUM: throw new GraphQLError(`${node.value} is no JSON: put it in quotes`, { extensions: { code: 'BAD_USER_INPUT' } });
    case Kind.VARIABLE: return variables[node.name.value] ?? null;
    default: return valueFromASTUntyped(node, { ...variables });
  }
}
