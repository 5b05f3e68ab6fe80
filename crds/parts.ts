import { z } from 'zod';
import { DURATION_PATTERN, LIMITS, NAME_PATTERN } from './names.ts';

/**
 * Building blocks of the schemas. `meta()` keys that start with `x-kubernetes-` go into the CRD as they are;
 * everything else is plain zod, so that the TypeScript types, the CRD and the parser at the door have one source.
 */

/** Name of a node, input or output. */
export const nameSchema = z.string().min(1).max(LIMITS.nameLength).regex(new RegExp(NAME_PATTERN));
/** Name of a Kubernetes object of ours: a DNS label, because it becomes part of subjects, labels and pod names. */
export const objectNameSchema = z.string().min(1).max(63).regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
/** A duration as people write it. */
export const durationSchema = z.string().max(32).regex(new RegExp(DURATION_PATTERN)).describe('Duration such as 500ms, 10s, 5m, 1h30m.');
/** A bare CEL expression; `${{ }}` around the whole is accepted. */
export const expressionSchema = z.string().min(1).max(LIMITS.expressionLength);
/** Any JSON: the only places where unknown fields are kept. */
export const anyJson = z.unknown().meta({ 'x-kubernetes-preserve-unknown-fields': true });

/** Kubernetes resource requirements, the part that pods of ours accept. */
export const resourcesSchema = z.object({
  requests: z.record(z.string().max(63), z.string().max(32)).optional(),
  limits: z.record(z.string().max(63), z.string().max(32)).optional(),
});

/** A toleration as in a pod. */
export const tolerationSchema = z.object({
  key: z.string().max(316).optional(),
  operator: z.enum(['Exists', 'Equal']).optional(),
  value: z.string().max(63).optional(),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
  tolerationSeconds: z.int().min(0).max(31_536_000).optional(),
});

/** One environment variable with a literal value, or `${{ }}` in it. */
export const envVarSchema = z.object({
  name: z.string().min(1).max(128).regex(/^[A-Za-z_][A-Za-z0-9_]*$/),
  value: z.string().max(32_768).optional(),
});

/** A Secret or ConfigMap of the same namespace whose keys become environment. */
export const envFromSchema = z.object({
  prefix: z.string().max(64).optional(),
  secretRef: z.object({ name: z.string().min(1).max(253), optional: z.boolean().optional() }).optional(),
  configMapRef: z.object({ name: z.string().min(1).max(253), optional: z.boolean().optional() }).optional(),
});

/** A volume a node may ask for: only kinds that cannot reach the host. */
export const volumeSchema = z.object({
  name: objectNameSchema,
  mountPath: z.string().min(2).max(512).regex(/^\/[^:\0]*$/),
  readOnly: z.boolean().optional(),
  emptyDir: z.object({ sizeLimit: z.string().max(32).optional() }).optional(),
  configMap: z.object({ name: z.string().min(1).max(253) }).optional(),
  secret: z.object({ secretName: z.string().min(1).max(253) }).optional(),
  persistentVolumeClaim: z.object({ claimName: z.string().min(1).max(253) }).optional(),
});

/** A kstatus condition. */
export const conditionSchema = z.object({
  type: z.string().min(1).max(316),
  status: z.enum(['True', 'False', 'Unknown']),
  observedGeneration: z.int().min(0).optional(),
  lastTransitionTime: z.iso.datetime(),
  reason: z.string().min(1).max(1024).regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/),
  message: z.string().max(32_768),
});
/** Conditions merge by type, so two writers never erase each other's. */
export const conditionsSchema = z
  .array(conditionSchema)
  .max(16)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] });

/** A kstatus condition as stored in status. */
export type Condition = z.infer<typeof conditionSchema>;
