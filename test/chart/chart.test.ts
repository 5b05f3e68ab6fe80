import { readFileSync } from 'node:fs';
import path from 'node:path';
import { generatedChartFiles, staleChartFiles } from '../../hack/chart/generate.ts';
import { CHART, EXTERNAL, podTemplates, refusal, render, renderText, ROOT, runHelm, the, TRIAL, type Rendered } from './helm.ts';

/** Every switch of the chart, by what it makes of the objects. */

const container = (workload: Rendered): Rendered => workload['spec'].template.spec.containers[0] as Rendered;
const env = (workload: Rendered): Readonly<Record<string, string>> =>
  Object.fromEntries((container(workload)['env'] as readonly { readonly name: string; readonly value?: string }[]).map(({ name, value = '' }) => [name, value]));
const controller = (values: object): Rendered => the(render({ ...TRIAL, ...values }), 'Deployment', 'rambo-controller');
const api = (values: object): Rendered => the(render({ ...TRIAL, ...values }), 'Deployment', 'rambo-api');
const gateway = (values: object): Rendered => the(render({ ...TRIAL, ...values }), 'Deployment', 'rambo-modelgateway');
const kinds = (objects: readonly Rendered[]): ReadonlySet<string> => new Set(objects.map(({ kind }) => kind));

test('generated files of the chart are fresh', () => {
  expect(staleChartFiles(generatedChartFiles())).toEqual([]);
});

test('helm lint has nothing to say', () => {
  for (const values of [TRIAL, EXTERNAL]) {
    const { ok, out, error } = runHelm(['lint', CHART, '--strict', '--kube-version', '1.35.0'], values);
    expect({ ok, text: `${out}${error}` }).toEqual({ ok: true, text: expect.not.stringMatching(/WARNING|ERROR/) });
  }
});

test('too old a Kubernetes is refused', () => {
  const { ok, error } = runHelm(['template', 'rambo', CHART, '--kube-version', '1.29.9'], TRIAL);
  expect({ ok, error }).toEqual({ ok: false, error: expect.stringMatching(/requires kubeVersion: >=1\.30\.0-0 which is incompatible with Kubernetes v1\.29\.9/) });
});

test('the memory flags of the controller are those of the local stack', () => {
  const flags = /CONTROLLER_FLAGS = \[(.*)\]/.exec(readFileSync(path.join(ROOT, 'hack/stack/stack.ts'), 'utf8'))?.[1];
  expect(container(controller({}))['command']).toEqual(['node', ...JSON.parse(`[${(flags ?? '').replaceAll("'", '"')}]`) as string[], '/app/controller.mjs']);
});

