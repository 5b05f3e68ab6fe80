import { Buffer } from 'node:buffer';
import { z } from 'zod';
import { tooDeepAt } from '../../crds/canonical.ts';
import { MOST_CURSOR } from '../graphql/paging.ts';

/*
 * The building blocks of inputs and entities. What a surface has to know beside the shape (the name of an enum, that a text is
 * a moment) stands in `shapes`; wrappers such as .optional() and .describe() keep it.
 */

/** What GraphQL and OpenAPI need to know of a schema. */
export interface Shape {
  /** A scalar of the GraphQL schema in place of the one the type says. */
  readonly scalar?: 'ID' | 'Time' | 'JSON' | 'Float';
  /** An enum: its name, and a sentence per value. */
  readonly enumName?: string;
  readonly values?: Readonly<Record<string, string>>;
  readonly enumDescription?: string;
  /** Name of the entity or value object. */
  readonly object?: string;
  /** JSON Schema in place of what zod would say. */
  readonly json?: Readonly<Record<string, unknown>>;
  /** What the field costs in the cost rule of GraphQL, where it is not 1. */
  readonly cost?: number;
}

/** Shapes of our building blocks. */
export const shapes = z.registry<Shape>();

/** Lengths of texts, in UTF-16 units as zod counts them. */
export const TEXT_LIMITS = { name: 200, title: 500, label: 200, description: 20_000, url: 2_048 } as const;
/** Bytes of a metadata object as JSON. */
export const METADATA_LIMIT = 65_536;
const METADATA_DEPTH = 20;

/** A UUID, in lower case. */
export function id(description: string): z.ZodString {
  return shaped(z.string().toLowerCase().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, 'is no id: an id is a UUID'),
    { scalar: 'ID', json: { type: 'string', format: 'uuid' } }).describe(description);
}

/** One line for people: no control characters, not only blanks, 1 to `max` characters. */
export function line(max: number, description: string): z.ZodString {
  return shaped(z.string().min(1).max(max).regex(LINE, 'is blank, or holds a line break or another control character: write one line of text'),
    { json: { type: 'string', minLength: 1, maxLength: max, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*[^\\s\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029][^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$' } })
    .describe(description);
}

/** Halves of surrogate pairs too: they are no text. */
const LINE = /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]*[^\s\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff][^\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]*$/u;

/** Text of many lines, `max` characters at most; anything but NUL. */
export function text(max: number, description: string): z.ZodString {
  return shaped(z.string().max(max).regex(TEXT, 'holds NUL, or half of a character: remove it'), { json: { type: 'string', maxLength: max, pattern: '^[^\\u0000]*$' } }).describe(description);
}

const TEXT = /^[^\u0000\ud800-\udfff]*$/u;

/** A moment in an answer: RFC 3339 in UTC. */
export function time(description: string): z.ZodISODateTime {
  return shaped(z.iso.datetime(), { scalar: 'Time' }).describe(description);
}

/** A day: `2026-01-31`. */
export function day(description: string): z.ZodISODate {
  return z.iso.date('is no day: write it like 2026-01-31').describe(description);
}

/** An https or http address. */
export function webAddress(description: string): z.ZodURL {
  return z.url({ protocol: /^https?$/, error: 'is no web address: it begins with https://' }).max(TEXT_LIMITS.url).describe(description);
}

/** An object of any content, bounded in size and depth. Never looked into. */
export function metadata(description: string): z.ZodType<Readonly<Record<string, unknown>>> {
  const schema = z.custom<Readonly<Record<string, unknown>>>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'is no object: give an object')
    .superRefine((value, context) => {
      if (tooDeepAt(value, METADATA_DEPTH) !== undefined) context.addIssue({ code: 'custom', message: `is nested deeper than ${METADATA_DEPTH} levels: flatten it` });
      else if (hasPrototypeKey(value)) context.addIssue({ code: 'custom', message: 'holds the key __proto__, which programs confuse with something else: rename it' });
      else if (Buffer.byteLength(JSON.stringify(value)) > METADATA_LIMIT) context.addIssue({ code: 'custom', message: `is larger than ${METADATA_LIMIT} bytes of JSON: keep less in it` });
    });
  return shaped(schema, { scalar: 'JSON', json: { type: 'object', additionalProperties: true }, cost: 5 }).describe(description);
}

function hasPrototypeKey(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.hasOwn(value, '__proto__') || Object.values(value).some(hasPrototypeKey);
}

/** Any JSON in an answer. */
export function anyJson(description: string, cost = 20): z.ZodUnknown {
  return shaped(z.unknown(), { scalar: 'JSON', json: {}, cost }).describe(description);
}

/** One of some words, each with its meaning. The name is that of the enum in GraphQL. */
export function oneOf<Values extends Readonly<Record<string, string>>>(name: string, description: string, values: Values): z.ZodEnum<{ [K in keyof Values & string]: K }> {
  const names = Object.keys(values) as (keyof Values & string)[]; // Object.keys forgets what they are
  return shaped(z.enum(names), { enumName: name, values, enumDescription: description }).describe(description);
}

/** `first` and `after` of a list. */
export const pageFields = {
  first: shaped(z.int(), { json: { type: 'integer' } }).nullish().describe('Entries: 1 to 100, 20 if not given; other numbers are cut to that range.'),
  after: z.string().max(MOST_CURSOR).regex(/^[\w-]*$/, 'is no cursor: take it from the page before').nullish().describe('Start after this cursor.'),
};

/** Registers a shape and returns the schema. */
export function shaped<S extends z.ZodType>(schema: S, shape: Shape): S {
  shapes.add(schema, shape);
  return schema;
}
