import * as Browser from '@hyperjump/browser';
import { setShouldValidateSchema } from '@hyperjump/json-schema/draft-2020-12';
import {
  addKeyword, buildSchemaDocument, compile, getSchema, interpret, Validation,
} from '@hyperjump/json-schema/experimental';
import type { CompiledSchema, EvaluationPlugin, Keyword, SchemaDocument, ValidationContext } from '@hyperjump/json-schema/experimental';
import type { OutputUnit, SchemaFragment } from '@hyperjump/json-schema';
import * as Instance from '@hyperjump/json-schema/instance/experimental';
import { ValueError, firstLine } from '../errors.ts';
import { linearPattern } from '../pattern.ts';
import type { Json } from '../types.ts';

/**
 * The one place that touches @hyperjump/json-schema. The library interprets schemas (no code generation), but it
 * fetches remote references, runs patterns on backtracking regular expressions, looks properties up along the
 * prototype chain and keeps schemas in a global registry. All four are put right here.
 */

/** The one dialect users' schemas may be in. */
export const DIALECT = 'https://json-schema.org/draft/2020-12/schema';
const KEYWORD = 'https://json-schema.org/keyword/';
const MAX_STEPS = 100_000;

interface Tracking extends ValidationContext { readonly evaluatedProperties?: Set<string> }

function namesOf(node: Instance.JsonNode): readonly (readonly [string, Instance.JsonNode])[] {
  return [...Instance.entries(node)].map(([key, value]) => [Instance.value<string>(key), value] as const);
}

const pattern: Keyword<string> = {
  id: `${KEYWORD}pattern`,
  compile: (schema) => Promise.resolve(checkedPattern(Browser.value<string>(schema))),
  interpret: (source, node) => Instance.typeOf(node) !== 'string' || linearPattern(source).matcher(Instance.value<string>(node)).find(),
};

function checkedPattern(source: string): string {
  linearPattern(source);
  return source;
}

async function compileEntries(schema: Browser.Browser, ast: CompiledSchema['ast']): Promise<Map<string, string>> {
  const out = new Map<string, string>();
  for await (const [name, entry] of Browser.entries(schema)) out.set(name, await compileSub(entry, ast));
  return out;
}

function compileSub(schema: Browser.Browser, ast: CompiledSchema['ast']): Promise<string> {
  return Validation.compile(asSchema(schema), ast, asSchema(schema));
}

function asSchema(schema: Browser.Browser): Browser.Browser<SchemaDocument> {
  return schema as Browser.Browser<SchemaDocument>; // The library's own types lose the document type on step().
}

const properties: Keyword<Map<string, string>, Tracking> = {
  id: `${KEYWORD}properties`,
  simpleApplicator: true,
  compile: compileEntries,
  interpret: (schemas, node, context) => {
    if (Instance.typeOf(node) !== 'object') return true;
    let valid = true;
    for (const [name, value] of namesOf(node)) {
      const uri = schemas.get(name);
      if (uri === undefined) continue;
      if (!Validation.interpret(uri, value, context)) valid = false;
      context.evaluatedProperties?.add(name);
    }
    return valid;
  },
};

const patternProperties: Keyword<Map<string, string>, Tracking> = {
  id: `${KEYWORD}patternProperties`,
  simpleApplicator: true,
  compile: async (schema, ast) => {
    for (const source of Browser.keys(schema)) linearPattern(source);
    return compileEntries(schema, ast);
  },
  interpret: (schemas, node, context) => {
    if (Instance.typeOf(node) !== 'object') return true;
    let valid = true;
    for (const [source, uri] of schemas) {
      for (const [name, value] of namesOf(node)) {
        if (!linearPattern(source).matcher(name).find()) continue;
        if (!Validation.interpret(uri, value, context)) valid = false;
        context.evaluatedProperties?.add(name);
      }
    }
    return valid;
  },
};

interface Additional { readonly names: ReadonlySet<string>; readonly patterns: readonly string[]; readonly uri: string }

async function keysBeside(schema: Browser.Browser, keyword: string): Promise<readonly string[]> {
  const beside = await Browser.step(keyword, schema);
  return Browser.typeOf(beside) === 'object' ? [...Browser.keys(beside)] : [];
}

const additionalProperties: Keyword<Additional, Tracking> = {
  id: `${KEYWORD}additionalProperties`,
  simpleApplicator: true,
  compile: async (schema, ast, parent) => ({
    names: new Set(await keysBeside(parent, 'properties')),
    patterns: await keysBeside(parent, 'patternProperties'),
    uri: await compileSub(schema, ast),
  }),
  interpret: ({ names, patterns, uri }, node, context) => {
    if (Instance.typeOf(node) !== 'object') return true;
    let valid = true;
    for (const [name, value] of namesOf(node)) {
      if (names.has(name) || patterns.some((source) => linearPattern(source).matcher(name).find())) continue;
      if (!Validation.interpret(uri, value, context)) valid = false;
      context.evaluatedProperties?.add(name);
    }
    return valid;
  },
};

function setUp(): void {
  setShouldValidateSchema(false);
  for (const scheme of ['http', 'https', 'file']) Browser.removeUriSchemePlugin(scheme);
  addKeyword(pattern);
  addKeyword(properties);
  addKeyword(patternProperties);
  addKeyword(additionalProperties);
}

setUp();

/** A schema ready to be interpreted: opaque, made once per definition. */
export type Validator = CompiledSchema;

/** One violated keyword: `keyword` as written in the schema, `path` a JSON pointer into the value, `at` into the schema. */
export interface Violation {
  readonly keyword: string;
  readonly path: string;
  readonly at: string;
}

/** Prepares a schema that passed `checkSchema`. Asynchronous only because the library is; it does no I/O. */
export async function prepare(schema: Json): Promise<Validator> {
  const uri = 'urn:rambo:schema';
  const document = buildSchemaDocument(schema as SchemaFragment as boolean, uri, DIALECT);
  // A browser of its own with only this document: nothing is put into the library's global registry.
  const browser = { uri, document, cursor: '', _cache: { [uri]: document } };
  return compile(await getSchema(uri, browser));
}

function limiter(): EvaluationPlugin {
  let steps = 0;
  return {
    beforeSchema: () => {
      steps += 1;
      if (steps > MAX_STEPS) throw new ValueError('SchemaTooCostly', `checking it takes more than ${MAX_STEPS} steps`);
    },
  };
}

/** Checks a value against a prepared schema. An empty list: it is valid. Throws ValueError when checking is too costly. */
export function violations(validator: Validator, value: Json): readonly Violation[] {
  try {
    const node = Instance.fromJs(value as SchemaFragment);
    const result = interpret(validator, node, { outputFormat: 'BASIC', plugins: [limiter()] });
    if (result.valid) return [];
    return (result.errors ?? []).map(violation);
  } catch (error) {
    if (error instanceof ValueError) throw error;
    throw new ValueError('SchemaTooCostly', `it cannot be checked: ${firstLine(error)}`);
  }
}

function violation(unit: OutputUnit): Violation {
  const at = unit.absoluteKeywordLocation.slice(unit.absoluteKeywordLocation.indexOf('#') + 1);
  return { keyword: at.slice(at.lastIndexOf('/') + 1), path: decode(unit.instanceLocation.slice(1)), at: decode(at) };
}

function decode(pointer: string): string {
  try {
    return decodeURI(pointer);
  } catch {
    return pointer;
  }
}

const meta = await compile(await getSchema(DIALECT));

/** Violations of the 2020-12 meta-schema by a schema. */
export function schemaViolations(schema: Json): readonly Violation[] {
  return violations(meta, schema);
}
