import { LIMITS, NAME_PATTERN } from '../../crds/names.ts';
import type { NodeSpec } from '../../crds/node.ts';
import type { WorkflowSpec } from '../../crds/workflow.ts';
import type { Root } from '../expr/environment.ts';
import { parseTemplate, referencesOf, type Template } from '../expr/template.ts';
import { checkSchema, isJson } from '../schema/schemas.ts';
import type { Problem } from '../types.ts';
import { isSupported } from './fields.ts';
import { reportCycles } from './graph.ts';
import { compileNode, finishNode, type Draft } from './node.ts';
import type { Compiled, CompileResult, NodePlan } from './plan.ts';
import { Problems } from './problems.ts';
import { closedInputs, COMMON, resolve, type Names } from './references.ts';
import { checkDefaults, duration } from './times.ts';

const NAME = new RegExp(NAME_PATTERN);
const VISIBLE: ReadonlySet<Root> = new Set(COMMON);

/** Facts about a definition that its spec does not hold. */
export interface CompileMeta {
  readonly name?: string;
}

/**
 * Checks everything about a definition that admission cannot, and makes it runnable. Returns all problems at once,
 * in the order of the nodes. The spec has passed `workflowSpecSchema`. Call `compileSchemas` before the first run.
 */
export function compile(spec: WorkflowSpec, meta: CompileMeta = {}): CompileResult {
  const problems = new Problems();
  const written = [...spec.nodes, ...(spec.onExit ?? [])];
  checkShape(spec, problems);
  const byName = uniqueNames(written, spec.nodes.length, problems);
  const inputs = closedInputs(spec.inputs);
  const names: Names = { byName, mainCount: spec.nodes.length, ...(inputs === undefined ? {} : { inputs }) };
  const drafts = written.map((node, index) => compileNode(node, index, spec, names, problems));
  reportCycles(drafts.slice(0, names.mainCount), 0, problems);
  reportCycles(drafts.slice(names.mainCount), names.mainCount, problems);
  const outputs = compileOutputs(spec, names, problems);
  const timeoutMs = duration(undefined, 'timeout', spec.timeout, problems);
  if (problems.found.length > 0) return { ok: false, problems: sorted(problems.found, byName) };
  return { ok: true, compiled: assemble(spec, meta, drafts, byName, outputs, timeoutMs) };
}

/** A definition without nodes, for runs whose own cannot be compiled: such a run only takes `Reject`. */
export const EMPTY: Compiled = {
  nodes: [], mainCount: 0, byName: new Map(), outputs: [], parallelism: Number.MAX_SAFE_INTEGER, failFast: false, priority: 0,
  validators: { outputs: new Map() },
};

function assemble(spec: WorkflowSpec, meta: CompileMeta, drafts: readonly Draft[], byName: ReadonlyMap<string, number>, outputs: Compiled['outputs'], timeoutMs: number | undefined): Compiled {
  const dependents = drafts.map((): number[] => []);
  for (const draft of drafts) for (const dep of draft.deps) dependents[dep]?.push(draft.index);
  const nodes = drafts.map((draft): NodePlan => finishNode(draft, dependents[draft.index] ?? []));
  return {
    ...(meta.name === undefined ? {} : { name: meta.name }),
    nodes, mainCount: spec.nodes.length, byName, outputs,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    parallelism: spec.parallelism ?? Number.MAX_SAFE_INTEGER,
    failFast: spec.failFast ?? false,
    priority: spec.priority ?? 0,
    ...(spec.inputs !== undefined && isJson(spec.inputs) ? { inputSchema: spec.inputs } : {}),
  };
}

function checkShape(spec: WorkflowSpec, problems: Problems): void {
  for (const [field, list] of [['nodes', spec.nodes], ['onExit', spec.onExit ?? []]] as const) {
    if (list.length <= LIMITS.nodesPerManifest) continue;
    problems.add(undefined, field, 'TooManyNodes', `${list.length} nodes, at most ${LIMITS.nodesPerManifest} are allowed; use forEach for wider graphs`, list.length);
  }
  if (spec.nodes.length === 0) problems.add(undefined, 'nodes', 'FieldRequired', 'a workflow has at least one node');
  for (const field of ['concurrency', 'locks', 'retention'] as const) {
    if (spec[field] !== undefined) problems.add(undefined, field, 'UnsupportedField', 'this release does not run it yet; ignoring it would break what it promises');
  }
  if (spec.inputs !== undefined) for (const text of checkSchema(spec.inputs)) problems.add(undefined, 'inputs', 'SchemaInvalid', text);
  checkDefaults(spec.defaults, problems);
}

function uniqueNames(nodes: readonly NodeSpec[], mainCount: number, problems: Problems): ReadonlyMap<string, number> {
  const byName = new Map<string, number>();
  nodes.forEach((node, index) => {
    if (!NAME.test(node.name)) problems.add(node.name, 'name', 'NameInvalid', `names match ${NAME_PATTERN}`, node.name);
    if (!isSupported(node.type)) problems.add(node.name, 'type', 'UnsupportedType', `this release does not run nodes of type ${node.type} yet`, node.type);
    const other = byName.get(node.name);
    if (other === undefined) byName.set(node.name, index);
    else problems.add(node.name, 'name', 'DuplicateName', `there are two nodes of this name${other < mainCount && index >= mainCount ? ', one in nodes and one in onExit' : ''}`, node.name);
  });
  return byName;
}

function compileOutputs(spec: WorkflowSpec, names: Names, problems: Problems): Compiled['outputs'] {
  const outputs: (readonly [string, Template])[] = [];
  for (const [name, value] of Object.entries(spec.outputs ?? {})) {
    const field = `outputs.${name}`;
    if (!NAME.test(name)) problems.add(undefined, field, 'NameInvalid', `names match ${NAME_PATTERN}`, name);
    const template = problems.guard(undefined, field, value, () => parseTemplate(value, VISIBLE));
    if (template === undefined) continue;
    for (const references of referencesOf(template)) resolve(references, undefined, field, undefined, names, problems);
    outputs.push([name, template]);
  }
  return outputs;
}

/** Problems of the workflow itself first, then by node, within a node as they were found. */
function sorted(found: readonly Problem[], byName: ReadonlyMap<string, number>): readonly Problem[] {
  const rank = (problem: Problem): number => (problem.node === undefined ? -1 : byName.get(problem.node) ?? -1);
  return [...found].sort((a, b) => rank(a) - rank(b));
}

