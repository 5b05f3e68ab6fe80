import type { RevisionTool } from '../../crds/agent-revision.ts';
import { canonicalJson, tooDeepAt } from '../../crds/canonical.ts';
import { LIMITS } from '../../crds/names.ts';
import { firstLine, shorten } from '../errors.ts';
import { isObject } from '../expr/values.ts';
import { prepare } from '../schema/library.ts';
import { checkSchema, isJson, validate, withoutId } from '../schema/schemas.ts';
import type { Json } from '../types.ts';

/** Largest arguments of one call, in bytes of canonical JSON. */
const MAX_BYTES = 262_144;

/** Arguments of a call, or what is wrong with them, in sentences for a model or a person. */
export type Arguments = { readonly ok: true; readonly value: Readonly<Record<string, Json>> } | { readonly ok: false; readonly problems: readonly string[] };

/** The arguments a model wrote, as JSON text, checked against the tool's schema and with those of `bind` merged in. Never throws. */
export async function modelArguments(tool: RevisionTool, text: string): Promise<Arguments> {
  let given: unknown;
  try {
    given = JSON.parse(text.trim() === '' ? '{}' : text);
  } catch (error) {
    return { ok: false, problems: [`the arguments are no JSON: ${firstLine(error)}`] };
  }
  const problems = await schemaProblems(tool.inputSchema, given, 'arguments');
  if (problems.length > 0) return { ok: false, problems };
  return isObject(given) ? merged(tool, given) : { ok: false, problems: ['the arguments are no JSON object'] };
}

/**
 * Whole arguments, those of `bind` included, as an approval shows them and a person may edit them: an empty list, or what is wrong. What
 * `bind` presets stays as it is.
 */
export async function argumentProblems(tool: RevisionTool, args: unknown): Promise<readonly string[]> {
  if (!isJson(args) || !isObject(args)) return ['the arguments are no JSON object'];
  const bound = Object.keys(tool.bind).filter((name) => canonicalJson(args[name]) !== canonicalJson(tool.bind[name]));
  if (bound.length > 0) return bound.map((name) => `arguments.${name} is preset by the agent and cannot be changed`);
  return schemaProblems(tool.inputSchema, Object.fromEntries(Object.entries(args).filter(([name]) => !Object.hasOwn(tool.bind, name))), 'arguments');
}

/** What is wrong with a value by a schema that was checked before; `field` names the value. Never throws. */
export async function schemaProblems(schema: unknown, value: unknown, field: string): Promise<readonly string[]> {
  if (tooDeepAt(value, LIMITS.jsonDepth) !== undefined || !isJson(value)) return [`${field} is no JSON, or nested deeper than ${LIMITS.jsonDepth} levels`];
  const broken = checkSchema(schema);
  if (broken.length > 0 || !isJson(schema)) return [`the schema of ${field} is broken: ${shorten(broken.join('; '), 200)}`];
  try {
    const plain = withoutId(schema);
    return validate(await prepare(plain), plain, value, field).map(({ message }) => message);
  } catch (error) {
    return [`${field} cannot be checked: ${firstLine(error)}`];
  }
}

function merged(tool: RevisionTool, given: Readonly<Record<string, Json>>): Arguments {
  const value: unknown = { ...given, ...tool.bind };
  if (!isJson(value) || !isObject(value)) return { ok: false, problems: ['the preset arguments are no JSON'] };
  const bytes = Buffer.byteLength(canonicalJson(value));
  return bytes > MAX_BYTES ? { ok: false, problems: [`the arguments have ${bytes} bytes, at most ${MAX_BYTES} are sent`] } : { ok: true, value };
}
