import { z } from 'zod';
import { LIMITS, NAME_PATTERN } from './names.ts';
import { nodeSchema, retrySchema, runnerSchema } from './node.ts';
import { anyJson, conditionsSchema, durationSchema, expressionSchema } from './parts.ts';

const nodesSchema = z
  .array(nodeSchema)
  .max(LIMITS.nodesPerManifest)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] });

const keepSchema = z.object({ count: z.int().min(0).max(1_000_000).optional(), age: durationSchema.optional() });

/** `spec` of a Workflow; also the inline `workflow` of a WorkflowRun. */
export const workflowSpecSchema = z.object({
  description: z.string().max(4_096).optional(),
  inputs: anyJson.optional().describe('JSON Schema (2020-12) of the run input.'),
  nodes: nodesSchema.min(1),
  outputs: z.record(z.string().regex(new RegExp(NAME_PATTERN)), anyJson).optional()
    .meta({ 'x-kubernetes-preserve-unknown-fields': true }),
  onExit: nodesSchema.optional(),
  defaults: z.object({
    retry: retrySchema.optional(),
    timeout: durationSchema.optional(),
    runner: runnerSchema.optional(),
  }).optional(),
  timeout: durationSchema.optional(),
  parallelism: z.int().min(1).max(100_000).optional(),
  failFast: z.boolean().optional(),
  priority: z.int().min(-1_000_000).max(1_000_000).optional(),
  concurrency: z.object({
    key: expressionSchema,
    limit: z.int().min(1).max(10_000).optional(),
    strategy: z.enum(['Queue', 'CancelOldest', 'CancelNewest']).optional(),
  }).optional(),
  locks: z.array(z.object({ name: expressionSchema, limit: z.int().min(1).max(10_000).optional() })).max(8).optional(),
  retention: z.object({ succeeded: keepSchema.optional(), failed: keepSchema.optional() }).optional(),
  suspend: z.boolean().optional(),
});

/** `status` of a Workflow. */
export const workflowStatusSchema = z.object({
  observedGeneration: z.int().min(0).optional(),
  phase: z.enum(['Ready', 'Invalid']).optional(),
  nodeCount: z.int().min(0).optional(),
  conditions: conditionsSchema.optional(),
  lastRun: z.object({
    name: z.string().max(253).optional(),
    runId: z.string().max(64).optional(),
    phase: z.string().max(32).optional(),
    finishedAt: z.iso.datetime().optional(),
  }).optional(),
});

/** `spec` of a Workflow, as written. */
export type WorkflowSpec = z.infer<typeof workflowSpecSchema>;
/** `status` of a Workflow. */
export type WorkflowStatus = z.infer<typeof workflowStatusSchema>;
