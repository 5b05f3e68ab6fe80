import type { AgentEvent, NewAgentEvent } from '../../crds/agent-run.ts';
import { AgentFold } from '../../crds/agent-fold.ts';
import { requestHash } from '../../crds/agent-request.ts';
import { revisionSpecSchema, type RevisionSpec } from '../../crds/agent-revision.ts';
import { replayAgentRun } from './replay.ts';

function revision(over: Partial<RevisionSpec> = {}): RevisionSpec {
  return revisionSpecSchema.parse({
    v: 1, namespace: 'default', instructions: 'Be kind.', models: ['m'], parameters: { maxOutputTokens: 100 }, policy: [],
    tools: [{ name: 's__t', display: 's/t', kind: 'mcp', server: 's', tool: 't', description: 'd', inputSchema: { type: 'object' }, schemaHash: 'h', effect: 'ReadOnly', risk: 'Normal', timeoutMs: 1, bind: {} }],
    limits: { maxSteps: 5, timeoutMs: 1, parallelTools: 1, maxDepth: 1, repeatWindow: 3, outputRepairs: 1 }, budget: { onExceeded: 'Stop' }, dailyBudget: {}, guardrails: [], memory: {},
    trust: { untrustedInput: false, sensitiveData: false, outsideChange: false }, ...over,
  });
}

/** A journal of two steps with a tool call between them, its requests hashed as the gateway hashes them. */
function journal(of: RevisionSpec): readonly AgentEvent[] {
  const fold = new AgentFold();
  const out: AgentEvent[] = [];
  const add = (event: NewAgentEvent): void => {
    const placed = { ...event, seq: out.length + 1, at: out.length } as AgentEvent;
    out.push(placed);
    fold.add(placed);
  };
  const ask = (step: number): void => {
    add({ kind: 'ModelRequested', payload: { step, purpose: 'step', requestId: `q${step}`, requestHash: requestHash({ messages: fold.state.messages, tools: of.tools, parameters: of.parameters }), model: 'm', reserved: { tokens: 1, nano: '0' } } });
  };
  const answer = (step: number, text: string, calls: readonly string[]): void => {
    add({ kind: 'ModelCompleted', payload: {
      step, purpose: 'step', requestId: `q${step}`, model: 'm', text, toolCalls: calls.map((callId) => ({ callId, tool: 's__t', arguments: '{}' })), finish: 'stop',
      usage: { input: 1, cached: 0, cacheWrite: 0, output: 1, reasoning: 0 }, nano: '0', estimated: false, ms: 1,
    } });
  };
  add({ kind: 'RunStarted', payload: { revision: 'r', input: 'hello', instructions: of.instructions, history: [] } });
  ask(1);
  answer(1, '', ['s1c1']);
  add({ kind: 'ToolCompleted', payload: { step: 1, callId: 's1c1', tool: 's__t', text: 'result', isError: false, bytes: 6, truncated: false, ms: 1 } });
  ask(2);
  answer(2, 'done', []);
  add({ kind: 'RunCompleted', payload: { phase: 'Succeeded', output: 'done' } });
  return out;
}

test('a journal replays alike with its own revision, calling nothing', () => {
  expect(replayAgentRun(journal(revision()), revision())).toEqual({ alike: 2, tools: 1 });
});

test.each<[string, Partial<RevisionSpec>]>([
  ['another prompt', { instructions: 'Be brief.' }],
  ['a tool described otherwise', { tools: revision().tools.map((tool) => ({ ...tool, description: 'other' })) }],
  ['another temperature', { parameters: { maxOutputTokens: 100, temperature: 0.5 } }],
])('%s differs from the first step on', (_, over) => {
  expect(replayAgentRun(journal(revision()), revision(over))).toMatchObject({ alike: 0, divergence: { seq: 2, step: 1 } });
});

test('a tool result that was changed shows at the next request', () => {
  const changed = journal(revision()).map((event) => (event.kind === 'ToolCompleted' ? { ...event, payload: { ...event.payload, text: 'forged' } } : event));
  expect(replayAgentRun(changed, revision())).toMatchObject({ alike: 1, tools: 1, divergence: { step: 2 } });
});

test('what does not reach the model does not count: order of tools, limits, policy', () => {
  const two = revision({ tools: [...revision().tools, { ...revision().tools[0], name: 'a__b' }] as RevisionSpec['tools'] });
  expect(replayAgentRun(journal(two), { ...two, tools: [...two.tools].reverse(), limits: { ...two.limits, maxSteps: 9 }, policy: [{ match: 'true', decision: 'Deny', approvers: [], timeoutMs: 1 }] })).toEqual({ alike: 2, tools: 1 });
});
