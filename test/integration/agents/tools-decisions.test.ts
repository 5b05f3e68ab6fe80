import { randomUUID } from 'node:crypto';
import { foldAgentRun } from '../../../crds/agent-fold.ts';
import { appendToAgentRun, decideApproval, listApprovals, listDoubts, makeAccounts, raiseBudget, readAccounts, settleDoubt, waitingPhase, type ApprovalRow, type ApprovalVerdict } from '../../../prisma/store/index.ts';
import { NAMESPACE, textOf, toolsWorld, type Begun, type Gateway, type ToolsWorld } from './tools-kit.ts';

let world: ToolsWorld;
let gateway: Gateway;
beforeAll(async () => {
  world = await toolsWorld();
  gateway = world.gateway();
  await world.mirror('box', {
    mcp: { url: world.servers.mcp },
    tools: [{ name: 'charge', effect: 'AtMostOnce', risk: 'Destructive', timeout: '500ms' }, { name: 'add', effect: 'ReadOnly' }, { name: 'count', effect: 'KeyedIdempotent', idempotency: { meta: 'idempotencyKey' } }],
  });
});
afterAll(async () => { await world.close(); });
beforeEach(() => { world.servers.reset(); });

const BOX = { tools: [{ toolServerRef: { name: 'box', include: ['charge', 'add', 'count'] } }] };
const WAITING = { status: 200, body: { status: 'waiting', why: 'approval' } };

async function waiting(agent: object = BOX, amount = 5): Promise<{ readonly run: Begun; readonly approval: ApprovalRow }> {
  const run = await world.begin(agent, [['box__charge', { amount }]]);
  expect(await gateway.ask(run, 's1c1')).toEqual(WAITING);
  const { rows: [approval] } = await listApprovals(world.fixture.db, { namespace: NAMESPACE, agentRun: run.id, first: 10 });
  if (approval === undefined) throw new Error('no approval');
  return { run, approval };
}

function verdict(approval: ApprovalRow, over: Partial<ApprovalVerdict> = {}): ApprovalVerdict {
  return { namespace: NAMESPACE, approval: approval.id, hash: approval.hash, decision: 'Approve', by: 'user:ada', names: ['user:ada'], at: Date.now(), ...over };
}

