import { z } from 'zod';

/** A structural schema, or a part of one, as it stands in a CRD. */
export type StructuralSchema = Readonly<Record<string, unknown>>;

/** A zod schema says something a structural schema cannot. Raised while generating, never at run time. */
export class ConversionError extends Error {
  readonly code = 'ConversionFailed';
  /** Where in the schema: `Workflow.spec.nodes[].with`. */
  readonly path: string;

  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.name = 'ConversionError';
    this.path = path;
  }
}

/** Longest RFC 3339 time with room for nanoseconds and an offset. */
const TIME_LENGTH = 64;
const PRESERVE = 'x-kubernetes-preserve-unknown-fields';
const CARRIED = [
  'description', 'default', 'enum', 'format', 'pattern', 'minLength', 'maxLength', 'minimum', 'maximum', 'minItems', 'maxItems',
  'maxProperties',
];
/** Said by JSON Schema, not by a structural schema, and harmless: key rules are CEL rules (`stringMap`). */
const DROPPED = ['$schema', 'propertyNames', 'type', 'properties', 'required', 'items', 'additionalProperties'];

/**
 * The structural schema of a zod schema, as people write it (before defaults). Refuses whatever an API server would:
 * unions, references, closed objects with open keys, and everything without an upper bound.
 */
export function toStructural(schema: z.ZodType, path = '$'): StructuralSchema {
  const json: unknown = z.toJSONSchema(schema, { io: 'input', reused: 'inline', cycles: 'throw' });
  return convert(json, path);
}

function convert(json: unknown, path: string): StructuralSchema {
  if (!isRecord(json)) throw new ConversionError(path, 'is no schema object');
  refuseUnknownKeywords(json, path);
  const base = carried(json);
  if (json['type'] === undefined) return untyped(json, base, path);
  switch (json['type']) {
    case 'object': return convertObject(json, base, path);
    case 'array': return convertArray(json, base, path);
    case 'string': return convertString(json, base, path);
    case 'integer':
    case 'number':
    case 'boolean': return { type: json['type'], ...base };
    default: throw new ConversionError(path, `type ${JSON.stringify(json['type'])} has no structural form`);
  }
}

function refuseUnknownKeywords(json: Readonly<Record<string, unknown>>, path: string): void {
  for (const key of Object.keys(json)) {
    if (CARRIED.includes(key) || DROPPED.includes(key) || key.startsWith('x-kubernetes-')) continue;
    throw new ConversionError(path, `keyword ${key} has no structural form`);
  }
}

function carried(json: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(json).filter(([key]) => CARRIED.includes(key) || key.startsWith('x-kubernetes-')));
}

/** Any JSON, null included: the only leaf without a type. */
function untyped(json: Readonly<Record<string, unknown>>, base: Record<string, unknown>, path: string): StructuralSchema {
  if (json[PRESERVE] !== true) throw new ConversionError(path, 'has no type; only a leaf that holds any JSON may lack one');
  return { ...base, nullable: true };
}

function convertObject(json: Readonly<Record<string, unknown>>, base: Record<string, unknown>, path: string): StructuralSchema {
  const { properties, additionalProperties, required } = json;
  if (isRecord(properties) && isRecord(additionalProperties)) {
    throw new ConversionError(path, 'has properties and additionalProperties: a structural schema has one of them');
  }
  if (json[PRESERVE] === true) return { type: 'object', ...base };
  if (isRecord(properties)) {
    const entries = Object.entries(properties).map(([name, value]) => [name, convert(value, `${path}.${name}`)] as const);
    const list = Array.isArray(required) && required.length > 0 ? { required } : {};
    return { type: 'object', ...base, ...list, properties: Object.fromEntries(entries) };
  }
  if (json['maxProperties'] === undefined) throw new ConversionError(path, 'is a map without maxProperties');
  return { type: 'object', ...base, additionalProperties: convert(additionalProperties, `${path}.*`) };
}

function convertArray(json: Readonly<Record<string, unknown>>, base: Record<string, unknown>, path: string): StructuralSchema {
  if (json['maxItems'] === undefined) throw new ConversionError(path, 'is a list without maxItems');
  const items = convert(json['items'], `${path}[]`);
  const keys = base['x-kubernetes-list-map-keys'];
  const required = items['required'];
  for (const key of Array.isArray(keys) ? keys : []) {
    if (Array.isArray(required) && required.includes(key)) continue;
    throw new ConversionError(path, `merges by ${String(key)}, which its entries do not require`);
  }
  return { type: 'array', ...base, items };
}

function convertString(json: Readonly<Record<string, unknown>>, base: Record<string, unknown>, path: string): StructuralSchema {
  if (json['format'] === 'date-time') {
    // The API server checks the format itself; zod's pattern of it is long and would be compiled for every use.
    const { pattern: _pattern, ...rest } = base;
    return { type: 'string', ...rest, maxLength: TIME_LENGTH };
  }
  if (json['enum'] !== undefined) return { type: 'string', ...base };
  if (json['maxLength'] === undefined) throw new ConversionError(path, 'is a string without maxLength');
  return { type: 'string', ...base };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
