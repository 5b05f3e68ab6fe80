import type { z as Zod } from 'zod';
import { z } from 'zod';
import { RamboError } from '../../platform/errors/index.ts';
import { builder } from '../graphql/builder.ts';
import type { Types } from '../graphql/builder.ts';
import type { ApiContext } from '../graphql/context.ts';
import type { Entity, EntityValue } from './entity.ts';
import type { Shape } from './fields.ts';
import { bare, descriptionOf, fieldsOf } from './shape.ts';

/* GraphQL types of entities and inputs, made from their zod schemas. */

type Builder = typeof builder;
type SchemaTypes = Builder extends PothosSchemaTypes.SchemaBuilder<infer T> ? T : never;
type Ref = ReturnType<typeof builder.objectRef<Readonly<Record<string, unknown>>>>;
type EnumRef = ReturnType<typeof makeEnum>;
type InputRef = ReturnType<typeof makeInput>;
/** A scalar or an enum that stands on both sides. */
type Leaf = 'ID' | 'Time' | 'JSON' | 'Float' | 'Int' | 'String' | 'Boolean' | EnumRef;

const objects = new Map<string, Ref>();
const foreign = new Map<string, Foreign>();
const enums = new Map<string, EnumRef>();

/** A type of GraphQL that is older than the entity of its name, and how to get what it resolves from. */
interface Foreign { readonly ref: Ref; readonly load: (context: ApiContext, value: Readonly<Record<string, unknown>>) => Promise<object> }

/** Lets GraphQL show an entity by a type that is there already: `load` gives what that type resolves from. */
export function showAs<Source extends object, E extends Entity>(entity: E, ref: PothosSchemaTypes.ObjectRef<SchemaTypes, Source, Source>, load: (context: ApiContext, value: EntityValue<E>) => Promise<Source>): void {
  foreign.set(entity.name, { ref: ref as unknown as Ref, load: (context, value) => load(context, value as EntityValue<E>) }); // the map forgets whose they are
}

/** The value of an entity as its GraphQL type wants it. */
export async function sourceOf(context: ApiContext, { name }: Entity, value: object): Promise<Record<string, unknown>> {
  const known = foreign.get(name);
  return (known === undefined ? value : await known.load(context, value as Readonly<Record<string, unknown>>)) as Record<string, unknown>; // entities are plain objects
}

/** The GraphQL type of an entity; modules add relations to it with `builder.objectField`. */
export function entityRef<E extends Entity>(entity: E): PothosSchemaTypes.ObjectRef<SchemaTypes, EntityValue<E>, EntityValue<E>> {
  return objectOf(entity) as unknown as PothosSchemaTypes.ObjectRef<SchemaTypes, EntityValue<E>, EntityValue<E>>; // the map forgets whose it is
}

function objectOf({ name, description, schema }: Pick<Entity, 'name' | 'description' | 'schema'>): Ref {
  const known = foreign.get(name)?.ref ?? objects.get(name);
  if (known !== undefined) return known;
  const ref = builder.objectRef<Readonly<Record<string, unknown>>>(name);
  objects.set(name, ref);
  ref.implement({
    description,
    fields: (t) => Object.fromEntries(fieldsOf(schema).map(([field, type]) => {
      const { nullable, optional, shape, list, inner } = outside(`${name}.${field}`, type);
      return [field, t.field({
        type: list ? [inner] : inner, nullable: nullable || optional, description: descriptionOf(`${name}.${field}`, type),
        ...(shape.cost === undefined ? {} : { extensions: { cost: shape.cost } }), resolve: (value) => resolved(value[field]),
      })];
    })),
  });
  return ref;
}

/** The executor wants what the type says; an entity was made by that schema. */
function resolved(value: unknown): never {
  return value as never;
}

interface Outside { readonly nullable: boolean; readonly optional: boolean; readonly shape: Shape; readonly list: boolean; readonly inner: Leaf | Ref }

function outside(place: string, type: Zod.ZodType): Outside {
  const { schema, shape, nullable, optional } = bare(type);
  if (shape.scalar === undefined && schema instanceof z.ZodArray) return { ...outside(place, asType(schema.element)), nullable, optional, list: true };
  const inner = shape.object !== undefined && schema instanceof z.ZodObject
    ? objectOf({ name: shape.object, description: schema.description ?? shape.object, schema })
    : leaf(place, schema, shape);
  return { nullable, optional, shape, list: false, inner };
}

function leaf(place: string, schema: Zod.ZodType, shape: Shape): Leaf {
  if (shape.scalar !== undefined) return shape.scalar;
  if (schema instanceof z.ZodEnum && shape.enumName !== undefined) return enumOf(shape);
  if (schema instanceof z.ZodString || schema instanceof z.ZodStringFormat || schema instanceof z.ZodLiteral) return 'String';
  if (schema instanceof z.ZodNumber) return schema.format === 'safeint' || schema.format === 'int32' ? 'Int' : 'Float';
  if (schema instanceof z.ZodBoolean) return 'Boolean';
  throw new RamboError('Bug', `${place} has a type that GraphQL cannot show`);
}

function enumOf(shape: Shape): EnumRef {
  const { enumName = '' } = shape;
  const known = enums.get(enumName) ?? makeEnum(enumName, shape);
  enums.set(enumName, known);
  return known;
}

function makeEnum(name: string, { values = {}, enumDescription }: Shape) {
  return builder.enumType(name, {
    ...(enumDescription === undefined ? {} : { description: enumDescription }),
    values: Object.fromEntries(Object.entries(values).map(([value, description]) => [value, { value, description }])),
  });
}

/** The input type of a mutation. Fields are nullable where they may be left out; whether null is a value is for zod to say. */
export function inputOf(name: string, description: string, schema: Zod.ZodObject): InputRef {
  return makeInput(name, description, schema);
}

function makeInput(name: string, description: string, schema: Zod.ZodObject) {
  return builder.inputType(name, { description, fields: (t) => Object.fromEntries(inputFields(name, schema).map(({ field, ...options }) => [field, t.field(options)])) });
}

/** One field of an input type, or one argument of a query. */
interface InputField { readonly field: string; readonly type: Leaf | [Leaf]; readonly required: boolean; readonly description: string }

/** The fields of an input. */
export function inputFields(name: string, schema: Zod.ZodObject): readonly InputField[] {
  return fieldsOf(schema).map(([field, type]) => {
    const place = `${name}.${field}`;
    const { schema: inner, shape, optional, nullable } = bare(type);
    const list = shape.scalar === undefined && inner instanceof z.ZodArray ? bare(asType(inner.element)) : undefined;
    const one = list === undefined ? leaf(place, inner, shape) : leaf(place, list.schema, list.shape);
    return { field, type: list === undefined ? one : [one], required: !optional && !nullable, description: descriptionOf(place, type) };
  });
}

function asType(schema: unknown): Zod.ZodType {
  if (schema instanceof z.ZodType) return schema;
  throw new RamboError('Bug', 'a list of what surfaces cannot show');
}

export type { Types };
