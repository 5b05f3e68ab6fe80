/*
 * Which JSON Schemas a provider can hold an answer to. OpenAI's strict mode and Anthropic's output format take a part of JSON Schema only:
 * a schema outside of it is refused with 400, or quietly closed so that a map can only be empty. The gateway checks every answer itself.
 */

type Schema = Readonly<Record<string, unknown>>;

/** Keywords both providers take, besides those that hold schemas. */
const PLAIN = new Set(['type', 'enum', 'const', 'description', 'title', 'required', 'additionalProperties', '$ref', '$schema', '$id', 'format', 'default', 'examples']);
const LIST_OF_SCHEMAS = new Set(['anyOf']);
const MAP_OF_SCHEMAS = new Set(['properties', '$defs', 'definitions']);
const MOST_DEPTH = 32;

/** Whether each object of a schema is closed (`additionalProperties: false`) and nothing in it is beyond what providers take. */
export function isClosed(schema: unknown): boolean {
  return every(schema, 0, ({ additionalProperties }) => additionalProperties === false);
}

/** Whether OpenAI takes a schema as strict: closed, and each property required. */
export function isStrict(schema: unknown): boolean {
  return isObjectSchema(schema) && every(schema, 0, ({ additionalProperties, properties, required }) => additionalProperties === false && requiresAll(properties, required));
}

/** Whether the value a schema describes is an object: OpenAI takes no other root. */
export function isObjectSchema(schema: unknown): boolean {
  return isSchema(schema) && schema['type'] === 'object';
}

function requiresAll(properties: unknown, required: unknown): boolean {
  const named: readonly unknown[] = Array.isArray(required) ? required : [];
  return !isSchema(properties) || Object.keys(properties).every((name) => named.includes(name));
}

function every(schema: unknown, depth: number, closed: (object: Schema) => boolean): boolean {
  if (!isSchema(schema) || depth > MOST_DEPTH) return false;
  const object = schema['properties'] !== undefined || schema['type'] === 'object' || (Array.isArray(schema['type']) && schema['type'].includes('object'));
  if (object && !closed(schema)) return false;
  return Object.entries(schema).every(([keyword, value]) => {
    if (PLAIN.has(keyword)) return true;
    if (keyword === 'items') return every(value, depth + 1, closed);
    if (LIST_OF_SCHEMAS.has(keyword)) return Array.isArray(value) && value.every((one) => every(one, depth + 1, closed));
    return MAP_OF_SCHEMAS.has(keyword) && isSchema(value) && Object.values(value).every((one) => every(one, depth + 1, closed));
  });
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
