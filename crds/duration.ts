import { DURATION_PATTERN } from './names.ts';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const WHOLE = new RegExp(DURATION_PATTERN);
const PART = /([0-9]{1,9})(ms|s|m|h|d)/g;

/**
 * Milliseconds of a duration as people write it (`500ms`, `10s`, `1h30m`, `2d`), or undefined when it is none.
 * Admission applies the same pattern, so undefined only meets values that never passed an API server.
 */
export function parseDuration(text: string): number | undefined {
  if (!WHOLE.test(text)) return undefined;
  let total = 0;
  for (const [, digits, unit] of text.matchAll(PART)) total += Number(digits) * (UNIT_MS[unit ?? ''] ?? 0);
  return total;
}
