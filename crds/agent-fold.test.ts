import fc from 'fast-check';
import { foldAgentRun } from './agent-fold.ts';
import { agentRunId, type AgentEvent, type NewAgentEvent, parseAgentEvent } from './agent-run.ts';

function events(...list: readonly NewAgentEvent[]): readonly AgentEvent[] {
  return list.map((event, i) => ({ ...event, seq: i + 1, at: i }));
}

const started: NewAgentEvent = { kind: 'RunStarted', payload: { revision: 'r', input: { a: 1 }, instructions: 'Be kind.', history: [{ role: 'user', text: 'before' }, { role: 'assistant', text: 'yes' }] } };

function answered(step: number, text: string, callIds: readonly string[] = []): NewAgentEvent {
  return { kind: 'ModelCompleted', payload: {
    step, purpose: 'step', requestId: 'q', model: 'm', text, toolCalls: callIds.map((callId) => ({ callId, tool: 's__t', arguments: '{"n":1}' })), finish: 'stop',
    usage: { input: 10, cached: 0, cacheWrite: 0, output: 5, reasoning: 0 }, nano: '1', estimated: false, ms: 1,
  } };
}

function completed(callId: string, step = 1): NewAgentEvent {
  return { kind: 'ToolCompleted', payload: { step, callId, tool: 's__t', text: `result of ${callId}`, isError: false, bytes: 1, truncated: false, ms: 1 } };
}

function requested(callId: string, decision: 'Allow' | 'RequireApproval' = 'Allow'): NewAgentEvent {
  return { kind: 'ToolRequested', payload: { step: 1, callId, tool: 's__t', arguments: '{"n":1}', argsHash: 'h', key: 'k', effect: 'ReadOnly', decision } };
}

test('a run begins with its prompt, what the conversation brought, and its input as a message of its own', () => {
  expect(foldAgentRun(events(started))).toMatchObject({ phase: 'Running', step: 0, messages: [
    { role: 'system', text: 'Be kind.' }, { role: 'user', text: 'before' }, { role: 'assistant', text: 'yes' }, { role: 'user', text: '{"a":1}' },
  ] });
});

test('calls of an answer are pending until each has its result, in whatever order they come', () => {
  const two = events(started, answered(1, '', ['s1c1', 's1c2']), requested('s1c1'), completed('s1c2'));
  expect(foldAgentRun(two)).toMatchObject({ step: 1, contextTokens: 15, pending: [{ callId: 's1c1', state: 'Requested', step: 1 }] });
  expect(foldAgentRun([...two, ...events(completed('s1c1'))]).pending).toEqual([]);
});

test('results of parallel calls stand in the order of the calls, whichever ended first', () => {
  const calls = ['s1c1', 's1c2', 's1c3'];
  const inOrder = foldAgentRun(events(started, answered(1, '', calls), ...calls.map((callId) => completed(callId)))).messages;
  fc.assert(fc.property(fc.shuffledSubarray(calls, { minLength: 3 }), (ended) => {
    expect(foldAgentRun(events(started, answered(1, '', calls), ...ended.map((callId) => completed(callId)))).messages).toEqual(inOrder);
  }));
});

function asked(callId: string): NewAgentEvent {
  return { kind: 'InputRequested', payload: { step: 1, callId, tool: 't', input: 'i', round: 1, hash: 'h', expiresAt: 1, questions: [], answerers: [] } };
}

test('a call whose tool asks waits, and may be sent again once it is answered', () => {
  const before = [started, answered(1, '', ['s1c1']), requested('s1c1'), asked('s1c1')];
  expect(foldAgentRun(events(...before)).pending).toMatchObject([{ state: 'WaitingInput' }]);
  expect(foldAgentRun(events(...before, { kind: 'InputAnswered', payload: { step: 1, callId: 's1c1', input: 'i', how: 'Answered', by: 'p', answers: {} } })).pending).toMatchObject([{ state: 'Requested' }]);
});

