import { z } from 'zod';
import { agentSpecSchema, agentStatusSchema } from './agent.ts';
import type { AgentSpec, AgentStatus } from './agent.ts';
import { canonicalJson, tooDeepAt } from './canonical.ts';
import { modelSpecSchema, modelStatusSchema } from './model.ts';
import type { ModelSpec, ModelStatus } from './model.ts';
import { API_VERSION, LIMITS } from './names.ts';
import type { DeepReadonly } from './readonly.ts';
import { runnerPoolSpecSchema, runnerPoolStatusSchema } from './runner-pool.ts';
import type { RunnerPoolSpec, RunnerPoolStatus } from './runner-pool.ts';
import { toolServerSpecSchema, toolServerStatusSchema } from './tool-server.ts';
import type { ToolServerSpec, ToolServerStatus } from './tool-server.ts';
import { workflowRunSpecSchema, workflowRunStatusSchema } from './workflow-run.ts';
import type { WorkflowRunSpec, WorkflowRunStatus } from './workflow-run.ts';
import { workflowSpecSchema, workflowStatusSchema } from './workflow.ts';
import type { WorkflowSpec, WorkflowStatus } from './workflow.ts';

/**
 * The controller's door: an unknown object of a watch or a list becomes a typed one, or a list of problems. The API server
 * has judged it before, but perhaps with older rules, so everything is judged again. Unknown fields are dropped.
 */

/** A time of the API server: a string on a watch, a Date in a list of client-node. */
const timestampSchema = z.union([z.string(), z.date().transform((date) => date.toISOString())]);

const metadataSchema = z.object({
  name: z.string().min(1),
  namespace: z.string().min(1),
  uid: z.string().min(1),
  resourceVersion: z.string().optional(),
  generation: z.int().optional(),
  labels: z.record(z.string(), z.string()).nullish().transform((map) => map ?? undefined),
  annotations: z.record(z.string(), z.string()).nullish().transform((map) => map ?? undefined),
  creationTimestamp: timestampSchema.nullish().transform((time) => time ?? undefined),
  deletionTimestamp: timestampSchema.nullish().transform((time) => time ?? undefined),
});

/** The part of an object's metadata that RamBo reads. Times are RFC 3339. */
export type ObjectMetadata = DeepReadonly<z.output<typeof metadataSchema>>;

/** A custom resource after the door. */
export interface CustomResource<Spec, Status> {
  readonly metadata: ObjectMetadata;
  readonly spec: Spec;
  /** Undefined when there is none, or when somebody wrote one that does not fit: the writer of status starts over. */
  readonly status?: Status;
}
/** A parsed Workflow. */
export type Workflow = CustomResource<WorkflowSpec, WorkflowStatus>;
/** A parsed WorkflowRun. */
export type WorkflowRun = CustomResource<WorkflowRunSpec, WorkflowRunStatus>;
/** A parsed RunnerPool, defaults applied. */
export type RunnerPool = CustomResource<RunnerPoolSpec, RunnerPoolStatus>;
/** A parsed Model, defaults applied. */
export type Model = CustomResource<ModelSpec, ModelStatus>;
/** A parsed ToolServer, defaults applied. */
export type ToolServer = CustomResource<ToolServerSpec, ToolServerStatus>;
/** A parsed Agent, defaults applied. */
export type Agent = CustomResource<AgentSpec, AgentStatus>;

/** One thing wrong with an object. */
export interface FieldProblem {
  /** As in a message of the API server: `spec.nodes[3].with.url`. */
  readonly path: string;
  /** Name of the node the path lies in. */
  readonly node?: string;
  readonly message: string;
}

/** What the door gives. `metadata` of a refused object, where it is readable, tells where to write the condition. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly FieldProblem[]; readonly metadata?: ObjectMetadata };

/** Problems beyond this number help nobody, and a condition's message is bounded. */
const MAX_PROBLEMS = 20;

/** Parses a Workflow. Never throws. */
export function parseWorkflow(object: unknown): Parsed<Workflow> {
  return parse(object, 'Workflow', workflowSpecSchema, workflowStatusSchema);
}

