import { z } from 'zod';

/* The verbs of the API, out of its OpenAPI document: the command line is made from it, so it has what the API has. */

/** One value a verb takes. */
export interface VerbField {
  readonly name: string;
  readonly in: 'path' | 'query' | 'body' | 'header';
  readonly required: boolean;
  readonly description: string;
  readonly schema: FieldSchema;
}

/** One verb: an operation of REST. */
export interface Verb {
  /** operationId, such as `createTask`. */
  readonly name: string;
  readonly tag: string;
  readonly summary: string;
  readonly description: string;
  readonly method: string;
  /** Below the server of the document; names in braces come from fields in the path. */
  readonly path: string;
  readonly fields: readonly VerbField[];
  /** Whether it answers a page with `nextCursor`. */
  readonly pages: boolean;
}

const fieldSchema = z.looseObject({
  type: z.union([z.string(), z.array(z.string())]).optional(), enum: z.array(z.unknown()).optional(), const: z.unknown().optional(), default: z.unknown().optional(),
  get anyOf() { return z.array(fieldSchema).optional(); },
  get items() { return fieldSchema.optional(); },
});
/** What of a JSON Schema the command line looks at. */
export type FieldSchema = z.output<typeof fieldSchema>;

const bodySchema = z.looseObject({ properties: z.record(z.string(), z.looseObject({ ...fieldSchema.shape, description: z.string().optional() })).default({}), required: z.array(z.string()).default([]) });
const answerSchema = z.looseObject({ properties: z.record(z.string(), z.unknown()).optional() });
const operationSchema = z.looseObject({
  operationId: z.string(), summary: z.string(), description: z.string().default(''), tags: z.array(z.string()).default([]),
  parameters: z.array(z.looseObject({ name: z.string(), in: z.enum(['path', 'query', 'header']), required: z.boolean().default(false), description: z.string().default(''), schema: fieldSchema })).default([]),
  requestBody: z.looseObject({ content: z.looseObject({ 'application/json': z.looseObject({ schema: bodySchema }) }) }).optional(),
  responses: z.record(z.string(), z.looseObject({ content: z.looseObject({ 'application/json': z.looseObject({ schema: answerSchema }).optional() }).optional() })),
});
const documentSchema = z.looseObject({
  servers: z.tuple([z.looseObject({ url: z.string() })]),
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
});
type OperationObject = z.output<typeof operationSchema>;

/** The verbs of a document, by name, and where their paths begin. Throws ZodError for what is no document of ours. */
export function readVerbs(document: unknown): { readonly base: string; readonly verbs: readonly Verb[] } {
  const { servers: [{ url }], paths } = documentSchema.parse(document);
  const verbs = Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).filter(([, operation]) => !isStream(operation)).map(([method, operation]) => verbOf(path, method, operation)));
  return { base: url, verbs: verbs.sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

function verbOf(path: string, method: string, operation: OperationObject): Verb {
  const { operationId, summary, description, tags, parameters, requestBody } = operation;
  const body = requestBody?.content['application/json'].schema;
  return {
    name: operationId, tag: tags[0] ?? '', summary, description, method: method.toUpperCase(), path, pages: answersPages(operation),
    fields: [
      ...parameters.map(({ name, in: place, required, description: text, schema }) => ({ name, in: place, required, description: text, schema })),
      ...Object.entries(body?.properties ?? {}).map(([name, schema]) => ({
        name, in: 'body' as const, required: body?.required.includes(name) ?? false, description: schema.description ?? '', schema,
      })),
    ],
  };
}

/** What answers many times is no verb: `rambo agent events` reads it. */
function isStream({ responses }: OperationObject): boolean {
  return Object.values(responses).some(({ content }) => content?.['text/event-stream'] !== undefined);
}

function answersPages({ responses }: OperationObject): boolean {
  return Object.values(responses).some(({ content }) => content?.['application/json']?.schema.properties?.['nextCursor'] !== undefined);
}
