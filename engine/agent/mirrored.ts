import { agentSpecSchema, type AgentSpec } from '../../crds/agent.ts';
import { knownToolsSchema } from '../../crds/agent-revision.ts';
import { modelSpecSchema, type ModelSpec } from '../../crds/model.ts';
import { toolServerSpecSchema } from '../../crds/tool-server.ts';
import { workflowSpecSchema } from '../../crds/workflow.ts';
import type { AgentWorld, ToolServerView, WorkflowView } from './world.ts';

/** A definition as its mirror holds it: bytes of JSON. `tools` of ToolServers only. */
export interface MirroredDefinition {
  readonly name: string;
  readonly spec: Uint8Array;
  readonly phase: string;
  readonly message?: string;
  readonly tools?: Uint8Array | null;
}

/** Mirrors of one namespace: at least all that a spec names, the fallbacks of its model, and the agents below its agents. */
export interface MirroredRows {
  readonly namespace: string;
  readonly agent?: string;
  readonly instructions?: string;
  readonly models: readonly MirroredDefinition[];
  readonly toolServers: readonly MirroredDefinition[];
  readonly workflows: readonly MirroredDefinition[];
  readonly agents: readonly MirroredDefinition[];
}

/** The world an agent is resolved in, from mirrors. A definition that cannot be read is as if it were missing. */
export function mirroredWorld(rows: MirroredRows): AgentWorld {
  return {
    namespace: rows.namespace, ...(rows.agent === undefined ? {} : { agent: rows.agent }), instructions: rows.instructions,
    model: (name) => modelOf(named(rows.models, name)),
    toolServer: (name) => serverOf(named(rows.toolServers, name)),
    workflow: (name) => workflowOf(named(rows.workflows, name)),
    agentSpec: (name) => agentOf(named(rows.agents, name)),
  };
}

function named(rows: readonly MirroredDefinition[], name: string): MirroredDefinition | undefined {
  return rows.find((row) => row.name === name);
}

function modelOf(row: MirroredDefinition | undefined): ModelSpec | undefined {
  return row === undefined ? undefined : modelSpecSchema.safeParse(decode(row.spec)).data;
}

function agentOf(row: MirroredDefinition | undefined): AgentSpec | undefined {
  return row === undefined ? undefined : agentSpecSchema.safeParse(decode(row.spec)).data;
}

function serverOf(row: MirroredDefinition | undefined): ToolServerView | undefined {
  if (row === undefined) return undefined;
  const spec = toolServerSpecSchema.safeParse(decode(row.spec)).data;
  if (spec === undefined) return undefined;
  const known = row.tools === undefined || row.tools === null ? undefined : knownToolsSchema.safeParse(decode(row.tools)).data;
  return { spec, tools: known?.tools, problem: row.phase === 'Ready' ? undefined : row.message };
}

function workflowOf(row: MirroredDefinition | undefined): WorkflowView | undefined {
  if (row === undefined) return undefined;
  const spec = workflowSpecSchema.safeParse(decode(row.spec)).data;
  if (spec === undefined || row.phase !== 'Ready') return { problem: 'it is not valid' };
  return { description: spec.description, inputs: spec.inputs };
}

function decode(bytes: Uint8Array): unknown {
  const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
  return value;
}
