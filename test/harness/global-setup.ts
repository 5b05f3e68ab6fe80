import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readTools, Stack } from '../../hack/stack/stack.ts';
import { keepStack } from './global-shared.ts';

/** jest `globalSetup` of the integration ring: one control plane, Postgres and NATS for all test files; controllers are theirs. */
export default async function setup(): Promise<void> {
  const tools = readTools();
  process.env['RAMBO_NATS_SERVER'] = tools.natsServer;
  process.env['RAMBO_TEST_DEVCLUSTER'] = tools.devcluster;
  const dir = mkdtempSync(path.join(tmpdir(), 'rambo-test-'));
  const stack = new Stack({ dir, persistent: false, controllers: 0, api: false, log: (line) => { process.stderr.write(`    ${line}\n`); } });
  keepStack(stack, dir);
  const addresses = await stack.start();
  process.env['RAMBO_TEST_DATABASE_URL'] = stack.postgres.url;
  process.env['RAMBO_TEST_KUBECONFIG'] = addresses.kubeconfig;
  process.env['RAMBO_TEST_KUBECTL'] = addresses.kubectl;
}
