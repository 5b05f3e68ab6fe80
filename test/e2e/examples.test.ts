import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import { ROOT } from '../../hack/stack/stack.ts';
import { figure, RELEASE, Site, SYSTEM } from './site.ts';

/** The chart as installed, and the examples on it: nodes in warm runners, then every node in a pod of its own. */

let site: Site;
beforeAll(() => { site = Site.shared(); });
afterAll(async () => { await site.close(); });

interface Manifest {
  readonly kind: string;
  readonly metadata: { name?: string; generateName?: string };
  readonly spec: { nodes?: ExampleNode[]; onExit?: ExampleNode[] };
}
interface ExampleNode {
  readonly type: string;
  readonly with: { image?: string };
  runner?: object;
}

const FOLDER = path.join(ROOT, 'examples');
/** The images local/* of the examples are programs of a developer's machine. */
const IMAGE = 'rambo/runner:dev';

function read(file: string): Manifest {
  const [document] = parseAllDocuments(readFileSync(path.join(FOLDER, file), 'utf8'));
  const manifest: Manifest = document?.toJS() as Manifest;
  for (const node of [...manifest.spec.nodes ?? [], ...manifest.spec.onExit ?? []]) {
    if (node.with.image?.startsWith('local/') === true) node.with.image = IMAGE;
  }
  return manifest;
}

const NAMES = readdirSync(FOLDER).filter((file) => file.endsWith('.run.yaml')).map((file) => file.replace('.run.yaml', '')).sort();

/** The same workflow with every node that a runner executes in a pod of its own. */
function inPods(workflow: Manifest): Manifest {
  workflow.metadata.name = `${workflow.metadata.name ?? ''}-pods`;
  for (const node of [...workflow.spec.nodes ?? [], ...workflow.spec.onExit ?? []]) {
    if (['script', 'http'].includes(node.type)) node.runner = { ...node.runner, isolation: 'pod', resources: { limits: { memory: '256Mi' } } };
  }
  return workflow;
}

/** Runs some examples side by side; how each ended. */
async function outcomes(names: readonly string[], change: (workflow: Manifest) => Manifest): Promise<readonly string[]> {
  const runs = await Promise.all(names.map(async (name) => {
    const workflow = change(read(`${name}.yaml`));
    await site.apply(workflow);
    const run = read(`${name}.run.yaml`);
    return site.create({ ...run, spec: { ...run.spec, workflowRef: { name: workflow.metadata.name } } });
  }));
  const ended = await Promise.all(runs.map((run) => site.finished(run.metadata.name, 150_000)));
  return ended.map((run, i) => `${names[i] ?? ''} ${run.status?.phase ?? ''} ${run.status?.progress ?? ''} ${JSON.stringify(run.status?.failures ?? [])}`);
}

test('two controllers and two APIs are ready, under Pod Security restricted, and have not been restarted', async () => {
  const pods = (await Promise.all(['controller', 'api', 'postgres', 'nats'].map((component) => site.pods(SYSTEM, `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=${component}`)))).flat();
  expect(pods.map((pod) => pod.metadata.labels?.['app.kubernetes.io/component']).sort()).toEqual(['api', 'api', 'controller', 'controller', 'nats', 'postgres']);
  expect(pods.filter((pod) => pod.status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') !== true)).toEqual([]);
  expect(pods.flatMap((pod) => pod.status.containerStatuses?.map((c) => c.restartCount) ?? [])).toEqual([0, 0, 0, 0, 0, 0]);
  expect(Number(process.env['RAMBO_E2E_FIRST_RUN'])).toBeGreaterThan(0);
});

test('every example succeeds, its nodes in warm runners', async () => {
  const began = performance.now();
  const ended = await outcomes(NAMES, (workflow) => workflow);
  expect(ended.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual(NAMES.map((name) => `${name} Succeeded`));
  figure(`${NAMES.length} examples side by side, warm`, `${((performance.now() - began) / 1_000).toFixed(1)} s`);
}, 240_000);

test('every example succeeds, each of its nodes in a pod of its own', async () => {
  const names = NAMES.filter((name) => name !== 'fan-out'); // 20 pods of one node would only measure the machine
  const began = performance.now();
  const ended = await outcomes(names, inPods);
  expect(ended.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual(names.map((name) => `${name} Succeeded`));
  figure(`${names.length} examples side by side, in pods`, `${((performance.now() - began) / 1_000).toFixed(1)} s`);
}, 300_000);

test('a node finds the API server and Services by name: DNS works in pods', async () => {
  const source = `import json, os, socket\nfound = socket.gethostbyname("kubernetes.default.svc")\njson.dump(found, open(os.environ["RAMBO_OUTPUT_FILE"], "w"))`;
  const run = await site.start([{ name: 'look', type: 'script', with: { language: 'python', source } }], { workflow: { outputs: { address: '${{ nodes.look.output }}' } } });
  expect((await site.finished(run.metadata.name)).status?.outputs).toEqual({ address: '10.96.0.1' });
});

test('the API answers through its Service, with a token of the cluster', async () => {
  const { startRun } = await site.ask<{ startRun: { run: { id: string; phase: string } } }>(
    'mutation($i: StartRunInput!) { startRun(input: $i) { ... on RunPayload { run { id phase } } } }',
    { i: { namespace: 'default', definition: { nodes: [{ name: 'one', type: 'transform', with: { output: 1 } }], outputs: { one: '${{ nodes.one.output }}' } } } });
  const run = await site.ask<{ run: { phase: string; outputs: unknown } }>('query($id: ID!) { run(id: $id) { phase outputs } }', { id: startRun.run.id });
  expect(run.run).toEqual({ phase: 'Succeeded', outputs: { one: 1 } });
});
