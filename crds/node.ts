import { z } from 'zod';
import { LIMITS } from './names.ts';
import { nodeRules } from './node-rules.ts';
import {
  anyJson, byName, durationSchema, envFromSchema, envVarSchema, expressionSchema, nameSchema, nodeSelectorSchema,
  objectNameSchema, resourcesSchema, tolerationSchema, volumeSchema,
} from './parts.ts';
import type { DeepReadonly } from './readonly.ts';
import { exactlyOneOf, withRules } from './rules.ts';

/** Every node type. Those a release cannot run yet make the Workflow `Invalid` with reason `UnsupportedType`. */
export const NODE_TYPES = [
  'container', 'script', 'http', 'transform', 'switch', 'agent', 'approval', 'wait', 'signal', 'workflow', 'resource',
] as const;
/** One of the node types. */
export type NodeType = (typeof NODE_TYPES)[number];

/** Statuses a node, or an item of a forEach, can have. */
export const NODE_STATUSES = [
  'Pending', 'Queued', 'Running', 'Waiting', 'Succeeded', 'Failed', 'Skipped', 'Omitted', 'Cancelled',
] as const;
/** One of the node statuses. */
export type NodeStatus = (typeof NODE_STATUSES)[number];

/** Classes of error; retry rules and people tell causes apart by them. */
export const ERROR_CLASSES = ['User', 'Infra', 'Timeout', 'Cancelled', 'Invalid'] as const;
/** One of the error classes. */
export type ErrorClass = (typeof ERROR_CLASSES)[number];

const httpHeaderSchema = withRules(z.object({
  name: z.string().min(1).max(256).regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/),
  value: z.string().max(8_192).optional(),
  fromEnv: z.string().max(128).optional(),
}), [exactlyOneOf(['value', 'fromEnv'], 'a header needs exactly one of value, fromEnv')]);

/** The merged `with` of all node types; which fields a type takes is checked by the engine's validator. */
export const withSchema = z.object({
  input: anyJson.optional().describe('Arrives as JSON in RAMBO_INPUT and RAMBO_INPUT_FILE.'),
  image: z.string().min(1).max(1_024).optional().describe('container: the image, untouched.'),
  command: z.array(z.string().max(32_768)).max(256).optional().describe('container: replaces the entrypoint.'),
  args: z.array(z.string().max(32_768)).max(1_024).optional(),
  env: z.array(envVarSchema).max(256).optional().meta(byName),
  language: z.enum(['javascript', 'python', 'bash']).optional().describe('script: what runs the source.'),
  source: z.string().max(LIMITS.sourceLength).optional().describe('script: the program; expressions are not evaluated in it.'),
  method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']).optional(),
  url: z.string().min(1).max(8_192).optional().describe('http: the address.'),
  headers: z.array(httpHeaderSchema).max(64).optional().meta(byName),
  body: anyJson.optional(),
  expect: z.object({
    status: z.array(z.int().min(100).max(599)).max(64).optional(),
    condition: expressionSchema.optional(),
  }).optional(),
  output: anyJson.optional().describe('transform: the value; expressions keep their type.'),
  // A missing output is null: `kubectl apply` drops nulls before it sends.
  cases: z.array(z.object({ when: expressionSchema, output: anyJson.optional() })).max(256).optional(),
  default: anyJson.optional().describe('switch: the output when no case is true.'),
  agentRef: z.object({ name: objectNameSchema }).optional().describe('agent: an Agent of the same namespace.'),
  inline: anyJson.optional().describe('agent: the spec of an Agent, taken as written; expressions are not evaluated in it.'),
  conversation: z.string().min(1).max(LIMITS.expressionLength).optional()
    .describe('agent: the conversation this run continues; every text makes one of its own.'),
  message: z.string().max(32_768).optional(),
  schema: anyJson.optional(),
  approvers: z.array(z.string().max(253)).max(64).optional(),
  expires: durationSchema.optional(),
  duration: durationSchema.optional().describe('wait: how long, such as 10s or 1h30m.'),
  until: z.string().max(LIMITS.expressionLength).optional().describe('wait: a time, or an expression that gives one.'),
  name: z.string().max(253).optional(),
  workflowRef: z.object({ name: objectNameSchema }).optional(),
  wait: z.boolean().optional(),
  action: z.enum(['get', 'create', 'apply', 'patch', 'delete']).optional(),
  manifest: anyJson.optional(),
  successCondition: expressionSchema.optional(),
  failureCondition: expressionSchema.optional(),
});