describe('an approval', () => {
  test('is asked for by a destructive tool, shows what would be sent, and nothing is sent before', async () => {
    const { run, approval } = await waiting();
    expect(JSON.parse(Buffer.from(approval.preview).toString())).toMatchObject({ tool: 'box/charge', arguments: { amount: 5 }, reason: expect.stringMatching(/destructive/) });
    expect(await world.row(run)).toMatchObject({ awaited: 1, pendingApprovals: 1 });
    expect(await gateway.ask(run, 's1c1')).toEqual(WAITING);
    expect(world.servers.hits().calls).toEqual({});
    expect(await world.kinds(run)).toEqual(['ToolRequested', 'ApprovalRequested']);
    expect(foldAgentRun(await world.journal(run)).pending).toMatchObject([{ callId: 's1c1', state: 'WaitingApproval' }]);
  });

  test('given, sends exactly that call, once, with no gateway running when it is given', async () => {
    const { run, approval } = await waiting();
    expect(await decideApproval(world.fixture.db, verdict(approval))).toMatchObject({ ok: true, wake: { agentRun: run.id, node: 'ask', ready: true } });
    expect(await world.row(run)).toMatchObject({ awaited: 0, pendingApprovals: 0 });
    expect(textOf(await world.gateway().ask(run, 's1c1'))).toBe('charged 5, charge 1');
    expect(world.servers.hits().effects).toEqual({ charge: 1 });
    expect(await world.kinds(run)).toEqual(['ToolRequested', 'ApprovalRequested', 'ApprovalDecided', 'ToolDispatched', 'ToolCompleted']);
  });

  test('refused, answers the model and sends nothing', async () => {
    const { run, approval } = await waiting();
    expect(await decideApproval(world.fixture.db, verdict(approval, { decision: 'Reject', reason: 'too much' }))).toMatchObject({ ok: true });
    expect(textOf(await gateway.ask(run, 's1c1'))).toBe('The call was not made. A person rejected it: too much');
    expect(world.servers.hits().calls).toEqual({});
    expect(foldAgentRun(await world.journal(run)).pending).toEqual([]);
  });

  test('with other arguments is another call: checked, hashed and keyed anew', async () => {
    const { run, approval } = await waiting();
    expect(await decideApproval(world.fixture.db, verdict(approval, { arguments: { amount: 3 } }))).toMatchObject({ ok: true });
    expect(textOf(await gateway.ask(run, 's1c1'))).toBe('charged 3, charge 1');
    const { rows: [after] } = await listApprovals(world.fixture.db, { namespace: NAMESPACE, agentRun: run.id, first: 10 });
    expect(after).toMatchObject({ state: 'Approved', decidedBy: 'user:ada' });
    expect(after?.hash).not.toBe(approval.hash);
    expect(foldAgentRun((await world.journal(run)).slice(0, -2)).pending).toMatchObject([{ arguments: '{"amount":3}' }]);
  });

  test('with arguments that break the schema never leaves, although the decision was stored', async () => {
    const { run, approval } = await waiting();
    await decideApproval(world.fixture.db, verdict(approval, { arguments: { amount: -1 } }));
    expect(textOf(await gateway.ask(run, 's1c1'))).toMatch(/not made: its arguments are wrong.*minimum/);
    expect(world.servers.hits().calls).toEqual({});
  });

  test.each<readonly [string, (approval: ApprovalRow, other: ApprovalRow) => ApprovalVerdict, string]>([
    ['forged: another hash', (approval) => verdict(approval, { hash: 'f'.repeat(64) }), 'HashMismatch'],
    ['replayed: the hash of another call', (approval, other) => verdict(approval, { hash: other.hash }), 'HashMismatch'],
    ['of another namespace', (approval) => verdict(approval, { namespace: 'team-b' }), 'NotFound'],
    ['guessed: no such approval', (approval) => verdict(approval, { approval: randomUUID() }), 'NotFound'],
    ['late', (approval) => verdict(approval, { at: approval.expiresAt }), 'Expired'],
    ['with a list for arguments', (approval) => verdict(approval, { arguments: [1] }), 'InvalidArguments'],
    ['rejected with arguments', (approval) => verdict(approval, { decision: 'Reject', arguments: { amount: 1 } }), 'InvalidArguments'],
  ])('%s is refused and changes nothing', async (_what, decide, code) => {
    const { run, approval } = await waiting();
    const { approval: other } = await waiting(BOX, 6);
    expect(await decideApproval(world.fixture.db, decide(approval, other))).toMatchObject({ ok: false, code });
    expect(await gateway.ask(run, 's1c1')).toEqual(WAITING);
    expect(await world.row(run)).toMatchObject({ awaited: 1, pendingApprovals: 1, seq: 4 });
  });

  test('by somebody who is no approver is refused; by a group that is one it is taken', async () => {
    const { approval } = await waiting({ ...BOX, policy: [{ match: 'tool.changing', decision: 'RequireApproval', approvers: ['finance'] }] });
    expect(await decideApproval(world.fixture.db, verdict(approval))).toMatchObject({ ok: false, code: 'NotAnApprover' });
    expect(await decideApproval(world.fixture.db, verdict(approval, { names: ['user:ada', 'finance'] }))).toMatchObject({ ok: true });
  });

  test('decided many times at once is decided once', async () => {
    const { run, approval } = await waiting();
    const outcomes = await Promise.all(Array.from({ length: 8 }, (_, i) => decideApproval(world.fixture.db, verdict(approval, { decision: i % 2 === 0 ? 'Approve' : 'Reject', by: `user:${i}` }))));
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    for (const outcome of outcomes) if (!outcome.ok) expect(outcome).toMatchObject({ code: 'AlreadyDecided', decided: { by: expect.stringMatching(/^user:/) } });
    expect((await world.kinds(run)).filter((kind) => kind === 'ApprovalDecided')).toHaveLength(1);
    expect(await world.row(run)).toMatchObject({ awaited: 0 });
  });

  test('nobody gave in time is a refusal, and the node is woken', async () => {
    const { run, approval } = await waiting({ ...BOX, policy: [{ match: 'true', decision: 'RequireApproval', timeout: '1ms' }] });
    const own = world.gateway();
    await own.half.sweep();
    expect(textOf(await gateway.ask(run, 's1c1'))).toMatch(/nobody decided in time/);
    expect(own.commands).toContainEqual({ v: 1, verb: 'wake', runId: run.runId, node: 'ask', item: -1 });
    expect(await decideApproval(world.fixture.db, verdict(approval))).toMatchObject({ ok: false, code: 'Expired' });
    expect(world.servers.hits().calls).toEqual({});
  });

  test('of a call that was changed behind its back is void', async () => {
    const { run, approval } = await waiting();
    await decideApproval(world.fixture.db, verdict(approval));
    await world.sql("UPDATE agent_call SET arguments = $2::bytea WHERE agent_run = $1::uuid", [run.id, Buffer.from('{"amount":999}')]);
    expect(textOf(await gateway.ask(run, 's1c1'))).toMatch(/what was approved is not what would be sent/);
    expect(world.servers.hits().calls).toEqual({});
  });

  test('of a tool whose schema changed after it was given does not let the new one through', async () => {
    const { run, approval } = await waiting();
    await decideApproval(world.fixture.db, verdict(approval));
    await world.sql("UPDATE tool_server SET tools = convert_to(replace(convert_from(tools, 'UTF8'), $2, 'other'), 'UTF8') WHERE name = $1", ['box', run.spec.tools.find(({ tool }) => tool === 'charge')?.schemaHash]);
    expect(textOf(await world.gateway().ask(run, 's1c1'))).toMatch(/ToolChanged/);
    expect(world.servers.hits().calls).toEqual({});
    await world.mirror('box', {
      mcp: { url: world.servers.mcp },
      tools: [{ name: 'charge', effect: 'AtMostOnce', risk: 'Destructive', timeout: '500ms' }, { name: 'add', effect: 'ReadOnly' }, { name: 'count', effect: 'KeyedIdempotent', idempotency: { meta: 'idempotencyKey' } }],
    });
    gateway = world.gateway();
  });

  test('of an ended run is void', async () => {
    const { run, approval } = await waiting();
    await end(run);
    expect(await decideApproval(world.fixture.db, verdict(approval))).toMatchObject({ ok: false, code: 'RunEnded' });
    await gateway.half.sweep();
    expect((await listApprovals(world.fixture.db, { namespace: NAMESPACE, agentRun: run.id, first: 1 })).rows).toMatchObject([{ state: 'Voided' }]);
  });

  test('holds only the call it is about: others of the same answer go on', async () => {
    const run = await world.begin(BOX, [['box__charge', { amount: 1 }], ['box__add', { a: 1, b: 2 }]]);
    expect(await Promise.all([gateway.ask(run, 's1c1'), gateway.ask(run, 's1c2')])).toMatchObject([WAITING, { body: { result: { text: '3' } } }]);
    expect(await world.row(run)).toMatchObject({ awaited: 1 });
  });

  test('asked for by a guardrail holds a call that the policy allows', async () => {
    const guardrails = [{ name: 'ask', stage: 'ToolCall', tools: ['box/count'], cel: 'true', action: 'RequireApproval', message: 'look first' }];
    const run = await world.begin({ ...BOX, guardrails, policy: [{ match: 'true', decision: 'Allow' }] }, [['box__count', { note: 'n' }]]);
    expect(await gateway.ask(run, 's1c1')).toEqual(WAITING);
    const { rows: [approval] } = await listApprovals(world.fixture.db, { namespace: NAMESPACE, state: 'Pending', agentRun: run.id, first: 1 });
    if (approval === undefined) throw new Error('no approval');
    await decideApproval(world.fixture.db, verdict(approval));
    expect(textOf(await gateway.ask(run, 's1c1'))).toBe('count is 1');
  });
});

