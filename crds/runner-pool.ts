import { z } from 'zod';
import {
  byName, conditionsSchema, durationSchema, envFromSchema, nodeSelectorSchema, observedGenerationSchema, resourcesSchema, subdomainSchema,
  tolerationSchema,
} from './parts.ts';
import type { DeepReadonly } from './readonly.ts';
import { withRules } from './rules.ts';

/** Security context a pool may set; everything outside is fixed to Pod Security `restricted`. */
export const poolSecurityContextSchema = z.object({
  runAsUser: z.int().min(1).max(4_294_967_294).optional(),
  runAsGroup: z.int().min(1).max(4_294_967_294).optional(),
  fsGroup: z.int().min(1).max(4_294_967_294).optional(),
});

const cidrSchema = z.string().min(1).max(64).regex(/^[0-9A-Fa-f.:]+\/[0-9]{1,3}$/).describe('CIDR such as 10.0.0.0/8.');

/** `spec` of a RunnerPool: warm pods that pull nodes. A pool is a trust boundary. */
export const runnerPoolSpecSchema = withRules(z.object({
  image: z.string().min(1).max(1_024).optional().describe('Image of the runner; that of the installation when absent.'),
  minReady: z.int().min(0).max(1_000).default(1).describe('Pods kept warm.'),
  max: z.int().min(1).max(1_000).default(4).describe('Pods at most.'),
  idleTTL: durationSchema.default('5m').describe('How long a pod above minReady waits for work.'),
  slots: z.int().min(1).max(256).default(8).describe('Nodes one pod runs at once.'),
  reuse: z.enum(['Never', 'Run', 'Shared']).default('Run')
    .describe('Never: one node per pod. Run: one run at a time. Shared: several runs.'),
  resources: resourcesSchema.optional(),
  serviceAccountName: subdomainSchema.optional()
    .describe('Workload identity; its token is not mounted. Naming it needs impersonate on it.'),
  securityContext: poolSecurityContextSchema.optional(),
  envFrom: z.array(envFromSchema).max(16).optional(),
  imagePullSecrets: z.array(z.object({ name: subdomainSchema })).max(8).optional().meta(byName),
  nodeSelector: nodeSelectorSchema.optional(),
  tolerations: z.array(tolerationSchema).max(16).optional(),
  http: z.object({ allow: z.array(z.string().min(1).max(253).regex(/^[A-Za-z0-9*._:/[\]-]+$/)).max(256).optional() }).optional(),
  networkPolicy: z.object({
    egress: z.array(z.object({
      cidr: cidrSchema,
      ports: z.array(z.int().min(1).max(65_535)).max(32).optional(),
    })).max(64).optional(),
  }).optional(),
}), [{
  cel: 'self.minReady <= self.max',
  message: 'spec.minReady may not be greater than spec.max: raise max or lower minReady',
  fieldPath: '.minReady',
  holds: (spec) => spec.minReady <= spec.max,
}]);

/** `status` of a RunnerPool; written at most once a minute. Busy and queue depth are metrics. */
export const runnerPoolStatusSchema = z.object({
  observedGeneration: observedGenerationSchema,
  ready: z.int().min(0).optional(),
  starting: z.int().min(0).optional(),
  conditions: conditionsSchema.optional(),
});

/** `spec` of a RunnerPool with defaults applied. */
export type RunnerPoolSpec = DeepReadonly<z.output<typeof runnerPoolSpecSchema>>;
/** `status` of a RunnerPool. */
export type RunnerPoolStatus = DeepReadonly<z.infer<typeof runnerPoolStatusSchema>>;
