import { agentRunId } from '../../../crds/agent-run.ts';
import { answerInput, decideApproval, getAgentRun, listApprovals, listDoubts, listInputs, openStore, settleDoubt, type Db } from '../../../prisma/store/index.ts';
import type { RunObject } from '../../harness/test-stack.ts';
import { AgentStack } from './stack-site.ts';

/** Tools of agents on a whole stack: what waits for a person or for another run holds no runner, and goes on when they are done. */

let s: AgentStack;
let db: Db;
beforeAll(async () => {
  s = await AgentStack.start();
  db = openStore({ url: s.t.addresses.databaseUrl, max: 2 });
  await s.t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'ToolServer', metadata: { name: 'bank', namespace: 'default' }, spec: {
    mcp: { url: s.tools.mcp }, tools: [{ name: 'charge', effect: 'AtMostOnce', risk: 'Destructive', timeout: '1s' }],
  } });
  await s.ready('toolserver', 'bank');
}, 1_200_000);
afterAll(async () => {
  await db.close();
  await s.stop();
});
beforeEach(() => { s.tools.reset(); });

async function agentRunOf(run: RunObject): Promise<string> {
  return agentRunId(await s.id(run), 'ask', -1);
}

async function waits(run: RunObject, phase: string): Promise<string> {
  const id = await agentRunOf(run);
  await s.t.until(`the agent run to be ${phase}, parked`, async () => {
    const row = await getAgentRun(db, id);
    return row?.phase === phase && row.parked ? true : undefined;
  });
  return id;
}

test('an agent as a tool of an agent: the parent waits without a runner and goes on with the child\'s output', async () => {
  await s.script('writer', [{ text: 'Roses are red.' }]);
  await s.agent('writer', { modelRef: { name: 'writer' }, instructions: { text: 'Write.' } });
  await s.script('boss', [{ tools: [{ name: 'agent__writer', arguments: { input: 'a poem' } }] }, { text: 'The poem: {{last}}' }]);
  await s.agent('boss', { modelRef: { name: 'boss' }, tools: [{ agentRef: { name: 'writer' } }] });
  const run = await s.run('boss');
  expect((await s.t.finished(run.metadata.name)).status).toMatchObject({ phase: 'Succeeded', outputs: { answer: 'The poem: Roses are red.' } });
  const kinds = await s.journal(run);
  expect(kinds.filter((kind) => kind.startsWith('Tool') || kind === 'Parked')).toEqual(['ToolRequested', 'ToolDispatched', 'Parked', 'ToolCompleted']);
  const [child] = await s.t.sql<{ principal: string; parent: string; depth: number }>('select r.principal, a.parent, a.depth from agent_call c join run r on r.id = c.child_run join agent_run a on a.run_id = r.id where c.agent_run = $1::uuid', [await agentRunOf(run)]);
  expect(child).toEqual({ principal: 'agent:default/boss', parent: await agentRunOf(run), depth: 1 });
});

test('a call that needs an approval waits parked, and is made once it is given', async () => {
  await s.script('payer', [{ tools: [{ name: 'bank__charge', arguments: { amount: 5 } }] }, { text: '{{last}}' }]);
  await s.agent('payer', { modelRef: { name: 'payer' }, tools: [{ toolServerRef: { name: 'bank', include: ['charge'] } }] });
  const run = await s.run('payer');
  const id = await waits(run, 'WaitingApproval');
  const { rows: [approval] } = await listApprovals(db, { namespace: 'default', agentRun: id, first: 1 });
  expect(s.tools.hits().calls).toEqual({});
  expect(await decideApproval(db, { namespace: 'default', approval: approval?.id ?? '', hash: approval?.hash ?? '', decision: 'Approve', by: 'user:ada', names: ['user:ada'], at: Date.now() })).toMatchObject({ ok: true });
  expect((await s.t.finished(run.metadata.name)).status).toMatchObject({ phase: 'Succeeded', outputs: { answer: 'charged 5, charge 1' } });
  expect(s.tools.hits().effects).toEqual({ charge: 1 });
});

