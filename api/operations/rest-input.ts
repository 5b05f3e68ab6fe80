import { z } from 'zod';
import type { Operation } from './operation.ts';
import { InvalidInput } from './problems.ts';
import { bare, fieldsOf } from './shape.ts';

/*
 * The input of an operation out of a request: names in braces from the path, the rest from the query string (GET, DELETE) or
 * from a JSON body. Texts become numbers and booleans where the schema says so; what does not fit is left for zod to refuse.
 */

/** Names of the fields that stand in the path. */
export function pathFields(path: string): readonly string[] {
  return [...path.matchAll(/\{([A-Za-z]+)\}/g)].map(([, name = '']) => name);
}

/** Whether the fields beside those of the path come in a body. */
export function hasBody({ rest: { method } }: Operation): boolean {
  return method === 'POST' || method === 'PATCH' || method === 'PUT';
}

/** Puts the input together. Throws InvalidInput. */
export function restInput(operation: Operation, params: Readonly<Record<string, unknown>>, query: URLSearchParams, body: unknown): Readonly<Record<string, unknown>> {
  const fields = new Map(fieldsOf(operation.input));
  const input = new Map<string, unknown>();
  if (hasBody(operation)) addBody(input, operation, body);
  else if (body !== undefined) throw new InvalidInput([{ field: '', reason: 'UnknownField', message: 'takes no body: send the fields in the query string' }]);
  const misplaced = hasBody(operation) ? [...query.keys()] : [...query.keys()].filter((name) => pathFields(operation.rest.path).includes(name));
  if (misplaced.length > 0) {
    throw new InvalidInput([...new Set(misplaced)].map((field) => ({ field, reason: 'UnknownField', message: 'is no field of the query string: send it in the body, or where the path has it' })));
  }
  for (const name of new Set(query.keys())) input.set(name, fromText(fields.get(name), query.getAll(name)));
  for (const name of pathFields(operation.rest.path)) input.set(name, fromText(fields.get(name), [String(params[name])]));
  return Object.fromEntries(input);
}

function addBody(input: Map<string, unknown>, operation: Operation, body: unknown): void {
  if (body === undefined) return;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new InvalidInput([{ field: '', reason: 'FieldInvalid', message: 'is no object: send a JSON object with the fields of the input' }]);
  const inPath = pathFields(operation.rest.path);
  for (const [name, value] of Object.entries(body)) {
    if (inPath.includes(name)) throw new InvalidInput([{ field: name, reason: 'UnknownField', message: 'stands in the path: leave it out of the body' }]);
    input.set(name, value);
  }
}

function fromText(schema: z.ZodType | undefined, texts: readonly string[]): unknown {
  if (schema === undefined) return texts[0];
  const { schema: inner } = bare(schema);
  if (inner instanceof z.ZodArray) return texts.map((text) => scalar(inner.element, text));
  // Twice the same name: which one is meant? A list where none belongs is refused.
  return texts.length === 1 ? scalar(inner, texts[0] ?? '') : texts;
}

function scalar(schema: unknown, text: string): unknown {
  if (schema instanceof z.ZodNumber && /^-?\d{1,15}(\.\d{1,15})?$/.test(text)) return Number(text);
  if (schema instanceof z.ZodBoolean && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}
