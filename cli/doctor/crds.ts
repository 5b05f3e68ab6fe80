import { z } from 'zod';
import { crdOf } from '../../crds/crd.ts';
import { KINDS } from '../../crds/kinds.ts';
import { GROUP, VERSION } from '../../crds/names.ts';
import type { KubeClient } from '../../platform/kube/client.ts';
import { isNotFound } from '../../platform/kube/errors.ts';
import type { Plural } from '../io/cluster.ts';
import type { CrdFact } from './facts.ts';

const crdSchema = z.looseObject({
  spec: z.looseObject({ versions: z.array(z.looseObject({ name: z.string(), served: z.boolean().default(false), schema: z.looseObject({ openAPIV3Schema: z.unknown() }).optional() })) }),
  status: z.looseObject({ conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).default([]) }).optional(),
});

/** A definition as the API server has it, compared with that of this release. */
export async function crdFact(client: KubeClient, plural: Plural): Promise<CrdFact> {
  const name = `${plural}.${GROUP}`;
  const object = await client.json({ verb: 'get', resource: 'customresourcedefinitions', path: `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}` })
    .catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
  if (object === undefined) return { name, present: false, established: false, versions: [], missingFields: [] };
  const { spec, status } = crdSchema.parse(object);
  const served = spec.versions.filter((version) => version.served).map((version) => version.name);
  const there = fieldsOf(spec.versions.find((version) => version.name === VERSION)?.schema?.openAPIV3Schema);
  return {
    name, present: true, versions: served,
    established: status?.conditions.some((condition) => condition.type === 'Established' && condition.status === 'True') ?? false,
    missingFields: [...ownFields(plural)].filter((field) => !there.has(field)),
  };
}

function ownFields(plural: Plural): ReadonlySet<string> {
  const kind = KINDS.find((definition) => definition.plural === plural);
  const parsed = crdSchema.safeParse(kind === undefined ? undefined : crdOf(kind));
  return fieldsOf(parsed.success ? parsed.data.spec.versions[0]?.schema?.openAPIV3Schema : undefined);
}

const nodeSchema: z.ZodType<{ properties?: Record<string, unknown> | undefined; items?: unknown; additionalProperties?: unknown }> =
  z.looseObject({ properties: z.record(z.string(), z.unknown()).optional(), items: z.unknown().optional(), additionalProperties: z.unknown().optional() });

/** Paths of all fields a structural schema declares: `spec.nodes[].with.source`. */
export function fieldsOf(schema: unknown, path = ''): ReadonlySet<string> {
  const parsed = nodeSchema.safeParse(schema);
  const out = new Set<string>();
  if (!parsed.success) return out;
  for (const [name, child] of Object.entries(parsed.data.properties ?? {})) {
    const own = path === '' ? name : `${path}.${name}`;
    out.add(own);
    for (const field of fieldsOf(child, own)) out.add(field);
  }
  for (const field of fieldsOf(parsed.data.items, `${path}[]`)) out.add(field);
  for (const field of fieldsOf(parsed.data.additionalProperties, `${path}{}`)) out.add(field);
  return out;
}
