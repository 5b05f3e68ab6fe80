import { violations } from './oracle.ts';
import { breakLine } from './network.ts';
import type { Plan } from './plan.ts';
import type { Site, Started } from './site.ts';

/** Runs have to end within this after the last fault, whatever happened. */
const END_MS = 45_000;
/** Statuses, pods and the outbox follow within this. */
const SETTLE_MS = 30_000;

/** Carries out a plan on the golden runs; returns what is wrong in the end. */
export async function attempt(site: Site, plan: Plan): Promise<readonly string[]> {
  site.arm({ faults: plan.faults });
  const acts = plan.acts.map(async ({ atMs, what }) => {
    await new Promise((resolve) => { setTimeout(resolve, atMs); });
    await site.act(what);
  });
  const net = (plan.net ?? []).map(async (fault) => {
    await new Promise((resolve) => { setTimeout(resolve, fault.atMs); });
    if (site.network !== undefined) await breakLine(site.network, fault);
  });
  try {
    const started = await site.startGolden();
    await Promise.all([...acts, ...net]);
    site.network?.heal();
    return await judge(site, started);
  } catch (error) {
    return [`I4 ${error instanceof Error ? error.message : String(error)}`];
  } finally {
    await Promise.allSettled([...acts, ...net]);
    site.network?.heal();
    site.arm({});
  }
}

/** Waits for the end of the runs, then until nothing is wrong any more; what still is then is a violation. */
export async function judge(site: Site, started: Started): Promise<readonly string[]> {
  await site.t.until('the runs to end', () => site.allEnded(started), END_MS).catch(() => undefined);
  let last: readonly string[] = ['the world could not be read'];
  await site.t.until('the world to settle', async () => {
    const world = await site.world(started);
    if (world !== undefined) last = violations(world);
    return last.length === 0;
  }, SETTLE_MS).catch(() => undefined);
  return last;
}

/** A run without faults that counts how often each point is passed. It has to be clean. */
export async function golden(site: Site): Promise<ReadonlyMap<string, number>> {
  site.arm({ count: true });
  const wrong = await judge(site, await site.startGolden());
  site.arm({});
  if (wrong.length > 0) throw new Error(`the golden run itself is wrong:\n${wrong.join('\n')}`);
  return site.takeHits();
}
