import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { build } from 'esbuild';
import { agentRunId } from '../../crds/agent-run.ts';
import { ROOT } from '../../hack/stack/stack.ts';
import { figure, RELEASE, type RestAnswer, Site, SYSTEM, until } from './site.ts';

/**
 * Agents as the chart installs them: the model gateway in its own pods, the loop in a runner's, a model that is a script in a pod of the
 * namespace (hack/scripted-model). A person approves a call; gateway and runner are taken away in the middle of a model call.
 */

let site: Site;
beforeAll(async () => {
  site = Site.shared();
  await scriptedModel();
  await site.apply(
    model('book-keeper', 'scripted/keep'), model('slow-thinker', 'scripted/slow'), model('caller', 'scripted/shout'),
    { apiVersion: API, kind: 'Workflow', metadata: { name: 'ledger', namespace: 'default' }, spec: {
      description: 'Writes an amount into the ledger.', inputs: { type: 'object', properties: { amount: { type: 'integer' } }, required: ['amount'] },
      nodes: [{ name: 'write', type: 'transform', with: { output: '${{ inputs.amount * 2 }}' } }], outputs: { written: '${{ nodes.write.output }}' },
    } },
    agent('keeper', { modelRef: { name: 'book-keeper' }, tools: [{ workflowRef: { name: 'ledger' } }], policy: [{ match: 'true', decision: 'RequireApproval', timeout: '10m' }] }),
    agent('thinker', { modelRef: { name: 'slow-thinker' } }),
    { apiVersion: API, kind: 'ToolServer', metadata: { name: 'megaphone', namespace: 'default' }, spec: { mcp: { stdio: { image: 'rambo/runner:dev', args: ['node', '-e', STDIO] } }, defaultEffect: 'Idempotent', egress: ['203.0.113.0/24'] } },
    agent('crier', { modelRef: { name: 'caller' }, tools: [{ toolServerRef: { name: 'megaphone' } }] }),
  );
  for (const name of ['keeper', 'thinker']) await site.kubectl.run('wait', '--for=condition=Ready', `agent/${name}`, '-n', 'default', '--timeout=90s');
}, 240_000);
afterAll(async () => { await site.close(); });

const API = 'rambo.dev/v1alpha1';
const SCENARIOS = {
  keep: [{ tools: [{ name: 'workflow__ledger', arguments: { amount: 21 } }] }, { text: 'It is in the ledger.' }],
  shout: [{ tools: [{ name: 'megaphone__shout', arguments: { text: 'hello' } }] }, { text: 'It said {{last}}' }],
  slow: [{ text: 'Thought it over.', delayMs: 6_000 }],
};

/** An MCP server of 2025 over its standard input and output, without any library. */
const STDIO = `
const say = (id, result) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, ...result }) + '\\n');
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  if (method === 'initialize') return say(id, { result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'megaphone', version: '1' } } });
  if (method === 'tools/list') return say(id, { result: { tools: [{ name: 'shout', description: 'Shouts.', inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] } }] } });
  if (method === 'tools/call') return say(id, { result: { content: [{ type: 'text', text: params.arguments.text.toUpperCase() }] } });
  say(id, { error: { code: -32601, message: 'no such method' } });
});`;

function model(name: string, scripted: string): object {
  return { apiVersion: API, kind: 'Model', metadata: { name, namespace: 'default' }, spec: { provider: 'openai-compatible', baseUrl: 'http://scripted-model.default.svc:8099/v1', model: scripted, pricing: { input: 1, output: 2 } } };
}

function agent(name: string, spec: object): object {
  return { apiVersion: API, kind: 'Agent', metadata: { name, namespace: 'default' }, spec: { instructions: { text: 'Do your work.' }, ...spec } };
}

/** The fixture as a pod: its bundle in a ConfigMap, on the runner's image, which has Node. */
async function scriptedModel(): Promise<void> {
  const { outputFiles } = await build({ entryPoints: [path.join(ROOT, 'hack/scripted-model/main.ts')], bundle: true, write: false, platform: 'node', format: 'esm', target: 'node24', minify: true });
  const labels = { app: 'scripted-model' };
  await site.apply(
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'scripted-model', namespace: 'default' }, data: { 'model.mjs': outputFiles[0]?.text ?? '', 'scenarios.json': JSON.stringify(SCENARIOS) } },
    { apiVersion: 'v1', kind: 'Service', metadata: { name: 'scripted-model', namespace: 'default' }, spec: { selector: labels, ports: [{ port: 8_099 }] } },
    { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'scripted-model', namespace: 'default', labels }, spec: {
      automountServiceAccountToken: false, securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [{
        name: 'model', image: 'rambo/runner:dev', imagePullPolicy: 'Never', command: ['node', '/fixture/model.mjs', '--host=0.0.0.0', '--port=8099', '--scenarios=/fixture/scenarios.json'],
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, readOnlyRootFilesystem: true }, volumeMounts: [{ name: 'fixture', mountPath: '/fixture' }],
      }],
      volumes: [{ name: 'fixture', configMap: { name: 'scripted-model' } }],
    } },
  );
  await site.kubectl.run('wait', '--for=condition=Ready', 'pod/scripted-model', '-n', 'default', '--timeout=90s');
}

type Entry = Readonly<Record<string, unknown>>;

async function rest(method: string, route: string, body?: object): Promise<RestAnswer<Entry & { readonly items?: readonly Entry[] }>> {
  return site.rest(method, route, await site.token(), body);
}

