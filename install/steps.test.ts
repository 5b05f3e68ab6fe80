import { crdOf } from '../crds/crd.ts';
import { KINDS } from '../crds/kinds.ts';
import { SCHEMA_ANNOTATION, SCHEMA_VERSION } from '../crds/names.ts';
import type { KubeRequest } from '../platform/kube/client.ts';
import { KubeError } from '../platform/kube/errors.ts';
import { apiPermissions, gatewayPermissions } from '../platform/messages/subjects.ts';
import { applyDefinitions, makeNatsSecret, makePostgresSecret, type SetupClient } from './steps.ts';

interface Secret { data?: Record<string, string>; stringData?: Record<string, string> }

/** A cluster with definitions of a version, and Secrets. */
class Cluster implements SetupClient {
  readonly requests: KubeRequest[] = [];
  versions: number | undefined;
  secret: Secret | undefined;
  failure: KubeError | undefined;

  json(request: KubeRequest): Promise<unknown> {
    this.requests.push(request);
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (request.resource === 'customresourcedefinitions') return this.#definition(request);
    if (request.verb === 'create' && this.secret !== undefined) return Promise.reject(new KubeError(409, 'AlreadyExists', 'there is one'));
    if (request.verb === 'create') this.secret = request.body as Secret;
    return Promise.resolve(this.secret);
  }

  #definition({ verb }: KubeRequest): Promise<unknown> {
    if (verb !== 'get') return Promise.resolve({});
    if (this.versions === undefined) return Promise.reject(new KubeError(404, 'NotFound', 'there is none'));
    return Promise.resolve({ metadata: { annotations: this.versions === 0 ? {} : { [SCHEMA_ANNOTATION]: String(this.versions) } } });
  }

  get writes(): readonly KubeRequest[] { return this.requests.filter(({ verb }) => verb !== 'get'); }
}

const encoded = (data: Record<string, string>): Record<string, string> => Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));

/** What stands in a credentials file: the user's name and what it may do. */
function userOf(creds: string | undefined): { readonly name: string; readonly nats: { readonly pub?: { readonly allow?: readonly string[] }; readonly sub?: { readonly allow?: readonly string[] } } } {
  const [, payload = ''] = /-----BEGIN NATS USER JWT-----\s+([\w.-]+)/.exec(creds ?? '')?.[1]?.split('.') ?? [];
  return JSON.parse(Buffer.from(payload, 'base64url').toString());
}

describe('definitions', () => {
  test.each<[string, number | undefined, string]>([['are made where there are none', undefined, 'Created'], ['of an older release are brought to this one', SCHEMA_VERSION - 1, 'Applied'], ['that say no version are old', 0, 'Applied'], ['of this release are applied again', SCHEMA_VERSION, 'Applied']])('%s', async (_, version, result) => {
    const cluster = new Cluster();
    cluster.versions = version;
    expect(new Set((await applyDefinitions(cluster)).values())).toEqual(new Set([result]));
    expect(cluster.writes.map(({ body }) => body)).toEqual(KINDS.map(crdOf));
    expect(cluster.writes[0]).toMatchObject({ verb: 'patch', patch: 'apply', query: { fieldManager: 'rambo-setup', force: 'true' } });
  });

  test('of a newer release stay: an older one would take fields away', async () => {
    const cluster = new Cluster();
    cluster.versions = SCHEMA_VERSION + 1;
    expect([...(await applyDefinitions(cluster)).values()]).toEqual(KINDS.map(() => 'Kept'));
    expect(cluster.writes).toEqual([]);
  });

  test('an API server that does not answer is no reason to write', async () => {
    const cluster = new Cluster();
    cluster.failure = new KubeError(0, 'Unreachable', 'no answer');
    await expect(applyDefinitions(cluster)).rejects.toBe(cluster.failure);
    expect(cluster.writes).toEqual([]);
  });
});

/** Keys and signatures are made in JavaScript: a busy machine takes its time. */
const PATIENCE_MS = 120_000;

