import { z } from 'zod';
import { LIMITS, NAME_PATTERN } from './names.ts';
import { nodeSchema, retrySchema, runnerSchema } from './node.ts';
import { anyJson, byName, conditionsSchema, durationSchema, expressionSchema, observedGenerationSchema, timeSchema } from './parts.ts';
import type { DeepReadonly } from './readonly.ts';

const nodesSchema = z
  .array(nodeSchema)
  .max(LIMITS.nodesPerManifest)
  .meta(byName);

const keepSchema = z.object({ count: z.int().min(0).max(1_000_000).optional(), age: durationSchema.optional() });

/** `spec` of a Workflow; also the inline `workflow` of a WorkflowRun. */
export const workflowSpecSchema = z.object({
  description: z.string().max(4_096).optional().describe('What the workflow is for.'),
  inputs: anyJson.optional().describe('JSON Schema (2020-12) of the run input.'),
  nodes: nodesSchema.min(1).describe('The graph.'),
  outputs: z.record(z.string().regex(new RegExp(NAME_PATTERN)), anyJson).optional()
    .meta({ 'x-kubernetes-preserve-unknown-fields': true }),
  onExit: nodesSchema.optional().describe('A second graph, run when all else has ended.'),
  defaults: z.object({
    retry: retrySchema.optional(),
    timeout: durationSchema.optional(),
    runner: runnerSchema.optional(),
  }).optional(),
  timeout: durationSchema.optional().describe('Of the whole run, from its start.'),
  parallelism: z.int().min(1).max(100_000).optional().describe('Nodes of one run at once.'),
  failFast: z.boolean().optional().describe('Start nothing new after a failure (default false).'),
  priority: z.int().min(-1_000_000).max(1_000_000).optional().describe('Higher starts first (default 0).'),
  concurrency: z.object({
    key: expressionSchema,
    limit: z.int().min(1).max(10_000).optional(),
    strategy: z.enum(['Queue', 'CancelOldest', 'CancelNewest']).optional(),
  }).optional(),
  locks: z.array(z.object({ name: expressionSchema, limit: z.int().min(1).max(10_000).optional() })).max(8).optional(),
  retention: z.object({ succeeded: keepSchema.optional(), failed: keepSchema.optional() }).optional(),
  suspend: z.boolean().optional().describe('Takes no new runs.'),
});

/** `status` of a Workflow. */
export const workflowStatusSchema = z.object({
  observedGeneration: observedGenerationSchema,
  phase: z.enum(['Ready', 'Invalid']).optional(),
  nodeCount: z.int().min(0).optional(),
  conditions: conditionsSchema.optional(),
  lastRun: z.object({
    name: z.string().max(253).optional(),
    runId: z.string().max(64).optional(),
    phase: z.string().max(32).optional(),
    finishedAt: timeSchema.optional(),
  }).optional(),
});

/** `spec` of a Workflow, as written. */
export type WorkflowSpec = DeepReadonly<z.infer<typeof workflowSpecSchema>>;
/** `status` of a Workflow. */
export type WorkflowStatus = DeepReadonly<z.infer<typeof workflowStatusSchema>>;
