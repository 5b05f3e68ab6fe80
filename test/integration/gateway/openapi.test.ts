import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { registerSchema, validate } from '@hyperjump/json-schema/draft-2020-12';
import { operations, streams } from '../../../api/modules.ts';
import { type Entry, type Person, Site } from './site.ts';

/*
 * Requests made from the OpenAPI document, valid ones and ones with something wrong, sent to the real server: no answer is a 5xx, each has
 * a status the document names, and its body is what the document says.
 */

// The validator in this process runs patterns on RE2 (engine/schema), which writes characters by number otherwise.
const document: Entry = JSON.parse(readFileSync(new URL('../../../docs/openapi.json', import.meta.url), 'utf8').replaceAll(/\\\\u([0-9a-f]{4})/g, '\\\\x{$1}'));
const BASE = 'https://rambo.test/schemas';

let site: Site;
let owner: Person;
let project: Entry;
let task: Entry;
beforeAll(async () => {
  site = await Site.start();
  owner = await site.person('ADMIN');
  project = await site.project(owner);
  task = await site.task(owner, project.id);
  const $defs = JSON.parse(JSON.stringify(document.components.schemas).replaceAll('#/components/schemas/', '#/$defs/'));
  registerSchema({ $id: `${BASE}/all`, $schema: 'https://json-schema.org/draft/2020-12/schema', $defs }, `${BASE}/all`);
});
afterAll(async () => { await site.stop(); });

/** Values of a JSON Schema of ours; it uses a handful of keywords. */
function valid(schema: Entry): fc.Arbitrary<unknown> {
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(valid));
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case 'null': return fc.constant(null);
    case 'boolean': return fc.boolean();
    case 'integer': return fc.integer({ min: Math.max(schema.minimum ?? -1_000, -1_000), max: Math.min(schema.maximum ?? 1_000, 1_000) });
    case 'array': return fc.array(valid(schema.items), { maxLength: Math.min(3, schema.maxItems ?? 3) });
    case 'object': return schema.properties === undefined ? fc.dictionary(fc.string({ maxLength: 5 }).filter((key) => key !== '__proto__'), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 }) : object(schema);
    case 'string':
      // Ids of things that are there: what is made up would only ever be missing.
      if (schema.format === 'uuid') return fc.oneof(fc.constant(project.id), fc.constant(task.id), fc.constant(owner.userId), fc.uuid());
      if (schema.format === 'date') return fc.constantFrom('2026-01-31', '2024-02-29');
      if (schema.format === 'email') return fc.constant('somebody@example.org');
      if (schema.format === 'uri') return fc.constant('https://example.org/a.png');
      return fc.stringMatching(/^[A-Za-z][A-Za-z0-9 ]{0,20}$/);
    default: return fc.jsonValue({ maxDepth: 2 });
  }
}

function object(schema: Entry): fc.Arbitrary<unknown> {
  const fields: Record<string, fc.Arbitrary<unknown>> = Object.fromEntries(Object.entries(schema.properties).map(([name, field]) => [name, valid(field)]));
  return fc.record(fields, { requiredKeys: schema.required ?? [] });
}

/** Anything, where a value of the schema belongs. */
const hostile = fc.oneof(
  fc.constantFrom<unknown>(null, '', [], {}, { not: '' }, -1, 1e308, true, '\0', 'a\u0000b', '\ud800', "' OR 1=1 --", '../..', '${{ 1 }}', '9'.repeat(400), 'x'.repeat(3_000), { __proto__: 1 }, ['x', null]),
  fc.jsonValue({ maxDepth: 3 }), fc.string({ unit: 'binary', maxLength: 20 }),
);

interface Request { readonly method: string; readonly path: string; readonly place: Entry; readonly values: Record<string, unknown>; readonly body: unknown; readonly isValid: boolean }

function requestsOf(path: string, method: string, place: Entry): fc.Arbitrary<Request> {
  const parameters: Entry[] = place.parameters.filter((parameter: Entry) => parameter.in !== 'header');
  const schema: Entry = place.requestBody?.content['application/json'].schema;
  const good = fc.record({
    values: fc.record<Record<string, unknown>>(Object.fromEntries(parameters.map((parameter) => [parameter.name, valid(parameter.schema)])), { requiredKeys: parameters.filter(({ required }) => required === true).map(({ name }) => String(name)) }),
    body: schema === undefined ? fc.constant(undefined) : valid(schema),
  });
  const spoiled = fc.tuple(good, hostile, fc.nat()).map(([{ values, body }, bad, at]) => {
    const names = Object.keys(typeof body === 'object' && body !== null ? body : values);
    const name = names[at % Math.max(1, names.length)] ?? 'nothing';
    return typeof body === 'object' && body !== null ? { values, body: at % 5 === 0 ? bad : { ...body, [name]: bad } } : { values: { ...values, [name]: bad }, body };
  });
  const make = (isValid: boolean) => ({ values, body }: { values: Record<string, unknown>; body: unknown }): Request => ({ method, path, place, values, body, isValid });
  return fc.oneof(good.map(make(true)), spoiled.map(make(false)));
}