test('two gateways are ready under Pod Security restricted, without a token that they do not need', async () => {
  await site.rolledOut(`deployment/${RELEASE}-modelgateway`);
  const pods = await site.pods(SYSTEM, 'app.kubernetes.io/component=modelgateway');
  expect(pods).toHaveLength(2);
  expect(pods.flatMap(({ status }) => status.containerStatuses?.map(({ restartCount }) => restartCount) ?? [])).toEqual([0, 0]);
});

test('an agent as a node: its call waits for a person without a pod, starts a workflow once, and its cost is known', async () => {
  const run = await site.start([{ name: 'keep', type: 'agent', with: { agentRef: { name: 'keeper' }, input: 'Please note 21.' } }], { workflow: { outputs: { said: '${{ nodes.keep.output }}' } } });
  const id = agentRunId(run.metadata.uid, 'keep', -1);
  const asked = await until('the approval', async () => (await rest('GET', `/agent-approvals?namespace=default&state=Pending&agentRunId=${id}`)).body.items?.[0]);
  expect(asked).toMatchObject({ tool: 'workflow/ledger', arguments: { amount: 21 } });
  await until('its node to wait', async () => (await site.sql<{ status: string }>('SELECT status FROM node_run WHERE run_id = $1', [run.metadata.uid]))[0]?.status === 'Waiting');
  expect((await rest('POST', `/agent-approvals/${String(asked['id'])}/decision`, { hash: 'f'.repeat(64), decision: 'Approve' })).status).toBe(409);
  expect((await rest('POST', `/agent-approvals/${String(asked['id'])}/decision`, { hash: asked['hash'], decision: 'Approve' })).status).toBe(200);
  const ended = await site.finished(run.metadata.name);
  expect(ended.status).toMatchObject({ phase: 'Succeeded', outputs: { said: 'It is in the ledger.' } });
  expect(await site.sql('SELECT count(*)::int AS children FROM run WHERE workflow = $1 AND created_at > now() - interval $$10 minutes$$', ['ledger'])).toEqual([{ children: 1 }]);
  const { body } = await rest('GET', `/agent-runs/${id}`);
  expect(body).toMatchObject({ phase: 'Succeeded', modelCalls: 2, toolCalls: 1, usageUnknown: false });
  expect(Number(body['costUsd'])).toBeGreaterThan(0);
  expect((await rest('GET', `/agent-runs/${id}/replay`)).body).toMatchObject({ alike: 2, tools: 1, diverged: false });
}, 180_000);

test('a server over stdio runs in a closed pod of its own, and an agent calls its tool through the bridge', async () => {
  await site.kubectl.run('wait', '--for=condition=Ready', 'toolserver/megaphone', 'agent/crier', '-n', 'default', '--timeout=120s');
  const [pod] = JSON.parse(await site.kubectl.run('get', 'pods', '-n', 'default', '-l', 'rambo.dev/tool-server=megaphone', '-o', 'json')).items;
  expect(pod.spec).toMatchObject({ automountServiceAccountToken: false, containers: [{ image: 'rambo/runner:dev', securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false } }] });
  const { spec } = JSON.parse(await site.kubectl.run('get', 'networkpolicy', 'rambo-tools-megaphone', '-n', 'default', '-o', 'json'));
  expect(spec).toMatchObject({
    policyTypes: ['Ingress', 'Egress'], ingress: [{ from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': SYSTEM } }, podSelector: { matchLabels: { 'app.kubernetes.io/component': 'modelgateway' } } }] }],
    egress: [{ ports: [{ port: 53, protocol: 'UDP' }, { port: 53, protocol: 'TCP' }] }, { to: [{ ipBlock: { cidr: '203.0.113.0/24' } }] }],
  });
  const run = await site.start([{ name: 'cry', type: 'agent', with: { agentRef: { name: 'crier' }, input: 'Shout.' } }], { workflow: { outputs: { said: '${{ nodes.cry.output }}' } } });
  expect((await site.finished(run.metadata.name)).status).toMatchObject({ phase: 'Succeeded', outputs: { said: 'It said HELLO' } });
}, 240_000);

test('gateways and runners go away in the middle of a model call: the run ends all the same, and no answer is paid for twice unseen', async () => {
  const key = randomUUID();
  const started = await rest('POST', '/agent-runs', { namespace: 'default', agent: 'thinker', input: 'Think.', name: `think-${key.slice(0, 8)}` });
  expect(started.status).toBe(201);
  const id = String(started.body['id']);
  await until('the call of the model', async () => (await site.sql('SELECT 1 FROM agent_event WHERE agent_run = $1 AND kind = $2', [id, 'ModelRequested'])).length === 1);
  const began = performance.now();
  await site.kubectl.run('delete', 'pods', '-n', 'default', '-l', 'rambo.dev/pool', '--force', '--grace-period=0');
  await site.kubectl.run('delete', 'pods', '-n', SYSTEM, '-l', 'app.kubernetes.io/component=modelgateway', '--force', '--grace-period=0');
  await until('the end', async () => (await rest('GET', `/agent-runs/${id}`)).body['phase'] === 'Succeeded', 150_000);
  figure('agent run over the loss of all gateways and runners', `${((performance.now() - began) / 1_000).toFixed(1)} s, 6 s of them the model's`);
  const events = await site.sql<{ kind: string; n: number }>('SELECT kind, count(*)::int AS n FROM agent_event WHERE agent_run = $1 GROUP BY kind', [id]);
  const count = Object.fromEntries(events.map(({ kind, n }) => [kind, n]));
  expect(count).toMatchObject({ ModelCompleted: 1, RunCompleted: 1 });
  // Every question is accounted for: answered, or charged as lost.
  expect(count['ModelRequested']).toBe(1 + (count['ModelFailed'] ?? 0));
}, 240_000);
