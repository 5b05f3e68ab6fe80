import { rmSync } from 'node:fs';
import { takeServer } from './postgres-shared.ts';

/** jest `globalTeardown`: ends the server of postgres-setup and removes its folder. */
export default async function teardown(): Promise<void> {
  const kept = takeServer();
  if (kept === undefined) return;
  await kept.server.stop();
  rmSync(kept.dir, { recursive: true, force: true });
}
