import { z } from 'zod';
import { RamboError } from '../../platform/errors/index.ts';
import { shapes } from './fields.ts';
import type { Shape } from './fields.ts';

/** A schema without its wrappers: what is inside, and what the wrappers said. */
export interface Bare {
  readonly schema: z.ZodType;
  readonly shape: Shape;
  readonly optional: boolean;
  readonly nullable: boolean;
  readonly defaultValue?: unknown;
}

/** Takes off .optional(), .nullable() and .default(). */
export function bare(schema: z.ZodType): Bare {
  let inner: unknown = schema;
  let optional = false;
  let nullable = false;
  let defaultValue: unknown;
  for (;;) {
    if (inner instanceof z.ZodOptional) optional = true;
    else if (inner instanceof z.ZodNullable) nullable = true;
    else if (inner instanceof z.ZodDefault) {
      optional = true;
      defaultValue = inner.def.defaultValue;
    } else break;
    inner = inner.unwrap();
  }
  if (!(inner instanceof z.ZodType)) throw new RamboError('Bug', 'a field of an operation has a schema that surfaces cannot show');
  return { schema: inner, shape: shapes.get(inner) ?? {}, optional, nullable, ...(defaultValue === undefined ? {} : { defaultValue }) };
}

/** The sentence beside a field, the outermost first. Throws a bug where there is none: both surfaces are documented. */
export function descriptionOf(place: string, schema: z.ZodType): string {
  for (let inner: unknown = schema; inner instanceof z.ZodType; inner = inner instanceof z.ZodOptional || inner instanceof z.ZodNullable || inner instanceof z.ZodDefault ? inner.unwrap() : undefined) {
    if (inner.description !== undefined) return inner.description;
  }
  throw new RamboError('Bug', `${place} has no description`);
}

/** Names and schemas of an object. */
export function fieldsOf(schema: z.ZodObject): readonly (readonly [string, z.ZodType])[] {
  return Object.entries(schema.shape).map(([name, field]) => {
    if (!(field instanceof z.ZodType)) throw new RamboError('Bug', `${name} has a schema that surfaces cannot show`);
    return [name, field];
  });
}
