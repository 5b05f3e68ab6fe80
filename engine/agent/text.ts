import { AGENT_LIMITS } from '../../crds/agent-parts.ts';
import { specHash } from '../../crds/canonical.ts';
import { isList } from '../expr/values.ts';
import type { Json } from '../types.ts';

/** Control and format characters (zero width, direction, tags), and halves of characters: a person would not see them, but a model reads them. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}]+/gu;
/** The same without the one that begins a terminal sequence. */
const INVISIBLE_BUT_ESCAPE = /(?:(?!\u001b)[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}])+/gu;
/** Whole terminal sequences, so that their letters do not stay behind. */
const TERMINAL = /\u001b\[[0-?]*[ -/]*[@-~]/g;
/** Tags and comments of HTML, XML and prompts: what stands between the brackets goes too. */
const MARKUP = /<!--[\s\S]{0,2000}?-->|<\/?[A-Za-z!?|][^<>]{0,500}>/g;

/**
 * A text of somebody else as a model may read it: without markup and invisible characters, on one line, not too long. What is invisible
 * goes first: between a bracket and its word it would keep markup from being seen as such, and leave it whole.
 */
export function cleanText(text: string, max: number = AGENT_LIMITS.description): string {
  const visible = text.slice(0, max * 8).replace(/[\r\n\t]+/g, ' ').replace(INVISIBLE_BUT_ESCAPE, '').replace(TERMINAL, '').replace(INVISIBLE, '');
  const plain = visible.replace(MARKUP, ' ').replace(/ {2,}/g, ' ').trim();
  return plain.length <= max ? plain : `${headOf(plain, max - 1)}…`;
}

/** The beginning of a text, at most so long; never with half a character at its end. */
export function headOf(text: string, length: number): string {
  return text.slice(0, length).replace(/[\ud800-\udbff]$/, '');
}

/** Keywords whose value maps names of the tool's own to schemas. */
const MAPS: ReadonlySet<string> = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']);
/** Keywords whose value is data: part of the contract, never changed. */
const DATA: ReadonlySet<string> = new Set(['enum', 'const', 'default', 'examples', 'required', 'pattern']);

/** A JSON Schema with every text about it cleaned. Names, patterns and values stay: they are the contract. */
export function cleanSchema(schema: Json): Json {
  if (typeof schema !== 'object' || schema === null) return schema;
  if (isList(schema)) return schema.map(cleanSchema);
  return mapped(schema, (key, value) => {
    if (DATA.has(key)) return value;
    if (typeof value === 'string') return key === 'description' || key === 'title' || key === '$comment' ? cleanText(value) : value;
    return MAPS.has(key) && typeof value === 'object' && value !== null && !isList(value) ? mapped(value, (_name, entry) => cleanSchema(entry)) : cleanSchema(value);
  });
}

function mapped(object: Readonly<Record<string, Json>>, change: (key: string, value: Json) => Json): Json {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(key, value)]));
}

/**
 * Name of a tool for the model: `server__tool` within `[a-zA-Z0-9_-]{1,64}`. Two names may become one, which whoever
 * resolves reports; a name too long keeps its start and gets a hash of the whole.
 */
export function modelName(server: string, tool: string): string {
  const name = `${server}__${tool}`.replace(/[^a-zA-Z0-9_-]/g, '_');
  return name.length <= AGENT_LIMITS.toolName ? name : `${name.slice(0, AGENT_LIMITS.toolName - 9)}_${specHash(`${server}/${tool}`).slice(0, 8)}`;
}
