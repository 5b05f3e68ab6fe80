import { z } from 'zod';
import { DURATION_PATTERN, LIMITS, NAME_PATTERN, NEVER_OBSERVED } from './names.ts';
import type { DeepReadonly } from './readonly.ts';
import { exactlyOneOf, withRules } from './rules.ts';

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

/** A JSON list that merges by the name of its entries: server-side apply of two writers keeps both, duplicates are refused. */
export const byName = { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] } as const;

/** A string map with at most `maxProperties` keys of at most `keyLength` characters. */
export function stringMap(keyLength: number, value: z.ZodString, maxProperties: number): z.ZodRecord<z.ZodString, z.ZodString> {
  const map = z.record(z.string().max(keyLength), value).meta({ maxProperties });
  return withRules(map, [
    { cel: `self.all(k, size(k) <= ${keyLength})`, message: `a key may have at most ${keyLength} characters` },
    {
      cel: `size(self) <= ${maxProperties}`,
      message: `at most ${maxProperties} keys`,
      holds: (entries) => Object.keys(entries).length <= maxProperties,
    },
  ]);
}

/** A Kubernetes quantity: `500m`, `1.5Gi`. */
export const quantitySchema = z.string().max(32)
  .regex(/^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,3})?$/);
/** Name of a Secret, ConfigMap, ServiceAccount or WorkflowRun: a DNS subdomain. */
export const subdomainSchema = z.string().min(1).max(253).regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);
/** Node labels a pod asks for. */
export const nodeSelectorSchema = stringMap(316, z.string().max(63), 16);

/** Kubernetes resource requirements, the part that pods of ours accept. */
export const resourcesSchema = z.object({
  requests: stringMap(63, quantitySchema, 16).optional(),
  limits: stringMap(63, quantitySchema, 16).optional(),
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
export const envFromSchema = withRules(z.object({
  prefix: z.string().max(64).optional(),
  secretRef: z.object({ name: subdomainSchema, optional: z.boolean().optional() }).optional(),
  configMapRef: z.object({ name: subdomainSchema, optional: z.boolean().optional() }).optional(),
}), [exactlyOneOf(['secretRef', 'configMapRef'], 'an entry of envFrom needs exactly one of secretRef, configMapRef')]);

/** Folders of the kernel, of the runner and of service account tokens. */
const RESERVED_MOUNTS = ['/proc', '/sys', '/dev', '/rambo', '/run/secrets', '/var/run/secrets'];
const mountPathSchema = withRules(
  z.string().min(2).max(512).regex(/^(\/\.{0,2}[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*)+$/)
    .describe('Absolute and normalised: no empty, . or .. segment.'),
  [{
    // Neither a pattern nor exists(): times a thousand nodes they would cost four times the budget of a rule.
    cel: RESERVED_MOUNTS.map((folder) => `self != '${folder}' && !self.startsWith('${folder}/')`).join(' && '),
    message: 'mountPath may not lie below /proc, /sys, /dev, /rambo, /run/secrets or /var/run/secrets: choose another folder',
    holds: (path) => !RESERVED_MOUNTS.some((folder) => `${path}/`.startsWith(`${folder}/`)),
  }],
);

/** A volume a node may ask for: only kinds that cannot reach the host. */
export const volumeSchema = withRules(z.object({
  name: objectNameSchema,
  mountPath: mountPathSchema,
  readOnly: z.boolean().optional(),
  emptyDir: z.object({ sizeLimit: quantitySchema.optional() }).optional(),
  configMap: z.object({ name: subdomainSchema }).optional(),
  secret: z.object({ secretName: subdomainSchema }).optional(),
  persistentVolumeClaim: z.object({ claimName: subdomainSchema }).optional(),
}), [exactlyOneOf(
  ['emptyDir', 'configMap', 'secret', 'persistentVolumeClaim'],
  'a volume needs exactly one of emptyDir, configMap, secret, persistentVolumeClaim',
)]);

/** A time as the API server writes it (RFC 3339). */
export const timeSchema = z.iso.datetime({ offset: true });

/** Which generation the status speaks of; `NEVER_OBSERVED` until the controller has seen the object. */
export const observedGenerationSchema = z.int().min(NEVER_OBSERVED).optional();

/** A kstatus condition. */
export const conditionSchema = z.object({
  type: z.string().min(1).max(316),
  status: z.enum(['True', 'False', 'Unknown']),
  observedGeneration: z.int().min(0).optional(),
  lastTransitionTime: timeSchema,
  reason: z.string().min(1).max(1024).regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/),
  message: z.string().max(32_768),
});
/** Conditions merge by type, so two writers never erase each other's. */
export const conditionsSchema = z
  .array(conditionSchema)
  .max(16)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] });

/** A kstatus condition as stored in status. */
export type Condition = DeepReadonly<z.infer<typeof conditionSchema>>;
