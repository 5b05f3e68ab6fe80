import type { NodeSpec } from '../crds/node.ts';
import type { WorkflowSpec } from '../crds/workflow.ts';
import { compile } from './compile/compile.ts';
import type { Compiled } from './compile/plan.ts';
import { advance } from './run/advance.ts';
import { createRun, type RunState } from './run/state.ts';
import { nodeRows } from './run/views.ts';
import { compileSchemas } from './schema/prepare.ts';
import { NO_ITEM, type Command, type Dispatch, type Json, type NodeError, type NodeRow, type RunMeta, type Step } from './types.ts';

/** Builders for tests: of this room, and of rooms above that need a compiled workflow. No product code imports this file. */

/** A run's facts for tests. */
export const META: RunMeta = {
  id: '01890000-0000-7000-8000-000000000001', name: 'run-1', namespace: 'team-a', workflowName: 'demo', workflowLabels: { tier: 'gold' },
  input: { n: 4, name: 'ada', list: [1, 2, 3] }, priority: 0,
};

/** A script node, the simplest that is dispatched. */
export function script(name: string, more: Partial<NodeSpec> = {}): NodeSpec {
  return { name, type: 'script', with: { language: 'bash', source: 'true' }, ...more };
}

/** A transform node with an output. */
export function transform(name: string, output: unknown, more: Partial<NodeSpec> = {}): NodeSpec {
  return { name, type: 'transform', with: { output }, ...more };
}

/** Compiles a workflow that has to be right. */
export function compiled(nodes: NodeSpec[], more: Partial<WorkflowSpec> = {}): Compiled {
  const result = compile({ nodes, ...more });
  if (!result.ok) throw new Error(result.problems.map((problem) => `${problem.reason}: ${problem.message}`).join('\n'));
  result.compiled.validators ??= { outputs: new Map() };
  return result.compiled;
}

/** Compiles a workflow with JSON Schemas and prepares them. */
export async function prepared(nodes: NodeSpec[], more: Partial<WorkflowSpec> = {}): Promise<Compiled> {
  const result = compile({ nodes, ...more });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  await compileSchemas(result.compiled);
  return result.compiled;
}

/** The same definition with some of its script nodes as agents, for tests of what the engine does with agents alone. */
export function asAgents(definition: Compiled, names: RegExp): Compiled {
  return { ...definition, nodes: definition.nodes.map((plan) => (plan.type === 'script' && names.test(plan.name) ? { ...plan, type: 'agent' as const } : plan)) };
}

/** A run with a clock of its own, driven step by step. */
export class Harness {
  readonly state: RunState;
  readonly steps: Step[] = [];
  now = 1_000;

  constructor(definition: Compiled, meta: Partial<RunMeta> = {}) {
    this.state = createRun(definition, { ...META, ...meta });
  }

  send(event: Parameters<typeof advance>[1]): Step {
    const step = advance(this.state, event, this.now);
    this.steps.push(step);
    return step;
  }

  start(): Step {
    return this.send({ type: 'Start' });
  }

  take(node: string, item = NO_ITEM): Step {
    return this.send({ type: 'Taken', node, item, attempt: this.row(node, item).attempt, at: this.now });
  }

  ok(node: string, output: Json = null, item = NO_ITEM): Step {
    return this.send({ type: 'Succeeded', node, item, attempt: this.row(node, item).attempt, output });
  }

  fail(node: string, error: Partial<NodeError> = {}, item = NO_ITEM): Step {
    return this.send({ type: 'Failed', node, item, attempt: this.row(node, item).attempt, error: { class: 'User', reason: 'ExitCode', message: 'exit code 1', ...error } });
  }

  park(node: string, why = 'approval', item = NO_ITEM): Step {
    return this.send({ type: 'Parked', node, item, attempt: this.row(node, item).attempt, why });
  }

  wake(node: string, item = NO_ITEM): Step {
    return this.send({ type: 'Wake', node, item });
  }

  /** Moves the clock and fires one timer. */
  fire(timer: string, at: number): Step {
    this.now = Math.max(this.now, at);
    return this.send({ type: 'Timer', timer });
  }

  row(node: string, item = NO_ITEM): NodeRow {
    return nodeRows(this.state).find((row) => row.node === node && row.item === item) ?? { node, item, status: 'Pending', attempt: 0, retries: 0, infra: 0 };
  }

  status(node: string, item = NO_ITEM): string {
    return this.row(node, item).status;
  }

  /** Status of every node by name, forEach parents included, items left out. */
  statuses(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.state.compiled.nodes.map((node) => [node.name, this.status(node.name)]));
  }
}

/** The dispatches of a step. */
export function dispatches(step: Step): readonly Dispatch[] {
  return step.commands.flatMap((command) => (command.type === 'Dispatch' ? [command.dispatch] : []));
}

/** Commands of one type. */
export function commandsOf<T extends Command['type']>(step: Step, type: T): readonly Extract<Command, { type: T }>[] {
  return step.commands.filter((command): command is Extract<Command, { type: T }> => command.type === type);
}
