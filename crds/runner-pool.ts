import { z } from 'zod';
import { conditionsSchema, durationSchema, envFromSchema, resourcesSchema, tolerationSchema } from './parts.ts';

/** Security context a pool may set; everything outside is fixed to Pod Security `restricted`. */
export const poolSecurityContextSchema = z.object({
  runAsUser: z.int().min(1).max(4_294_967_294).optional(),
  runAsGroup: z.int().min(1).max(4_294_967_294).optional(),
  fsGroup: z.int().min(1).max(4_294_967_294).optional(),
});

/** `spec` of a RunnerPool: warm pods that pull nodes. A pool is a trust boundary. */
export const runnerPoolSpecSchema = z.object({
  image: z.string().min(1).max(1_024).default('rambo/runner'),
  minReady: z.int().min(0).max(1_000).default(1),
  max: z.int().min(1).max(1_000).default(4),
  idleTTL: durationSchema.default('5m'),
  slots: z.int().min(1).max(256).default(8),
  reuse: z.enum(['Never', 'Run', 'Shared']).default('Run'),
  resources: resourcesSchema.optional(),
  serviceAccountName: z.string().min(1).max(253).optional(),
  securityContext: poolSecurityContextSchema.optional(),
  envFrom: z.array(envFromSchema).max(16).optional(),
  imagePullSecrets: z.array(z.object({ name: z.string().min(1).max(253) })).max(8).optional(),
  nodeSelector: z.record(z.string().max(316), z.string().max(63)).optional(),
  tolerations: z.array(tolerationSchema).max(16).optional(),
  http: z.object({ allow: z.array(z.string().min(1).max(253)).max(256).optional() }).optional(),
  networkPolicy: z.object({
    egress: z.array(z.object({
      cidr: z.string().max(64),
      ports: z.array(z.int().min(1).max(65_535)).max(32).optional(),
    })).max(64).optional(),
  }).optional(),
});

/** `status` of a RunnerPool; written at most once a minute. Busy and queue depth are metrics. */
export const runnerPoolStatusSchema = z.object({
  observedGeneration: z.int().min(0).optional(),
  ready: z.int().min(0).optional(),
  starting: z.int().min(0).optional(),
  conditions: conditionsSchema.optional(),
});

/** `spec` of a RunnerPool with defaults applied. */
export type RunnerPoolSpec = z.output<typeof runnerPoolSpecSchema>;
/** `status` of a RunnerPool. */
export type RunnerPoolStatus = z.infer<typeof runnerPoolStatusSchema>;
