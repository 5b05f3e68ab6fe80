/**
 * Breaks a running stack on purpose and asks the oracle what is left.
 *   make chaos SEEDS=20          random faults, a seed each; prints every plan
 *   make chaos SEED=17           one seed again
 *   make chaos NET=1 SEEDS=20    faults of the network, by proxies between our processes and their servers; SEED=17 again
 *   make chaos POWER=1 SEEDS=20  power cuts of the disk of Postgres (root, loop devices)
 *   make chaos EXHAUSTIVE=1      kill -9 of the controller at every failpoint of a golden run (PER_POINT hits of each, 3)
 *   make chaos DEFECTS=1         three deliberate defects: the oracle has to find each
 *   make chaos REPLICAS=2         two controllers share the runs; what is done to a controller is done to the first
 * Ends with `N seeds, M violations`; exit code 1 when there are any.
 */
import { attempt, golden } from './attempt.ts';
import { findDefects } from './defects.ts';
import { Disk } from './disk.ts';
import { Growth } from './growth.ts';
import { Network } from './network.ts';
import { describePlan, netPlanOf, planOf, powerPlanOf, type Plan } from './plan.ts';
import { Site } from './site.ts';

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

interface Case { readonly name: string; readonly plan: Plan }

const NET = (process.env['NET'] ?? '') !== '';
const POWER = (process.env['POWER'] ?? '') !== '';

function cases(hits: ReadonlyMap<string, number>): readonly Case[] {
  const of = (seed: number): Case => ({ name: `seed ${seed}`, plan: (POWER ? powerPlanOf : NET ? netPlanOf : planOf)(seed, hits) });
  const { SEED, SEEDS, EXHAUSTIVE, PER_POINT } = process.env;
  if (SEED !== undefined && SEED !== '') return [of(Number(SEED))];
  if (EXHAUSTIVE !== undefined && EXHAUSTIVE !== '') return everyPoint(hits, Number(PER_POINT ?? 3));
  const first = Number(process.env['FROM'] ?? 1);
  return Array.from({ length: Number(SEEDS ?? 20) }, (_, i) => of(first + i));
}

/** Kills at the first, the last and evenly chosen hits between them. */
function everyPoint(hits: ReadonlyMap<string, number>, most: number): readonly Case[] {
  return [...hits].filter(([point]) => !point.startsWith('runner.') && !point.startsWith('kube.watch.')).sort().flatMap(([point, count]) => {
    const chosen = new Set(Array.from({ length: Math.min(most, count) }, (_, i) => (count <= most ? i + 1 : 1 + Math.round(i * (count - 1) / Math.max(1, most - 1)))));
    return [...chosen].map((hit): Case => ({ name: `${point}#${hit}`, plan: { faults: [{ point, hit, action: 'kill' }], acts: [] } }));
  });
}

/** Processes that are looked at for growth; the controllers of now, whichever they are. */
function lasting(site: Site): Readonly<Record<string, number>> {
  const pids = ['api', 'controller-0'].map((name): [string, number | undefined] => [name, site.t.stack.child(name).pid]);
  return Object.fromEntries(pids.filter((entry): entry is [string, number] => entry[1] !== undefined));
}

async function main(): Promise<number> {
  say('==> starting a stack with failpoints');
  if ((process.env['DEFECTS'] ?? '') !== '') return findDefects(say);
  const site = await Site.start(Number(process.env['REPLICAS'] ?? 1), { network: NET ? new Network() : undefined, disk: POWER ? Disk.create(1_024) : undefined });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { void site.stop().finally(() => { process.exit(130); }); });
  const began = performance.now();
  let wrong = 0;
  let done = 0;
  const growth = new Growth();
  try {
    await golden(site);
    const hits = await golden(site);
    say(`==> golden run: ${hits.size} points, ${[...hits.values()].reduce((a, b) => a + b, 0)} hits`);
    const all = cases(hits);
    for (const { name, plan } of all) {
      const from = performance.now();
      const found = await attempt(site, plan);
      done++;
      wrong += found.length;
      growth.seed(lasting(site));
      say(`[${done}/${all.length}] ${name} (${((performance.now() - from) / 1_000).toFixed(1)} s) ${describePlan(plan)}${found.length === 0 ? '' : `\n    ${found.join('\n    ')}\n    logs: ${site.keepLogs(name)}`}`);
    }
    for (const line of growth.summary()) say(line);
    for (const line of growth.violations()) {
      wrong++;
      say(line);
    }
  } finally {
    await site.stop();
  }
  process.stdout.write(`${done} seeds, ${wrong} violations, ${((performance.now() - began) / 1_000).toFixed(0)} s\n`);
  return wrong;
}

process.exit(await main() === 0 ? 0 : 1);
