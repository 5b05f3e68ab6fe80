import type { KindDefinition } from './kinds.ts';
import { GROUP, NEVER_OBSERVED, SCHEMA_ANNOTATION, SCHEMA_VERSION, VERSION } from './names.ts';
import { celValidation } from './rules.ts';
import { toStructural } from './structural.ts';
import type { StructuralSchema } from './structural.ts';

/** The CustomResourceDefinition of a kind, ready to be written as YAML. Throws ConversionError on a schema no API server would take. */
export function crdOf(definition: KindDefinition): Readonly<Record<string, unknown>> {
  const { kind, plural, singular, shortName } = definition;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}`, labels: { 'app.kubernetes.io/part-of': 'rambo' }, annotations: { [SCHEMA_ANNOTATION]: String(SCHEMA_VERSION) } },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames: [shortName], categories: ['rambo'] },
      versions: [{
        name: VERSION,
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: definition.columns,
        schema: { openAPIV3Schema: rootSchema(definition) },
      }],
    },
  };
}

function rootSchema(definition: KindDefinition): StructuralSchema {
  return {
    type: 'object',
    description: definition.description,
    required: ['spec'],
    'x-kubernetes-validations': definition.rules.map(celValidation),
    properties: {
      // No lengths here: the API server owns these three and refuses most constraints on metadata.
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: toStructural(definition.spec, `${definition.kind}.spec`),
      status: { ...toStructural(definition.status, `${definition.kind}.status`), default: { observedGeneration: NEVER_OBSERVED } },
    },
  };
}