describe('wrong values are refused with their path:', () => {
  test.each<[string, object, RegExp]>([
    ['an unknown value', { ...TRIAL, replicas: 3 }, /additional properties 'replicas' not allowed/],
    ['an unknown value further in', { ...TRIAL, controller: { replica: 3 } }, /'\/controller': additional properties 'replica' not allowed/],
    ['a text for a number', { ...TRIAL, controller: { replicas: 'two' } }, /'\/controller\/replicas': got string, want integer/],
    ['no replicas', { ...TRIAL, api: { replicas: 0 } }, /'\/api\/replicas': minimum: got 0, want 1/],
    ['a level that is none', { ...TRIAL, logLevel: 'loud' }, /'\/logLevel': value must be one of 'debug', 'info', 'warn', 'error'/],
    ['a digest that is none', { ...TRIAL, api: { image: { digest: 'abc' } } }, /'\/api\/image\/digest': 'abc' does not match pattern/],
    ['a namespace that is none', { ...TRIAL, watchNamespaces: ['Team_A'] }, /'\/watchNamespaces\/0': 'Team_A' does not match pattern/],
    ['a size that is none', { ...TRIAL, controller: { logs: { size: 'big' } } }, /'\/controller\/logs\/size': 'big' does not match pattern/],
    ['a port that is none', { ...TRIAL, networkPolicy: { apiServerPorts: [70_000] } }, /'\/networkPolicy\/apiServerPorts\/0': maximum: got 70,?000, want 65,?535/],
    ['no Postgres', { nats: { trial: true } }, /postgres: set postgres\.existingSecret .* or postgres\.trial=true/],
    ['two', { ...TRIAL, postgres: { trial: true, existingSecret: 'pg' } }, /postgres: give existingSecret .* or trial=true .* not both/],
    ['no NATS', { postgres: { trial: true } }, /nats: set nats\.url and nats\.existingSecret .* or nats\.trial=true/],
    ['a NATS without users', { ...EXTERNAL, nats: { url: 'nats://x:4222' } }, /nats: set nats\.url and nats\.existingSecret/],
    ['two of them', { ...TRIAL, nats: { trial: true, url: 'nats://x' } }, /nats: give existingSecret and url .* or trial=true .* not both/],
    ['two bundles', { ...TRIAL, caBundle: { configMap: 'a', secret: 'b' } }, /caBundle: give configMap or secret, not both/],
    ['an Ingress for every host', { ...TRIAL, ingress: { enabled: true } }, /ingress\.host: .* name the host/],
    ['a route without a gateway', { ...TRIAL, httpRoute: { enabled: true } }, /httpRoute\.parentRefs: name the Gateway/],
    ['an object store without keys', { ...TRIAL, objectStore: { endpoint: 'https://s3.example.com' } }, /objectStore: set objectStore\.existingSecret/],
    ['an object store without a scheme', { ...TRIAL, objectStore: { endpoint: 's3.example.com' } }, /'\/objectStore\/endpoint': 's3\.example\.com' does not match pattern/],
    ['a pool where nobody looks', { ...TRIAL, watchNamespaces: ['a'], defaultPool: { namespaces: ['b'] } }, /defaultPool\.namespaces: b is not one of watchNamespaces \(a\)/],
  ])('%s', (_name, values, message) => { expect(refusal(values)).toMatch(message); });
});

test('a rendered chart has no value that was forgotten', () => {
  const text = renderText({ ...TRIAL, metrics: { serviceMonitor: { enabled: true }, prometheusRule: { enabled: true }, dashboards: { enabled: true } } });
  expect(text).not.toMatch(/<no value>|<nil>|%!/);
});

describe('images', () => {
  const images = (values: object): readonly string[] => [...new Set(podTemplates(render({ ...TRIAL, ...values })).map(({ template }) => String((template['spec'] as Rendered)['containers'][0].image)))].sort();
  const version = /^appVersion: (.*)$/m.exec(readFileSync(path.join(CHART, 'Chart.yaml'), 'utf8'))?.[1] ?? '';

  test('are those of the release, unless named otherwise', () => {
    expect(images({})).toEqual(['api', 'controller', 'migrate', 'modelgateway', 'trial-nats', 'trial-postgres'].map((name) => `rambo/${name}:${version}`));
    expect(images({ image: { registry: 'registry.example/x', tag: 'v9' } })).toEqual(['api', 'controller', 'migrate', 'modelgateway', 'trial-nats', 'trial-postgres'].map((name) => `registry.example/x/rambo/${name}:v9`));
  });
  test('a digest wins', () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    expect(images({ image: { tag: 'v9' }, controller: { image: { digest, tag: 'v8' } }, api: { image: { tag: 'v8', repository: 'mine/api' } } })).toEqual(expect.arrayContaining([`rambo/controller@${digest}`, 'mine/api:v8']));
  });
  test('that of runners is told to the controller', () => {
    expect(env(controller({ runner: { image: { tag: 'r1' } } }))['RAMBO_RUNNER_IMAGE']).toBe('rambo/runner:r1');
  });
  test('are pulled as the values say, with the secrets they name; runners of default pools too', () => {
    const objects = render({ ...TRIAL, image: { pullPolicy: 'Always' }, imagePullSecrets: [{ name: 'regcred' }] });
    for (const { template } of podTemplates(objects)) expect(template['spec']).toMatchObject({ imagePullSecrets: [{ name: 'regcred' }], containers: [{ imagePullPolicy: 'Always' }] });
    expect(the(objects, 'RunnerPool', 'default')['spec'].imagePullSecrets).toEqual([{ name: 'regcred' }]);
  });
});

