import { z } from 'zod';
import { SCHEMA_ANNOTATION, SCHEMA_VERSION } from '../../crds/names.ts';
import { errorMessage, RamboError } from '../errors/index.ts';
import type { KubeClient } from './client.ts';
import { isNotFound, isRefused, KubeError } from './errors.ts';

const metadataSchema = z.object({ metadata: z.object({ annotations: z.record(z.string(), z.string()).optional() }) });
const HOW = 'Helm installs them with the chart; by hand: kubectl apply --server-side -f charts/rambo/crds of this release';

/**
 * Whether the definitions of our kinds are there and new enough. Throws RamboError `DefinitionMissing` or `DefinitionOld`.
 * An API server that does not answer, or does not let us look, is passed over: runs of the API go on without it.
 */
export async function checkDefinitions(client: Pick<KubeClient, 'json'>, names: readonly string[], log: { warn(facts: object, message: string): void }): Promise<void> {
  for (const name of names) {
    const version = await schemaVersion(client, name).catch((error: unknown) => {
      if (!(error instanceof KubeError)) throw error;
      if (isNotFound(error)) throw new RamboError('DefinitionMissing', `the definition ${name} is not in the cluster: ${HOW}`);
      if (isRefused(error)) log.warn({ name, err: errorMessage(error) }, 'may not look at a definition; taken as new enough');
      return SCHEMA_VERSION;
    });
    if (version < SCHEMA_VERSION) {
      throw new RamboError('DefinitionOld', `the definition ${name} has schema version ${version}, this release needs ${SCHEMA_VERSION}: ${HOW}`);
    }
  }
}

/** Version of the schema a definition has in the cluster; 0 when it does not say. Throws KubeError. */
export async function schemaVersion(client: Pick<KubeClient, 'json'>, name: string): Promise<number> {
  const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${encodeURIComponent(name)}`;
  const object = metadataSchema.parse(await client.json({ verb: 'get', resource: 'customresourcedefinitions', path, metadataOnly: true }));
  const version = Number(object.metadata.annotations?.[SCHEMA_ANNOTATION] ?? 0);
  return Number.isInteger(version) ? version : 0;
}
