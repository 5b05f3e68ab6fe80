import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { agentRunId, isFinalAgentPhase, type AgentPhase } from '../../crds/agent-run.ts';
import type { AgentFixtures } from './agent-fixtures.ts';
import { type Call, print, restOf, until } from './demo-tools.ts';
import { Kubectl } from './kube.ts';
import { ROOT, type StackAddresses } from './stack.ts';

/* What people do with agents: apply them, run one as a node, approve a call, read what it cost, talk to one. The model is a script: no key, no thought. */

/** Where the fixtures of agents are. */
export type DemoFixtures = Omit<AgentFixtures, 'stop'>;

interface List<T> { readonly items: readonly T[] }
interface Approval { readonly id: string; readonly tool: string; readonly hash: string; readonly arguments: unknown }
interface Step { readonly seq: number; readonly kind: string; readonly tool: string | null; readonly inputTokens: number | null; readonly outputTokens: number | null; readonly costUsd: string | null; readonly ms: number | null }
interface AgentRun { readonly id: string; readonly runId: string; readonly phase: AgentPhase; readonly output: unknown; readonly costUsd: string; readonly inputTokens: number; readonly outputTokens: number }

const FOLDER = path.join(ROOT, 'examples/agents');
const PATIENCE_S = 60;

/** Goes through it on the running stack, prints each step, and returns whether all went as it should. */
export async function demoAgents(stack: StackAddresses & DemoFixtures, say: (line: string) => void): Promise<boolean> {
  if (stack.modelgateway === '') return true;
  const kubectl = new Kubectl(stack.kubectl, stack.kubeconfig);
  say(`agents: the model is a script at ${stack.scriptedModel} (hack/scripted-model), its tools are fixtures`);
  await apply(kubectl, stack);
  for (const object of ['model/refunds', 'toolserver/shop', 'agent/refund-desk', 'agent/greeter']) await kubectl.run('wait', '--for=condition=Ready', object, '--timeout=60s');
  process.stdout.write(await kubectl.run('get', 'models,toolservers,agents'));
  const rest = restOf(stack.apiUrl, stack.token);
  return await refund(kubectl, rest, say) && await talk(rest, say);
}

/** Puts the addresses of this stack in the place of `${NAME}`, as envsubst does. */
async function apply(kubectl: Kubectl, { scriptedModel, toolServer }: DemoFixtures): Promise<void> {
  const filled = readFileSync(path.join(FOLDER, 'models.yaml'), 'utf8').replaceAll('${RAMBO_SCRIPTED_MODEL}', scriptedModel).replaceAll('${RAMBO_TOOL_SERVER}', toolServer);
  const file = path.join(ROOT, '.rambo/demo-models.yaml');
  writeFileSync(file, filled);
  for (const manifest of [file, path.join(FOLDER, 'agents.yaml'), path.join(FOLDER, 'refund.workflow.yaml')]) await kubectl.apply(manifest);
}

/** An agent as a node of a workflow, with a call that a person has to approve. */
async function refund(kubectl: Kubectl, rest: Call, say: (line: string) => void): Promise<boolean> {
  say('kubectl create -f examples/agents/refund.run.yaml');
  const name = (await kubectl.run('create', '-f', path.join(FOLDER, 'refund.run.yaml'), '-o', 'name')).trim();
  const runId = await until(async () => (await kubectl.run('get', name, '-o', 'jsonpath={.status.runId}')).trim(), (id) => id !== '', PATIENCE_S);
  const id = agentRunId(runId, 'desk', -1);
  const { items: [asked] } = await until(() => rest<List<Approval>>('GET', `/agent-approvals?namespace=default&state=Pending&agentRunId=${id}`), ({ items }) => items.length > 0, PATIENCE_S);
  if (asked === undefined) return false;
  print(`it wants to call ${asked.tool} with ${JSON.stringify(asked.arguments)}: node and pod are free meanwhile, and nothing happens before somebody decides`);
  print(`rambo api decide-agent-approval --id ${asked.id} --hash ${asked.hash} --decision Approve`);
  await rest('POST', `/agent-approvals/${asked.id}/decision`, { hash: asked.hash, decision: 'Approve', reason: 'checked' });
  await kubectl.run('wait', '--for=condition=Completed', name, '--timeout=60s');
  print((await kubectl.run('get', name, '-o', 'jsonpath={.status.phase} {.status.outputs}')).trim());
  const run = await rest<AgentRun>('GET', `/agent-runs/${id}`);
  const { items } = await rest<List<Step>>('GET', `/agent-runs/${id}/steps?first=100`);
  for (const { seq, kind, tool, inputTokens, outputTokens, costUsd, ms } of items) {
    const spent = inputTokens === null ? '' : `${inputTokens} + ${outputTokens ?? 0} tokens, ${costUsd ?? '0'} USD`;
    print(`${String(seq).padStart(3)} ${kind.padEnd(18)} ${(tool ?? '').padEnd(14)} ${spent.padEnd(34)} ${ms === null ? '' : `${Math.round(ms)} ms`}`.trimEnd());
  }
  print(`answer ${JSON.stringify(run.output)} for ${run.costUsd} USD`);
  const replay = await rest<{ readonly alike: number; readonly tools: number; readonly diverged: boolean }>('GET', `/agent-runs/${id}/replay`);
  print(`replayed from its journal: ${replay.alike} requests alike, ${replay.tools} tool results, nothing called${replay.diverged ? '; IT DIVERGED' : ''}`);
  return run.phase === 'Succeeded' && !replay.diverged;
}

/** Two turns of one conversation, over the API. */
async function talk(rest: Call, say: (line: string) => void): Promise<boolean> {
  say('a conversation with the agent greeter, over the API');
  const conversation = crypto.randomUUID();
  for (const input of ['Hello!', 'Hello again!']) {
    const { id } = await rest<{ readonly id: string }>('POST', '/agent-runs', { namespace: 'default', agent: 'greeter', conversation, input });
    const ended = await until(() => rest<AgentRun>('GET', `/agent-runs/${id}`).catch(() => undefined), (run) => run !== undefined && isFinalAgentPhase(run.phase), PATIENCE_S);
    print(`> ${input}\n  < ${typeof ended?.output === 'string' ? ended.output : ended?.phase ?? ''}`);
    if (ended?.phase !== 'Succeeded') return false;
  }
  print('Where to look\n    kubectl get agents,models,toolservers\n    rambo api agent-runs --namespace default\n    rambo api agent-steps --id <agent run>');
  return true;
}
