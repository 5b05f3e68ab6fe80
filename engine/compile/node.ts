import { parseDuration } from '../../crds/duration.ts';
import type { NodeSpec } from '../../crds/node.ts';
import type { WorkflowSpec } from '../../crds/workflow.ts';
import type { Root } from '../expr/environment.ts';
import type { References } from '../expr/inspect.ts';
import { parseProgram, type Program } from '../expr/program.ts';
import { referencesOf, type Template } from '../expr/template.ts';
import { checkSchema, isJson } from '../schema/schemas.ts';
import { compileFields, expectBool, type Fields } from './fields.ts';
import { checkIsolation, mergeRunner, modeOf } from './mode.ts';
import { DEFAULT_POOL, MAX_IN_FLIGHT, TEN_MINUTES, type NodePlan, type RetryPlan } from './plan.ts';
import type { Problems } from './problems.ts';
import { COMMON, resolve, type Names } from './references.ts';
import { compileRetry, duration } from './times.ts';

/** A node that is parsed and checked, before its dependents are known. */
export interface Draft {
  readonly index: number;
  readonly name: string;
  readonly exit: boolean;
  readonly spec: NodeSpec;
  readonly deps: readonly number[];
  readonly exempt: ReadonlySet<number>;
  readonly fields: Fields;
  readonly retry: RetryPlan;
  readonly when?: Program;
  readonly forEach?: Program;
  readonly timeoutMs?: number;
  readonly pendingTimeoutMs: number;
}

/** Checks and parses one node. Everything wrong with it goes into `problems`. */
export function compileNode(written: NodeSpec, index: number, workflow: WorkflowSpec, names: Names, problems: Problems): Draft {
  checkNode(written, problems);
  const { runner: own, ...rest } = written;
  const runner = mergeRunner(written.type, workflow.defaults?.runner, own);
  const spec: NodeSpec = runner === undefined ? rest : { ...rest, runner };
  const visible = new Set<Root>(written.forEach === undefined ? COMMON : [...COMMON, 'item', 'index']);
  const when = program(written, 'when', written.when, problems);
  if (when !== undefined) expectBool(written.name, 'when', when, problems);
  const forEach = program(written, 'forEach', written.forEach, problems);
  if (forEach !== undefined) expectList(written, forEach, problems);
  const fields = compileFields(spec, visible, problems);
  const retry = compileRetry(written, workflow.defaults?.retry, visible, problems);
  const exit = index >= names.mainCount;
  const deps = dependencies(written, exit, { when, forEach, fields, retry }, names, problems);
  const timeoutMs = duration(written.name, 'timeout', written.timeout, problems) ?? defaultTimeout(workflow);
  return {
    index, name: written.name, exit, spec, deps, exempt: exemptions(when, names), fields, retry,
    ...(when === undefined ? {} : { when }), ...(forEach === undefined ? {} : { forEach }), ...(timeoutMs === undefined ? {} : { timeoutMs }),
    pendingTimeoutMs: duration(written.name, 'pendingTimeout', written.pendingTimeout, problems) ?? TEN_MINUTES,
  };
}

/** `defaults.timeout` is checked once for the workflow, not per node. */
function defaultTimeout(workflow: WorkflowSpec): number | undefined {
  const text = workflow.defaults?.timeout;
  return text === undefined ? undefined : parseDuration(text);
}

function checkNode(node: NodeSpec, problems: Problems): void {
  checkIsolation(node, problems);
  for (const field of ['cache', 'locks', 'artifacts'] as const) {
    if (node[field] !== undefined) problems.add(node.name, field, 'UnsupportedField', 'this release does not run it yet; ignoring it would break what it promises');
  }
  if (node.parallelism !== undefined && node.forEach === undefined) {
    problems.add(node.name, 'parallelism', 'FieldNotAllowed', 'parallelism of a node bounds the items of its forEach, and it has none', node.parallelism);
  }
  if (node.outputSchema !== undefined) for (const text of checkSchema(node.outputSchema)) problems.add(node.name, 'outputSchema', 'SchemaInvalid', text);
}

