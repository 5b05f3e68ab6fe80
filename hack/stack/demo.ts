import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { Kubectl } from './kube.ts';
import { ROOT, type StackAddresses } from './stack.ts';

interface Run {
  readonly name: string;
  readonly phase: string;
  readonly id: string;
}

interface NodeRun {
  readonly name: string;
  readonly item: number | null;
  readonly status: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly attempts: { readonly edges: readonly unknown[] } | number | null;
  readonly output: unknown;
  readonly error: { readonly reason: string; readonly message: string } | null;
}

/** Runs every example on the running stack and shows what happened. Returns whether all ended as their comments say. */
export async function demo(stack: StackAddresses, say: (line: string) => void): Promise<boolean> {
  const kubectl = new Kubectl(stack.kubectl, stack.kubeconfig);
  const examples = path.join(ROOT, 'examples');
  const files = readdirSync(examples).filter((file) => file.endsWith('.yaml')).sort();
  say('kubectl apply -f examples/ (workflows and the pool)');
  for (const file of files.filter((name) => !name.endsWith('.run.yaml'))) await kubectl.apply(path.join(examples, file));
  const runs: Run[] = [];
  for (const file of files.filter((name) => name.endsWith('.run.yaml'))) {
    say(`kubectl create -f examples/${file}`);
    const name = (await kubectl.run('create', '-f', path.join(examples, file), '-o', 'name')).trim();
    await kubectl.run('wait', '--for=condition=Completed', name, '--timeout=90s');
    const object: { metadata: { name: string }; status: { phase: string; runId: string; outputs?: unknown; progress: string } } =
      JSON.parse(await kubectl.run('get', name, '-o', 'json'));
    runs.push({ name: object.metadata.name, phase: object.status.phase, id: object.status.runId });
    await show(stack, object);
  }
  process.stdout.write(`\n${await kubectl.run('get', 'workflowruns')}\n${where(stack, runs)}`);
  return runs.every((run) => run.phase !== 'Pending' && run.phase !== 'Running') && existsSync(stack.kubectl);
}

async function show(stack: StackAddresses, object: { metadata: { name: string }; status: { phase: string; runId: string; outputs?: unknown; progress: string } }): Promise<void> {
  const { status, metadata } = object;
  const run = await details(stack, status.runId);
  process.stdout.write(`\n${metadata.name}  ${status.phase}  ${status.progress}  ${duration(run.startedAt, run.finishedAt)}\n`);
  const nodes = run.nodes.edges.map((edge) => edge.node);
  for (const [i, node] of nodes.entries()) {
    const name = node.item === null || node.item < 0 ? node.name : `${node.name}[${node.item}]`;
    const result = node.error === null ? shorten(JSON.stringify(node.output ?? null)) : `${node.error.reason}: ${shorten(node.error.message)}`;
    process.stdout.write(`  ${i === nodes.length - 1 ? '└' : '├'} ${name.padEnd(22)} ${node.status.padEnd(10)} ${duration(node.startedAt, node.finishedAt).padStart(8)}  ${result}\n`);
  }
  if (status.outputs !== undefined) process.stdout.write(`  outputs ${shorten(JSON.stringify(status.outputs))}\n`);
}

const QUERY = `query($id: ID!) { run(id: $id) { startedAt finishedAt nodes(first: 40) { edges { node {
  name item status startedAt finishedAt output error { reason message } } } } } }`;

interface Details {
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly nodes: { readonly edges: readonly { readonly node: NodeRun }[] };
}

async function details(stack: StackAddresses, id: string): Promise<Details> {
  const response = await fetch(`${stack.apiUrl}/graphql`, {
    method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${stack.token}` },
    body: JSON.stringify({ query: QUERY, variables: { id } }),
  });
  const answer: { data?: { run?: Details | null }; errors?: readonly { message: string }[] } = JSON.parse(await response.text());
  if (answer.data?.run === undefined || answer.data.run === null) throw new Error(`the API did not show run ${id}: ${answer.errors?.[0]?.message ?? response.status}`);
  return answer.data.run;
}

function duration(from: string | null, to: string | null): string {
  return from === null || to === null ? '' : `${Date.parse(to) - Date.parse(from)} ms`;
}

function shorten(text: string): string {
  return text.length <= 90 ? text : `${text.slice(0, 89)}…`;
}

function where(stack: StackAddresses, runs: readonly Run[]): string {
  const last = runs.at(-1);
  return [
    'Where to look', '  . .rambo/env', '  kubectl get wf,wfr,pool', `  kubectl describe wfr ${last?.name ?? ''}`, '  kubectl get wfr -w',
    `  curl -s ${stack.apiUrl}/graphql -H "authorization: Bearer $RAMBO_TOKEN" -H 'content-type: application/json' \\`,
    `    -d '{"query":"{ runs(namespace: \\"default\\", first: 5) { edges { node { name phase outputs } } } }"}'`,
    `  curl -s ${stack.controllerMetrics} | grep rambo_`, '  ls .rambo/logs', '',
  ].join('\n');
}
