import type { AgentSpec } from '../../crds/agent.ts';
import { AGENT_DEFAULTS, AGENT_LIMITS } from '../../crds/agent-parts.ts';
import type { KnownTool, RevisionTool } from '../../crds/agent-revision.ts';
import { specHash } from '../../crds/canonical.ts';
import { parseDuration } from '../../crds/duration.ts';
import type { ToolServerSpec } from '../../crds/tool-server.ts';
import { isObject } from '../expr/values.ts';
import { checkSchema, isJson } from '../schema/schemas.ts';
import type { Json } from '../types.ts';
import { memoryTools } from './memory-tools.ts';
import { parseProbe } from './policy.ts';
import type { AgentProblems } from './problems.ts';
import { cleanText, modelName } from './text.ts';
import { agentCycle, type AgentWorld, type ToolServerView } from './world.ts';

type Source = NonNullable<AgentSpec['tools']>[number];
type Objects = Readonly<Record<string, Json>>;

/** Where the key of a KeyedIdempotent call travels when its owner does not say. */
const KEY_META = 'rambo.dev/idempotency-key';
const KEY_HEADER = 'Idempotency-Key';

/** Every tool of an agent, in the order of its spec. What is wrong goes into `problems`. */
export function resolveTools(spec: AgentSpec, world: AgentWorld, problems: AgentProblems): readonly RevisionTool[] {
  const named = (spec.tools ?? []).flatMap((source, index) => resolveSource(source, `tools[${index}]`, spec, world, problems));
  const tools = spec.memory?.longTerm === undefined ? named : [...named, ...memoryTools()];
  const byName = new Map<string, string>();
  for (const { name, display } of tools) {
    const other = byName.get(name);
    if (other === undefined) byName.set(name, display);
    else problems.reference('tools', 'NameCollision', other === display ? `the tool ${display} comes in twice: leave one out` : `the tools ${other} and ${display} are both ${name} to a model: include only one of them`);
  }
  if (tools.length > AGENT_LIMITS.tools) problems.reference('tools', 'TooManyTools', `the agent has ${tools.length} tools, at most ${AGENT_LIMITS.tools} are allowed: name the tools it needs in include`);
  return tools;
}

function resolveSource(source: Source, field: string, spec: AgentSpec, world: AgentWorld, problems: AgentProblems): readonly RevisionTool[] {
  const bind = bound(source.bind, field, problems);
  if (source.toolServerRef !== undefined) return serverTools(source.toolServerRef, bind, field, world, problems);
  if (source.workflowRef !== undefined) return workflowTool(source, source.workflowRef.name, bind, field, world, problems);
  if (source.agentRef !== undefined) return agentTool(source, source.agentRef.name, bind, { field, spec, world, problems });
  return [];
}

function bound(bind: unknown, field: string, problems: AgentProblems): Objects {
  if (bind === undefined) return {};
  if (isJson(bind) && isObject(bind)) return bind;
  problems.spec(`${field}.bind`, 'Invalid', 'it is an object of arguments');
  return {};
}

function serverTools(ref: NonNullable<Source['toolServerRef']>, bind: Objects, field: string, world: AgentWorld, problems: AgentProblems): readonly RevisionTool[] {
  const server = world.toolServer(ref.name);
  if (server === undefined) {
    problems.reference(`${field}.toolServerRef`, 'ToolServerNotFound', `there is no ToolServer ${JSON.stringify(ref.name)} in namespace ${world.namespace}`);
    return [];
  }
  const { tools } = server;
  if (tools === undefined) {
    problems.reference(`${field}.toolServerRef`, 'ToolServerNotReady', `the tools of ToolServer ${JSON.stringify(ref.name)} are not known${server.problem === undefined ? '' : `: ${server.problem}`}`);
    return [];
  }
  const chosen = chosenTools(tools, ref, `${field}.toolServerRef`, problems);
  return chosen.flatMap((tool) => {
    const hidden = hide(tool.inputSchema, bind, `${field}.bind`, `${ref.name}/${tool.name}`, ref.include !== undefined, problems);
    return hidden === undefined ? [] : [toolOf(ref.name, server, tool, hidden, bind, problems)];
  });
}

