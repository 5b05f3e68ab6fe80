/* Cuts JSON text into the texts of its parts, so that a record is kept as it was written: numbers, doubled keys and all. */

/** A member of an object: its key, and where the text of its value lies. */
export interface Member {
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

interface Part { readonly start: number; readonly end: number }

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;

/** Whether a text is JSON. Nesting is no danger: V8 parses without recursion. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Texts of the elements of an array, in order; undefined for anything but an array. The text must be JSON. */
export function elementsOf(text: string): readonly string[] | undefined {
  if (text.trimStart()[0] !== '[') return undefined;
  return partsOf(text).parts.map(({ start, end }) => text.slice(start, end));
}

/** Members of an object, in order and as often as they are written; undefined for anything but an object. The text must be JSON. */
export function membersOf(text: string): readonly Member[] | undefined {
  if (text.trimStart()[0] !== '{') return undefined;
  const { parts, colons } = partsOf(text);
  return parts.map(({ start, end }, index) => {
    const colon = colons[index] ?? end;
    const key: unknown = JSON.parse(text.slice(start, colon));
    return { key: String(key), ...trimmed(text, colon + 1, end) };
  });
}

/** What lies between the commas of the outermost array or object; for an object also where the colon of each part is. */
function partsOf(text: string): { readonly parts: readonly Part[]; readonly colons: readonly number[] } {
  const parts: Part[] = [];
  const colons: number[] = [];
  let depth = 0;
  let inString = false;
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === BACKSLASH) i += 1;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) inString = true;
    else if (code === 0x7b || code === 0x5b) { if (++depth === 1) from = i + 1; }
    else if (code === 0x7d || code === 0x5d) { if (--depth === 0) push(parts, text, from, i); }
    else if (depth === 1 && code === COMMA) { push(parts, text, from, i); from = i + 1; }
    else if (depth === 1 && code === COLON) colons.push(i);
  }
  return { parts, colons };
}

function push(parts: Part[], text: string, start: number, end: number): void {
  const part = trimmed(text, start, end);
  // Only an empty array or object has an empty part.
  if (part.start < part.end) parts.push(part);
}

function trimmed(text: string, start: number, end: number): Part {
  let [from, to] = [start, end];
  while (from < to && isSpace(text.charCodeAt(from))) from += 1;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to -= 1;
  return { start: from, end: to };
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