function program(node: NodeSpec, field: string, source: string | undefined, problems: Problems): Program | undefined {
  if (source === undefined) return undefined;
  return problems.guard(node.name, field, source, () => parseProgram(source, new Set<Root>(COMMON)));
}

function expectList(node: NodeSpec, forEach: Program, problems: Problems): void {
  if (forEach.type === 'dyn' || forEach.type.startsWith('list')) return;
  problems.add(node.name, 'forEach', 'ExpressionInvalid', `forEach takes a list, this is a ${forEach.type}`, forEach.source);
}

interface Parts {
  readonly when: Program | undefined;
  readonly forEach: Program | undefined;
  readonly fields: Fields;
  readonly retry: RetryPlan;
}

/** Dependencies written down and inferred from every expression, without duplicates, in the order of the nodes. */
function dependencies(node: NodeSpec, exit: boolean, parts: Parts, names: Names, problems: Problems): readonly number[] {
  const reader = exit ? 'exit' : 'main';
  const deps = new Set<number>();
  node.dependsOn?.forEach((name, i) => {
    const index = names.byName.get(name);
    if (index === undefined) problems.add(node.name, `dependsOn[${i}]`, 'UnknownNode', `there is no node ${JSON.stringify(name)}`, name);
    else if (index >= names.mainCount !== exit) problems.add(node.name, `dependsOn[${i}]`, 'UnknownNode', exit ? `node ${JSON.stringify(name)} is no onExit node; onExit runs after all other nodes anyway` : `node ${JSON.stringify(name)} belongs to onExit`, name);
    else deps.add(index);
  });
  for (const [field, references] of everyReference(parts)) {
    for (const index of resolve(references, node.name, field, reader, names, problems)) {
      // An onExit node may read main nodes, which are all terminal by then.
      if (index >= names.mainCount === exit) deps.add(index);
    }
  }
  return [...deps].sort((a, b) => a - b);
}

function everyReference(parts: Parts): readonly (readonly [string, References])[] {
  const out: (readonly [string, References])[] = [];
  const program = (field: string, found: Program | undefined): void => { if (found !== undefined) out.push([field, found.references]); };
  const template = (field: string, found: Template | undefined): void => {
    if (found !== undefined) for (const references of referencesOf(found)) out.push([field, references]);
  };
  program('when', parts.when);
  program('forEach', parts.forEach);
  program('retry.on', parts.retry.on);
  program('with.expect.condition', parts.fields.expect);
  for (const [name, found] of parts.fields.fields) template(`with.${name}`, found);
  for (const [name, found] of parts.fields.env) template(`env ${name}`, found);
  parts.fields.cases.forEach((entry, i) => { program(`with.cases[${i}].when`, entry.when); template(`with.cases[${i}].output`, entry.output); });
  template('with.default', parts.fields.otherwise);
  template('with.until', parts.fields.until);
  return out;
}

function exemptions(when: Program | undefined, names: Names): ReadonlySet<number> {
  const out = new Set<number>();
  for (const [name, fields] of when?.references.nodes ?? []) {
    const index = names.byName.get(name);
    if (index !== undefined && (fields.has('status') || fields.has('error'))) out.add(index);
  }
  return out;
}

/** The node as runs read it. */
export function finishNode(draft: Draft, dependents: readonly number[]): NodePlan {
  const { spec, fields } = draft;
  return {
    index: draft.index, name: draft.name, type: spec.type, mode: modeOf(spec), pool: spec.runner?.pool ?? DEFAULT_POOL,
    exit: draft.exit, spec, deps: draft.deps, dependents, exempt: draft.exempt, retry: draft.retry,
    ...(draft.when === undefined ? {} : { when: draft.when }), ...(draft.forEach === undefined ? {} : { forEach: draft.forEach }),
    inFlight: Math.min(spec.parallelism ?? MAX_IN_FLIGHT, MAX_IN_FLIGHT),
    ...(draft.timeoutMs === undefined ? {} : { timeoutMs: draft.timeoutMs }), pendingTimeoutMs: draft.pendingTimeoutMs,
    continueOnFailure: spec.continueOnFailure ?? false,
    ...fields,
    ...(spec.outputSchema !== undefined && isJson(spec.outputSchema) ? { outputSchema: spec.outputSchema } : {}),
  };
}
