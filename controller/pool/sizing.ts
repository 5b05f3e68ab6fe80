/** A runner pod as sizing sees it. */
export interface RunnerPod {
  readonly name: string;
  readonly uid: string;
  readonly ready: boolean;
  /** On its way out, or ended: does not count. */
  readonly leaving: boolean;
  readonly createdAt: number;
  /** Number of attempts it holds. */
  readonly busy: number;
  /** Generation of the pool's template it was made from. */
  readonly template: string;
}

/** What a pool wants and has. */
export interface SizingInput {
  readonly minReady: number;
  readonly max: number;
  readonly idleMs: number;
  /** Pods its demand asks for: see `podsNeeded`. */
  readonly needed: number;
  readonly pods: readonly RunnerPod[];
  readonly template: string;
  /** When the pool last had more demand than it has now needs; for the idle time. */
  readonly neededUntil: number;
  readonly now: number;
}

/** What to do: how many to start, which to remove, and when to look again. */
export interface SizingPlan {
  readonly create: number;
  readonly remove: readonly RunnerPod[];
  readonly againMs?: number;
}

/**
 * How many runner pods a pool should have: enough slots for its demand, at least `minReady`, at most `max`. It grows at
 * once and shrinks only after `idleTTL`; outdated pods are replaced when they are idle, never killed while they work.
 */
export function sizePool(input: SizingInput): SizingPlan {
  const alive = input.pods.filter((pod) => !pod.leaving);
  const current = alive.filter((pod) => pod.template === input.template);
  const outdated = alive.filter((pod) => pod.template !== input.template);
  const wanted = Math.min(input.max, Math.max(input.minReady, input.needed));
  const create = Math.max(0, Math.min(wanted - current.length, input.max - alive.length));
  // An outdated pod goes when it is idle and its successor is there, or when it stands in the successor's way.
  const replaced = outdated.filter((pod) => pod.busy === 0 && (current.some((c) => c.ready) || alive.length >= input.max));
  const spare = current.length - wanted;
  if (spare <= 0) return { create, remove: replaced };
  const idleFor = input.now - input.neededUntil;
  if (idleFor < input.idleMs) return { create, remove: replaced, againMs: input.idleMs - idleFor };
  const idle = current.filter((pod) => pod.busy === 0).sort((a, b) => Number(a.ready) - Number(b.ready) || b.createdAt - a.createdAt);
  return { create, remove: [...replaced, ...idle.slice(0, spare)] };
}

/** Pods for so many attempts of so many runs; with `reuse: Run` no two runs share a pod. */
export function podsNeeded(demand: { readonly attempts: number; readonly runs: number }, slots: number, reuse: 'Never' | 'Run' | 'Shared'): number {
  const bySlots = Math.ceil(demand.attempts / slots);
  return reuse === 'Run' ? Math.max(bySlots, demand.runs) : bySlots;
}

/**
 * How many attempts of a warm pool may be on their way or running: about twice the slots of the pods it has, so that a
 * runner that finishes finds its next work already there; for a pool that is still starting, those of its first pod.
 */
export function poolCapacity(readyPods: number, slots: number): number {
  return 2 * slots * Math.max(1, readyPods);
}
