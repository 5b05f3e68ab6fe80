import { Kind, visit } from 'graphql';
import type { DocumentNode, FragmentDefinitionNode, SelectionSetNode } from 'graphql';

/*
 * What can be said of a document before it is validated: some of graphql's own rules are quadratic, so a hostile
 * document must not reach them. Fragments are measured once each, whatever spreads them; cycles count as nothing here
 * and are refused by validation.
 */

/** How large a document may be. */
export const SHAPE_LIMITS = { tokens: 2_000, depth: 12, aliases: 50, directives: 50, operations: 10, fields: 10_000 } as const;

interface Size { readonly depth: number; readonly fields: number }
const NOTHING: Size = { depth: 0, fields: 0 };
const INTROSPECTION = new Set(['__schema', '__type']);

/** What is too large about a document, or undefined. Says no limit. */
export function shapeProblem(document: DocumentNode): string | undefined {
  const counted = count(document);
  if (counted.operations > SHAPE_LIMITS.operations) return 'the document holds too many operations: send them one by one';
  if (counted.aliases > SHAPE_LIMITS.aliases) return 'the document uses too many aliases: split it';
  if (counted.directives > SHAPE_LIMITS.directives) return 'the document uses too many directives: split it';
  const measure = measurer(document);
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const size = measure(definition.selectionSet);
    if (size.depth > SHAPE_LIMITS.depth) return 'the query is nested too deeply: ask for inner objects in a query of their own';
    if (size.fields > SHAPE_LIMITS.fields) return 'the query selects too many fields: split it';
  }
  return undefined;
}

function count(document: DocumentNode): { operations: number; aliases: number; directives: number } {
  const counted = { operations: 0, aliases: 0, directives: 0 };
  visit(document, {
    OperationDefinition: () => { counted.operations += 1; },
    Field: (node) => { if (node.alias !== undefined) counted.aliases += 1; },
    Directive: () => { counted.directives += 1; },
  });
  return counted;
}

function measurer(document: DocumentNode): (set: SelectionSetNode) => Size {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  const known = new Map<string, Size>();
  const ofFragment = (name: string): Size => {
    const before = known.get(name);
    if (before !== undefined) return before;
    known.set(name, NOTHING); // breaks cycles
    const fragment = fragments.get(name);
    const size = fragment === undefined ? NOTHING : measure(fragment.selectionSet);
    known.set(name, size);
    return size;
  };
  const measure = (set: SelectionSetNode): Size => {
    let depth = 0;
    let fields = 0;
    for (const selection of set.selections) {
      const size = sizeOf(selection);
      depth = Math.max(depth, size.depth);
      fields += size.fields;
    }
    return { depth, fields };
  };
  const sizeOf = (selection: SelectionSetNode['selections'][number]): Size => {
    if (selection.kind === Kind.FRAGMENT_SPREAD) return ofFragment(selection.name.value);
    if (selection.kind === Kind.INLINE_FRAGMENT) return measure(selection.selectionSet);
    if (selection.selectionSet === undefined || INTROSPECTION.has(selection.name.value)) return { depth: 1, fields: 1 };
    const inner = measure(selection.selectionSet);
    return { depth: inner.depth + 1, fields: inner.fields + 1 };
  };
  return measure;
}
