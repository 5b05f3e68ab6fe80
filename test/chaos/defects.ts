import { readFileSync } from 'node:fs';
import { commandSubject, shardOf } from '../../platform/messages/subjects.ts';
import { connectBus } from '../../platform/nats/bus.ts';
import type { Armed } from '../../platform/failpoint/index.ts';
import { violations } from './oracle.ts';
import { Site, type Started } from './site.ts';

/*
 * Proof that the oracle can fail: three defects that are only in the chaos bundles, each of which breaks a promise. Each
 * case runs without its defect first, where nothing may be wrong.
 */

interface Case {
  readonly defect: NonNullable<Armed['defect']>;
  /** What is wrong, with and without the defect. */
  readonly probe: (site: Site, armed: Partial<Armed>) => Promise<readonly string[]>;
}

/** Kills of the controller that meet a commit, one after another, until something is wrong. */
const TRIES = 8;
/** After a kill everything is over within this: 5 s to go on, the rest of the golden runs, and some more on a busy machine. */
const LATE_MS = 9_500;

async function killedAt(site: Site, armed: Partial<Armed>, point: string): Promise<readonly string[]> {
  for (let hit = 3; hit < 3 + TRIES; hit++) {
    site.arm({ ...armed, faults: [{ point, hit, action: 'kill' }] });
    const began = performance.now();
    const found = await seen(site, await site.startGolden());
    const took = performance.now() - began;
    const late = took > LATE_MS ? [`I4 the runs took ${(took / 1_000).toFixed(1)} s: something was lost and only found again`] : [];
    if (found.length + late.length > 0) return [...found, ...late];
  }
  return [];
}

async function seen(site: Site, started: Started): Promise<readonly string[]> {
  await site.t.until('the runs to end', () => site.allEnded(started), 45_000).catch(() => undefined);
  const world = await site.world(started);
  // Statuses and pods may follow a little later; what this looks for does not.
  return world === undefined ? ['the world could not be read'] : violations(world).filter((text) => /^I[1346]/.test(text));
}

/** A controller is stopped right before a commit, another takes its shards, then the commit goes on. */
async function staleCommit(site: Site, armed: Partial<Armed>): Promise<readonly string[]> {
  const id = await site.startWait();
  site.arm({ ...armed, faults: [{ point: 'pg.commit.before', hit: 1, action: 'stop' }] });
  await site.noteOwners();
  await suspendWithoutRepeat(site, id);
  await site.t.until('the owner to stop before its commit', () => Promise.resolve(site.fired()), 10_000);
  await site.t.until('another owner', () => site.movedOn(shardOf(id)), 20_000);
  site.resumeAll();
  await site.t.until('the stopped one to act', async () => await site.ready(), 20_000);
  const world = await site.world({ accepted: new Map(), ledger: site.dir });
  await site.clearStale();
  return world?.staleWrites ?? ['the world could not be read'];
}

/** One command to the owner, as a client that does not repeat it: the other owner must not hear of it. */
async function suspendWithoutRepeat(site: Site, id: string): Promise<void> {
  const { natsUrl, natsCreds } = site.t.addresses;
  const bus = await connectBus({ url: natsUrl, name: 'chaos', creds: () => readFileSync(natsCreds, 'utf8'), log: { info: () => undefined, warn: () => undefined, error: () => undefined } });
  bus.publish(commandSubject(shardOf(id)), Buffer.from(JSON.stringify({ v: 1, verb: 'suspend', runId: id, principal: 'chaos' })));
  await bus.flush();
  await bus.close();
}

const CASES: readonly Case[] = [
  { defect: 'ackBeforeCommit', probe: (site, armed) => killedAt(site, armed, 'pg.commit.before') },
  { defect: 'sentBeforePublish', probe: (site, armed) => killedAt(site, armed, 'nats.dispatch.before') },
  { defect: 'noFencing', probe: staleCommit },
];

/** Runs the three; returns how many were not found (or found where there is none). */
export async function findDefects(say: (line: string) => void): Promise<number> {
  let missed = 0;
  for (const { defect, probe } of CASES) {
    const site = await Site.start(defect === 'noFencing' ? 2 : 1);
    try {
      const without = await probe(site, {});
      const found = await probe(site, { defect });
      say(`${defect}: ${found.length === 0 ? 'NOT FOUND' : `found: ${found[0] ?? ''}`}${without.length === 0 ? '' : `; but also without it: ${without.join('; ')}`}`);
      if (found.length === 0 || without.length > 0) missed++;
    } finally {
      await site.stop();
    }
  }
  process.stdout.write(`${CASES.length - missed} of ${CASES.length} defects found\n`);
  return missed;
}