/**
 * `on` without quotes is `true` to YAML 1.1, which kubectl speaks. Without this field the rule would be dropped in silence,
 * or refused as `unknown field "retry.true"`.
 */
const unquotedOnSchema = withRules(z.string().max(LIMITS.expressionLength), [{
  cel: 'false',
  message: 'write retry."on" in quotes: YAML reads a bare on as the boolean true',
  holds: () => false,
}]);

/** Retry rule: `limit` counts retries after the first attempt; infra restarts are counted apart. */
export const retrySchema = z.object({
  limit: z.int().min(0).max(100).optional().describe('Retries after the first attempt (default 0).'),
  backoff: z.object({
    duration: durationSchema.optional(),
    factor: z.number().min(1).max(10).optional(),
    maxDuration: durationSchema.optional(),
    jitter: z.number().min(0).max(1).optional(),
  }).optional(),
  on: expressionSchema.optional().describe('CEL over error and attempts: retry when true. Quote the key.'),
  true: unquotedOnSchema.optional(),
  infraLimit: z.int().min(0).max(100).optional().describe('Restarts after lost infrastructure, counted apart (default 5).'),
});

/** Where a node runs. */
export const runnerSchema = z.object({
  isolation: z.enum(['auto', 'warm', 'pod']).optional().describe('auto chooses by type; warm or pod forces the mode.'),
  pool: objectNameSchema.optional().describe('RunnerPool of the same namespace (default: default).'),
  resources: resourcesSchema.optional(),
  nodeSelector: nodeSelectorSchema.optional(),
  tolerations: z.array(tolerationSchema).max(16).optional(),
  env: z.array(envVarSchema).max(256).optional().meta(byName).describe('Environment; values may hold expressions.'),
  envFrom: z.array(envFromSchema).max(16).optional().describe('Secrets and ConfigMaps as environment; makes the node a pod.'),
  volumes: z.array(volumeSchema).max(16).optional().meta(byName),
});

const artifactSchema = z.object({
  name: nameSchema,
  path: z.string().min(1).max(512),
  from: z.string().max(LIMITS.expressionLength).optional(),
  optional: z.boolean().optional(),
});

/** One node of a workflow. */
export const nodeSchema = withRules(z.object({
  name: nameSchema.describe('Unique in its graph.'),
  type: z.enum(NODE_TYPES).describe('What the node does.'),
  with: withSchema.optional().describe('Fields of the type.'),
  dependsOn: z.array(nameSchema).max(LIMITS.nodesPerManifest).optional().meta({ 'x-kubernetes-list-type': 'set' })
    .describe('Nodes to wait for, besides those its expressions name.'),
  when: expressionSchema.optional().describe('CEL: false skips the node.'),
  forEach: expressionSchema.optional().describe('CEL that gives a list: the node runs once per item.'),
  parallelism: z.int().min(1).max(100_000).optional().describe('Items at once.'),
  retry: retrySchema.optional().describe('When and how often to try again.'),
  timeout: durationSchema.optional().describe('Of one attempt, from its start.'),
  pendingTimeout: durationSchema.optional().describe('How long an attempt may wait to start (default 10m).'),
  continueOnFailure: z.boolean().optional().describe('Dependents go on, and the run does not fail, when this node does.'),
  cache: z.object({ key: expressionSchema, maxAge: durationSchema.optional() }).optional(),
  locks: z.array(z.object({ name: expressionSchema, limit: z.int().min(1).max(10_000).optional() })).max(8).optional(),
  artifacts: z.object({
    in: z.array(artifactSchema).max(32).optional().meta(byName),
    out: z.array(artifactSchema).max(32).optional().meta(byName),
  }).optional(),
  outputSchema: anyJson.optional().describe('JSON Schema (2020-12) of the output.'),
  runner: runnerSchema.optional().describe('Where the node runs.'),
}), nodeRules);

/** One node of a workflow, as written. */
export type NodeSpec = DeepReadonly<z.infer<typeof nodeSchema>>;
/** The merged `with` of a node, as written. */
export type WithSpec = DeepReadonly<z.infer<typeof withSchema>>;
/** Retry rule of a node, as written. */
export type RetrySpec = DeepReadonly<z.infer<typeof retrySchema>>;
/** Runner placement of a node, as written. */
export type RunnerSpec = DeepReadonly<z.infer<typeof runnerSchema>>;
