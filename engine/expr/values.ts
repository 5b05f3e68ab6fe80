import type { Json } from '../types.ts';
import { ValueError } from '../errors.ts';

/**
 * A value as CEL sees it: ints are bigint, doubles are number, objects are Map. Maps because the library reads
 * `.constructor` of plain objects, and a JSON key of that name would mislead it.
 */
export type Cel = null | boolean | number | bigint | string | readonly Cel[] | ReadonlyMap<string, Cel>;

/** Sizes of a value, upper bounds where they are not exact. */
export interface Size {
  /** Bytes of its JSON text, roughly. */
  readonly bytes: number;
  /** Elements of a list or map, characters of a string. */
  readonly len: number;
  /** Bytes of the largest direct child. */
  readonly child: number;
  /** `len` of the largest list, map or string anywhere below. */
  readonly below: number;
}

const MAX_DEPTH = 200;
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);
const SCALAR: Size = { bytes: 8, len: 0, child: 0, below: 0 };

/** Converts JSON to CEL: numbers without a fraction within 2^53 become ints. Throws ValueError when nested beyond 200. */
export function toCel(value: Json, depth = 0): Cel {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value !== 'object' || value === null) return value;
  if (depth > MAX_DEPTH) throw new ValueError('ValueTooDeep', `a value is nested more than ${MAX_DEPTH} levels deep`);
  if (isList(value)) return value.map((entry) => toCel(entry, depth + 1));
  const map = new Map<string, Cel>();
  for (const [key, entry] of Object.entries(value)) map.set(key, toCel(entry, depth + 1));
  return map;
}

/** Array.isArray for readonly arrays. */
export function isList<T>(value: readonly T[] | object): value is readonly T[] {
  return Array.isArray(value);
}

/** Whether a value of JSON is an object, not a list. */
export function isObject(value: unknown): value is Readonly<Record<string, Json>> {
  return typeof value === 'object' && value !== null && !isList(value);
}

interface Budget { bytes: number; readonly max: number }

/**
 * Converts a result back to JSON. Throws ValueError for what JSON cannot hold (NaN, ints beyond 2^53, timestamps,
 * types) and for results over `maxBytes`: the limit also ends values that share one part very often.
 */
export function fromCel(value: unknown, maxBytes: number): Json {
  return leave(value, { bytes: 0, max: maxBytes }, 0);
}

function leave(value: unknown, budget: Budget, depth: number): Json {
  budget.bytes += typeof value === 'string' ? value.length + 2 : 4;
  if (budget.bytes > budget.max) throw new ValueError('ResultTooLarge', `the result is over ${budget.max} bytes`);
  if (depth > MAX_DEPTH) throw new ValueError('ValueTooDeep', `the result is nested more than ${MAX_DEPTH} levels deep`);
  switch (typeof value) {
    case 'string': case 'boolean': return value;
    case 'bigint': return leaveInt(value);
    case 'number':
      if (Number.isFinite(value)) return value;
      throw new ValueError('NotJson', `the result ${String(value)} is no JSON number`);
    case 'object': return value === null ? null : leaveObject(value, budget, depth);
    default: throw new ValueError('NotJson', `the result is no JSON value (${typeof value})`);
  }
}

function leaveInt(value: bigint): Json {
  if (value <= SAFE && value >= -SAFE) return Number(value);
  throw new ValueError('NotJson', `the integer ${String(value)} is beyond 2^53 and would lose digits as a JSON number`);
}

function leaveObject(value: object, budget: Budget, depth: number): Json {
  if (Array.isArray(value)) return value.map((entry: unknown) => leave(entry, budget, depth + 1));
  if (value instanceof Map) {
    const out: Record<string, Json> = {};
    for (const [key, entry] of value) put(out, key, leave(entry, budget, depth + 1), budget);
    return out;
  }
  if (Object.getPrototypeOf(value) === Object.prototype) {
    const out: Record<string, Json> = {};
    for (const [key, entry] of Object.entries(value)) put(out, key, leave(entry, budget, depth + 1), budget);
    return out;
  }
  throw new ValueError('NotJson', 'the result is no JSON value; turn timestamps and durations into text with string()');
}

function put(out: Record<string, Json>, key: unknown, value: Json, budget: Budget): void {
  if (typeof key !== 'string') throw new ValueError('NotJson', 'a map with keys that are no strings is no JSON object');
  budget.bytes += key.length + 2;
  if (key !== '__proto__') out[key] = value;
  else Object.defineProperty(out, key, { value, enumerable: true, configurable: true, writable: true });
}

const sizes = new WeakMap<object, Size>();

/** Sizes of a CEL value; computed once per list or map. */
export function sizeOf(value: unknown): Size {
  if (typeof value === 'string') return { bytes: value.length + 2, len: value.length, child: 4, below: 1 };
  if (typeof value !== 'object' || value === null) return SCALAR;
  const known = sizes.get(value);
  if (known !== undefined) return known;
  let [bytes, child, below, len] = [2, 0, 0, 0];
  const add = (part: unknown, key: number): void => {
    const size = sizeOf(part);
    bytes += size.bytes + key;
    child = Math.max(child, size.bytes, key);
    below = Math.max(below, size.len, size.below, key);
    len += 1;
  };
  if (Array.isArray(value)) for (const entry of value) add(entry, 0);
  else if (value instanceof Map) for (const [key, entry] of value) add(entry, String(key).length + 3);
  const size = { bytes, len, child, below };
  sizes.set(value, size);
  return size;
}

/** Rough bytes of a JSON value's text, without writing it; stops counting beyond `max`. */
export function jsonBytes(value: Json | undefined, max = Number.POSITIVE_INFINITY): number {
  if (typeof value === 'string') return value.length + 2;
  if (typeof value !== 'object' || value === null) return 5;
  let bytes = 2;
  if (isList(value)) {
    for (const entry of value) if ((bytes += jsonBytes(entry, max - bytes) + 1) > max) break;
    return bytes;
  }
  for (const [key, entry] of Object.entries(value)) if ((bytes += key.length + 4 + jsonBytes(entry, max - bytes)) > max) break;
  return bytes;
}