async function end(run: Begun): Promise<void> {
  await appendToAgentRun(world.fixture.db, run.id, Date.now(), async () => ({ events: [{ kind: 'RunCompleted', payload: { phase: 'Cancelled' } }], set: { phase: 'Cancelled', awaited: 0 }, result: undefined }));
}

describe('a call in doubt', () => {
  async function inDoubt(): Promise<Begun> {
    const { run, approval } = await waiting();
    await decideApproval(world.fixture.db, verdict(approval));
    world.servers.set({ hangAfterCommit: 1 });
    expect(await gateway.ask(run, 's1c1')).toEqual({ status: 200, body: { status: 'waiting', why: 'inDoubt' } });
    expect(foldAgentRun([...await world.journal(run), { seq: 99, at: 0, kind: 'Parked', payload: { why: 'inDoubt' } }]).phase).toBe('InDoubt');
    return run;
  }
  const settle = (run: Begun, over: Partial<Parameters<typeof settleDoubt>[1]> = {}): ReturnType<typeof settleDoubt> =>
    settleDoubt(world.fixture.db, { namespace: NAMESPACE, agentRun: run.id, callId: 's1c1', verdict: 'Happened', by: 'user:ada', at: Date.now(), ...over });

  test('is listed, and that it happened is its result', async () => {
    const run = await inDoubt();
    expect((await listDoubts(world.fixture.db, { namespace: NAMESPACE, first: 10, agentRun: run.id })).rows).toMatchObject([{ callId: 's1c1', tool: 'box__charge' }]);
    expect(await settle(run, { result: 'charged, see invoice 7' })).toMatchObject({ ok: true, wake: { ready: true } });
    expect(textOf(await gateway.ask(run, 's1c1'))).toBe('charged, see invoice 7');
    expect(world.servers.hits().effects).toEqual({ charge: 1 });
    expect(await settle(run)).toMatchObject({ ok: false, code: 'NotInDoubt' });
  });

  test('that did not happen is sent again, as it was approved', async () => {
    const run = await inDoubt();
    expect(await settle(run, { verdict: 'DidNotHappen' })).toMatchObject({ ok: true });
    expect(textOf(await gateway.ask(run, 's1c1'))).toBe('charged 5, charge 2');
    expect((await world.kinds(run)).slice(-5)).toEqual(['ToolDispatched', 'ToolInDoubt', 'DoubtSettled', 'ToolDispatched', 'ToolCompleted']);
  });

  test('may end the run', async () => {
    const run = await inDoubt();
    expect(await settle(run, { verdict: 'Stop' })).toMatchObject({ ok: true, wake: { phase: 'Failed', ready: true } });
    expect(await gateway.ask(run, 's1c1')).toMatchObject({ status: 409, body: { ended: { phase: 'Failed', reason: 'StoppedInDoubt' } } });
    expect(await settle(run, { verdict: 'Happened' })).toMatchObject({ ok: false, code: 'RunEnded' });
  });

  test('is settled by nobody of another namespace, and not twice at once', async () => {
    const run = await inDoubt();
    expect(await settle(run, { namespace: 'team-b' })).toMatchObject({ ok: false, code: 'NotFound' });
    expect(await settle(run, { agentRun: randomUUID() })).toMatchObject({ ok: false, code: 'NotFound' });
    expect(await settle(run, { verdict: 'DidNotHappen', result: 'x' })).toMatchObject({ ok: false, code: 'InvalidArguments' });
    const outcomes = await Promise.all([settle(run), settle(run, { verdict: 'DidNotHappen' }), settle(run)]);
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    expect(await world.row(run)).toMatchObject({ awaited: 0 });
  });
});

