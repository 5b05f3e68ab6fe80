import { ValueError, firstLine, shorten } from '../errors.ts';
import { isList } from '../expr/values.ts';
import { linearPattern } from '../pattern.ts';
import type { Json, Problem } from '../types.ts';
import { DIALECT, schemaViolations, violations, type Validator } from './library.ts';

const MAX_DEPTH = 64;
const MAX_VALUES = 20_000;
const MAX_REPORTED = 10;

/** Whether anything is JSON all through: definitions arrive as `unknown` where the CRD preserves fields. */
export function isJson(value: unknown, depth = 0): value is Json {
  if (depth > 500) return false;
  switch (typeof value) {
    case 'string': case 'boolean': return true;
    case 'number': return Number.isFinite(value);
    case 'object':
      return value === null || (isList(value) ? value : Object.values(value)).every((entry: unknown) => isJson(entry, depth + 1));
    default: return false;
  }
}

/**
 * What is wrong with a user's JSON Schema itself: the meta-schema of 2020-12, local references that lead somewhere,
 * patterns in RE2 syntax, and bounds on depth and size. An empty list: it can be prepared.
 */
export function checkSchema(schema: unknown): readonly string[] {
  if (!isJson(schema)) return ['it is no JSON'];
  if (typeof schema !== 'boolean' && (typeof schema !== 'object' || schema === null || isList(schema))) {
    return ['a JSON Schema is an object, true or false'];
  }
  const counted = { values: 0 };
  try {
    refuse(schema, schema, 0, counted);
    return schemaViolations(schema).slice(0, MAX_REPORTED).map((v) => `${v.path === '' ? '/' : v.path} breaks ${v.keyword} of the meta-schema`);
  } catch (error) {
    return [firstLine(error)];
  }
}

function refuse(value: Json, root: Json, depth: number, counted: { values: number }): void {
  counted.values += 1;
  if (depth > MAX_DEPTH) throw new ValueError('SchemaTooLarge', `it is nested more than ${MAX_DEPTH} levels deep`);
  if (counted.values > MAX_VALUES) throw new ValueError('SchemaTooLarge', `it has more than ${MAX_VALUES} values`);
  if (typeof value !== 'object' || value === null) return;
  if (isList(value)) {
    for (const entry of value) refuse(entry, root, depth + 1, counted);
    return;
  }
  for (const [key, entry] of Object.entries(value)) {
    refuseKeyword(key, entry, root, depth);
    refuse(entry, root, depth + 1, counted);
  }
}

function refuseKeyword(key: string, entry: Json, root: Json, depth: number): void {
  if (key === 'patternProperties' && typeof entry === 'object' && entry !== null) for (const source of Object.keys(entry)) linearPattern(source);
  if (key === '$vocabulary') throw new ValueError('SchemaInvalid', '$vocabulary is not supported');
  if (typeof entry !== 'string') return;
  if (key === '$schema' && entry.replace(/#$/, '') !== DIALECT) throw new ValueError('SchemaInvalid', `$schema ${JSON.stringify(shorten(entry))}: only ${DIALECT} is supported`);
  if (key === '$id' && depth > 0) throw new ValueError('SchemaInvalid', '$id below the root is not supported');
  if ((key === '$ref' || key === '$dynamicRef') && !leadsSomewhere(entry, root)) {
    throw new ValueError('SchemaInvalid', `${key} ${JSON.stringify(shorten(entry))} leads nowhere: only references into the same schema (#/$defs/…) work`);
  }
  if (key === 'pattern') linearPattern(entry);
}

function leadsSomewhere(reference: string, root: Json): boolean {
  if (reference === '#') return true;
  if (!reference.startsWith('#/')) return /^#[A-Za-z_][-A-Za-z0-9._]*$/.test(reference) && hasAnchor(root, reference.slice(1));
  let at: Json | undefined = root;
  for (const part of reference.slice(2).split('/')) {
    const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof at !== 'object' || at === null) return false;
    if (isList(at)) at = at[Number(key)];
    else at = Object.hasOwn(at, key) ? at[key] : undefined;
  }
  return typeof at === 'boolean' || (typeof at === 'object' && at !== null && !isList(at));
}

function hasAnchor(value: Json, name: string): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (isList(value)) return value.some((entry) => hasAnchor(entry, name));
  return Object.entries(value).some(([key, entry]) => ((key === '$anchor' || key === '$dynamicAnchor') && entry === name) || hasAnchor(entry, name));
}

/** A schema as it is handed to the library: without a root `$id`, which would rename it. */
export function withoutId(schema: Json): Json {
  if (typeof schema !== 'object' || schema === null || isList(schema)) return schema;
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$id'));
}

/** Checks a value and says for people where it breaks the schema; `field` names the value (`input`, `output`). */
export function validate(validator: Validator, schema: Json, value: Json, field: string): readonly Problem[] {
  const tooDeep = depthBeyond(value, 200);
  if (tooDeep) return [{ field, reason: 'InputInvalid', message: `${field} is nested more than 200 levels deep` }];
  try {
    return violations(validator, value).slice(0, MAX_REPORTED).map((found) => {
      const actual = lookup(value, found.path);
      const text = actual === undefined ? undefined : shorten(JSON.stringify(actual), 80);
      const where = `${field}${found.path.replaceAll('/', '.')}`;
      const rule = ruleText(found.keyword, lookup(schema, found.at));
      return { field: where, reason: 'InputInvalid', message: `${where}${text === undefined ? '' : ` is ${text} and`} breaks ${rule}`, ...(text === undefined ? {} : { value: text }) };
    });
  } catch (error) {
    return [{ field, reason: 'InputInvalid', message: `${field}: ${firstLine(error)}` }];
  }
}

function ruleText(keyword: string, rule: Json | undefined): string {
  if (rule === undefined) return keyword;
  return rule === false ? `${keyword}: nothing may stand here` : `${keyword}: ${shorten(JSON.stringify(rule), 80)}`;
}

function lookup(value: Json, pointer: string): Json | undefined {
  let at: Json | undefined = value;
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof at !== 'object' || at === null) return undefined;
    if (isList(at)) at = at[Number(key)];
    else at = Object.hasOwn(at, key) ? at[key] : undefined;
  }
  return at;
}

function depthBeyond(value: Json, left: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (left === 0) return true;
  return (isList(value) ? value : Object.values(value)).some((entry) => depthBeyond(entry, left - 1));
}
