import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { agentRunId, type AgentPhase } from '../../crds/agent-run.ts';
import type { AgentFixtures } from './agent-fixtures.ts';
import { type Call, print, restOf, until } from './demo-tools.ts';
import { Kubectl } from './kube.ts';
import { ROOT, type StackAddresses } from './stack.ts';

/* What people do with agents: apply them, run one as a node, approve a call, read what it cost, talk to one. The model is a script: no key, no thought. */

/** Where the fixtures of agents are. */
export type DemoFixtures = Omit<AgentFixtures, 'stop'>;

interface List<T> { readonly items: readonly T[] }
interface Approval { readonly id: string; readonly tool: string; readonly hash: string; readonly arguments: unknown }
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
  const rambo = commandLine(stack);
  return await refund(kubectl, rest, rambo, say) && talk(rambo, say);
}

/** Puts the addresses of this stack in the place of `${NAME}`, as envsubst does. */
async function apply(kubectl: Kubectl, { scriptedModel, toolServer }: DemoFixtures): Promise<void> {
  const filled = readFileSync(path.join(FOLDER, 'models.yaml'), 'utf8').replaceAll('${RAMBO_SCRIPTED_MODEL}', scriptedModel).replaceAll('${RAMBO_TOOL_SERVER}', toolServer);
  const file = path.join(ROOT, '.rambo/demo-models.yaml');
  writeFileSync(file, filled);
  for (const manifest of [file, path.join(FOLDER, 'agents.yaml'), path.join(FOLDER, 'refund.workflow.yaml')]) await kubectl.apply(manifest);
}

/** An agent as a node of a workflow, with a call that a person has to approve. */
async function refund(kubectl: Kubectl, rest: Call, rambo: CommandLine, say: (line: string) => void): Promise<boolean> {
  say('kubectl create -f examples/agents/refund.run.yaml');
  const name = (await kubectl.run('create', '-f', path.join(FOLDER, 'refund.run.yaml'), '-o', 'name')).trim();
  const runId = await until(async () => (await kubectl.run('get', name, '-o', 'jsonpath={.status.runId}')).trim(), (id) => id !== '', PATIENCE_S);
  const id = agentRunId(runId, 'desk', -1);
  const { items: [asked] } = await until(() => rest<List<Approval>>('GET', `/agent-approvals?namespace=default&state=Pending&agentRunId=${id}`), ({ items }) => items.length > 0, PATIENCE_S);
  if (asked === undefined) return false;
  print(`it wants to call ${asked.tool} with ${JSON.stringify(asked.arguments)}: node and pod are free meanwhile, and nothing happens before somebody decides`);
  if (rambo(['approve', asked.id, '--hash', asked.hash.slice(0, 12), '--reason', 'checked']) === undefined) return false;
  await kubectl.run('wait', '--for=condition=Completed', name, '--timeout=60s');
  print((await kubectl.run('get', name, '-o', 'jsonpath={.status.phase} {.status.outputs}')).trim());
  const run = await rest<AgentRun>('GET', `/agent-runs/${id}`);
  const steps = rambo(['agent', 'steps', id]);
  if (steps === undefined) return false;
  for (const line of steps.trimEnd().split('\n')) print(line);
  print(`answer ${JSON.stringify(run.output)} for ${run.costUsd} USD`);
  const replay = await rest<{ readonly alike: number; readonly tools: number; readonly diverged: boolean }>('GET', `/agent-runs/${id}/replay`);
  print(`replayed from its journal: ${replay.alike} requests alike, ${replay.tools} tool results, nothing called${replay.diverged ? '; IT DIVERGED' : ''}`);
  return run.phase === 'Succeeded' && !replay.diverged;
}

/** Two turns of one conversation, each a line of a pipe. */
function talk(rambo: CommandLine, say: (line: string) => void): boolean {
  say('a conversation with the agent greeter, on the command line');
  const answers = rambo(['agent', 'chat', '-n', 'default', 'greeter', '-o', 'json'], 'Hello!\nHello again!\n');
  if (answers === undefined) return false;
  for (const line of answers.trimEnd().split('\n')) {
    const { output, costUsd }: { readonly output: unknown; readonly costUsd: string } = JSON.parse(line);
    print(`< ${String(output)} (${costUsd} USD)`);
  }
  print('Where to look\n    kubectl get agents,models,toolservers\n    rambo agent chat -n default greeter\n    rambo agent runs -n default; rambo agent steps <agent run>');
  return true;
}

/** The command line of this checkout: what it answers; undefined, with what it said, where it failed. Each call is shown as one would type it. */
type CommandLine = (args: readonly string[], stdin?: string) => string | undefined;

function commandLine({ apiUrl, token }: Pick<StackAddresses, 'apiUrl' | 'token'>): CommandLine {
  return (args, stdin = '') => {
    print(`${stdin === '' ? '' : `printf ${JSON.stringify(stdin)} | `}rambo ${args.join(' ')}`);
    const { status, stdout, stderr } = spawnSync(path.join(ROOT, 'node_modules/.bin/node'), ['--no-warnings', path.join(ROOT, 'dist/cli.mjs'), ...args], {
      input: stdin, encoding: 'utf8', timeout: PATIENCE_S * 1_000, env: { PATH: process.env['PATH'] ?? '', RAMBO_API_URL: apiUrl, RAMBO_TOKEN: token },
    });
    if (status === 0) return stdout;
    print(stderr);
    return undefined;
  };
}
