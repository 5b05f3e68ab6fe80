import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import { buildImages, KubeletCluster, runScript } from '../../hack/e2e/cluster.ts';
import { ROOT } from '../../hack/stack/stack.ts';
import { keepCluster } from './global-shared.ts';
import { CHART, figure, type Place, RELEASE, Site, SYSTEM, VALUES } from './site.ts';

/**
 * jest `globalSetup` of the end-to-end ring: a real cluster with the images of this checkout, on which the chart is installed
 * as people do it. RAMBO_E2E_DIR names the folder of a cluster that runs already (`make e2e-cluster`): then a release on it
 * is upgraded, and both stay.
 */
export default async function setup(): Promise<void> {
  const log = (line: string): void => { process.stderr.write(`    ${line}\n`); };
  const helm = await runScript(log, 'hack/tools/tool.sh', 'helm');
  const kept = process.env['RAMBO_E2E_DIR'];
  const dir = kept ?? mkdtempSync(path.join(tmpdir(), 'rambo-e2e-cluster-'));
  const cluster = new KubeletCluster({ dir, log });
  if (kept === undefined) {
    keepCluster(cluster, dir);
    await cluster.start();
  }
  await cluster.load(await buildImages(log));
  if (process.env['RAMBO_E2E_UPGRADE'] === '1') {
    const [source = '', archive = ''] = (await runScript(log, 'hack/e2e/previous.sh')).split('\n');
    await cluster.load(archive);
    process.env['RAMBO_E2E_PREVIOUS'] = path.join(source, 'charts/rambo');
  }
  const place: Place = { kubeconfig: cluster.kubeconfig, kubectl: path.join(dir, 'cluster/bin/kubectl'), helm };
  process.env['RAMBO_E2E_PLACE'] = JSON.stringify(place);
  const site = new Site(place);
  try {
    await prepare(site, cluster);
    // The upgrade brings its own releases.
    if (process.env['RAMBO_E2E_UPGRADE'] !== '1') await install(site, log);
  } finally {
    await site.close();
  }
}

async function prepare(site: Site, cluster: KubeletCluster): Promise<void> {
  for (const name of ['postgres-data', 'backups']) await cluster.volume(name);
  await site.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: SYSTEM, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } });
  await site.kubectl.run('label', '--overwrite', 'namespace', 'default', 'pod-security.kubernetes.io/enforce=restricted');
}

async function install(site: Site, log: (line: string) => void): Promise<void> {
  log('installing the chart');
  const began = performance.now();
  await site.helm(['upgrade', '--install', RELEASE, CHART, '--namespace', SYSTEM, '--timeout', '5m'], { ...VALUES, backup: { schedule: '@yearly', keep: 2 } });
  const [workflow, run] = ['hello.yaml', 'hello.run.yaml'].map((file) => parseAllDocuments(readFileSync(path.join(ROOT, 'examples', file), 'utf8'))[0]?.toJS() as object);
  if (workflow === undefined || run === undefined) throw new Error('examples/hello is missing');
  await site.apply(workflow);
  const created = await site.create(run);
  await site.finished(created.metadata.name, 240_000).catch((error: unknown) => {
    log(describe(site.place));
    throw error;
  });
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  process.env['RAMBO_E2E_FIRST_RUN'] = seconds;
  figure('helm install to the first Completed run', `${seconds} s (aim 60 s)`);
  for (const workload of ['controller', 'api']) await site.rolledOut(`deploy/${RELEASE}-${workload}`);
}

/** What a person would look at first. */
function describe(place: Place): string {
  if (!existsSync(place.kubectl)) return '';
  const kubectl = (...args: string[]): string => {
    try {
      return execFileSync(place.kubectl, ['--kubeconfig', place.kubeconfig, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    } catch (error) {
      return String(error);
    }
  };
  return [
    kubectl('get', 'pods,wfr,pool', '-A', '-o', 'wide'), kubectl('get', 'events', '-A', '--sort-by=.lastTimestamp').split('\n').slice(-25).join('\n'),
    kubectl('logs', '-n', SYSTEM, `deploy/${RELEASE}-controller`, '--tail=15'),
  ].join('\n');
}