test('a tool that asks a person waits parked, without a runner, and goes on with the answer', async () => {
  await s.script('host', [{ tools: [{ name: 'bank__book', arguments: { place: 'Luigi' } }] }, { text: '{{last}}' }]);
  await s.agent('host', { modelRef: { name: 'host' }, tools: [{ toolServerRef: { name: 'bank', include: ['book'] } }] });
  const run = await s.run('host');
  const id = await waits(run, 'WaitingInput');
  expect(await getAgentRun(db, id)).toMatchObject({ runner: null, awaited: 1 });
  const { rows: [input] } = await listInputs(db, { namespace: 'default', agentRun: id, first: 1 });
  expect(s.tools.hits().effects).toEqual({});
  expect(await answerInput(db, { namespace: 'default', input: input?.id ?? '', hash: input?.hash ?? '', answers: { seats: { action: 'accept', content: { seats: 4 } } }, by: 'user:ada', names: ['user:ada'], at: Date.now() })).toMatchObject({ ok: true, wake: { ready: true } });
  expect((await s.t.finished(run.metadata.name)).status).toMatchObject({ phase: 'Succeeded', outputs: { answer: 'booked Luigi for 4, booking 1' } });
  expect(s.tools.hits().effects).toEqual({ book: 1 });
});

test('a call whose answer is lost waits in doubt for a verdict', async () => {
  await s.script('doubter', [{ tools: [{ name: 'bank__charge', arguments: { amount: 6 } }] }, { text: '{{last}}' }]);
  await s.agent('doubter', { modelRef: { name: 'doubter' }, tools: [{ toolServerRef: { name: 'bank', include: ['charge'] } }], policy: [{ match: 'true', decision: 'Allow' }] });
  s.tools.set({ hangAfterCommit: 1 });
  const run = await s.run('doubter');
  const id = await waits(run, 'InDoubt');
  const { rows: [doubt] } = await listDoubts(db, { namespace: 'default', first: 10, agentRun: id });
  expect(doubt).toMatchObject({ tool: 'bank__charge' });
  expect(await settleDoubt(db, { namespace: 'default', agentRun: id, callId: doubt?.callId ?? '', verdict: 'Happened', result: 'charged, says the bank', by: 'user:ada', at: Date.now() })).toMatchObject({ ok: true });
  expect((await s.t.finished(run.metadata.name)).status).toMatchObject({ phase: 'Succeeded', outputs: { answer: 'charged, says the bank' } });
  expect(s.tools.hits().effects).toEqual({ charge: 1 });
});

test('a workflow as a tool whose own agent waits for a person: both wait without a runner, and both go on', async () => {
  await s.script('clerk', [{ tools: [{ name: 'bank__charge', arguments: { amount: 9 } }] }, { text: '{{last}}' }]);
  await s.agent('clerk', { modelRef: { name: 'clerk' }, tools: [{ toolServerRef: { name: 'bank', include: ['charge'] } }] });
  await s.t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'Workflow', metadata: { name: 'payment', namespace: 'default' }, spec: {
    inputs: { type: 'object', properties: {} }, nodes: [{ name: 'pay', type: 'agent', with: { agentRef: { name: 'clerk' }, input: 'pay' } }], outputs: { paid: '${{ nodes.pay.output }}' },
  } });
  await s.script('manager', [{ tools: [{ name: 'workflow__payment', arguments: {} }] }, { text: '{{last}}' }]);
  await s.agent('manager', { modelRef: { name: 'manager' }, tools: [{ workflowRef: { name: 'payment' } }] });
  const run = await s.run('manager');
  const id = await waits(run, 'Suspended');
  const child = await s.t.until('the agent below to wait', async () => (await s.t.sql<{ id: string }>("select id from agent_run where parent = $1::uuid and phase = 'WaitingApproval' and parked", [id]))[0]?.id);
  const { rows: [approval] } = await listApprovals(db, { namespace: 'default', agentRun: child, first: 1 });
  expect(await decideApproval(db, { namespace: 'default', approval: approval?.id ?? '', hash: approval?.hash ?? '', decision: 'Approve', by: 'user:ada', names: ['user:ada'], at: Date.now() })).toMatchObject({ ok: true });
  expect((await s.t.finished(run.metadata.name)).status).toMatchObject({ phase: 'Succeeded', outputs: { answer: '{"paid":"charged 9, charge 1"}' } });
});

