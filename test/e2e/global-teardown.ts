import { rmSync } from 'node:fs';
import { takeCluster } from './global-shared.ts';

/** jest `globalTeardown`: ends the ring's cluster and removes its folder; RAMBO_E2E_KEEP=1 leaves the folder with its logs. */
export default async function teardown(): Promise<void> {
  const kept = takeCluster();
  if (kept === undefined) return;
  await kept.cluster.stop();
  if (process.env['RAMBO_E2E_KEEP'] === '1') process.stderr.write(`    logs of the cluster: ${kept.dir}\n`);
  else rmSync(kept.dir, { recursive: true, force: true });
}
