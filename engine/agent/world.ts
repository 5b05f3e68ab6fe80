import type { AgentSpec } from '../../crds/agent.ts';
import type { KnownTool } from '../../crds/agent-revision.ts';
import type { ModelSpec } from '../../crds/model.ts';
import type { ToolServerSpec } from '../../crds/tool-server.ts';

/** What an agent refers to, as its namespace has it. Every lookup answers at once: whoever resolves has loaded it before. */
export interface AgentWorld {
  readonly namespace: string;
  /** Name of the agent that is resolved; absent for an inline one. */
  readonly agent?: string;
  /** Text of the system prompt; undefined where its ConfigMap or the key in it is missing. */
  readonly instructions: string | undefined;
  model(name: string): ModelSpec | undefined;
  toolServer(name: string): ToolServerView | undefined;
  workflow(name: string): WorkflowView | undefined;
  /** Spec of an Agent of the namespace, as written: for its input, and to find cycles. */
  agentSpec(name: string): AgentSpec | undefined;
}

/** A ToolServer as agents see it. */
export interface ToolServerView {
  readonly spec: ToolServerSpec;
  /** Undefined until its tools were found. */
  readonly tools?: readonly KnownTool[] | undefined;
  /** Why it offers none, in the words of its condition. */
  readonly problem?: string | undefined;
}

/** A Workflow as a tool. */
export interface WorkflowView {
  readonly description?: string | undefined;
  readonly inputs?: unknown;
  /** Why it cannot run, where it cannot. */
  readonly problem?: string | undefined;
}

/** Names of all that a spec refers to: what has to be loaded before it is resolved. */
export interface AgentReferences {
  readonly models: readonly string[];
  readonly toolServers: readonly string[];
  readonly workflows: readonly string[];
  readonly agents: readonly string[];
  readonly configMap?: { readonly name: string; readonly key: string };
}

/** All that a spec names itself. Fallbacks of its model and agents of its agents come with those. */
export function agentReferences(spec: AgentSpec): AgentReferences {
  const names = (of: (source: NonNullable<AgentSpec['tools']>[number]) => string | undefined): readonly string[] =>
    [...new Set((spec.tools ?? []).map(of).filter((name) => name !== undefined))];
  const judges = (spec.guardrails ?? []).map((guardrail) => guardrail.model?.modelRef.name).filter((name) => name !== undefined);
  const configMap = spec.instructions?.configMapKeyRef;
  return {
    models: [...new Set([spec.modelRef.name, ...judges])],
    toolServers: names((source) => source.toolServerRef?.name), workflows: names((source) => source.workflowRef?.name), agents: names((source) => source.agentRef?.name),
    ...(configMap === undefined ? {} : { configMap }),
  };
}

/** The way from an agent back to itself by agents as tools, `a -> b -> a`; undefined where there is none. */
export function agentCycle(start: string, spec: AgentSpec, lookup: AgentWorld['agentSpec']): readonly string[] | undefined {
  const seen = new Set<string>();
  const open: { readonly name: string; readonly path: readonly string[] }[] = agentReferences(spec).agents.map((name) => ({ name, path: [start, name] }));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { name, path } = next;
    if (name === start) return path;
    if (seen.has(name)) continue;
    seen.add(name);
    const child = lookup(name);
    if (child !== undefined) for (const below of agentReferences(child).agents) open.push({ name: below, path: [...path, below] });
  }
  return undefined;
}