describe('every pod', () => {
  const pods = podTemplates(render({ ...TRIAL, backup: { schedule: '17 2 * * *' } }));
  test.each(pods.map(({ name, template }) => [name, template] as const))('%s is closed, limited and says what it needs', (_name, template) => {
    const spec = template['spec'] as Rendered;
    expect(spec).toMatchObject({ enableServiceLinks: false, securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } } });
    for (const one of spec['containers'] as readonly Rendered[]) {
      expect(one['securityContext']).toEqual({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
      expect(one['resources']).toMatchObject({ requests: { cpu: expect.any(String), memory: expect.any(String) }, limits: { memory: expect.any(String) } });
    }
    for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) expect(spec).not.toHaveProperty(field);
  });
  test('has a token of the API server only where it asks it something', () => {
    expect(Object.fromEntries(pods.map(({ component, template }) => [component, (template['spec'] as Rendered)['automountServiceAccountToken']])))
      .toEqual({ controller: true, api: true, modelgateway: true, setup: true, migrate: false, backup: false, postgres: false, nats: false });
  });
  test('is placed and named as the values say', () => {
    const more = { podLabels: { a: 'b' }, podAnnotations: { c: 'd' }, nodeSelector: { e: 'f' }, tolerations: [{ key: 'g', operator: 'Exists' }], affinity: { podAntiAffinity: {} }, priorityClassName: 'own', extraEnv: [{ name: 'OWN', value: '1' }], resources: { limits: { memory: '9Gi' } } };
    const values = {
      postgres: { trial: true, trialServer: more }, nats: { trial: true, trialServer: more }, controller: more, api: more, modelgateway: more, migration: more, setup: more, backup: { ...more, schedule: '@daily' },
      commonLabels: { team: 'x' }, commonAnnotations: { note: 'y' }, priorityClassName: 'all', extraEnv: [{ name: 'ALL', value: '2' }],
    };
    for (const { template } of podTemplates(render(values))) {
      const spec = template['spec'] as Rendered;
      expect(template.metadata).toMatchObject({ labels: { a: 'b', team: 'x' }, annotations: { c: 'd', note: 'y' } });
      expect(spec).toMatchObject({ nodeSelector: { e: 'f' }, tolerations: [{ key: 'g' }], affinity: { podAntiAffinity: {} }, priorityClassName: 'own' });
      const [one] = spec['containers'] as readonly Rendered[];
      expect(one?.['env']).toEqual(expect.arrayContaining([{ name: 'ALL', value: '2' }, { name: 'OWN', value: '1' }]));
      expect(one?.['resources'].limits.memory).toBe('9Gi');
    }
    expect(controller({ priorityClassName: 'all' })['spec'].template.spec.priorityClassName).toBe('all');
    for (const object of render(values)) {
      if (object.metadata.name.endsWith('rambo.dev')) continue;
      expect(object.metadata).toMatchObject({ labels: { team: 'x', 'app.kubernetes.io/part-of': 'rambo' }, annotations: { note: 'y' } });
    }
  });
});

