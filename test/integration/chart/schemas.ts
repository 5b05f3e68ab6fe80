import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** A schema of the API server's OpenAPI document (v2), as far as it is read here. */
interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
}

interface Definition extends Schema {
  readonly 'x-kubernetes-group-version-kind'?: readonly { readonly group: string; readonly version: string; readonly kind: string }[];
}

/**
 * Writes the schemas of all kinds an API server knows, ours among them, as kubeconform reads them: one file a kind, which
 * points into one file with all definitions. Strict: a field that is not in them is refused.
 */
export function writeSchemas(openapi: { readonly definitions: Readonly<Record<string, Definition>> }, dir: string): void {
  mkdirSync(dir, { recursive: true });
  const strict = Object.fromEntries(Object.entries(openapi.definitions).map(([name, definition]) => [name, closed(definition)]));
  const all = JSON.stringify({ definitions: strict }).replaceAll('"#/definitions/', '"_definitions.json#/definitions/')
    // Written as an object, meant as either.
    .replaceAll('"format":"int-or-string","type":"string"', '"oneOf":[{"type":"string"},{"type":"integer"}]')
    .replaceAll('"type":"string","format":"int-or-string"', '"oneOf":[{"type":"string"},{"type":"integer"}]');
  writeFileSync(path.join(dir, '_definitions.json'), all);
  for (const [name, definition] of Object.entries(openapi.definitions)) {
    for (const { group, version, kind } of definition['x-kubernetes-group-version-kind'] ?? []) {
      const file = [kind, ...(group === '' ? [] : [group.split('.')[0]]), version].join('-').toLowerCase();
      writeFileSync(path.join(dir, `${file}.json`), JSON.stringify({ $ref: `_definitions.json#/definitions/${name}` }));
    }
  }
}

/** No fields but those named, at every depth. */
function closed(schema: Schema): Schema {
  const { properties, items, additionalProperties } = schema;
  return {
    ...schema,
    ...(items === undefined ? {} : { items: closed(items) }),
    ...(typeof additionalProperties === 'object' ? { additionalProperties: closed(additionalProperties) } : {}),
    ...(properties === undefined ? {} : { properties: Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, closed(value)])) }),
    ...(properties === undefined || additionalProperties !== undefined || schema['x-kubernetes-preserve-unknown-fields'] === true ? {} : { additionalProperties: false }),
  };
}
