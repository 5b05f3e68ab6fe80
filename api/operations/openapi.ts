import { z } from 'zod';
import { ERROR_CODES } from '../errors.ts';
import type { Entity, Output } from './entity.ts';
import { shapes } from './fields.ts';
import type { Operation } from './operation.ts';
import { hasBody, pathFields } from './rest-input.ts';
import { bare, descriptionOf, fieldsOf } from './shape.ts';
import type { RestStream } from './stream-route.ts';

/* The OpenAPI document of REST, made from the same schemas that check the requests. */

/** Version of the REST API that the document names; the path has its first number. */
export const API_VERSION = '1.0.0';

type JsonObject = Readonly<Record<string, unknown>>;

/** The OpenAPI 3.1 document of some operations and of the streams beside them. */
export function openapi(operations: readonly Operation[], version: string, streams: readonly RestStream[] = []): JsonObject {
  const entities = new Map<string, Entity>();
  for (const { output } of operations) collect(entityOf(output), entities);
  for (const { blocks } of streams) for (const { data } of blocks) collect(data, entities);
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    (paths[operation.rest.path] ??= {})[operation.rest.method.toLowerCase()] = operationObject(operation);
  }
  for (const stream of streams) (paths[stream.path] ??= {})['get'] = streamObject(stream);
  return {
    openapi: '3.1.0',
    info: {
      title: 'RamBo', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description: 'Projects, tasks, workflows and runs. Errors are problem+json (RFC 9457) with a stable `code`; what is not yours and what does not exist are answered alike.',
    },
    servers: [{ url: '/api/v1' }],
    security: [{ bearer: [] }],
    tags: [...new Set(operations.map(tagOf))].sort().map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: 'A token of a sign-in, an access token, or a Kubernetes token for the audience of this API.' } },
      schemas: { ...Object.fromEntries([...entities].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, entity]) => [name, entitySchema(entity)])), Problem: PROBLEM },
      responses: RESPONSES,
    },
  };
}

function entityOf(output: Output): Entity {
  return output.kind === 'page' ? output.entity : output;
}

/** Entities and value objects below them. */
function collect(entity: Entity, into: Map<string, Entity>): void {
  if (into.has(entity.name)) return;
  into.set(entity.name, entity);
  for (const [, field] of fieldsOf(entity.schema)) {
    const { schema } = bare(field);
    const inner = schema instanceof z.ZodArray ? schema.element : schema;
    const name = inner instanceof z.ZodObject ? shapes.get(inner)?.object : undefined;
    if (name !== undefined && inner instanceof z.ZodObject) collect({ kind: 'entity', name, description: inner.description ?? name, schema: inner }, into);
  }
}

function tagOf({ right: { resource } }: Operation): string {
  return resource;
}

function entitySchema({ description, schema }: Entity): JsonObject {
  return { ...jsonSchema(schema, 'output'), description };
}

/** A JSON Schema without references but those to entities. */
function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonObject {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io, target: 'draft-2020-12', unrepresentable: 'any', reused: 'inline',
    override: ({ zodSchema, jsonSchema: made }) => {
      const shape = zodSchema instanceof z.ZodType ? shapes.get(zodSchema) : undefined;
      if (shape?.json !== undefined) replace(made, shape.json);
      if (shape?.object !== undefined && !Object.is(zodSchema, schema)) replace(made, { $ref: `#/components/schemas/${shape.object}` });
      // Patterns of ours are JavaScript's; what others read is the description.
      if (typeof made.pattern === 'string' && made.format !== undefined) delete made.pattern;
    },
  });
  return rest;
}

function replace(made: object, by: JsonObject): void {
  const { description }: { description?: unknown } = made;
  for (const key of Object.keys(made)) Reflect.deleteProperty(made, key);
  Object.assign(made, by, description === undefined ? {} : { description });
}

function operationObject(operation: Operation): JsonObject {
  const { name, summary, description, right, rest, output } = operation;
  const inPath = pathFields(rest.path);
  const fields = fieldsOf(operation.input);
  const parameters = fields.filter(([field]) => inPath.includes(field) || !hasBody(operation)).map(([field, schema]) => parameter(name, field, schema, inPath.includes(field)));
  const needs = right.on === 'self' || right.on === 'public' ? 'Needs a valid token only.' : `Needs \`${right.verb} ${right.resource}\`${right.admin === true ? ' as an administrator with a second factor and a recent sign-in' : ''}.`;
  return {
    operationId: name, summary, description: description === undefined ? needs : `${description} ${needs}`, tags: [tagOf(operation)],
    parameters: [...parameters, ...(operation.kind === 'mutation' ? [IDEMPOTENCY_KEY] : [])],
    ...(hasBody(operation) ? { requestBody: requestBody(operation, inPath) } : {}),
    responses: {
      [String(rest.status ?? 200)]: { description: output.kind === 'page' ? 'A page.' : 'How it stands.', content: { 'application/json': { schema: answerSchema(output) } } },
      ...Object.fromEntries(statusesOf(operation).map((status) => [String(status), { $ref: `#/components/responses/${nameOf(status)}` }])),
    },
  };
}

