import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { agentRunId } from '../../crds/agent-run.ts';
import { Kubectl } from './kube.ts';
import { ROOT, type StackAddresses } from './stack.ts';

/* What people do with agents: apply them, run one as a node, approve a call, read what it cost, talk to one. The model is a script: no key, no thought. */

/** Where the fixtures of agents are. */
export interface DemoFixtures {
  readonly scriptedModel: string;
  readonly toolServer: string;
}

interface List<T> { readonly items: readonly T[] }
interface Approval { readonly id: string; readonly tool: string; readonly hash: string; readonly arguments: unknown }
interface Step { readonly seq: number; readonly kind: string; readonly tool: string | null; readonly inputTokens: number | null; readonly outputTokens: number | null; readonly costUsd: string | null; readonly ms: number | null }
interface AgentRun { readonly id: string; readonly runId: string; readonly phase: string; readonly output: unknown; readonly costUsd: string; readonly inputTokens: number; readonly outputTokens: number }

const FINAL = ['Succeeded', 'Failed', 'BudgetExhausted', 'Cancelled'];
const FOLDER = path.join(ROOT, 'examples/agents');

/** Goes through it on the running stack, prints each step, and returns whether all went as it should. */
export async function demoAgents(stack: StackAddresses & DemoFixtures, say: (line: string) => void): Promise<boolean> {
  if (stack.modelgateway === '') return true;
  const kubectl = new Kubectl(stack.kubectl, stack.kubeconfig);
  say(`agents: the model is a script at ${stack.scriptedModel} (hack/scripted-model), its tools are fixtures`);
  await apply(kubectl, stack);
  for (const object of ['model/refunds', 'toolserver/shop', 'agent/refund-desk', 'agent/greeter']) await kubectl.run('wait', '--for=condition=Ready', object, '--timeout=60s');
  print(await kubectl.run('get', 'models,toolservers,agents'));
  return await refund(kubectl, stack, say) && await talk(stack, say);
}

/** Puts the addresses of this stack in the place of `${NAME}`, as envsubst does. */
async function apply(kubectl: Kubectl, { scriptedModel, toolServer }: DemoFixtures): Promise<void> {
  const filled = readFileSync(path.join(FOLDER, 'models.yaml'), 'utf8').replaceAll('${RAMBO_SCRIPTED_MODEL}', scriptedModel).replaceAll('${RAMBO_TOOL_SERVER}', toolServer);
  const file = path.join(ROOT, '.rambo/demo-models.yaml');
  writeFileSync(file, filled);
  for (const manifest of [file, path.join(FOLDER, 'agents.yaml'), path.join(FOLDER, 'refund.workflow.yaml')]) await kubectl.apply(manifest);
}

/** An agent as a node of a workflow, with a call that a person has to approve. */
async function refund(kubectl: Kubectl, stack: StackAddresses, say: (line: string) => void): Promise<boolean> {
  say('kubectl create -f examples/agents/refund.run.yaml');
  const name = (await kubectl.run('create', '-f', path.join(FOLDER, 'refund.run.yaml'), '-o', 'name')).trim();
  const runId = await until(async () => (await kubectl.run('get', name, '-o', 'jsonpath={.status.runId}')).trim(), (id) => id !== '');
  const id = agentRunId(runId, 'desk', -1);
  const { items: [asked] } = await until(() => call<List<Approval>>(stack, 'GET', `/agent-approvals?namespace=default&state=Pending&agentRunId=${id}`), ({ items }) => items.length > 0);
  if (asked === undefined) return false;
  print(`  it wants to call ${asked.tool} with ${JSON.stringify(asked.arguments)}: node and pod are free meanwhile, and nothing happens before somebody decides`);
  print(`  rambo api decide-agent-approval --id ${asked.id} --hash ${asked.hash} --decision Approve`);
  await call(stack, 'POST', `/agent-approvals/${asked.id}/decision`, { hash: asked.hash, decision: 'Approve', reason: 'checked' });
  await kubectl.run('wait', '--for=condition=Completed', name, '--timeout=60s');
  print(`  ${(await kubectl.run('get', name, '-o', 'jsonpath={.status.phase} {.status.outputs}')).trim()}`);
  const run = await call<AgentRun>(stack, 'GET', `/agent-runs/${id}`);
  const { items } = await call<List<Step>>(stack, 'GET', `/agent-runs/${id}/steps?first=100`);
  for (const { seq, kind, tool, inputTokens, outputTokens, costUsd, ms } of items) {
    const spent = inputTokens === null ? '' : `${inputTokens} + ${outputTokens ?? 0} tokens, ${costUsd ?? '0'} USD`;
    print(`  ${String(seq).padStart(3)} ${kind.padEnd(18)} ${(tool ?? '').padEnd(14)} ${spent.padEnd(34)} ${ms === null ? '' : `${Math.round(ms)} ms`}`);
  }
  print(`  answer ${JSON.stringify(run.output)} for ${run.costUsd} USD`);
  const replay = await call<{ readonly alike: number; readonly tools: number; readonly diverged: boolean }>(stack, 'GET', `/agent-runs/${id}/replay`);
  print(`  replayed from its journal: ${replay.alike} requests alike, ${replay.tools} tool results, nothing called${replay.diverged ? '; IT DIVERGED' : ''}`);
  return run.phase === 'Succeeded' && !replay.diverged;
}

/** Two turns of one conversation, over the API. */
async function talk(stack: StackAddresses, say: (line: string) => void): Promise<boolean> {
  say('a conversation with the agent greeter, over the API');
  const conversation = crypto.randomUUID();
  for (const input of ['Hello!', 'Hello again!']) {
    const { id } = await call<{ readonly id: string }>(stack, 'POST', '/agent-runs', { namespace: 'default', agent: 'greeter', conversation, input });
    const ended = await until(() => call<AgentRun>(stack, 'GET', `/agent-runs/${id}`).catch(() => undefined), (run) => FINAL.includes(run?.phase ?? ''));
    print(`  > ${input}\n  < ${typeof ended?.output === 'string' ? ended.output : ended?.phase ?? ''}`);
    if (ended?.phase !== 'Succeeded') return false;
  }
  print('  Where to look\n    kubectl get agents,models,toolservers\n    rambo api agent-runs --namespace default\n    rambo api agent-steps --id <agent run>');
  return true;
}

function print(line: string): void {
  process.stdout.write(`${line.trimEnd()}\n`);
}

/** REST with the token of the stack. */
async function call<T = unknown>(stack: StackAddresses, method: string, route: string, body?: object): Promise<T> {
  const response = await fetch(`${stack.apiUrl}/api/v1${route}`, {
    method, headers: { authorization: `Bearer ${stack.token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = JSON.parse(await response.text());
  if (!response.ok) throw new Error(`${method} ${route}: ${answer.code}: ${answer.detail}`);
  return answer;
}

async function until<T>(read: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  for (let tries = 0; ; tries++) {
    const value = await read();
    if (holds(value)) return value;
    if (tries === 600) throw new Error(`it did not come to that within a minute: ${JSON.stringify(value).slice(0, 500)}`);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}
