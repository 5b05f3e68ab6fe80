import { Buffer } from 'node:buffer';
import { z } from 'zod';
import { crdOf } from '../crds/crd.ts';
import { KINDS } from '../crds/kinds.ts';
import { GROUP, LABELS, SCHEMA_VERSION } from '../crds/names.ts';
import type { KubeClient } from '../platform/kube/client.ts';
import { schemaVersion } from '../platform/kube/definitions.ts';
import { isAlreadyExists, isNotFound } from '../platform/kube/errors.ts';
import { apiPermissions, gatewayPermissions } from '../platform/messages/subjects.ts';
import { createNatsIdentity, serverConfig, signUser } from '../platform/nats/identity.ts';

/** The API server, as far as the steps go. */
export type SetupClient = Pick<KubeClient, 'json'>;

const FIELD_MANAGER = 'rambo-setup';
/** Port and folder of the trial NATS, as the chart has them. */
const NATS_PORT = 4_222;
const NATS_STORE = '/data/jetstream';

/** What a step did, for the log. */
export type StepResult = 'Created' | 'Applied' | 'Kept';

/**
 * Brings the definition of every kind to this release by server-side apply. One that the cluster has in a newer version
 * stays: an older release would take fields away from objects that use them. Results by name of the definition.
 */
export async function applyDefinitions(client: SetupClient): Promise<ReadonlyMap<string, StepResult>> {
  const results = new Map<string, StepResult>();
  for (const kind of KINDS) {
    const name = `${kind.plural}.${GROUP}`;
    const present = await schemaVersion(client, name).catch((error: unknown) => {
      if (isNotFound(error)) return -1;
      throw error;
    });
    if (present > SCHEMA_VERSION) {
      results.set(name, 'Kept');
      continue;
    }
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`;
    const query = { fieldManager: FIELD_MANAGER, force: 'true' };
    await client.json({ verb: 'patch', resource: 'customresourcedefinitions', path, query, patch: 'apply', body: crdOf(kind) });
    results.set(name, present < 0 ? 'Created' : 'Applied');
  }
  return results;
}

/**
 * The Secret of a trial NATS: operator, account, users of controller, API and model gateway, and the server's configuration,
 * made together. Of one that is there nothing is overwritten, which would lock out every runner; what an earlier release did
 * not know is added.
 */
export async function makeNatsSecret(client: SetupClient, namespace: string, name: string, now: number): Promise<StepResult> {
  const identity = await createNatsIdentity();
  const { accountSeed } = identity;
  const result = await createSecret(client, namespace, name, {
    'nats.conf': serverConfig({ host: '0.0.0.0', port: NATS_PORT, storeDir: NATS_STORE, identity }),
    'account.seed': accountSeed,
    'controller.creds': await signUser({ name: 'controller', accountSeed, now }),
    'api.creds': await signUser({ name: 'api', accountSeed, permissions: apiPermissions(), now }),
    'modelgateway.creds': await signUser({ name: 'modelgateway', accountSeed, permissions: gatewayPermissions(), now }),
  });
  return result === 'Kept' ? addGatewayUser(client, namespace, name, now) : result;
}

const secretSchema = z.object({ data: z.record(z.string(), z.string()).default({}) });

/** Secrets of releases before the model gateway lack its user; the seed beside it signs one. */
async function addGatewayUser(client: SetupClient, namespace: string, name: string, now: number): Promise<StepResult> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets/${encodeURIComponent(name)}`;
  const { data } = secretSchema.parse(await client.json({ verb: 'get', resource: 'secrets', path }));
  const seed = data['account.seed'];
  if (data['modelgateway.creds'] !== undefined || seed === undefined) return 'Kept';
  const creds = await signUser({ name: 'modelgateway', accountSeed: Buffer.from(seed, 'base64').toString('utf8'), permissions: gatewayPermissions(), now });
  await client.json({ verb: 'patch', resource: 'secrets', path, query: { fieldManager: FIELD_MANAGER }, patch: 'merge', body: { stringData: { 'modelgateway.creds': creds } } });
  return 'Applied';
}

/** The Secret of a trial Postgres: password of its superuser, and the URL with it. One that is there stays as it is. */
export function makePostgresSecret(client: SetupClient, namespace: string, name: string, at: { readonly host: string; readonly password: string }): Promise<StepResult> {
  const url = `postgresql://rambo:${encodeURIComponent(at.password)}@${at.host}:5432/rambo`;
  return createSecret(client, namespace, name, { password: at.password, url });
}

async function createSecret(client: SetupClient, namespace: string, name: string, stringData: Readonly<Record<string, string>>): Promise<StepResult> {
  const body = {
    apiVersion: 'v1', kind: 'Secret', type: 'Opaque', stringData,
    metadata: { name, namespace, labels: { [LABELS.managedBy]: FIELD_MANAGER, 'app.kubernetes.io/part-of': 'rambo' } },
  };
  try {
    await client.json({ verb: 'create', resource: 'secrets', path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`, query: { fieldManager: FIELD_MANAGER }, body });
    return 'Created';
  } catch (error) {
    if (isAlreadyExists(error)) return 'Kept';
    throw error;
  }
}
