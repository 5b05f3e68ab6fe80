import path from 'node:path';
import { ROOT } from '../stack/stack.ts';
import { buildImages, KubeletCluster } from './cluster.ts';

/* A real cluster for people: starts it, gives it the images, stays in the foreground. */

const DIR = path.join(ROOT, '.rambo/e2e');
const began = Date.now();

function say(line: string): void {
  process.stderr.write(`==> [${Math.round((Date.now() - began) / 1_000)}s] ${line}\n`);
}

async function main(): Promise<void> {
  const cluster = new KubeletCluster({ dir: DIR, log: say });
  const ended = Promise.withResolvers<undefined>();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => { ended.resolve(undefined); });
  await cluster.start();
  if (!process.argv.includes('--no-images')) await cluster.load(await buildImages(say));
  say(`up: export KUBECONFIG=${cluster.kubeconfig} PATH=${path.join(DIR, 'cluster/bin')}:"$PATH"; Ctrl-C stops it`);
  const alive = setInterval(() => undefined, 60_000);
  await ended.promise;
  clearInterval(alive);
  await cluster.stop();
  say('down');
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