test('a parked run says what it still waits for as one thing after the other is settled', async () => {
  const run = await world.begin(BOX, [['box__charge', { amount: 1 }], ['box__charge', { amount: 2 }]]);
  expect([await gateway.ask(run, 's1c1'), await gateway.ask(run, 's1c2')]).toEqual([WAITING, WAITING]);
  const { rows: approvals } = await listApprovals(world.fixture.db, { namespace: NAMESPACE, agentRun: run.id, first: 10 });
  const [first, second] = ['s1c1', 's1c2'].map((callId) => approvals.find((approval) => approval.callId === callId));
  if (first === undefined || second === undefined) throw new Error('no approvals');
  await decideApproval(world.fixture.db, verdict(first));
  world.servers.set({ hangAfterCommit: 1 });
  expect(await gateway.ask(run, 's1c1')).toEqual({ status: 200, body: { status: 'waiting', why: 'inDoubt' } });
  await appendToAgentRun(world.fixture.db, run.id, Date.now(), async (_row, tx) => ({ events: [{ kind: 'Parked', payload: { why: 'x' } }], set: { parked: true, phase: await waitingPhase(tx, run.id) }, result: undefined }));
  expect(await world.row(run)).toMatchObject({ phase: 'InDoubt', awaited: 2 });
  expect(await settleDoubt(world.fixture.db, { namespace: NAMESPACE, agentRun: run.id, callId: 's1c1', verdict: 'Happened', by: 'user:ada', at: Date.now() })).toMatchObject({ ok: true, wake: { ready: false, phase: 'WaitingApproval' } });
  expect(await decideApproval(world.fixture.db, verdict(second, { decision: 'Reject' }))).toMatchObject({ ok: true, wake: { ready: true } });
});