describe('backups', () => {
  const cron = (values: object): Rendered => the(render({ ...TRIAL, backup: { schedule: '17 2 * * *', ...values } }), 'CronJob', 'rambo-backup');
  test('are made when somebody says when, and only then', () => {
    expect(kinds(render(TRIAL))).not.toContain('CronJob');
    expect(cron({ timeZone: 'Europe/Berlin' })['spec']).toMatchObject({ schedule: '17 2 * * *', timeZone: 'Europe/Berlin', concurrencyPolicy: 'Forbid' });
    const refused = refusal({ ...TRIAL, backup: { schedule: 'daily' } });
    expect(refused).toMatch(/'\/backup\/schedule': 'daily' does not match pattern/);
  });
  test('are of Postgres, so many are kept, on a claim that outlives the release or on one that is there', () => {
    const [one] = cron({ keep: 3 })['spec'].jobTemplate.spec.template.spec.containers as readonly Rendered[];
    expect(one?.['args']).toEqual(['backup', '--no-objects', '--out', '/backups/rambo-{time}.tar.gz', '--keep', '3']);
    expect(one?.['env']).toEqual([{ name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: 'rambo-postgres', key: 'url' } } }]);
    const objects = render({ ...TRIAL, backup: { schedule: '@daily', persistence: { size: '5Gi', storageClassName: 'cold' } } });
    expect(the(objects, 'PersistentVolumeClaim', 'rambo-backup')).toMatchObject({ metadata: { annotations: { 'helm.sh/resource-policy': 'keep' } }, spec: { storageClassName: 'cold', resources: { requests: { storage: '5Gi' } } } });
    const given = render({ ...TRIAL, backup: { schedule: '@daily', persistence: { existingClaim: 'nas' } } });
    expect(kinds(given)).not.toContain('PersistentVolumeClaim');
    expect(the(given, 'CronJob', 'rambo-backup')['spec'].jobTemplate.spec.template.spec.volumes).toContainEqual({ name: 'backups', persistentVolumeClaim: { claimName: 'nas' } });
  });
  test('reach Postgres and nothing else', () => {
    const egress = (the(render({ ...TRIAL, backup: { schedule: '@daily' } }), 'NetworkPolicy', 'rambo-backup')['spec'] as { readonly egress: readonly { readonly ports: readonly { readonly port: number }[] }[] }).egress;
    expect(egress.flatMap((rule) => rule.ports.map(({ port }) => port))).toEqual([53, 53, 5_432]);
    const from = JSON.stringify(the(render({ ...TRIAL, backup: { schedule: '@daily' } }), 'NetworkPolicy', 'rambo-postgres')['spec']);
    expect(from).toContain('"app.kubernetes.io/component":"backup"');
  });
});

describe('servers', () => {
  test('of a trial come with the chart, and their Secrets are made by the setup', () => {
    const objects = render(TRIAL);
    expect(objects.filter(({ kind }) => kind === 'StatefulSet').map(({ metadata }) => metadata.name)).toEqual(['rambo-nats', 'rambo-postgres']);
    expect(env(the(objects, 'Job', 'rambo-setup'))).toMatchObject({ RAMBO_SETUP_CRDS: 'true', RAMBO_SETUP_NATS_SECRET: 'rambo-nats', RAMBO_SETUP_POSTGRES_SECRET: 'rambo-postgres', RAMBO_SETUP_POSTGRES_HOST: 'rambo-postgres.rambo-system.svc' });
    expect(env(the(objects, 'Deployment', 'rambo-controller'))).toMatchObject({ RAMBO_NATS_URL: 'nats://rambo-nats.rambo-system.svc:4222', RAMBO_RUNNER_NATS_URL: 'nats://rambo-nats.rambo-system.svc:4222' });
  });
  test('of one\'s own are named; nothing of a trial is made', () => {
    const objects = render({ postgres: { existingSecret: 'pg', urlKey: 'app', migrationUrlKey: 'owner' }, nats: { ...EXTERNAL.nats, runnerUrl: 'nats://outside:4222' } });
    expect(kinds(objects).has('StatefulSet')).toBe(false);
    expect(env(the(objects, 'Deployment', 'rambo-controller'))).toMatchObject({ RAMBO_NATS_URL: 'nats://nats.nats:4222', RAMBO_RUNNER_NATS_URL: 'nats://outside:4222' });
    const secrets = (kind: string, name: string): readonly unknown[] => (the(objects, kind, name)['spec'].template.spec.volumes as readonly Rendered[]).map((volume) => volume['secret'] as unknown).filter((secret) => secret !== undefined);
    expect(secrets('Deployment', 'rambo-controller')).toEqual([
      { secretName: 'pg', optional: true, items: [{ key: 'app', path: 'url' }] },
      { secretName: 'nats-users', optional: true, items: [{ key: 'controller.creds', path: 'controller.creds' }, { key: 'account.seed', path: 'account.seed' }] },
    ]);
    expect(secrets('Deployment', 'rambo-api')).toEqual([{ secretName: 'pg', optional: true, items: [{ key: 'app', path: 'url' }] }, { secretName: 'nats-users', optional: true, items: [{ key: 'api.creds', path: 'api.creds' }] }]);
    expect(secrets('Job', 'rambo-migrate-1')).toEqual([{ secretName: 'pg', optional: true, items: [{ key: 'owner', path: 'url' }] }]);
  });
  test('neither the API nor the model gateway ever sees the seed of the account', () => {
    expect(JSON.stringify(api({}))).not.toMatch(/account\.seed|controller\.creds|modelgateway\.creds/);
    expect(JSON.stringify(gateway({}))).not.toMatch(/account\.seed|controller\.creds|api\.creds/);
  });
  test('the data of a trial Postgres is kept in a claim, or not', () => {
    const server = (persistence: object): Rendered => the(render({ ...TRIAL, postgres: { trial: true, trialServer: { persistence } } }), 'StatefulSet', 'rambo-postgres')['spec'] as Rendered;
    expect(server({ size: '20Gi', storageClassName: 'fast' })['volumeClaimTemplates']).toMatchObject([{ metadata: { name: 'data' }, spec: { storageClassName: 'fast', resources: { requests: { storage: '20Gi' } } } }]);
    expect(server({ enabled: false })).not.toHaveProperty('volumeClaimTemplates');
    expect(server({ enabled: false })['template'].spec.volumes).toEqual(expect.arrayContaining([{ name: 'data', emptyDir: {} }]));
  });
});

