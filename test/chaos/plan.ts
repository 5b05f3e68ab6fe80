import type { Fault, FaultAction } from '../../platform/failpoint/index.ts';
import { describeNet, netPlan, type NetFault } from './network.ts';

/** Something done to a process from outside, so many milliseconds after the runs were started. */
export interface Act {
  readonly atMs: number;
  readonly what: 'kill-controller' | 'term-controller' | 'pause-controller' | 'kill-runner' | 'kill-nats' | 'wipe-nats' | 'kill-postgres' | 'kill-apiserver' | 'cut-power';
}

/** What one seed does. */
export interface Plan {
  readonly faults: readonly Fault[];
  readonly acts: readonly Act[];
  /** What happens on the lines between processes; only where the site has a network of its own. */
  readonly net?: readonly NetFault[];
}

/** A small generator with a known sequence per seed (mulberry32). Numbers in [0, 1). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const ACTS: readonly Act['what'][] = ['kill-controller', 'term-controller', 'pause-controller', 'kill-runner', 'kill-nats', 'wipe-nats', 'kill-postgres', 'kill-apiserver'];

/** What may happen at a point: only what the outside could do to us there. */
export function actionsAt(point: string): readonly FaultAction[] {
  if (/^kube\.watch\./.test(point)) return ['drop'];
  if (/^(nats\.(receive|publish|reply)|runner\.publish)\./.test(point)) return ['kill', 'drop', 'repeat'];
  if (point === 'runner.ack' || point === 'runner.receive') return ['kill', 'drop'];
  if (point.startsWith('runner.execute')) return ['kill'];
  const both: readonly FaultAction[] = ['kill', 'error', { delayMs: 150 }, { delayMs: 1_500 }];
  return /^(nats\.dispatch|runner\.request\.result)\.before$/.test(point) ? [...both, 'repeat'] : both;
}

/** Points that a watch has beyond those a quiet golden run comes by. */
const WATCHES = ['workflowruns', 'pods', 'runnerpools', 'workflows'].flatMap((resource) => ['cut', 'freeze', 'garbage', 'gone'].map((how) => `kube.watch.${resource}.${how}`));

/** One to three faults, chosen by the seed among the points a golden run came by (with their number of hits) and the acts. */
export function planOf(seed: number, hits: ReadonlyMap<string, number>): Plan {
  const next = random(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
  const points = [...new Set([...hits.keys(), ...WATCHES])].sort();
  const faults: Fault[] = [];
  const acts: Act[] = [];
  const count = 1 + Math.floor(next() * 3);
  for (let i = 0; i < count; i++) {
    if (next() < 0.35) acts.push({ atMs: Math.floor(next() * 1_200), what: pick(ACTS) });
    else {
      const point = pick(points);
      faults.push({ point, hit: 1 + Math.floor(next() * Math.min(40, hits.get(point) ?? 3)), action: pick(actionsAt(point)) });
    }
  }
  return { faults, acts };
}

/** One or two faults of the network; now and then a kill or a failpoint meets them. */
export function netPlanOf(seed: number, hits: ReadonlyMap<string, number>): Plan {
  const next = random(seed ^ 0x6e_65_74);
  const net = netPlan(next);
  const { faults, acts } = next() < 0.4 ? planOf(seed, hits) : { faults: [], acts: [] };
  return { faults: faults.slice(0, 1), acts: acts.slice(0, 1), net };
}

/** A power cut of Postgres somewhere in the middle; now and then something else besides. */
export function powerPlanOf(seed: number, hits: ReadonlyMap<string, number>): Plan {
  const next = random(seed ^ 0x70_6f_77);
  const cut: Act = { atMs: Math.floor(next() * 1_000), what: 'cut-power' };
  const { faults } = next() < 0.3 ? planOf(seed, hits) : { faults: [] };
  return { faults: faults.slice(0, 1), acts: [cut] };
}

/** A plan in one line. */
export function describePlan(plan: Plan): string {
  const of = (action: FaultAction): string => (typeof action === 'string' ? action : `delay ${action.delayMs} ms`);
  return [...plan.faults.map((f) => `${f.point}#${f.hit}: ${of(f.action)}`), ...plan.acts.map((a) => `${a.atMs} ms: ${a.what}`), ...(plan.net ?? []).map(describeNet)].join('; ');
}
