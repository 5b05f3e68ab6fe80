import { rmSync } from 'node:fs';
import { takeStack } from './global-shared.ts';

/** jest `globalTeardown`: ends the shared stack and removes its folder. */
export default async function teardown(): Promise<void> {
  const kept = takeStack();
  if (kept === undefined) return;
  await kept.stack.stop();
  rmSync(kept.dir, { recursive: true, force: true });
}