test.each<[string, readonly NewAgentEvent[], string]>([
  ['an approval', [requested('s1c1', 'RequireApproval')], 'WaitingApproval'],
  ['a doubt before an approval', [requested('s1c1', 'RequireApproval'), { kind: 'ToolInDoubt', payload: { step: 1, callId: 's1c2', tool: 't', message: 'm' } }], 'InDoubt'],
  ['a tool that asks a person, before a child', [asked('s1c1'), { kind: 'ToolDispatched', payload: { step: 1, callId: 's1c2', tries: 1, childRun: 'x' } }], 'WaitingInput'],
  ['an approval before a question', [asked('s1c1'), requested('s1c2', 'RequireApproval')], 'WaitingApproval'],
  ['a child', [{ kind: 'ToolDispatched', payload: { step: 1, callId: 's1c1', tries: 1, childRun: 'x' } }], 'Suspended'],
  ['nothing of a tool: a budget', [], 'WaitingInput'],
])('parked for %s', (_, more, phase) => {
  const list: readonly NewAgentEvent[] = [started, answered(1, '', ['s1c1', 's1c2']), ...more, { kind: 'Parked', payload: { why: 'w' } }];
  expect(foldAgentRun(events(...list)).phase).toBe(phase);
  expect(foldAgentRun(events(...list, { kind: 'Woken', payload: { why: 'w' } })).phase).toBe('Running');
});

test('an approval that changes the arguments changes the call; a rejection leaves it to its result', () => {
  const decided = (decision: 'Approved' | 'Rejected', args?: string): NewAgentEvent => ({ kind: 'ApprovalDecided', payload: { step: 1, callId: 's1c1', approval: 'a', decision, by: 'p', ...(args === undefined ? {} : { arguments: args }) } });
  const before: readonly NewAgentEvent[] = [started, answered(1, '', ['s1c1']), requested('s1c1', 'RequireApproval')];
  expect(foldAgentRun(events(...before, decided('Approved', '{"n":2}'))).pending).toMatchObject([{ arguments: '{"n":2}', state: 'Requested' }]);
  expect(foldAgentRun(events(...before, decided('Rejected'))).pending).toMatchObject([{ arguments: '{"n":1}', state: 'WaitingApproval' }]);
});

test('compaction replaces the oldest messages and keeps prompt and rest', () => {
  const list = events(started, answered(1, 'one'), { kind: 'ContextCompacted', payload: { step: 1, messages: 3, summary: 'so far' } });
  expect(foldAgentRun(list).messages).toEqual([{ role: 'system', text: 'Be kind.' }, { role: 'user', text: 'so far' }, { role: 'assistant', text: 'one', toolCalls: [] }]);
});

test('a model call for another purpose is no step; a rejected output goes back to the model; the end stays', () => {
  const side = answered(1, 'summary');
  const list = events(started, side.kind === 'ModelCompleted' ? { kind: 'ModelCompleted', payload: { ...side.payload, purpose: 'compaction' } } : side,
    { kind: 'OutputRejected', payload: { step: 1, problems: 'p', message: 'again' } }, { kind: 'RunCompleted', payload: { phase: 'Failed', reason: 'OutputInvalid' } });
  expect(foldAgentRun(list)).toMatchObject({ step: 0, repairs: 1, phase: 'Failed', end: { reason: 'OutputInvalid' }, messages: [{}, {}, {}, {}, { role: 'user', text: 'again' }] });
});

test('the id of an agent run is a UUID that differs with each of its parts', () => {
  fc.assert(fc.property(fc.uuid(), fc.string({ minLength: 1 }), fc.integer({ min: -1, max: 1e5 }), (run, node, item) => {
    const id = agentRunId(run, node, item);
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-9[0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(agentRunId(run, node, item)).toBe(id);
    expect(new Set([id, agentRunId(run, `${node}x`, item), agentRunId(run, node, item + 1)]).size).toBe(3);
  }));
});

test('an event of an unknown kind, or with a payload that does not fit, is refused by name', () => {
  expect(() => parseAgentEvent(7, 0, 'Constructed', {})).toThrow(/event 7 has the unknown kind "Constructed"/);
  expect(() => parseAgentEvent(7, 0, 'toString', {})).toThrow(/unknown kind/);
  expect(() => parseAgentEvent(7, 0, 'Parked', {})).toThrow();
});