/** A stream of server-sent events: a text of blocks, each of which has a name and the JSON of an entity. */
function streamObject({ name, summary, description, path, input, headers, right, blocks }: RestStream): JsonObject {
  const inPath = pathFields(path);
  const parameters = fieldsOf(input).map(([field, schema]) => parameter(name, field, schema, inPath.includes(field)));
  const words = blocks.map(({ event, words: said }) => `\`event: ${event}\` ${said}`).join(' ');
  return {
    operationId: name, summary, description: `${description} ${words} Needs \`${right.verb} ${right.resource}\`.`, tags: [right.resource],
    parameters: [...parameters, ...headers.map(({ name: header, schema, words: said }) => ({ name: header, in: 'header', required: false, schema: jsonSchema(schema, 'input'), description: said }))],
    responses: {
      200: {
        description: 'A stream of blocks, each with an `event` and the JSON of its `data` in one line; lines that begin with a colon say that it is still there.',
        content: { 'text/event-stream': { schema: { type: 'string', description: `Data: ${blocks.map(({ event, data }) => `${event} has ${data.name}`).join(', ')}.` } } },
      },
      ...Object.fromEntries([400, 401, 404, 429, 431, 500, 503, 504].map((status) => [String(status), { $ref: `#/components/responses/${nameOf(status)}` }])),
    },
  };
}

const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key', in: 'header', required: false, schema: { type: 'string', minLength: 1, maxLength: 256 },
  description: 'Makes it safe to repeat for 7 days: the same key of the same caller gives the same answer, with another body 409.',
};

function parameter(name: string, field: string, schema: z.ZodType, inPath: boolean): JsonObject {
  const { optional, nullable } = bare(schema);
  const { description: _, ...inner } = withoutNull(jsonSchema(schema, 'input'));
  return { name: field, in: inPath ? 'path' : 'query', required: inPath || (!optional && !nullable), description: descriptionOf(`${name}.${field}`, schema), schema: inner };
}

/** A query string has no null. */
function withoutNull(schema: JsonObject): JsonObject {
  const { anyOf, ...rest } = schema;
  if (!Array.isArray(anyOf)) return schema;
  const others: unknown[] = anyOf.filter((each: unknown) => typeof each === 'object' && each !== null && Reflect.get(each, 'type') !== 'null');
  const [only] = others;
  return others.length === 1 && typeof only === 'object' ? { ...rest, ...only } : { ...rest, anyOf: others };
}

function requestBody(operation: Operation, inPath: readonly string[]): JsonObject {
  const schema = jsonSchema(operation.input, 'input');
  const { properties = {}, required = [] }: { properties?: JsonObject; required?: readonly string[] } = schema;
  const left = Object.fromEntries(Object.entries(properties).filter(([field]) => !inPath.includes(field)));
  const needed = required.filter((field) => !inPath.includes(field));
  return {
    required: needed.length > 0,
    content: { 'application/json': { schema: { type: 'object', properties: left, ...(needed.length > 0 ? { required: needed } : {}), additionalProperties: false } } },
  };
}

function answerSchema(output: Output): JsonObject {
  const ref = { $ref: `#/components/schemas/${entityOf(output).name}` };
  if (output.kind === 'entity') return ref;
  return {
    type: 'object', required: ['items', 'nextCursor'], additionalProperties: false,
    properties: { items: { type: 'array', items: ref }, nextCursor: { type: ['string', 'null'], description: 'Give it back as `after`; null on the last page.' } },
  };
}

function statusesOf(operation: Operation): readonly number[] {
  return [400, 401, 403, 404, ...(operation.kind === 'mutation' || operation.conflicts === true ? [409] : []), ...(hasBody(operation) ? [413, 415] : []), 429, 431, 500, 503, 504];
}

function nameOf(status: number): string {
  return `Problem${status}`;
}

const PROBLEM: JsonObject = {
  type: 'object', description: 'An error (RFC 9457).', required: ['type', 'title', 'status', 'code', 'detail', 'requestId'], additionalProperties: false,
  properties: {
    type: { type: 'string', const: 'about:blank' },
    title: { type: 'string', description: 'Words of the status.' },
    status: { type: 'integer', minimum: 400, maximum: 599 },
    code: { type: 'string', enum: Object.keys(ERROR_CODES), description: 'Stable: what programs match.' },
    detail: { type: 'string', description: 'What is wrong and the way out.' },
    requestId: { type: 'string', description: 'The request, as the log of the API has it.' },
    errors: {
      type: 'array', maxItems: 20, description: 'Fields that are wrong.',
      items: {
        type: 'object', required: ['field', 'reason', 'message'], additionalProperties: false,
        properties: {
          field: { type: 'string', description: 'Path of the field.' }, reason: { type: 'string', description: 'CamelCase and stable.' },
          value: { type: 'string', description: 'What was given, as JSON, shortened.' }, message: { type: 'string', description: 'What is wrong and the way out.' },
        },
      },
    },
  },
};

const WORDS: Readonly<Record<number, string>> = {
  400: 'The request does not fit.', 401: 'No valid token.', 403: 'You may see it, but not do this.', 404: 'It does not exist or is not yours.', 409: 'It contradicts something done before.',
  413: 'The request is too large.', 415: 'The body is no JSON.', 429: 'Too many requests: try again after Retry-After seconds.',
  431: 'Address and headers are more than 16 KiB; nothing has read them, so there is no body.', 500: 'A fault of ours; the log has it under its id.',
  503: 'Something behind the API is away: try again after Retry-After seconds.', 504: 'It took too long.',
};
const RESPONSES: JsonObject = Object.fromEntries(Object.entries(WORDS).map(([status, description]) => [nameOf(Number(status)), {
  description,
  ...(status === '429' || status === '503' ? { headers: { 'Retry-After': { description: 'Seconds.', schema: { type: 'integer', minimum: 1 } } } } : {}),
  ...(status === '431' ? {} : { content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } }),
}]));