describe('order', () => {
  test('definitions and Secrets come before everything, at install and at upgrade', () => {
    const hooks = render(TRIAL).filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] !== undefined);
    expect(hooks.map(({ kind, metadata }) => `${kind} ${metadata.annotations?.['helm.sh/hook-weight'] ?? ''}`).sort()).toEqual(['ClusterRole -10', 'ClusterRoleBinding -10', 'Job -5', 'Role -10', 'RoleBinding -10', 'ServiceAccount -10']);
    for (const { metadata } of hooks) expect(metadata.annotations).toMatchObject({ 'helm.sh/hook': 'pre-install,pre-upgrade', 'helm.sh/hook-delete-policy': 'before-hook-creation,hook-succeeded' });
  });
  test('without anything to set up there is no such Job, and no permission for it', () => {
    const objects = render({ ...EXTERNAL, setup: { crds: false } });
    expect(objects.filter(({ metadata }) => metadata.name === 'rambo-setup' && metadata.annotations !== undefined)).toEqual([]);
    const only = render(EXTERNAL).filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] !== undefined).map(({ kind }) => kind);
    expect(only.sort()).toEqual(['ClusterRole', 'ClusterRoleBinding', 'Job', 'ServiceAccount']);
  });
  test('the migration is a Job of each revision, no hook', () => {
    const job = the(render(TRIAL), 'Job', 'rambo-migrate-1');
    expect(job.metadata.annotations).toBeUndefined();
    expect(env(job)).toMatchObject({ RAMBO_DATABASE_URL_FILE: '/etc/rambo/postgres/url', RAMBO_MIGRATE_WAIT: '300s' });
    expect(the(render({ ...TRIAL, migration: { waitSeconds: 20, backoffLimit: 3 } }), 'Job', 'rambo-migrate-1')['spec']).toMatchObject({ backoffLimit: 3, template: { spec: { containers: [{ env: expect.arrayContaining([{ name: 'RAMBO_MIGRATE_WAIT', value: '20s' }]) }] } } });
  });
  test('an old replica leaves when a new one is ready; the API stops hearing of requests first', () => {
    for (const one of [controller({}), api({}), gateway({})]) expect(one['spec'].strategy).toEqual({ type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } });
    const spec = api({})['spec'].template.spec as Rendered;
    expect(spec['containers'][0].lifecycle).toEqual({ preStop: { sleep: { seconds: 5 } } });
    const grace = Number(/GRACE_MS = ([\d_]+)/.exec(readFileSync(path.join(ROOT, 'api/app.ts'), 'utf8'))?.[1]?.replaceAll('_', '')) / 1_000;
    expect(spec['terminationGracePeriodSeconds']).toBeGreaterThan(5 + grace + 5);
  });
  test('definitions are of this release, and none is deleted with it', () => {
    const crds = render(TRIAL, ['--include-crds']).filter(({ kind }) => kind === 'CustomResourceDefinition');
    expect(crds.map(({ metadata }) => metadata.name)).toEqual(['agents.rambo.dev', 'models.rambo.dev', 'runnerpools.rambo.dev', 'toolservers.rambo.dev', 'workflowruns.rambo.dev', 'workflows.rambo.dev']);
    // Helm does not own what lies in crds/: it is not among the objects of the release.
    expect(kinds(render(TRIAL)).has('CustomResourceDefinition')).toBe(false);
  });
});