async function send({ method, path, place, values, body }: Request): Promise<{ status: number; body: Entry; type: string }> {
  const text = (value: unknown): string => (typeof value === 'string' ? value.toWellFormed() : JSON.stringify(value) ?? '');
  const query = new URLSearchParams();
  let filled = path;
  for (const { name, in: where } of place.parameters) {
    if (values[name] === undefined) continue;
    if (where === 'path') filled = filled.replace(`{${name}}`, encodeURIComponent(text(values[name]) || 'nothing'));
    else if (where === 'query') query.append(name, text(values[name]));
  }
  const response = await fetch(`${site.url}/api/v1${filled}${query.size > 0 ? `?${query.toString()}` : ''}`, {
    method: method.toUpperCase(), headers: { authorization: `Bearer ${owner.token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: JSON.parse(await response.text()), type: response.headers.get('content-type') ?? '' };
}

const checks = new Map<string, Promise<(value: Entry) => boolean>>();

/** Whether a body is what the document says; each schema is compiled once. */
async function fits(schema: Entry, body: Entry): Promise<boolean> {
  const text = JSON.stringify(schema).replaceAll('#/components/schemas/', `${BASE}/all#/$defs/`);
  const known = checks.get(text) ?? compile(text, checks.size);
  checks.set(text, known);
  return (await known)(body);
}

async function compile(text: string, n: number): Promise<(value: Entry) => boolean> {
  const uri = `${BASE}/answer-${n}`;
  registerSchema({ $schema: 'https://json-schema.org/draft/2020-12/schema', allOf: [JSON.parse(text)] }, uri);
  const check = await validate(uri);
  return (value) => check(value).valid;
}

/** Signing out everywhere, deleting and the like would end the test; what asks Firebase has none here. */
const LEFT_OUT = new Set(['revokeSessions', 'disableUser', 'deleteProject', 'leaveProject', 'requestPasswordReset', 'requestEmailVerification', 'importAccounts', 'setUserRole', 'bindProjectNamespace', 'transferProject']);
const PLACES = Object.entries<Record<string, Entry>>(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, place]) => [String(place.operationId), path, method, place] as const));

test('the document has every operation and every stream', () => {
  expect(PLACES.map(([name]) => name).sort()).toEqual([...operations, ...streams].map(({ name }) => name).sort());
});

test.each(streams.map((stream) => [stream.name, stream] as const))('%s is a stream of events, whose blocks are in the document', (_name, { path, blocks }) => {
  const place: Entry = document.paths[path].get;
  expect(Object.keys(place.responses['200'].content)).toEqual(['text/event-stream']);
  expect(place.parameters.filter(({ in: where }: Entry) => where === 'header').map(({ name }: Entry) => name)).toEqual(['Last-Event-ID']);
  for (const { event, data } of blocks) expect([place.description.includes(`event: ${event}`), document.components.schemas[data.name]?.type]).toEqual([true, 'object']);
});

test.each(PLACES.filter(([name]) => !LEFT_OUT.has(name)))('%s answers as the document says, whatever is sent', async (_name, path, method, place) => {
  await fc.assert(fc.asyncProperty(requestsOf(path, method, place), async (request) => {
    const { status, body, type } = await send(request);
    expect(status).toBeLessThan(500);
    const described: Entry = place.responses[String(status)];
    expect(described === undefined ? `${status} is not in the document: ${JSON.stringify(body)}` : 'known').toBe('known');
    const answer: Entry = described.$ref === undefined ? described : document.components.responses[String(described.$ref).split('/').at(-1) ?? ''];
    const content: Entry = answer.content[type.split(';')[0] ?? ''];
    if (!await fits(content.schema, body)) throw new Error(`${status} ${JSON.stringify(body)} is not ${JSON.stringify(content.schema)}`);
    // What the document calls valid is not refused as malformed: at most it contradicts what is there.
    if (request.isValid && status === 400) expect(body.errors?.map(({ reason }: Entry) => reason) ?? ['FieldInvalid']).not.toContain('UnknownField');
  }), { numRuns: 30 });
});
