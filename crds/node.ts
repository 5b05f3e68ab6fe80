import { z } from 'zod';
import { LIMITS } from './names.ts';
import {
  anyJson, durationSchema, envFromSchema, envVarSchema, expressionSchema, nameSchema, objectNameSchema, resourcesSchema,
  tolerationSchema, volumeSchema,
} from './parts.ts';

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

const httpHeaderSchema = z.object({
  name: z.string().min(1).max(256),
  value: z.string().max(8_192).optional(),
  fromEnv: z.string().max(128).optional(),
});

/** The merged `with` of all node types; which fields a type takes is checked by the engine's validator. */
export const withSchema = z.object({
  input: anyJson.optional(),
  image: z.string().min(1).max(1_024).optional(),
  command: z.array(z.string().max(32_768)).max(256).optional(),
  args: z.array(z.string().max(32_768)).max(1_024).optional(),
  env: z.array(envVarSchema).max(256).optional(),
  language: z.enum(['javascript', 'python', 'bash']).optional(),
  source: z.string().max(LIMITS.sourceLength).optional(),
  method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']).optional(),
  url: z.string().min(1).max(8_192).optional(),
  headers: z.array(httpHeaderSchema).max(64).optional()
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
  body: anyJson.optional(),
  expect: z.object({
    status: z.array(z.int().min(100).max(599)).max(64).optional(),
    condition: expressionSchema.optional(),
  }).optional(),
  output: anyJson.optional(),
  cases: z.array(z.object({ when: expressionSchema, output: anyJson })).max(256).optional(),
  default: anyJson.optional(),
  agentRef: z.object({ name: objectNameSchema }).optional(),
  inline: anyJson.optional(),
  message: z.string().max(32_768).optional(),
  schema: anyJson.optional(),
  approvers: z.array(z.string().max(253)).max(64).optional(),
  expires: durationSchema.optional(),
  duration: durationSchema.optional(),
  until: z.string().max(LIMITS.expressionLength).optional(),
  name: z.string().max(253).optional(),
  workflowRef: z.object({ name: objectNameSchema }).optional(),
  wait: z.boolean().optional(),
  action: z.enum(['get', 'create', 'apply', 'patch', 'delete']).optional(),
  manifest: anyJson.optional(),
  successCondition: expressionSchema.optional(),
  failureCondition: expressionSchema.optional(),
});

/** Retry rule: `limit` counts retries after the first attempt; infra restarts are counted apart. */
export const retrySchema = z.object({
  limit: z.int().min(0).max(100).optional(),
  backoff: z.object({
    duration: durationSchema.optional(),
    factor: z.number().min(1).max(10).optional(),
    maxDuration: durationSchema.optional(),
    jitter: z.number().min(0).max(1).optional(),
  }).optional(),
  on: expressionSchema.optional(),
  infraLimit: z.int().min(0).max(100).optional(),
});

/** Where a node runs. */
export const runnerSchema = z.object({
  isolation: z.enum(['auto', 'warm', 'pod']).optional(),
  pool: objectNameSchema.optional(),
  resources: resourcesSchema.optional(),
  nodeSelector: z.record(z.string().max(316), z.string().max(63)).optional(),
  tolerations: z.array(tolerationSchema).max(16).optional(),
  env: z.array(envVarSchema).max(256).optional(),
  envFrom: z.array(envFromSchema).max(16).optional(),
  volumes: z.array(volumeSchema).max(16).optional(),
});

const artifactSchema = z.object({
  name: nameSchema,
  path: z.string().min(1).max(512),
  from: z.string().max(LIMITS.expressionLength).optional(),
  optional: z.boolean().optional(),
});

/** One node of a workflow. */
export const nodeSchema = z.object({
  name: nameSchema,
  type: z.enum(NODE_TYPES),
  with: withSchema.optional(),
  dependsOn: z.array(nameSchema).max(LIMITS.nodesPerManifest).optional().meta({ 'x-kubernetes-list-type': 'set' }),
  when: expressionSchema.optional(),
  forEach: expressionSchema.optional(),
  parallelism: z.int().min(1).max(100_000).optional(),
  retry: retrySchema.optional(),
  timeout: durationSchema.optional(),
  pendingTimeout: durationSchema.optional(),
  continueOnFailure: z.boolean().optional(),
  cache: z.object({ key: expressionSchema, maxAge: durationSchema.optional() }).optional(),
  locks: z.array(z.object({ name: expressionSchema, limit: z.int().min(1).max(10_000).optional() })).max(8).optional(),
  artifacts: z.object({
    in: z.array(artifactSchema).max(32).optional(),
    out: z.array(artifactSchema).max(32).optional(),
  }).optional(),
  outputSchema: anyJson.optional(),
  runner: runnerSchema.optional(),
});

/** One node of a workflow, as written. */
export type NodeSpec = z.infer<typeof nodeSchema>;
/** The merged `with` of a node, as written. */
export type WithSpec = z.infer<typeof withSchema>;
/** Retry rule of a node, as written. */
export type RetrySpec = z.infer<typeof retrySchema>;
/** Runner placement of a node, as written. */
export type RunnerSpec = z.infer<typeof runnerSchema>;