/** Named tools have to be there and usable; without names, those that are usable and those that stopped, which the agent must not lose unseen. */
function chosenTools(tools: readonly KnownTool[], ref: NonNullable<Source['toolServerRef']>, field: string, problems: AgentProblems): readonly KnownTool[] {
  const wanted = ref.include === undefined ? tools.filter((tool) => tool.refused === undefined || tool.refused.reason === 'ToolChanged') : [...new Set(ref.include)].flatMap((name) => {
    const tool = tools.find((entry) => entry.name === name);
    if (tool === undefined) problems.reference(`${field}.include`, 'ToolNotFound', `ToolServer ${JSON.stringify(ref.name)} has no tool ${JSON.stringify(name)}`);
    return tool ?? [];
  });
  return wanted.filter((tool) => {
    if (tool.refused === undefined) return true;
    problems.reference(field, tool.refused.reason === 'ToolChanged' ? 'ToolChanged' : 'ToolRefused', `ToolServer ${JSON.stringify(ref.name)}: ${tool.refused.message}`);
    return false;
  });
}

function toolOf(serverName: string, { spec }: ToolServerView, tool: KnownTool, inputSchema: Objects, bind: Objects, problems: AgentProblems): RevisionTool {
  const override = spec.tools?.find((entry) => entry.name === tool.name);
  const operation = spec.http?.operations.find((entry) => entry.name === tool.name);
  const reconcile = override?.reconcile;
  if (reconcile !== undefined) problems.guard(`ToolServer ${serverName}, tools[${tool.name}].reconcile.arguments`, () => parseProbe(reconcile.arguments));
  const cacheMs = milliseconds(override?.cacheTTL);
  return {
    name: modelName(serverName, tool.name), display: `${serverName}/${tool.name}`, kind: operation === undefined ? 'mcp' : 'http', server: serverName, tool: tool.name,
    description: tool.description, inputSchema, ...(tool.outputSchema === undefined ? {} : { outputSchema: tool.outputSchema }), schemaHash: tool.schemaHash,
    effect: tool.effect, risk: tool.risk, timeoutMs: milliseconds(override?.timeout) ?? AGENT_DEFAULTS.toolTimeoutMs, ...(cacheMs === undefined ? {} : { cacheMs }), bind,
    ...(tool.effect === 'KeyedIdempotent' ? { idempotency: override?.idempotency ?? keyPlace(spec) } : {}),
    ...(reconcile === undefined ? {} : { reconcile }),
    ...(operation === undefined ? {} : { http: { method: operation.method, path: operation.path, query: operation.query ?? [] } }),
  };
}

function keyPlace(spec: ToolServerSpec): NonNullable<RevisionTool['idempotency']> {
  return spec.http === undefined ? { meta: KEY_META } : { header: KEY_HEADER };
}

function workflowTool(source: Source, name: string, bind: Objects, field: string, world: AgentWorld, problems: AgentProblems): readonly RevisionTool[] {
  const workflow = world.workflow(name);
  if (workflow === undefined) {
    problems.reference(`${field}.workflowRef`, 'WorkflowNotFound', `there is no Workflow ${JSON.stringify(name)} in namespace ${world.namespace}`);
    return [];
  }
  if (workflow.problem !== undefined) problems.reference(`${field}.workflowRef`, 'WorkflowInvalid', `Workflow ${JSON.stringify(name)} cannot run: ${workflow.problem}`);
  const schema = workflow.inputs ?? { type: 'object' };
  if (!isJson(schema) || !isObject(schema) || (schema['type'] ?? 'object') !== 'object' || checkSchema(schema).length > 0) {
    problems.reference(`${field}.workflowRef`, 'WorkflowInvalid', `the inputs of Workflow ${JSON.stringify(name)} are no object, which the arguments of a tool are`);
    return [];
  }
  const inputSchema = hide({ ...schema, type: 'object' }, bind, `${field}.bind`, `workflow/${name}`, true, problems);
  if (inputSchema === undefined) return [];
  const description = cleanText(source.description ?? workflow.description ?? `Runs the workflow ${name} and gives its outputs.`);
  return [child('workflow', name, description, inputSchema, schema, bind)];
}