test('an agent that leads back to itself through a workflow is refused where it is called', async () => {
  await s.t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'Workflow', metadata: { name: 'circle', namespace: 'default' }, spec: {
    inputs: { type: 'object', properties: {} }, nodes: [{ name: 'again', type: 'agent', with: { agentRef: { name: 'snake' }, input: 'bite' } }], outputs: { said: '${{ nodes.again.output }}' },
  } });
  await s.script('snake', [{ tools: [{ name: 'workflow__circle', arguments: {} }] }, { text: '{{last}}' }]);
  await s.agent('snake', { modelRef: { name: 'snake' }, tools: [{ workflowRef: { name: 'circle' } }] });
  const run = await s.run('snake');
  const { status } = await s.t.finished(run.metadata.name);
  expect(status).toMatchObject({ phase: 'Succeeded', outputs: { answer: expect.stringMatching(/workflow circle ended Failed: .*would call itself/) as string } });
  expect(await s.t.sql('select count(*)::int as runs from agent_run where agent = $1', ['snake'])).toEqual([{ runs: 1 }]);
});

test('cancelling the run ends the open call of an agent below, long before its time', async () => {
  await s.script('sleeper', [{ tools: [{ name: 'tools__slow', arguments: { ms: 55_000 } }] }, { text: 'no' }]);
  await s.agent('sleeper', { modelRef: { name: 'sleeper' }, tools: [{ toolServerRef: { name: 'tools', include: ['slow'] } }] });
  await s.script('waker', [{ tools: [{ name: 'agent__sleeper', arguments: { input: 'x' } }] }, { text: 'no' }]);
  await s.agent('waker', { modelRef: { name: 'waker' }, tools: [{ agentRef: { name: 'sleeper' } }] });
  const run = await s.run('waker');
  await waits(run, 'Suspended');
  await s.t.until('the call', () => Promise.resolve(s.tools.hits().calls['slow'] === 1));
  const began = performance.now();
  await s.t.stack.kubectl.run('patch', 'workflowrun', run.metadata.name, '-n', 'default', '--type=merge', '-p', '{"spec":{"cancel":"Graceful"}}');
  expect((await s.t.finished(run.metadata.name)).status).toMatchObject({ phase: 'Cancelled' });
  await s.t.until('the call to be given up', async () => (await s.t.sql<{ state: string }>("select c.state from agent_call c join agent_run a on a.id = c.agent_run where a.agent = 'sleeper'"))[0]?.state === 'Completed' || undefined);
  expect(performance.now() - began).toBeLessThan(40_000);
});

test('cancelling the parent cancels the child', async () => {
  await s.script('stuck', [{ text: 'never', fail: { kind: 'hang' } }]);
  await s.agent('stuck', { modelRef: { name: 'stuck' } });
  await s.script('patient', [{ tools: [{ name: 'agent__stuck', arguments: { input: 'x' } }] }, { text: 'no' }]);
  await s.agent('patient', { modelRef: { name: 'patient' }, tools: [{ agentRef: { name: 'stuck' } }] });
  const run = await s.run('patient');
  const id = await waits(run, 'Suspended');
  await s.t.stack.kubectl.run('patch', 'workflowrun', run.metadata.name, '-n', 'default', '--type=merge', '-p', '{"spec":{"cancel":"Graceful"}}');
  expect((await s.t.finished(run.metadata.name)).status).toMatchObject({ phase: 'Cancelled' });
  await s.t.until('the child to be cancelled', async () => {
    const [child] = await s.t.sql<{ phase: string }>('select r.phase from agent_call c join run r on r.id = c.child_run where c.agent_run = $1::uuid', [id]);
    return child?.phase === 'Cancelled' ? true : undefined;
  });
});
