import { getNamedType, isObjectType, Kind, OperationTypeNode } from 'graphql';
import type { DocumentNode, GraphQLSchema, SelectionSetNode } from 'graphql';

/*
 * Which reads rest on nothing but rows of projects and of runs, so that `Answers` can tell whether they still hold. Whatever is not listed
 * is made anew every time. A test holds the list to the schema: a new field of a covered type has to be decided on.
 */

const ENTITIES = ['Project', 'Task', 'Sprint', 'Ticket', 'Requirement', 'Run'];

/** Root fields that are covered, where everything below them is. */
export const COVERED_ROOTS: ReadonlySet<string> = new Set(['project', 'task', 'tasks', 'sprint', 'sprints', 'ticket', 'tickets', 'requirement', 'requirements', 'run']);
/** Types whose fields are covered. */
export const COVERED_TYPES: ReadonlySet<string> = new Set([
  ...ENTITIES.flatMap((name) => [name, `${name}Connection`, `${name}Edge`]), 'PageInfo', 'Progress', 'NodeCounts', 'Failure', 'NodeError',
]);

const known = new WeakMap<DocumentNode, boolean>();

/** Whether all of a (valid) document is covered. A document is looked at once. */
export function isCovered(schema: GraphQLSchema, document: DocumentNode): boolean {
  const before = known.get(document);
  if (before !== undefined) return before;
  const covered = document.definitions.every((definition) => {
    // A fragment is looked at by itself: on the root of the schema, or on what is reached from there.
    if (definition.kind === Kind.FRAGMENT_DEFINITION) return isCoveredSet(schema, definition.typeCondition.name.value, definition.selectionSet);
    return definition.kind === Kind.OPERATION_DEFINITION && definition.operation === OperationTypeNode.QUERY && isCoveredSet(schema, 'Query', definition.selectionSet);
  });
  known.set(document, covered);
  return covered;
}

function isCoveredSet(schema: GraphQLSchema, parent: string, set: SelectionSetNode): boolean {
  return set.selections.every((selection) => {
    if (selection.kind === Kind.FRAGMENT_SPREAD) return true;
    if (selection.kind === Kind.INLINE_FRAGMENT) return isCoveredSet(schema, selection.typeCondition?.name.value ?? parent, selection.selectionSet);
    const { name: { value: name }, selectionSet } = selection;
    if (name === '__typename') return true;
    if (!(parent === 'Query' ? COVERED_ROOTS.has(name) : COVERED_TYPES.has(parent))) return false;
    const type = schema.getType(parent);
    const inner = isObjectType(type) ? type.getFields()[name]?.type : undefined;
    if (selectionSet === undefined) return inner !== undefined;
    return inner !== undefined && COVERED_TYPES.has(getNamedType(inner).name) && isCoveredSet(schema, getNamedType(inner).name, selectionSet);
  });
}
