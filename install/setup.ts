import { systemClock } from '../platform/clock/index.ts';
import { readConfig } from '../platform/config/index.ts';
import { errorMessage } from '../platform/errors/index.ts';
import { systemIds } from '../platform/ids/index.ts';
import { KubeClient } from '../platform/kube/client.ts';
import { loadKubeConfig } from '../platform/kube/config.ts';
import { createLog } from '../platform/log/index.ts';
import { setupConfigSchema } from './config.ts';
import { applyDefinitions, makeNatsSecret, makePostgresSecret } from './steps.ts';

/** What has to be there before the rest of the chart: definitions of this release, Secrets of trial servers. May run twice. */
async function main(): Promise<void> {
  const config = readConfig(setupConfigSchema);
  const log = createLog('setup', config.RAMBO_LOG_LEVEL);
  const client = new KubeClient(loadKubeConfig(config.RAMBO_KUBECONFIG));
  const { RAMBO_POD_NAMESPACE: namespace, RAMBO_SETUP_NATS_SECRET: nats, RAMBO_SETUP_POSTGRES_SECRET: postgres, RAMBO_SETUP_POSTGRES_HOST: host } = config;
  if (config.RAMBO_SETUP_CRDS) {
    for (const [name, result] of await applyDefinitions(client)) log.info({ name, result }, 'custom resource definition');
  }
  if (nats !== undefined) log.info({ name: nats, result: await makeNatsSecret(client, namespace, nats, systemClock.now()) }, 'Secret of the trial NATS');
  if (postgres !== undefined) {
    log.info({ name: postgres, result: await makePostgresSecret(client, namespace, postgres, { host, password: systemIds.secret() }) }, 'Secret of the trial Postgres');
  }
  client.close();
}

process.on('SIGTERM', () => { process.exit(143); });
main().then(() => { process.exit(0); }, (error: unknown) => {
  process.stderr.write(`${errorMessage(error)}\n`);
  process.exit(1);
});
