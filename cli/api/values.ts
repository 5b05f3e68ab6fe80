import { CliError } from '../errors.ts';
import type { FieldSchema, VerbField } from './verbs.ts';

/* Values as people type them, and as the API wants them. */

/** `--project-id` of `projectId`. */
export function flagOf(field: string): string {
  return `--${field.replaceAll(/([a-z0-9])([A-Z])/g, '$1-$2').toLowerCase()}`;
}

/** What stands behind a flag in the help: `<text>`, `<number>`, `<true|false>`, `<a|b>`, `<json>`; dots for what may be repeated. */
export function placeholderOf(schema: FieldSchema): string {
  const one = plain(schema);
  if (one.enum !== undefined) return `<${one.enum.map(String).join('|')}>`;
  if (typeIs(one, 'array')) return `${placeholderOf(one.items ?? {}).slice(0, -1)}...>`;
  if (typeIs(one, 'boolean')) return '<true|false>';
  if (typeIs(one, 'integer') || typeIs(one, 'number')) return '<number>';
  return typeIs(one, 'string') ? '<text>' : '<json>';
}

/**
 * The value of a field from the texts given for it, one or more. Numbers, booleans and JSON are read as such; `null` clears what may be
 * null; lists take the flag several times. `read` gives the text of `@file`, and of standard input for `@-`. Throws CliError `Usage` naming the flag.
 */
export function valueOf({ name, schema }: VerbField, texts: readonly string[], read: (file: string) => string): unknown {
  const one = plain(schema);
  if (typeIs(one, 'array')) return texts.map((text) => single(name, one.items ?? {}, text, read));
  if (texts.length > 1) throw new CliError('Usage', `${flagOf(name)} is given ${texts.length} times: it takes one value`);
  return texts[0] === 'null' && nullable(schema) ? null : single(name, one, texts[0] ?? '', read);
}

function single(name: string, schema: FieldSchema, given: string, read: (file: string) => string): unknown {
  const text = given.startsWith('@') ? read(given.slice(1)) : given;
  if (schema.enum !== undefined) {
    if (!schema.enum.includes(text)) throw wrong(name, text, `one of ${schema.enum.map(String).join(', ')}`);
    return text;
  }
  if (typeIs(schema, 'boolean')) {
    if (text !== 'true' && text !== 'false') throw wrong(name, text, 'true or false');
    return text === 'true';
  }
  if (typeIs(schema, 'integer') || typeIs(schema, 'number')) {
    if (text.trim() === '' || !Number.isFinite(Number(text))) throw wrong(name, text, 'a number');
    return Number(text);
  }
  if (typeIs(schema, 'string')) return text;
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    throw wrong(name, text, 'JSON; @file reads it from a file, @- from standard input');
  }
}

function wrong(name: string, text: string, wanted: string): CliError {
  return new CliError('Usage', `${flagOf(name)}: ${JSON.stringify(text.slice(0, 80))} is not ${wanted}`);
}

/** The schema without its null. */
function plain(schema: FieldSchema): FieldSchema {
  const others = schema.anyOf?.filter((each) => each.type !== 'null') ?? [];
  return others.length === 1 ? others[0] ?? schema : schema;
}

function nullable(schema: FieldSchema): boolean {
  return schema.anyOf?.some((each) => each.type === 'null') === true || (Array.isArray(schema.type) && schema.type.includes('null'));
}

/** A field that may hold any JSON names no type at all. */
function typeIs({ type }: FieldSchema, name: string): boolean {
  return Array.isArray(type) ? type.filter((each) => each !== 'null').join() === name : type === name;
}
