import { createHash } from 'node:crypto';

/**
 * JSON with sorted keys and without `undefined`: equal for specs that say the same, whatever wrote them. Keys such as
 * `__proto__` are data like any other. `value` must be JSON and no deeper than `LIMITS.jsonDepth` (see `depthProblem`).
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, item]) => item !== undefined).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
}

/** SHA-256 (hex) of a spec's canonical JSON. A run pins the hash of its definition at acceptance. */
export function specHash(spec: unknown): string {
  return createHash('sha256').update(canonicalJson(spec)).digest('hex');
}

/** The first place nested deeper than `limit`, as a path, or undefined. Iterative: hostile depth cannot overflow the stack. */
export function tooDeepAt(value: unknown, limit: number): readonly (string | number)[] | undefined {
  interface Place { readonly value: object; readonly depth: number; readonly key: string | number; readonly parent: Place | undefined }
  const open: Place[] = [];
  const push = (child: unknown, key: string | number, parent: Place | undefined): void => {
    if (typeof child === 'object' && child !== null) open.push({ value: child, depth: (parent?.depth ?? 0) + 1, key, parent });
  };
  push(value, '', undefined);
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    if (place.depth > limit) {
      const path: (string | number)[] = [];
      for (let at: Place | undefined = place; at?.parent !== undefined; at = at.parent) path.unshift(at.key);
      return path;
    }
    const isList = Array.isArray(place.value);
    for (const [key, child] of Object.entries(place.value)) push(child, isList ? Number(key) : key, place);
  }
  return undefined;
}