describe('a raised budget', () => {
  test('lets every run go on that waits for it, and nobody of another namespace raises it', async () => {
    const account = `ns:${NAMESPACE}:${randomUUID()}`;
    await makeAccounts(world.fixture.db, [{ key: account, namespace: NAMESPACE, level: 'NamespaceDay', limit: { tokens: 10, nano: null } }]);
    const runs = [await world.begin(BOX, [], { accounts: [account] }), await world.begin(BOX, [], { accounts: [account] }), await world.begin(BOX, [], { accounts: [account] })];
    for (const run of runs.slice(0, 2)) await appendToAgentRun(world.fixture.db, run.id, Date.now(), async () => ({ events: [], set: { awaited: 1, reason: 'BudgetPaused' }, result: undefined }));
    const raise = { namespace: NAMESPACE, account, limit: { tokens: 100, nano: 5n }, by: 'user:ada', at: Date.now() };
    expect(await raiseBudget(world.fixture.db, { ...raise, namespace: 'team-b' })).toMatchObject({ ok: false, code: 'NotFound' });
    expect(await raiseBudget(world.fixture.db, { ...raise, limit: { tokens: -1, nano: null } })).toMatchObject({ ok: false, code: 'NotRaised' });
    const raised = await raiseBudget(world.fixture.db, raise);
    expect(raised.ok ? raised.wakes.map(({ agentRun, ready }) => [agentRun, ready]).sort() : raised).toEqual(runs.slice(0, 2).map(({ id }) => [id, true]).sort());
    expect(await readAccounts(world.fixture.db, [account])).toMatchObject([{ limit: { tokens: 100, nano: 5n } }]);
    expect(await raiseBudget(world.fixture.db, raise)).toEqual({ ok: true, wakes: [] });
  });
});

