import type { Root } from '../expr/environment.ts';
import type { References } from '../expr/inspect.ts';
import { isList } from '../expr/values.ts';
import type { Problems } from './problems.ts';

/** Roots that every field sees. */
export const COMMON: readonly Root[] = ['inputs', 'nodes', 'run', 'workflow'];

/** What references are resolved against. */
export interface Names {
  readonly byName: ReadonlyMap<string, number>;
  /** Nodes below this index are main nodes, the others onExit nodes. */
  readonly mainCount: number;
  /** First-level inputs when the schema names them all, else undefined. */
  readonly inputs?: ReadonlySet<string>;
}

/** First-level input names, where the schema says that there are no others. Lenient: in doubt undefined. */
export function closedInputs(schema: unknown): ReadonlySet<string> | undefined {
  if (typeof schema !== 'object' || schema === null || isList(schema)) return undefined;
  const found = new Map<string, unknown>(Object.entries(schema));
  const open = ['$ref', '$dynamicRef', 'allOf', 'anyOf', 'oneOf', 'if', 'patternProperties', 'dependentSchemas'];
  if (found.get('additionalProperties') !== false || open.some((keyword) => found.has(keyword))) return undefined;
  const properties = found.get('properties');
  return new Set(typeof properties === 'object' && properties !== null ? Object.keys(properties) : []);
}

/**
 * Resolves the nodes an expression names to indices; unknown ones become problems. A main node sees main nodes, an
 * onExit node and the outputs (`reader` undefined) see all.
 */
export function resolve(references: References, node: string | undefined, field: string, reader: 'main' | 'exit' | undefined, names: Names, problems: Problems): readonly number[] {
  const found: number[] = [];
  for (const name of references.nodes.keys()) {
    const index = names.byName.get(name);
    if (index === undefined) problems.add(node, field, 'UnknownNode', `there is no node ${JSON.stringify(name)}${hint(name, names)}`, name);
    else if (reader === 'main' && index >= names.mainCount) problems.add(node, field, 'UnknownNode', `node ${JSON.stringify(name)} belongs to onExit, which runs after all other nodes`, name);
    else found.push(index);
  }
  for (const input of references.inputs) {
    if (names.inputs === undefined || names.inputs.has(input)) continue;
    problems.add(node, field, 'UnknownInput', `there is no input ${JSON.stringify(input)}; the schema allows ${[...names.inputs].join(', ') || 'none'}`, input);
  }
  return found;
}

function hint(name: string, names: Names): string {
  const longer = [...names.byName.keys()].find((known) => known.startsWith(`${name}-`));
  return longer === undefined ? '' : `; a name with a hyphen is written nodes[${JSON.stringify(longer)}]`;
}
