import { CHART, Site, SYSTEM, until, VALUES, type PodObject } from './site.ts';

/** An installation that lacks something is not ready, and says what and what to do. */

let site: Site;
beforeAll(() => { site = Site.shared(); });

const NAMESPACE = 'rambo-broken';
/** Beside the ring's release: no second set of what belongs to the cluster. */
const BESIDE = { ...VALUES, setup: { crds: false }, admissionPolicies: { enabled: false }, rbac: { create: true, aggregateRoles: false }, defaultPool: { create: false } };

const external = (postgres: string, nats: string): object => ({
  ...BESIDE, postgres: { trial: false, existingSecret: postgres }, nats: { trial: false, url: 'nats://nats.rambo-broken:4222', existingSecret: nats },
});

/** What the controller of a broken release says, once a pod of it runs and none is ready. */
async function saying(pattern: RegExp): Promise<string> {
  return until(`a log that says ${String(pattern)}`, async () => {
    const pods = await site.pods(NAMESPACE, 'app.kubernetes.io/component=controller');
    const isReady = (pod: PodObject): boolean => pod.status.conditions?.find((c) => c.type === 'Ready')?.status === 'True';
    if (pods.some(isReady)) return undefined;
    // Those of the values before stay until these are ready, which they never will be; on a slow machine some of them do not even run yet.
    const running = pods.filter((pod) => pod.status.phase === 'Running');
    const logs = await Promise.all(running.map((pod) => site.kubectl.run('logs', '-n', NAMESPACE, pod.metadata.name)));
    return logs.find((log) => pattern.test(log));
  }, 180_000);
}

async function broken(values: object, pattern: RegExp): Promise<void> {
  await site.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
  await site.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'nowhere', namespace: NAMESPACE }, stringData: { url: 'postgresql://rambo:hidden@postgres.rambo-broken:5432/rambo' } });
  await site.helm(['upgrade', '--install', 'broken', CHART, '--namespace', NAMESPACE], values);
  const log = await saying(pattern);
  expect(log).not.toContain('hidden');
}

afterAll(async () => {
  await site.helm(['uninstall', 'broken', '--namespace', NAMESPACE, '--ignore-not-found']);
  await site.kubectl.run('delete', 'namespace', NAMESPACE, '--wait=false');
  await site.close();
});

test('no Secret of Postgres: the pod runs, is not ready, and names the file and the Secret', async () => {
  await broken(external('absent', 'absent'), /Secret/);
}, 300_000);

test('no Postgres: the pod is not ready and says where it looked, without the password', async () => {
  await broken(external('nowhere', 'absent'), /postgres\.rambo-broken:5432/);
}, 300_000);

test('a database without the schema of this release waits for the migration Job', async () => {
  const secret = await site.get<{ data: { url: string } }>('secret', 'rambo-postgres', '-n', SYSTEM);
  const url = new URL(Buffer.from(secret.data.url, 'base64').toString());
  url.hostname = `rambo-postgres.${SYSTEM}.svc`;
  url.pathname = '/nowhere';
  await site.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'empty', namespace: NAMESPACE }, stringData: { url: url.toString() } });
  const values = { ...external('empty', 'absent'), migration: { image: { repository: 'rambo/none' } } };
  await broken(values, /migration Job/);
}, 300_000);
