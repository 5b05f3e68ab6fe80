import type { Problems } from './problems.ts';

/** A node as the graph sees it. */
export interface Vertex {
  readonly name: string;
  readonly deps: readonly number[];
}

/**
 * Finds one cycle of every knot of a graph and names its path (`a -> b -> a`). Walks without recursion, in time
 * linear in nodes and edges. `base` is the index of the first vertex in the numbering of `deps`.
 */
export function reportCycles(vertices: readonly Vertex[], base: number, problems: Problems): void {
  const remaining = vertices.map((vertex) => vertex.deps.length);
  const dependents = vertices.map((): number[] => []);
  vertices.forEach((vertex, i) => { for (const dep of vertex.deps) dependents[dep - base]?.push(i); });
  const ready = remaining.flatMap((count, i) => (count === 0 ? [i] : []));
  for (let next = ready.pop(); next !== undefined; next = ready.pop()) {
    for (const dependent of dependents[next] ?? []) {
      const left = (remaining[dependent] ?? 0) - 1;
      remaining[dependent] = left;
      if (left === 0) ready.push(dependent);
    }
  }
  const seen = new Set<number>();
  vertices.forEach((vertex, start) => {
    if ((remaining[start] ?? 0) === 0 || seen.has(start)) return;
    const path = findCycle(vertices, remaining, start, base, seen);
    if (path === undefined) return;
    const names = path.map((i) => vertices[i]?.name ?? '');
    const text = `${names.join(' -> ')} -> ${names[0] ?? ''}`;
    problems.add(names[0] ?? vertex.name, 'dependsOn', 'Cycle', `it depends on itself: ${text}`, text);
  });
}

/** Follows dependencies inside the knot until a node comes up again; undefined when it runs into a knot already reported. */
function findCycle(vertices: readonly Vertex[], remaining: readonly number[], start: number, base: number, seen: Set<number>): readonly number[] | undefined {
  const path: number[] = [];
  const at = new Map<number, number>();
  let current: number | undefined = start;
  while (current !== undefined && !at.has(current)) {
    if (seen.has(current)) return undefined;
    at.set(current, path.length);
    path.push(current);
    seen.add(current);
    current = vertices[current]?.deps.map((dep) => dep - base).find((dep) => (remaining[dep] ?? 0) > 0);
  }
  if (current === undefined) return undefined;
  return path.slice(at.get(current) ?? 0);
}