describe('workflows and agents as tools', () => {
  const agent = { tools: [{ workflowRef: { name: 'report' } }, { agentRef: { name: 'writer' } }] };
  const over = async (run: string, phase: string, outputs: object | null, error: object | null = null): Promise<void> => {
    await world.sql('UPDATE run SET phase = $2, outputs = $3::bytea, error = $4::bytea, finished_at = now() WHERE id = $1::uuid', [run, phase, outputs === null ? null : Buffer.from(JSON.stringify(outputs)), error === null ? null : Buffer.from(JSON.stringify(error))]);
  };
  test('a workflow is started once, the run waits without a runner, and its outputs are the result', async () => {
    const run = await world.begin(agent, [['workflow__report', { month: 'May' }]]);
    const own = world.gateway();
    expect(await own.ask(run, 's1c1')).toEqual({ status: 200, body: { status: 'waiting', why: 'child' } });
    const [start] = own.commands;
    expect(start).toMatchObject({ verb: 'start', workflow: 'report', input: '{"month":"May"}', principal: `agent:${NAMESPACE}/helper`, namespace: NAMESPACE });
    expect(await own.ask(run, 's1c1')).toEqual({ status: 200, body: { status: 'waiting', why: 'child' } });
    await own.half.sweep();
    expect(own.commands).toHaveLength(1);
    await over(String(start?.['runId']), 'Succeeded', { total: 3 });
    await own.half.changed(String(start?.['runId']));
    expect(own.commands.at(-1)).toMatchObject({ verb: 'wake', runId: run.runId });
    expect(JSON.parse(textOf(await own.ask(run, 's1c1')))).toEqual({ total: 3 });
    expect(await world.kinds(run)).toEqual(['ToolRequested', 'ToolDispatched', 'ToolCompleted']);
    expect(await world.row(run)).toMatchObject({ awaited: 0, toolCalls: 1 });
  });

  test('an agent gets its input as data, and its output is the result; the sweep finds the end alone', async () => {
    const run = await world.begin(agent, [['agent__writer', { input: 'write ${{ run.id }}' }]]);
    const own = world.gateway();
    await own.ask(run, 's1c1');
    const [start] = own.commands;
    expect(JSON.parse(String(start?.['inline']))).toMatchObject({ nodes: [{ type: 'agent', with: { agentRef: { name: 'writer' } } }] });
    expect(JSON.parse(String(start?.['input']))).toEqual({ input: 'write ${{ run.id }}' });
    await over(String(start?.['runId']), 'Succeeded', { output: 'a poem' });
    await world.gateway().half.sweep();
    expect(textOf(await own.ask(run, 's1c1'))).toBe('a poem');
  });

  test('what the controller refuses, and what fails, is an error of the tool', async () => {
    const run = await world.begin(agent, [['workflow__report', { a: 1 }], ['workflow__report', { a: 2 }]]);
    const own = world.gateway({}, () => ({ v: 1, ok: false, code: 'NotFound', message: 'workflow report does not exist' }));
    expect(textOf(await own.ask(run, 's1c1'))).toMatch(/could not be started: workflow report does not exist/);
    const other = world.gateway();
    await other.ask(run, 's1c2');
    const id = String(other.commands[0]?.['runId']);
    await over(id, 'Failed', null, { class: 'User', reason: 'NodeFailed', message: 'it broke' });
    expect(textOf(await other.ask(run, 's1c2'))).toBe('The workflow report ended Failed: NodeFailed: it broke');
  });

  test('one that somebody cancels is an error of the tool, and the run goes on', async () => {
    const run = await world.begin(agent, [['workflow__report', { a: 3 }]]);
    const own = world.gateway();
    await own.ask(run, 's1c1');
    await over(String(own.commands[0]?.['runId']), 'Cancelled', null);
    await own.half.changed(String(own.commands[0]?.['runId']));
    expect(textOf(await own.ask(run, 's1c1'))).toBe('The workflow report ended Cancelled');
    expect(await world.row(run)).toMatchObject({ awaited: 0, finishedAt: null });
  });

  test('a start that got lost is sent again, the same one; a run that vanished is not started again', async () => {
    const run = await world.begin(agent, [['workflow__report', {}]]);
    const deaf = world.gateway({}, () => undefined);
    expect(await deaf.ask(run, 's1c1')).toEqual({ status: 200, body: { status: 'waiting', why: 'child' } });
    const own = world.gateway({}, () => ({ v: 1, ok: true }));
    await own.half.sweep();
    const ours = own.commands.filter(({ verb, runId }) => verb === 'start' && runId === deaf.commands[0]?.['runId']);
    expect(ours).toEqual([deaf.commands[0]]);
    await own.half.sweep();
    expect(textOf(await own.ask(run, 's1c1'))).toMatch(/is gone/);
  });

  test('a child of an ended run is cancelled', async () => {
    const run = await world.begin(agent, [['workflow__report', {}]]);
    const own = world.gateway();
    await own.ask(run, 's1c1');
    const id = String(own.commands[0]?.['runId']);
    await end(run);
    await own.half.sweep();
    expect(own.commands.at(-1)).toMatchObject({ verb: 'cancel', runId: id, mode: 'Graceful' });
    await over(id, 'Cancelled', null);
    await own.half.sweep();
    expect(await world.sql('SELECT state FROM agent_call WHERE agent_run = $1::uuid', [run.id])).toEqual([{ state: 'Completed' }]);
  });

  test('one call that cannot be looked at does not stand in the way of the others', async () => {
    const [broken, fine] = [await world.begin(agent, [['workflow__report', { n: 1 }]]), await world.begin(agent, [['workflow__report', { n: 2 }]])];
    const own = world.gateway();
    await own.ask(broken, 's1c1');
    await own.ask(fine, 's1c1');
    await world.sql("UPDATE agent_run SET revision = 'none' WHERE id = $1::uuid", [broken.id]);
    for (const { runId } of own.commands) await over(String(runId), 'Succeeded', { n: 1 });
    await world.gateway().half.sweep();
    expect(await world.row(fine)).toMatchObject({ awaited: 0 });
    expect(await world.row(broken)).toMatchObject({ awaited: 1 });
  });

  test('agents below agents end at maxDepth, and one that leads back to itself at once', async () => {
    const deep = await world.begin({ ...agent, limits: { maxDepth: 1 } }, [['agent__writer', { input: 'x' }]], { depth: 1 });
    expect(textOf(await gateway.ask(deep, 's1c1'))).toMatch(/at most 1 deep/);
    const parent = await world.begin(agent, [], { agent: 'writer' });
    const child = await world.begin(agent, [['agent__writer', { input: 'x' }]], { parent: parent.id, depth: 1 });
    expect(textOf(await gateway.ask(child, 's1c1'))).toMatch(/would call itself/);
    expect(gateway.commands.filter(({ verb }) => verb === 'start')).toEqual([]);
  });
});
