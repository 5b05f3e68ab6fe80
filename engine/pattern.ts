import { RE2JS } from 're2js';
import { ValueError } from './errors.ts';

const MAX_PATTERN = 1_024;
const MAX_CACHED = 512;
const compiled = new Map<string, RE2JS>();

/**
 * A linear-time regular expression (RE2 syntax: no look-around, no back references). The cache is bounded and only
 * saves work: what it holds never changes a result. Throws ValueError for a bad or oversized pattern.
 */
export function linearPattern(pattern: string): RE2JS {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  if (pattern.length > MAX_PATTERN) throw new ValueError('PatternInvalid', `a pattern is over ${MAX_PATTERN} characters`);
  let made: RE2JS;
  try {
    made = RE2JS.compile(pattern);
  } catch (error) {
    throw new ValueError('PatternInvalid', `pattern ${JSON.stringify(pattern)} is not RE2 syntax: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (compiled.size >= MAX_CACHED) compiled.clear();
  compiled.set(pattern, made);
  return made;
}

/** Whether `pattern` occurs anywhere in `text` (unanchored, as CEL and JSON Schema want it). */
export function matches(text: string, pattern: string): boolean {
  return linearPattern(pattern).matcher(text).find();
}
