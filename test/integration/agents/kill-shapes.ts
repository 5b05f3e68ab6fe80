import { randomUUID } from 'node:crypto';
import type { AgentStack } from './stack-site.ts';

/** A place where a process is killed: the `hit`th time (from 1) that any process comes by the point. */
export interface Kill {
  readonly point: string;
  readonly hit: number;
}

/** A kind of run that is broken at each of its points. */
export interface Shape {
  readonly name: string;
  readonly agent: string;
  /** Killed besides, in every run of this shape. */
  readonly before: readonly Kill[];
  /** When hits begin to count: at the start, or when a person has decided, after everything that held the run was killed while it waited. */
  readonly from: 'start' | 'decision';
  /** Whether it goes on with a conversation that has a turn already. */
  readonly conversation: boolean;
}

function shape(name: string, agent: string, more: Partial<Shape> = {}): Shape {
  return { name, agent, before: [], from: 'start', conversation: false, ...more };
}

/** The shapes of the matrix. */
export const SHAPES: readonly Shape[] = [
  shape('from the first step', 'first'),
  shape('with an approval', 'approval'),
  shape('after a runner was lost', 'first', { before: [{ point: 'runner.agent.model.after', hit: 1 }] }),
  shape('after all were lost while it waited', 'approval', { from: 'decision' }),
  shape('in the second turn of a conversation', 'first', { conversation: true }),
  shape('with parallel tools', 'parallel'),
  shape('with an agent below the agent', 'nested'),
  shape('with all that a run can meet', 'long'),
  shape('with a tool that asks a person twice', 'asking'),
];

/** Makes the agents of these shapes. Each calls `count` (keyed) and `charge` or `book` (not keyed) once. */
export async function makeAgents(s: AgentStack): Promise<void> {
  const tool = (name: string, given: object): { readonly name: string; readonly arguments: object } => ({ name: `tools__${name}`, arguments: given });
  const [count, charge] = [tool('count', { note: 'a' }), tool('charge', { amount: 5 })];
  await Promise.all([
    s.script('first', [{ tools: [count] }, { tools: [charge] }, { text: 'done' }]),
    s.script('parallel', [{ tools: [count, charge, tool('add', { a: 1, b: 2 })] }, { text: 'done' }]),
    s.script('asking', [{ tools: [count] }, { tools: [tool('book', { place: 'Luigi', rounds: 2 })] }, { text: 'done' }]),
    s.script('outer', [{ tools: [{ name: 'agent__first', arguments: { input: 'hello' } }] }, { text: 'done' }]),
    // Fails once, is summarised, overspends, answers what does not fit, and then what does.
    s.script('long', { summary: 'Somebody wants it done.', turns: [
      { tools: [count], usage: { input: 1_200, output: 10 }, fail: { kind: 'status', status: 503, times: 1 } }, { tools: [charge], usage: { input: 1_300, output: 10 } },
      { text: 'no JSON', usage: { input: 100, output: 10 } }, { json: { ok: true }, usage: { input: 100, output: 10 } },
    ] }),
  ]);
  const allow = [{ match: 'true', decision: 'Allow' }];
  const tools = [{ toolServerRef: { name: 'tools', include: ['count', 'charge', 'add'] } }];
  await Promise.all([
    s.agent('first', { modelRef: { name: 'first' }, tools, policy: allow }),
    s.agent('approval', { modelRef: { name: 'first' }, tools, policy: [{ match: 'tool.name == "tools/charge"', decision: 'RequireApproval' }, ...allow] }),
    s.agent('parallel', { modelRef: { name: 'parallel' }, tools, policy: allow }),
    s.agent('asking', { modelRef: { name: 'asking' }, tools: [{ toolServerRef: { name: 'tools', include: ['count', 'book'] } }], policy: allow }),
    s.agent('nested', { modelRef: { name: 'outer' }, tools: [{ agentRef: { name: 'first' }, description: 'Does it.' }], policy: allow }),
    s.agent('long', {
      modelRef: { name: 'long' }, tools, policy: allow, parameters: { maxOutputTokens: 100 }, budget: { tokens: 2_400, onExceeded: 'Pause' },
      memory: { compaction: { atTokens: 1_000, keepLast: 2 } }, outputSchema: { type: 'object', required: ['ok'], properties: { ok: { type: 'boolean' } } },
      guardrails: [{ name: 'tidy', stage: 'ToolResult', cel: 'true', action: 'Mutate', replace: { pattern: 'charged', with: 'paid' } }],
    }),
  ]);
}

/** The node of one run: input of its own, because a scripted failure strikes each prompt once. `turn` is a text that takes a turn of `conversation`. */
export function nodeOf({ agent, conversation }: Shape, thread: string, turn?: string): object {
  const input = turn ?? (conversation ? `[[scenario: ${agent}]] ${randomUUID()}` : `hello ${randomUUID()}`);
  return { with: { agentRef: { name: agent }, input, ...(conversation ? { conversation: thread } : {}) } };
}