describe('the model gateway', () => {
  test('is told to the controller by its Service, which leads to its door for runners', () => {
    const objects = render({ ...TRIAL, modelgateway: { replicas: 3 } });
    expect(env(the(objects, 'Deployment', 'rambo-controller'))['RAMBO_MODELGATEWAY_URL']).toBe('http://rambo-modelgateway.rambo-system.svc');
    expect(the(objects, 'Service', 'rambo-modelgateway')['spec']).toMatchObject({ ports: [{ port: 80, targetPort: 'http' }] });
    const one = the(objects, 'Deployment', 'rambo-modelgateway');
    expect(one['spec'].replicas).toBe(3);
    expect(env(one)).toMatchObject({ RAMBO_LISTEN_PORT: '8080', RAMBO_METRICS_PORT: '8081', RAMBO_NATS_CREDS_FILE: '/etc/rambo/nats/modelgateway.creds' });
    expect(container(one)['ports']).toEqual([{ name: 'http', containerPort: 8_080 }, { name: 'metrics', containerPort: 8_081 }]);
    expect(env(controller({ modelgateway: { runnerUrl: 'https://gateway.example' } }))['RAMBO_MODELGATEWAY_URL']).toBe('https://gateway.example');
  });
  test('has budgets where nobody set others, and reaches private hosts by name only', () => {
    const money = (values: object): object => Object.fromEntries(Object.entries(env(gateway({ modelgateway: values }))).filter(([name]) => /TOKENS|USD|ALLOW/.test(name)));
    expect(money({})).toEqual({ RAMBO_MODELGATEWAY_RUN_TOKENS: '2000000' });
    expect(money({ allow: ['llm.internal', '10.20.0.0/16'], budgets: { runTokens: 0, runUsd: 2.5, dayTokens: 100_000_000, dayUsd: 40 } })).toEqual({
      RAMBO_MODELGATEWAY_ALLOW: 'llm.internal,10.20.0.0/16', RAMBO_MODELGATEWAY_RUN_USD: '2.5', RAMBO_MODELGATEWAY_DAY_TOKENS: '100000000', RAMBO_MODELGATEWAY_DAY_USD: '40',
    });
  });
  test('reads Secrets and ConfigMaps where workflows run, one by one, and nothing else of the cluster', () => {
    const rules = ['secrets', 'configmaps'].map((resource) => ({ apiGroups: [''], resources: [resource], verbs: ['get'] }));
    expect(the(render(TRIAL), 'ClusterRole', 'rambo-modelgateway')['rules']).toEqual(rules);
    const objects = render({ ...TRIAL, watchNamespaces: ['team-a'] });
    expect(objects.some(({ kind, metadata }) => kind.startsWith('ClusterRole') && metadata.name === 'rambo-modelgateway')).toBe(false);
    expect(the(objects, 'Role', 'rambo-modelgateway', 'team-a')['rules']).toEqual(rules);
  });
  test('keeps long results where the API keeps files', () => {
    expect(env(gateway({ objectStore: { endpoint: 'https://s3.example.com', existingSecret: 's3' } }))).toMatchObject({ RAMBO_S3_ENDPOINT: 'https://s3.example.com', RAMBO_S3_ACCESS_KEY_FILE: '/etc/rambo/objects/access-key' });
    expect(JSON.stringify(gateway({}))).not.toContain('RAMBO_S3');
  });
  test('switched off leaves nothing behind', () => {
    const objects = render({ ...TRIAL, modelgateway: { enabled: false }, metrics: { serviceMonitor: { enabled: true } } });
    expect(objects.filter(({ metadata }) => metadata.name.includes('modelgateway'))).toEqual([]);
    expect(JSON.stringify(objects.filter(({ kind }) => kind !== 'CustomResourceDefinition'))).not.toMatch(/component":"modelgateway|MODELGATEWAY/);
  });
});

