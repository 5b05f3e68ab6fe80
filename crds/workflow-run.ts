import { z } from 'zod';
import { LIMITS, NAME_PATTERN } from './names.ts';
import { anyJson, conditionsSchema, nameSchema, objectNameSchema } from './parts.ts';
import { workflowSpecSchema } from './workflow.ts';

/** Phases of a run. The last three are final: a run never leaves them. */
export const RUN_PHASES = ['Pending', 'Running', 'Suspended', 'Succeeded', 'Failed', 'Cancelled'] as const;
/** One of the run phases. */
export type RunPhase = (typeof RUN_PHASES)[number];
/** Phases a run never leaves. */
export const FINAL_PHASES: readonly RunPhase[] = ['Succeeded', 'Failed', 'Cancelled'];
/** How to cancel: `Graceful` runs onExit, `Now` kills. Only Graceful may become Now. */
export const CANCEL_MODES = ['Graceful', 'Now'] as const;
/** One of the cancel modes. */
export type CancelMode = (typeof CANCEL_MODES)[number];

/** `spec` of a WorkflowRun. Immutable but for `suspend` and `cancel`. */
export const workflowRunSpecSchema = z.object({
  workflowRef: z.object({ name: objectNameSchema }).optional(),
  workflow: workflowSpecSchema.optional(),
  input: anyJson.optional(),
  priority: z.int().min(-1_000_000).max(1_000_000).optional(),
  serviceAccountName: z.string().min(1).max(253).optional(),
  suspend: z.boolean().optional(),
  cancel: z.enum(CANCEL_MODES).optional(),
  retryFrom: z.object({
    run: z.string().min(1).max(253),
    nodes: z.array(nameSchema).max(LIMITS.nodesPerManifest).optional(),
  }).optional(),
});

const countSchema = z.int().min(0).optional();

/** `status` of a WorkflowRun: a small summary, whatever the size of the run. */
export const workflowRunStatusSchema = z.object({
  observedGeneration: z.int().min(0).optional(),
  phase: z.enum(RUN_PHASES).optional(),
  runId: z.string().max(64).optional(),
  startedAt: z.iso.datetime().optional(),
  finishedAt: z.iso.datetime().optional(),
  progress: z.string().max(32).optional(),
  counts: z.object({
    pending: countSchema, queued: countSchema, running: countSchema, waiting: countSchema, succeeded: countSchema,
    failed: countSchema, skipped: countSchema, omitted: countSchema, cancelled: countSchema,
  }).optional(),
  failures: z.array(z.object({
    node: z.string().max(128),
    reason: z.string().max(128),
    message: z.string().max(512),
  })).max(LIMITS.statusFailures).optional().meta({ 'x-kubernetes-list-type': 'atomic' }),
  outputs: z.record(z.string().regex(new RegExp(NAME_PATTERN)), anyJson).optional()
    .meta({ 'x-kubernetes-preserve-unknown-fields': true }),
  outputsRef: z.string().max(1_024).optional(),
  conditions: conditionsSchema.optional(),
});

/** `spec` of a WorkflowRun, as written. */
export type WorkflowRunSpec = z.infer<typeof workflowRunSpecSchema>;
/** `status` of a WorkflowRun. */
export type WorkflowRunStatus = z.infer<typeof workflowRunStatusSchema>;
