import type { Json } from '../types.ts';
import { ValueError, shorten } from '../errors.ts';
import type { Root } from './environment.ts';
import type { References } from './inspect.ts';
import { evaluate, parseProgram, type Program, type Scope } from './program.ts';
import { isList } from './values.ts';

/** JSON with `${{ }}` in its texts, parsed once. */
export type Template =
  | { readonly kind: 'literal'; readonly value: Json }
  /** The whole text is one expression: its result keeps its type. */
  | { readonly kind: 'expression'; readonly program: Program }
  /** Text around expressions: the result is a string. */
  | { readonly kind: 'text'; readonly parts: readonly (string | Program)[] }
  | { readonly kind: 'list'; readonly entries: readonly Template[] }
  | { readonly kind: 'object'; readonly entries: readonly (readonly [string, Template])[] };

const OPEN = '${{';
const MAX_TEXT = 1024 * 1024;
const MAX_DEPTH = 100;

/** Parses a text. `whole` refuses text around an expression. Throws ValueError. */
export function parseText(text: string, visible: ReadonlySet<Root>, whole = false): Template {
  const first = text.indexOf(OPEN);
  if (first < 0) return { kind: 'literal', value: text };
  const parts: (string | Program)[] = [];
  let at = 0;
  for (let open = first; open >= 0; open = text.indexOf(OPEN, at)) {
    if (open > at) parts.push(text.slice(at, open));
    const close = closing(text, open + OPEN.length);
    parts.push(parseProgram(text.slice(open + OPEN.length, close), visible));
    at = close + 2;
  }
  if (at < text.length) parts.push(text.slice(at));
  const [only] = parts;
  if (parts.length === 1 && only !== undefined && typeof only !== 'string') return { kind: 'expression', program: only };
  if (whole) throw new ValueError('TemplateNotWhole', `${JSON.stringify(shorten(text))}: here a \${{ }} must be the whole element, without text around it`);
  return { kind: 'text', parts };
}

/** Position of the `}}` that ends an expression; braces and quotes inside the expression are skipped. */
function closing(text: string, start: number): number {
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    const char = text[i];
    if (char === '"' || char === "'") i = quoteEnd(text, i, char);
    else if (char === '{') depth += 1;
    else if (char === '}' && depth > 0) depth -= 1;
    else if (char === '}' && text[i + 1] === '}') return i;
  }
  throw new ValueError('ExpressionInvalid', `${JSON.stringify(shorten(text))}: a \${{ without its }}`);
}

function quoteEnd(text: string, open: number, quote: string): number {
  const triple = quote.repeat(3);
  const raw = /[rR]$/.test(text.slice(Math.max(0, open - 1), open));
  const end = text.startsWith(triple, open) ? triple : quote;
  for (let i = open + end.length; i < text.length; i++) {
    if (text[i] === '\\' && !raw) i += 1;
    else if (text.startsWith(end, i)) return i + end.length - 1;
  }
  return text.length;
}

/** Parses JSON whose texts may hold expressions. Keys are never expressions. Throws ValueError. */
export function parseTemplate(value: unknown, visible: ReadonlySet<Root>, depth = 0): Template {
  if (depth > MAX_DEPTH) throw new ValueError('ValueTooDeep', `the value is nested more than ${MAX_DEPTH} levels deep`);
  if (typeof value === 'string') return parseText(value, visible);
  if (typeof value !== 'object' || value === null) return literal(value);
  if (isList(value)) return folded(value.map((entry) => parseTemplate(entry, visible, depth + 1)));
  const entries = Object.entries(value).map(([key, entry]) => [key, parseTemplate(entry, visible, depth + 1)] as const);
  if (!entries.every(([, entry]) => entry.kind === 'literal')) return { kind: 'object', entries };
  return { kind: 'literal', value: renderObject(entries, { context: () => ({}), spent: 0 }) };
}

function literal(value: unknown): Template {
  if (value === null || value === undefined) return { kind: 'literal', value: null };
  if (typeof value === 'boolean' || typeof value === 'number') return { kind: 'literal', value };
  throw new ValueError('ExpressionInvalid', 'the value is no JSON');
}

function folded(entries: readonly Template[]): Template {
  const values: Json[] = [];
  for (const entry of entries) {
    if (entry.kind !== 'literal') return { kind: 'list', entries };
    values.push(entry.value);
  }
  return { kind: 'literal', value: values };
}

/** Evaluates a template. Throws ValueError. */
export function render(template: Template, scope: Scope): Json {
  switch (template.kind) {
    case 'literal': return template.value;
    case 'expression': return evaluate(template.program, scope);
    case 'text': return renderParts(template.parts, scope);
    case 'list': return template.entries.map((entry) => render(entry, scope));
    case 'object': return renderObject(template.entries, scope);
  }
}

function renderParts(parts: readonly (string | Program)[], scope: Scope): string {
  let out = '';
  for (const part of parts) {
    out += typeof part === 'string' ? part : asText(evaluate(part, scope));
    if (out.length > MAX_TEXT) throw new ValueError('ResultTooLarge', `the text is over ${MAX_TEXT} characters`);
  }
  return out;
}

function renderObject(entries: readonly (readonly [string, Template])[], scope: Scope): Json {
  const out: Record<string, Json> = {};
  for (const [key, entry] of entries) {
    const value = render(entry, scope);
    if (key !== '__proto__') out[key] = value;
    else Object.defineProperty(out, key, { value, enumerable: true, configurable: true, writable: true });
  }
  return out;
}

/** A value inside a text: strings as they are, everything else as JSON. */
export function asText(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The references of every expression in a template. */
export function referencesOf(template: Template): readonly References[] {
  switch (template.kind) {
    case 'literal': return [];
    case 'expression': return [template.program.references];
    case 'text': return template.parts.flatMap((part) => (typeof part === 'string' ? [] : [part.references]));
    case 'list': return template.entries.flatMap(referencesOf);
    case 'object': return template.entries.flatMap(([, entry]) => referencesOf(entry));
  }
}