/** Parses a WorkflowRun. Never throws. */
export function parseWorkflowRun(object: unknown): Parsed<WorkflowRun> {
  return parse(object, 'WorkflowRun', workflowRunSpecSchema, workflowRunStatusSchema);
}

/** Parses a RunnerPool and applies its defaults. Never throws. */
export function parseRunnerPool(object: unknown): Parsed<RunnerPool> {
  return parse(object, 'RunnerPool', runnerPoolSpecSchema, runnerPoolStatusSchema);
}

/** Parses a Model and applies its defaults. Never throws. */
export function parseModel(object: unknown): Parsed<Model> {
  return parse(object, 'Model', modelSpecSchema, modelStatusSchema);
}

/** Parses a ToolServer and applies its defaults. Never throws. */
export function parseToolServer(object: unknown): Parsed<ToolServer> {
  return parse(object, 'ToolServer', toolServerSpecSchema, toolServerStatusSchema);
}

/** Parses an Agent and applies its defaults. Never throws. */
export function parseAgent(object: unknown): Parsed<Agent> {
  return parse(object, 'Agent', agentSpecSchema, agentStatusSchema);
}

function parse<Spec extends z.ZodType, Status extends z.ZodType>(
  object: unknown, kind: string, specSchema: Spec, statusSchema: Status,
): Parsed<CustomResource<z.output<Spec>, z.output<Status>>> {
  const envelope = z.object({
    apiVersion: z.literal(API_VERSION).optional(),
    kind: z.literal(kind).optional(),
    metadata: metadataSchema,
    spec: z.unknown().optional(),
    status: z.unknown().optional(),
  }).safeParse(object);
  if (!envelope.success) return { ok: false, problems: problemsOf(envelope.error, object, []) };
  const { metadata } = envelope.data;
  const limit = limitProblem(envelope.data.spec);
  if (limit !== undefined) return { ok: false, problems: [limit], metadata };
  const spec = specSchema.safeParse(envelope.data.spec);
  if (!spec.success) return { ok: false, problems: problemsOf(spec.error, object, ['spec']), metadata };
  const status = statusSchema.safeParse(envelope.data.status);
  return { ok: true, value: { metadata, spec: spec.data, ...(status.success ? { status: status.data } : {}) } };
}

/** Depth first: everything after it may recurse. */
function limitProblem(spec: unknown): FieldProblem | undefined {
  const deep = tooDeepAt(spec, LIMITS.jsonDepth);
  if (deep !== undefined) {
    return { path: formatPath(['spec', ...deep.slice(0, 8)]), message: `is nested deeper than ${LIMITS.jsonDepth} levels, the limit: flatten it` };
  }
  const bytes = Buffer.byteLength(canonicalJson(spec));
  if (bytes <= LIMITS.specBytes) return undefined;
  return { path: 'spec', message: `has ${bytes} bytes, the limit is ${LIMITS.specBytes}: split the workflow, or move data out of it` };
}

function problemsOf(error: z.ZodError, object: unknown, prefix: readonly PropertyKey[]): readonly FieldProblem[] {
  return error.issues.slice(0, MAX_PROBLEMS).map((issue) => {
    const path = [...prefix, ...issue.path];
    const node = nodeAt(object, path);
    return { path: formatPath(path), ...(node === undefined ? {} : { node }), message: issue.message };
  });
}

function formatPath(path: readonly PropertyKey[]): string {
  return path.map((key, index) => {
    if (typeof key === 'number') return `[${key}]`;
    const text = String(key);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(text)) return `[${JSON.stringify(text.slice(0, LIMITS.nameLength))}]`;
    return index === 0 ? text : `.${text}`;
  }).join('');
}

/** Name of the node a path goes through: the entry of a list called `nodes` or `onExit`. */
function nodeAt(object: unknown, path: readonly PropertyKey[]): string | undefined {
  const index = path.findIndex((key, at) => (key === 'nodes' || key === 'onExit') && typeof path[at + 1] === 'number');
  if (index < 0) return undefined;
  const node = path.slice(0, index + 2).reduce<unknown>(childOf, object);
  const name = childOf(node, 'name');
  return typeof name === 'string' ? name.slice(0, LIMITS.nameLength) : undefined;
}

function childOf(value: unknown, key: PropertyKey): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return Reflect.get(value, key);
}
