import { agentRunId } from '../../../crds/agent-run.ts';
import { AgentStack } from './stack-site.ts';

/** Agents as nodes of workflows on a whole stack: controller, runner and model gateway as they are shipped. */

let s: AgentStack;
beforeAll(async () => { s = await AgentStack.start(); }, 1_200_000);
afterAll(() => s.stop());
beforeEach(() => { s.tools.reset(); });

test('an agent of a workflow answers; every step is in its journal', async () => {
  await s.script('echo', [{ text: 'You are welcome.' }]);
  await s.agent('polite', { modelRef: { name: 'echo' }, instructions: { text: 'Be polite.' } });
  const run = await s.run('polite');
  expect((await s.t.finished(run.metadata.name)).status).toMatchObject({ phase: 'Succeeded', outputs: { answer: 'You are welcome.' } });
  expect(await s.journal(run)).toEqual(['RunStarted', 'ModelRequested', 'ModelCompleted', 'RunCompleted']);
});

/** A pod for the loop alone: `isolation: pod` on the node, as for any other node that a runner executes. */
const OWN_POD = { runner: { isolation: 'pod' } };
const TOOLS = { tools: [{ toolServerRef: { name: 'tools', include: ['count'] } }], policy: [{ match: 'true', decision: 'Allow' }] };

interface Pods { readonly items: readonly { readonly metadata: { readonly name: string } }[] }

async function podsOf(uid: string): Promise<readonly string[]> {
  const pods: Pods = JSON.parse(await s.t.stack.kubectl.run('get', 'pods', '-l', `rambo.dev/run-id=${uid}`, '-o', 'json'));
  return pods.items.map(({ metadata }) => metadata.name);
}

async function attempts(run: string): Promise<readonly { readonly attempt: number; readonly status: string; readonly pod: string | null; readonly runner: string | null }[]> {
  return s.t.sql('select attempt, status, pod, runner from attempt where run_id = $1::uuid order by attempt', [run]);
}

test('an agent in a pod of its own: it runs there, and the pod goes', async () => {
  await s.script('lone', [{ tools: [{ name: 'tools__count', arguments: { note: 'a' } }] }, { text: 'alone' }]);
  await s.agent('lone', { modelRef: { name: 'lone' }, ...TOOLS });
  const run = await s.run('lone', 'hello', OWN_POD);
  expect((await s.t.finished(run.metadata.name)).status).toMatchObject({ phase: 'Succeeded', outputs: { answer: 'alone' } });
  expect(await attempts(await s.id(run))).toEqual([{ attempt: 1, status: 'Succeeded', pod: expect.stringMatching(/^ask-/), runner: expect.stringMatching(/^ask-/) }]);
  expect(s.tools.hits().effects).toEqual({ count: 1 });
  await s.t.until('the pod to be removed', async () => (await podsOf(run.metadata.uid)).length === 0);
});

test('its pod is deleted in the middle of a model call: another pod goes on, the call is not made again', async () => {
  await s.script('slow', [{ tools: [{ name: 'tools__count', arguments: { note: 'b' } }] }, { text: 'at last', delayMs: 3_000 }]);
  await s.agent('slow', { modelRef: { name: 'slow' }, ...TOOLS });
  s.model.reset();
  const run = await s.run('slow', 'hello', OWN_POD);
  const id = await s.id(run);
  await s.t.until('the second answer to be asked for', async () => (await s.journal(run)).filter((kind) => kind === 'ModelRequested').length === 2);
  const [pod] = await podsOf(run.metadata.uid);
  await s.t.stack.kubectl.run('delete', 'pod', pod ?? '', '--grace-period=0', '--force', '--wait=false');
  expect((await s.t.finished(run.metadata.name)).status).toMatchObject({ phase: 'Succeeded', outputs: { answer: 'at last' } });
  const made = await attempts(id);
  expect(made.map(({ status }) => status)).toEqual(['Failed', 'Succeeded']);
  expect(made[0]?.pod).toBe(pod);
  expect(made[1]?.pod).not.toBe(pod);
  expect(await s.t.sql('select epoch from agent_run where id = $1::uuid', [agentRunId(id, 'ask', -1)])).toEqual([{ epoch: 2 }]);
  expect(await s.journal(run)).toEqual(['RunStarted', 'ModelRequested', 'ModelCompleted', 'ToolRequested', 'ToolDispatched', 'ToolCompleted', 'ModelRequested', 'ModelCompleted', 'RunCompleted']);
  expect(s.model.calls()).toHaveLength(2);
  expect(s.tools.hits().effects).toEqual({ count: 1 });
});
