import {
  getArgumentValues, getNamedType, getNullableType, getOperationAST, getVariableValues, GraphQLError, isCompositeType, isInterfaceType, isListType, isObjectType, Kind,
} from 'graphql';
import type {
  DocumentNode, FieldNode, FragmentDefinitionNode, GraphQLCompositeType, GraphQLField, GraphQLSchema, OperationDefinitionNode, SelectionSetNode,
} from 'graphql';
import { MAX_PAGE, pageSize } from './paging.ts';

/*
 * What an operation may cost, before anything is executed. Variables are coerced the way the executor does it, so a page
 * size in a variable, in a default or absent counts like one in the text. A field costs 1, or what `extensions.cost` of
 * the schema says; what stands below a list counts once per entry. @skip and @include are not looked at: the price is
 * that of the largest answer.
 */

/** Cost of one operation at most. */
export const MAX_COST = 5_000;
/** Entries charged for a list without a page size; such lists are short by nature (failures, problems). */
const PLAIN_LIST = 10;

interface Walk {
  readonly schema: GraphQLSchema;
  readonly variables: { readonly [name: string]: unknown };
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  /** By fragment and inherited page size. */
  readonly known: Map<string, number>;
}

/** Cost of the named (or only) operation. Operations and variables that do not fit cost 0: the executor refuses them itself. */
export function operationCost(schema: GraphQLSchema, document: DocumentNode, operationName: string | null | undefined, raw: { readonly [name: string]: unknown } | null | undefined): number {
  const operation = getOperationAST(document, operationName);
  const root = operation == null ? undefined : schema.getRootType(operation.operation);
  if (operation == null || root == null) return 0;
  const variables = coerced(schema, operation, raw ?? {});
  if (variables === undefined) return 0;
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  return selectionCost({ schema, variables, fragments, known: new Map() }, root, operation.selectionSet, undefined);
}

function coerced(schema: GraphQLSchema, operation: OperationDefinitionNode, raw: { readonly [name: string]: unknown }): { [name: string]: unknown } | undefined {
  return getVariableValues(schema, operation.variableDefinitions ?? [], raw, { maxErrors: 1 }).coerced;
}

/** `page`: entries of the connection these selections stand in, for its `edges`. */
function selectionCost(walk: Walk, parent: GraphQLCompositeType, set: SelectionSetNode, page: number | undefined): number {
  let sum = 0;
  for (const selection of set.selections) {
    if (selection.kind === Kind.FIELD) sum += fieldCost(walk, parent, selection, page);
    else if (selection.kind === Kind.FRAGMENT_SPREAD) sum += fragmentCost(walk, selection.name.value, page);
    else sum += selectionCost(walk, typeNamed(walk, selection.typeCondition?.name.value) ?? parent, selection.selectionSet, page);
  }
  return sum;
}

function fragmentCost(walk: Walk, name: string, page: number | undefined): number {
  const key = `${name} ${page ?? ''}`;
  const before = walk.known.get(key);
  if (before !== undefined) return before;
  walk.known.set(key, 0);
  const fragment = walk.fragments.get(name);
  const type = typeNamed(walk, fragment?.typeCondition.name.value);
  const cost = fragment === undefined || type === undefined ? 0 : selectionCost(walk, type, fragment.selectionSet, page);
  walk.known.set(key, cost);
  return cost;
}

function fieldCost(walk: Walk, parent: GraphQLCompositeType, node: FieldNode, page: number | undefined): number {
  if (node.name.value.startsWith('__')) return 0;
  const field = isObjectType(parent) || isInterfaceType(parent) ? parent.getFields()[node.name.value] : undefined;
  if (field === undefined) return 1;
  const own = pageOf(walk, field, node);
  const isList = isListType(getNullableType(field.type));
  const type = getNamedType(field.type);
  const inner = node.selectionSet === undefined || !isCompositeType(type) ? 0 : selectionCost(walk, type, node.selectionSet, isList ? undefined : own);
  return weightOf(field) + inner * (isList ? own ?? page ?? PLAIN_LIST : 1);
}

function pageOf(walk: Walk, field: GraphQLField<unknown, unknown>, node: FieldNode): number | undefined {
  const names = field.args.map((arg) => arg.name).filter((name) => name === 'first' || name === 'last');
  if (names.length === 0) return undefined;
  const values = argumentsOf(walk, field, node);
  if (values === undefined) return MAX_PAGE;
  const given = names.filter((name) => values[name] !== undefined && values[name] !== null);
  return given.length === 0 ? pageSize(undefined) : Math.max(...given.map((name) => pageSize(values[name])));
}

/** Undefined when the executor will refuse them. */
function argumentsOf(walk: Walk, field: GraphQLField<unknown, unknown>, node: FieldNode): { readonly [name: string]: unknown } | undefined {
  try {
    return getArgumentValues(field, node, walk.variables);
  } catch (error) {
    if (error instanceof GraphQLError) return undefined;
    throw error;
  }
}

function weightOf(field: GraphQLField<unknown, unknown>): number {
  const weight = field.extensions['cost'];
  return typeof weight === 'number' ? weight : 1;
}

function typeNamed(walk: Walk, name: string | undefined): GraphQLCompositeType | undefined {
  const type = name === undefined ? undefined : walk.schema.getType(name);
  return isCompositeType(type) ? type : undefined;
}
