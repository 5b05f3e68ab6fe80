import { z } from 'zod';
import { LIMITS, NAME_PATTERN } from './names.ts';
import { anyJson, conditionsSchema, nameSchema, objectNameSchema, observedGenerationSchema, subdomainSchema, timeSchema } from './parts.ts';
import type { DeepReadonly } from './readonly.ts';
import { withRules } from './rules.ts';
import { workflowRunSpecRules } from './workflow-run-rules.ts';
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
export const workflowRunSpecSchema = withRules(z.object({
  workflowRef: z.object({ name: objectNameSchema }).optional().describe('The Workflow to run, of the same namespace.'),
  workflow: workflowSpecSchema.optional().describe('A definition of its own, instead of workflowRef.'),
  input: anyJson.optional().describe('Checked against the inputs of the workflow.'),
  priority: z.int().min(-1_000_000).max(1_000_000).optional().describe('Higher starts first; overrides the priority of the workflow.'),
  serviceAccountName: subdomainSchema.optional().describe('For resource nodes; naming it needs impersonate on it.'),
  suspend: z.boolean().optional().describe('Starts no further node while true.'),
  cancel: z.enum(CANCEL_MODES).optional().describe('Graceful runs onExit, Now kills. Never unset.'),
  retryFrom: z.object({
    run: subdomainSchema,
    nodes: z.array(nameSchema).max(LIMITS.nodesPerManifest).optional().meta({ 'x-kubernetes-list-type': 'set' }),
  }).optional(),
}), workflowRunSpecRules);

const countSchema = z.int().min(0).optional();

/** `status` of a WorkflowRun: a small summary, whatever the size of the run. */
export const workflowRunStatusSchema = z.object({
  observedGeneration: observedGenerationSchema,
  phase: z.enum(RUN_PHASES).optional().describe('The last three are final.'),
  runId: z.string().max(64).optional(),
  startedAt: timeSchema.optional(),
  finishedAt: timeSchema.optional(),
  progress: z.string().max(32).optional().describe('Ended nodes of all: 3/10.'),
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
  outputsRef: z.string().max(1_024).optional().describe('Where the outputs are when they are too large for status.'),
  conditions: conditionsSchema.optional(),
});

/** `spec` of a WorkflowRun, as written. */
export type WorkflowRunSpec = DeepReadonly<z.infer<typeof workflowRunSpecSchema>>;
/** `status` of a WorkflowRun. */
export type WorkflowRunStatus = DeepReadonly<z.infer<typeof workflowRunStatusSchema>>;