describe('the object store', () => {
  const store = { objectStore: { endpoint: 'https://s3.example.com', publicEndpoint: 'https://files.example.com', bucket: 'b', region: 'eu-central-1', existingSecret: 's3', accessKeyKey: 'id', secretKeyKey: 'secret' } };
  const s3 = (values: object): readonly Rendered[] => (api(values)['spec'].template.spec.containers[0].env as readonly Rendered[]).filter(({ name }) => String(name).startsWith('RAMBO_S3_'));

  test('is none unless it is named: then nothing of it is there', () => {
    expect(s3({})).toEqual([]);
    expect(JSON.stringify(api({}))).not.toContain('/etc/rambo/objects');
  });

  test('reaches the API alone, its keys from the Secret', () => {
    expect(Object.fromEntries(s3(store).map(({ name, value }) => [name, value]))).toEqual({
      RAMBO_S3_ENDPOINT: 'https://s3.example.com', RAMBO_S3_PUBLIC_ENDPOINT: 'https://files.example.com', RAMBO_S3_BUCKET: 'b', RAMBO_S3_REGION: 'eu-central-1',
      RAMBO_S3_ACCESS_KEY_FILE: '/etc/rambo/objects/access-key', RAMBO_S3_SECRET_KEY_FILE: '/etc/rambo/objects/secret-key',
    });
    expect(api(store)['spec'].template.spec.volumes).toContainEqual({ name: 'objects', secret: { secretName: 's3', items: [{ key: 'id', path: 'access-key' }, { key: 'secret', path: 'secret-key' }] } });
    expect(JSON.stringify(the(render({ ...TRIAL, ...store }), 'Deployment', 'rambo-controller'))).not.toMatch(/S3_|objects/);
    const egress = (name: string): string => JSON.stringify(the(render({ ...TRIAL, ...store, networkPolicy: { objectStorePorts: [9_000], objectStoreCidrs: ['10.9.0.0/16'] } }), 'NetworkPolicy', name)['spec'].egress);
    expect(egress('rambo-api')).toContain('{"to":[{"ipBlock":{"cidr":"10.9.0.0/16"}}],"ports":[{"port":9000,"protocol":"TCP"}]}');
    expect(egress('rambo-controller')).not.toContain('9000');
  });
});

