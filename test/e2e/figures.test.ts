import { connectKubeApi, eventually } from '../harness/kube-api.ts';
import { figure, pause, type PodObject, RELEASE, Site, SYSTEM, until } from './site.ts';

/** Figures on the real kubelet: printed, gated only where they cannot depend on what else the machine does. */

let site: Site;
beforeAll(() => { site = Site.shared(); });
afterAll(async () => { await site.close(); });

const IMAGE = 'rambo/runner:dev';
const COMMAND = ['bash', '-c', 'echo 1 > "$RAMBO_OUTPUT_FILE"'];

/** A pod as RamBo makes it, but made by hand. */
function barePod(i: number): object {
  return {
    apiVersion: 'v1', kind: 'Pod', metadata: { name: `bare-${i}`, namespace: 'default' },
    spec: {
      restartPolicy: 'Never', automountServiceAccountToken: false, enableServiceLinks: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [{
        name: 'main', image: IMAGE, command: COMMAND, env: [{ name: 'RAMBO_OUTPUT_FILE', value: '/dev/rambo-output' }], terminationMessagePath: '/dev/rambo-output',
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      }],
    },
  };
}

/** Seconds that so many bare pods take, each made when the one before has succeeded. Plain requests: starting kubectl takes as long as a pod. */
async function barePods(n: number): Promise<number> {
  const api = connectKubeApi(site.place.kubeconfig);
  const pods = '/api/v1/namespaces/default/pods';
  const began = performance.now();
  for (let i = 0; i < n; i++) {
    const made = await api.request({ method: 'POST', path: pods, body: barePod(i) });
    if (made.status !== 201) throw new Error(`the API server took no bare pod: ${made.message}`);
    await eventually(`bare pod ${i}`, async () => {
      const { body } = await api.request({ method: 'GET', path: `${pods}/bare-${i}` });
      return (body as PodObject).status.phase === 'Succeeded' ? true : undefined;
    }, 60_000);
  }
  return (performance.now() - began) / 1_000;
}

test('a chain of ten nodes in pods against ten bare pods one after the other', async () => {
  const bare = await barePods(10);
  await site.kubectl.run('delete', 'pods', ...Array.from({ length: 10 }, (_, i) => `bare-${i}`), '--wait=false');
  const nodes = Array.from({ length: 10 }, (_, i) => ({ name: `n${i}`, type: 'container', ...(i === 0 ? {} : { dependsOn: [`n${i - 1}`] }), with: { image: IMAGE, command: COMMAND } }));
  const run = await site.start(nodes);
  expect((await site.finished(run.metadata.name, 120_000)).status?.phase).toBe('Succeeded');
  const [row] = await site.sql<{ seconds: number }>('SELECT extract(epoch FROM finished_at - created_at)::float AS seconds FROM run WHERE id = $1', [run.metadata.uid]);
  const chain = row?.seconds ?? Number.NaN;
  figure('ten nodes in pods against ten bare pods', `${chain.toFixed(1)} s against ${bare.toFixed(1)} s, ratio ${(chain / bare).toFixed(2)} (aim 1.15)`);
  expect(chain).toBeLessThan(bare * 2);
}, 300_000);

test('a chain of ten nodes in warm runners', async () => {
  const nodes = Array.from({ length: 10 }, (_, i) => ({ name: `n${i}`, type: 'transform', runner: { isolation: 'warm' }, with: { output: i === 0 ? 1 : `\${{ nodes.n${i - 1}.output + 1 }}` } }));
  const ms: number[] = [];
  for (let i = 0; i < 5; i++) {
    const run = await site.start(nodes);
    expect((await site.finished(run.metadata.name)).status?.phase).toBe('Succeeded');
    const [row] = await site.sql<{ ms: number }>('SELECT extract(epoch FROM finished_at - created_at)::float * 1000 AS ms FROM run WHERE id = $1', [run.metadata.uid]);
    ms.push(row?.ms ?? Number.NaN);
  }
  figure('ten nodes in a warm runner', `${ms.map((value) => value.toFixed(0)).join(', ')} ms by custom resource`);
}, 120_000);

interface Usage { readonly pod: string; readonly cpu: number; readonly rss: number }

async function usage(component: string): Promise<readonly Usage[]> {
  const pods = await site.pods(SYSTEM, `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=${component}`);
  return Promise.all(pods.map(async (pod) => {
    const text = await site.text(pod.metadata.name, 8_081, '/metrics');
    const value = (name: string): number => Number(new RegExp(`^rambo_${name}\\{[^}]*\\} (\\S+)`, 'm').exec(text)?.[1]);
    return { pod: pod.metadata.name, cpu: value('process_cpu_seconds_total'), rss: value('process_resident_memory_bytes') / 1_048_576 };
  }));
}

test('controller and API at rest', async () => {
  await until('all runs to have ended', async () => (await site.sql('SELECT 1 FROM run WHERE finished_at IS NULL')).length === 0);
  await pause(10_000);
  await Promise.all(([['controller', '180 MiB, 1 %'], ['api', '200 MiB']] as const).map(async ([component, aim]) => {
    const before = await usage(component);
    const began = performance.now();
    await pause(15_000);
    const after = await usage(component);
    const seconds = (performance.now() - began) / 1_000;
    const lines = after.map((now, i) => `${now.rss.toFixed(0)} MiB ${(((now.cpu - (before[i]?.cpu ?? 0)) / seconds) * 100).toFixed(1)} % of a core`);
    expect(after.every((now) => now.rss > 10 && now.rss < 400)).toBe(true);
    figure(`${component} at rest`, `${lines.join('; ')} (aim ${aim})`);
  }));
}, 120_000);