function agentTool(source: Source, name: string, bind: Objects, { field, spec, world, problems }: { field: string; spec: AgentSpec; world: AgentWorld; problems: AgentProblems }): readonly RevisionTool[] {
  const other = name === world.agent ? spec : world.agentSpec(name);
  if (other === undefined) {
    problems.reference(`${field}.agentRef`, 'AgentNotFound', `there is no Agent ${JSON.stringify(name)} in namespace ${world.namespace}`);
    return [];
  }
  const cycle = world.agent === undefined ? agentCycle(name, other, world.agentSpec) : agentCycle(world.agent, spec, world.agentSpec);
  if (cycle !== undefined) {
    problems.reference(`${field}.agentRef`, 'AgentCycle', `agents as tools lead back to where they began: ${cycle.join(' -> ')}`);
    return [];
  }
  const written = other.inputSchema;
  const direct = isJson(written) && isObject(written) && written['type'] === 'object' && checkSchema(written).length === 0;
  const schema: Objects = direct ? written : { type: 'object', properties: { input: isJson(written) ? written : { type: 'string', description: 'What the agent shall do.' } }, required: ['input'], additionalProperties: false };
  const inputSchema = hide(schema, bind, `${field}.bind`, `agent/${name}`, true, problems);
  if (inputSchema === undefined) return [];
  const description = cleanText(source.description ?? other.description ?? `Asks the agent ${name}.`);
  return [{ ...child('agent', name, description, inputSchema, schema, bind), ...(direct ? {} : { inputArgument: 'input' }) }];
}

/** A run of ours as a tool. It is started under the key of the call, so a second start is the first one. */
function child(kind: 'workflow' | 'agent', name: string, description: string, inputSchema: Objects, schema: Objects, bind: Objects): RevisionTool {
  return {
    name: modelName(kind, name), display: `${kind}/${name}`, kind, server: name, tool: '', description, inputSchema, schemaHash: specHash({ description, inputSchema: schema }),
    effect: 'KeyedIdempotent', risk: 'Normal', timeoutMs: AGENT_DEFAULTS.timeoutMs, bind,
  };
}

/** The schema without the arguments that are bound; undefined, and a problem, where one is bound that a closed schema does not have. */
function hide(schema: unknown, bind: Objects, field: string, tool: string, named: boolean, problems: AgentProblems): Objects | undefined {
  if (!isJson(schema) || !isObject(schema)) return undefined;
  const names = Object.keys(bind);
  if (names.length === 0) return schema;
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const closed = schema['additionalProperties'] === false;
  const unknown = names.filter((name) => closed && !Object.hasOwn(properties, name));
  if (unknown.length > 0) {
    // Where the whole server is taken in, an argument that only some of its tools have is bound for those.
    if (named) problems.reference(field, 'BindUnknown', `${tool} takes no argument ${unknown.map((name) => JSON.stringify(name)).join(', ')}`);
    if (named) return undefined;
  }
  const { properties: _properties, required, ...rest } = schema;
  const left = Object.fromEntries(Object.entries(properties).filter(([name]) => !Object.hasOwn(bind, name)));
  const still = Array.isArray(required) ? required.filter((name: unknown) => typeof name !== 'string' || !Object.hasOwn(bind, name)) : undefined;
  return { ...rest, properties: left, ...(still === undefined ? {} : { required: still }) };
}

function milliseconds(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}