describe('permissions', () => {
  const roles = (values: object): readonly string[] => render({ ...TRIAL, ...values }).filter(({ kind, metadata }) => kind.endsWith('Role') && !metadata.name.includes('setup')).map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''} ${metadata.name}`).sort();
  const watched = (objects: readonly Rendered[], kind: string, name: string, namespace?: string): boolean => (the(objects, kind, name, namespace)['rules'] as readonly { readonly resources: readonly string[] }[]).some(({ resources }) => resources.includes('pods'));

  test('are the cluster\'s, unless namespaces are named', () => {
    expect(roles({})).toEqual(['ClusterRole  rambo-admin', 'ClusterRole  rambo-api', 'ClusterRole  rambo-controller', 'ClusterRole  rambo-edit', 'ClusterRole  rambo-modelgateway', 'ClusterRole  rambo-view', 'Role rambo-system rambo-api-own', 'Role rambo-system rambo-controller-own', 'Role rambo-system rambo-modelgateway-own']);
    expect(watched(render(TRIAL), 'ClusterRole', 'rambo-controller')).toBe(true);
  });
  test('with watchNamespaces lie in these namespaces only', () => {
    const values = { watchNamespaces: ['team-a', 'team-b'] };
    const objects = render({ ...TRIAL, ...values });
    expect(watched(objects, 'ClusterRole', 'rambo-controller')).toBe(false);
    for (const namespace of values.watchNamespaces) {
      expect(watched(objects, 'Role', 'rambo-controller', namespace)).toBe(true);
      expect(the(objects, 'RoleBinding', 'rambo-controller', namespace)).toMatchObject({ roleRef: { kind: 'Role', name: 'rambo-controller' }, subjects: [{ kind: 'ServiceAccount', name: 'rambo-controller', namespace: 'rambo-system' }] });
    }
    expect(env(the(objects, 'Deployment', 'rambo-controller'))['RAMBO_WATCH_NAMESPACES']).toBe('team-a,team-b');
    expect(env(controller({}))).not.toHaveProperty('RAMBO_WATCH_NAMESPACES');
  });
  test('may be made by somebody else, and accounts too', () => {
    expect(roles({ rbac: { create: false, aggregateRoles: false } })).toEqual([]);
    const objects = render({ ...TRIAL, controller: { serviceAccount: { name: 'mine' } }, api: { serviceAccount: { annotations: { role: 'arn' } } } });
    expect(objects.filter(({ kind }) => kind === 'ServiceAccount').map(({ metadata }) => metadata.name).sort()).toEqual(['rambo-api', 'rambo-modelgateway', 'rambo-setup']);
    expect(the(objects, 'Deployment', 'rambo-controller')['spec'].template.spec.serviceAccountName).toBe('mine');
    expect(the(objects, 'ClusterRoleBinding', 'rambo-controller')['subjects']).toEqual([{ kind: 'ServiceAccount', name: 'mine', namespace: 'rambo-system' }]);
    expect(the(objects, 'ServiceAccount', 'rambo-api').metadata.annotations).toEqual({ role: 'arn' });
  });
});

describe('sign-in', () => {
  const firebase = { project: 'acme-prod', existingSecret: 'firebase', defaultRole: 'DEVELOPER', adminEmails: ['a@example.com', 'b@example.com'] };
  const full = { api: { firebase, mail: { existingSecret: 'smtp', key: 'uri', from: 'RamBo <r@example.com>' }, consoleUrl: 'https://rambo.example.com' } };

  test('is off until a project is named, and the process always knows that this is production', () => {
    const names = Object.keys(env(api({})));
    expect(names.filter((name) => /FIREBASE|SMTP|MAIL|ADMIN_EMAILS/.test(name))).toEqual([]);
    expect(env(api({}))).toMatchObject({ RAMBO_ENVIRONMENT: 'production' });
  });
  test('comes with its credential and the mail server out of Secrets', () => {
    expect(env(api(full))).toMatchObject({
      RAMBO_FIREBASE_PROJECT: 'acme-prod', RAMBO_FIREBASE_CREDENTIAL_FILE: '/etc/rambo/firebase/credential.json', RAMBO_DEFAULT_ROLE: 'DEVELOPER', RAMBO_ADMIN_EMAILS: 'a@example.com,b@example.com',
      RAMBO_SMTP_URL_FILE: '/etc/rambo/mail/url', RAMBO_MAIL_FROM: 'RamBo <r@example.com>', RAMBO_CONSOLE_URL: 'https://rambo.example.com',
    });
    const { volumes } = (api(full)['spec'] as { template: { spec: { volumes: readonly object[] } } }).template.spec;
    expect(volumes).toEqual(expect.arrayContaining([
      { name: 'firebase', secret: { secretName: 'firebase', items: [{ key: 'credential.json', path: 'credential.json' }] } }, { name: 'mail', secret: { secretName: 'smtp', items: [{ key: 'uri', path: 'url' }] } },
    ]));
  });
  test('opens the way to Google and to the mail server for the API alone', () => {
    const portsOf = (name: string): readonly number[] => {
      const { egress } = the(render({ ...TRIAL, ...full }), 'NetworkPolicy', name, 'rambo-system')['spec'] as { egress: readonly { to?: unknown; ports: readonly { port: number }[] }[] };
      return egress.filter(({ to }) => to === undefined).flatMap(({ ports }) => ports.map(({ port }) => port));
    };
    expect(portsOf('rambo-api')).toEqual([443, 465, 587]);
    expect(portsOf('rambo-controller')).toEqual([]);
  });
  test('with the emulator is no value: it could only be forced in, and then nothing starts', () => {
    expect(() => render({ ...TRIAL, api: { firebase: { ...firebase, emulator: 'x' } } })).toThrow();
  });
});
