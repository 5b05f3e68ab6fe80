import { createHash } from 'node:crypto';

/** UTF-16 units of an identity at most: an index entry of Postgres holds 2,704 bytes. */
const IDENTITY_LIMIT = 500;
/** UTF-16 units of a name at most, as for names that people give over the API. */
const NAME_LIMIT = 200;

/** Text that Postgres takes as it is: no NUL, no half of a surrogate pair. */
export function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

/** The nearest text that Postgres takes. */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD');
}

/** A text short enough to be a name in an index. */
export function nameOf(text: string, limit = NAME_LIMIT): string {
  return storable(text.slice(0, limit));
}

/** Text as UTF-8 has no bytes for lone surrogates: they are written as JSON would escape them, so that no unit is lost. */
export function escapeLone(text: string): string {
  if (text.isWellFormed()) return text;
  return text.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16)}`);
}

/** The old id as a key of its own: of a project's records only together with the project. Long ones by their hash. */
export function identityOf(...parts: readonly string[]): string {
  const text = escapeLone(parts.length === 1 ? parts[0] ?? '' : JSON.stringify(parts)).replaceAll('\0', '\\u0000');
  return text.length <= IDENTITY_LIMIT ? text : `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** Lower-case letters and digits with dashes between, beginning with a letter, at most 63; `fallback` where nothing is left. */
export function slug(text: string, fallback: string): string {
  const plain = text.normalize('NFKD').replace(/[\u0300-\u036f]/g, '').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+/, '').slice(0, 55).replace(/-+$/, '');
  if (plain === '') return fallback;
  return /^[a-z]/.test(plain) ? plain : `n-${plain}`;
}

/** Names that are taken, with the number the next twin begins to look at. */
export type Taken = Map<string, number>;

/** The name itself, or `numbered` with a number that nobody has yet; remembers it. Fast for any number of twins. */
export function unique(name: string, taken: Taken, numbered: (n: number) => string = (n) => `${name}-${n}`): string {
  let n = taken.get(name);
  if (n === undefined) {
    taken.set(name, 2);
    return name;
  }
  while (taken.has(numbered(n))) n += 1;
  taken.set(name, n + 1);
  taken.set(numbered(n), 2);
  return numbered(n);
}