describe('the Secret of a trial NATS', () => {
  test('holds a server and three users, each with what it may do', async () => {
    const cluster = new Cluster();
    expect(await makeNatsSecret(cluster, 'ns', 'nats', 1_000)).toBe('Created');
    const made = cluster.secret?.stringData ?? {};
    expect(Object.keys(made).sort()).toEqual(['account.seed', 'api.creds', 'controller.creds', 'modelgateway.creds', 'nats.conf']);
    expect(made['nats.conf']).toContain('listen: "0.0.0.0:4222"');
    expect(made['nats.conf']).not.toContain(made['account.seed']);
    const [controller, api, gateway] = ['controller', 'api', 'modelgateway'].map((name) => userOf(made[`${name}.creds`]));
    expect([controller?.name, controller?.nats.pub?.allow]).toEqual(['controller', undefined]);
    expect([api?.name, api?.nats.pub?.allow, api?.nats.sub?.allow]).toEqual(['api', apiPermissions().publish, apiPermissions().subscribe]);
    expect([gateway?.name, gateway?.nats.pub?.allow]).toEqual(['modelgateway', gatewayPermissions().publish]);
  }, PATIENCE_MS);

  test('that is whole stays as it is', async () => {
    const cluster = new Cluster();
    await makeNatsSecret(cluster, 'ns', 'nats', 1_000);
    cluster.secret = { data: encoded(cluster.secret?.stringData ?? {}) };
    expect(await makeNatsSecret(cluster, 'ns', 'nats', 2_000)).toBe('Kept');
    expect(cluster.writes.map(({ verb }) => verb)).toEqual(['create', 'create']);
  }, PATIENCE_MS);

  test('of a release before the model gateway gets its user alone, of the same account', async () => {
    const cluster = new Cluster();
    await makeNatsSecret(cluster, 'ns', 'nats', 1_000);
    const { 'modelgateway.creds': _, ...older } = cluster.secret?.stringData ?? {};
    cluster.secret = { data: encoded(older) };
    expect(await makeNatsSecret(cluster, 'ns', 'nats', 2_000)).toBe('Applied');
    const { verb, patch, path, body } = cluster.writes.at(-1) ?? { verb: '', path: '' };
    expect([verb, patch, path]).toEqual(['patch', 'merge', '/api/v1/namespaces/ns/secrets/nats']);
    const { stringData } = body as { stringData: Record<string, string> };
    expect(Object.keys(stringData)).toEqual(['modelgateway.creds']);
    expect(userOf(stringData['modelgateway.creds'])).toMatchObject({ name: 'modelgateway', iss: (userOf(older['api.creds']) as unknown as { iss: string }).iss });
  }, PATIENCE_MS);

  test('without a seed of ours is somebody else\'s: nothing is added', async () => {
    const cluster = new Cluster();
    cluster.secret = { data: encoded({ 'controller.creds': 'x' }) };
    expect(await makeNatsSecret(cluster, 'ns', 'nats', 1_000)).toBe('Kept');
    expect(cluster.writes).toHaveLength(1);
  }, PATIENCE_MS);
});

describe('the Secret of a trial Postgres', () => {
  test('holds the password and the URL with it, whatever is in it', async () => {
    const cluster = new Cluster();
    expect(await makePostgresSecret(cluster, 'ns', 'pg', { host: 'db', password: 'a/b@c:d' })).toBe('Created');
    const { password, url = '' } = cluster.secret?.stringData ?? {};
    expect([password, decodeURIComponent(new URL(url).password), new URL(url).host]).toEqual(['a/b@c:d', 'a/b@c:d', 'db:5432']);
  });

  test('that is there stays: another password would lock everybody out', async () => {
    const cluster = new Cluster();
    cluster.secret = { data: encoded({ password: 'old' }) };
    expect(await makePostgresSecret(cluster, 'ns', 'pg', { host: 'db', password: 'new' })).toBe('Kept');
    expect(cluster.secret).toEqual({ data: encoded({ password: 'old' }) });
  });

  test('that may not be made is an error', async () => {
    const cluster = new Cluster();
    cluster.failure = new KubeError(403, 'Forbidden', 'no');
    await expect(makePostgresSecret(cluster, 'ns', 'pg', { host: 'db', password: 'x' })).rejects.toMatchObject({ status: 403 });
  });
});
