import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stringify } from 'yaml';
import { CHART, EXTERNAL, podTemplates, render, ROOT, runHelm, the, TRIAL, type Rendered } from '../../chart/helm.ts';
import { TestStack } from '../../harness/test-stack.ts';
import { writeSchemas } from './schemas.ts';

/** What the real API server says to the rendered chart: fields, admission, Pod Security. */

let t: TestStack;
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'rambo-apply-'));
  t = await TestStack.start({ controllers: 0 });
  await t.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'rambo-system', labels: { 'pod-security.kubernetes.io/enforce': 'restricted', 'pod-security.kubernetes.io/enforce-version': 'latest' } } });
  for (const name of ['team-a', 'team-b']) await t.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
}, 1_200_000);
afterAll(async () => {
  await t.stop();
  await rm(dir, { recursive: true, force: true });
});

/** Kinds of others, which this API server does not serve unless it is given their definitions. */
const FOREIGN = ['ServiceMonitor', 'PrometheusRule', 'HTTPRoute'];

/** Their files, from Go modules; undefined, and the reason printed, where those cannot be had. */
function foreignDefinitions(): readonly string[] | undefined {
  const { status, stdout, stderr } = spawnSync(path.join(ROOT, 'hack/tools/crds/crds.sh'), { encoding: 'utf8' });
  if (status === 0) return stdout.trim().split('\n');
  process.stderr.write(`    kinds of others are not tried, their modules cannot be had: ${stderr.trim().split('\n').at(-1) ?? ''}\n`);
  return undefined;
}

/** Server-side dry run with strict fields. Throws with what the server said. */
async function dryRun(objects: readonly object[]): Promise<void> {
  const file = path.join(dir, 'objects.json');
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
  await t.stack.kubectl.run('apply', '--server-side', '--force-conflicts', '--dry-run=server', '--validate=strict', '-f', file);
}

const EVERYTHING = {
  ...TRIAL, backup: { schedule: '17 2 * * *', timeZone: 'Etc/UTC' }, watchNamespaces: ['team-a', 'team-b'], imagePullSecrets: [{ name: 'regcred' }], caBundle: { configMap: 'ca' }, proxy: { https: 'http://proxy:3128' },
  otlp: { endpoint: 'http://collector:4318', runnerEndpoint: 'http://collector:4318' }, sentry: { existingSecret: 'sentry', environment: 'test' }, commonLabels: { a: 'b' }, commonAnnotations: { c: 'd' }, priorityClassName: 'system-cluster-critical',
  extraEnv: [{ name: 'A', value: 'b' }], ingress: { enabled: true, host: 'rambo.example', tlsSecret: 'tls', className: 'nginx' }, metrics: { serviceMonitor: { enabled: true }, dashboards: { enabled: true } },
  controller: { tolerations: [{ key: 'x', operator: 'Exists' }], nodeSelector: { a: 'b' }, podLabels: { e: 'f' }, podAnnotations: { g: 'h' }, affinity: { nodeAffinity: {} } },
  networkPolicy: { monitoringNamespace: 'monitoring', apiFrom: [{ podSelector: {} }], runners: { egress: [{ ports: [{ port: 80 }] }] }, extraEgress: [{ ports: [{ port: 8200 }] }] },
};

test.each<[string, object]>([
  ['a trial', TRIAL],
  ['on servers of its own', EXTERNAL],
  ['with everything set', EVERYTHING],
  ['on a claim for logs, without what can be left out', { ...EXTERNAL, controller: { logs: { existingClaim: 'logs' } }, setup: { crds: false }, networkPolicy: { enabled: false }, podDisruptionBudget: { enabled: false }, admissionPolicies: { enabled: false }, rbac: { aggregateRoles: false }, defaultPool: { create: false } }],
])('the API server takes all objects of an installation %s', async (_name, values) => {
  await dryRun(render(values, ['--include-crds']).filter((object) => !FOREIGN.includes(object.kind)));
});

describe('with the definitions of the Prometheus operator and of the Gateway API', () => {
  const files = foreignDefinitions();
  const testWith = files === undefined ? test.skip : test;
  const objects = render({
    ...TRIAL, metrics: { serviceMonitor: { enabled: true, interval: '10s', labels: { release: 'p' } }, prometheusRule: { enabled: true, labels: { release: 'p' }, runbookUrl: 'https://wiki.example/rambo' } },
    httpRoute: { enabled: true, parentRefs: [{ name: 'gw', namespace: 'gateways', sectionName: 'https' }], hostnames: ['rambo.example'], path: '/rambo' },
  }).filter((object) => FOREIGN.includes(object.kind));

  beforeAll(async () => {
    if (files === undefined) return;
    for (const file of files) await t.stack.kubectl.run('apply', '--server-side', '-f', file);
    for (const file of files) await t.stack.kubectl.run('wait', '--for=condition=Established', '-f', file, '--timeout=60s');
  }, 120_000);
  // Others look at all definitions there are.
  afterAll(async () => {
    for (const file of files ?? []) await t.stack.kubectl.run('delete', '-f', file);
  });

  testWith('the API server takes ServiceMonitor, PrometheusRule and HTTPRoute', async () => {
    expect(objects.map(({ kind }) => kind).sort()).toEqual(['HTTPRoute', 'PrometheusRule', 'ServiceMonitor']);
    await dryRun(objects);
  });
  testWith('and would refuse a misspelt field of each', async () => {
    for (const object of objects) await expect(dryRun([{ ...object, spec: { ...(object['spec'] as object), wrong: 1 } }])).rejects.toThrow(/unknown field "(spec\.)?wrong"/);
  });
});

test('the API server would refuse a misspelt field', async () => {
  const [first] = render(TRIAL).filter((object) => object.kind === 'Deployment');
  await expect(dryRun([{ ...first, spec: { ...(first?.['spec'] as object), replicaz: 2 } }])).rejects.toThrow(/replicaz/);
});

describe('Pod Security restricted takes', () => {
  const pods = podTemplates(render(EVERYTHING));
  const asPod = (name: string, template: Rendered): object => ({
    // Priority classes, claims and accounts are not what is asked here.
    apiVersion: 'v1', kind: 'Pod', metadata: { ...template.metadata, name, namespace: 'rambo-system' },
    spec: { ...withClaims(template), restartPolicy: 'Always', serviceAccountName: undefined, priorityClassName: undefined },
  });

  /** A StatefulSet gives its pods the volumes of its claims. */
  const withClaims = (template: Rendered): object => {
    const spec = template['spec'] as { readonly volumes?: readonly { readonly name: string }[]; readonly containers: readonly { readonly volumeMounts?: readonly { readonly name: string }[] }[] };
    const volumes = spec.volumes ?? [];
    const claimed = spec.containers.flatMap((container) => container.volumeMounts ?? []).filter(({ name }) => !volumes.some((volume) => volume.name === name));
    return { ...spec, volumes: [...volumes, ...claimed.map(({ name }) => ({ name, persistentVolumeClaim: { claimName: name } }))] };
  };

  test.each(pods.map((pod) => [pod.name, pod] as const))('%s', async (_name, { component, template }) => {
    await dryRun([asPod(component, template)]);
  });

  test('no pod that may gain privileges', async () => {
    const [first] = pods;
    if (first === undefined) throw new Error('no pods');
    const spec = first.template['spec'] as { readonly containers: readonly object[] };
    const open = { ...asPod('open', first.template), spec: { ...spec, serviceAccountName: undefined, priorityClassName: undefined, containers: spec.containers.map((container) => ({ ...container, securityContext: {} })) } };
    await expect(dryRun([open])).rejects.toThrow(/violates PodSecurity "restricted/);
  });
});

describe('kubeconform, with the schemas of this very API server,', () => {
  let schemas: string;
  let kubeconform: string;
  beforeAll(async () => {
    schemas = path.join(dir, 'schemas');
    writeSchemas(JSON.parse(await t.stack.kubectl.run('get', '--raw', '/openapi/v2')) as Parameters<typeof writeSchemas>[0], schemas);
    kubeconform = execFileSync(path.join(ROOT, 'hack/tools/tool.sh'), ['kubeconform'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  }, 1_200_000);

  const conform = (objects: readonly object[]): { readonly summary: { readonly valid: number; readonly invalid: number; readonly errors: number; readonly skipped: number }; readonly resources: readonly object[] } => {
    const { stdout } = spawnSync(kubeconform, ['-output', 'json', '-summary', '-schema-location', `${schemas}/{{ .ResourceKind }}{{ .KindSuffix }}.json`, '-'], { encoding: 'utf8', input: objects.map((object) => stringify(object)).join('---\n') });
    return JSON.parse(stdout) as ReturnType<typeof conform>;
  };

  test.each<[string, object]>([['a trial', TRIAL], ['everything set', EVERYTHING]])('has nothing against %s', (_name, values) => {
    const objects = render(values, ['--include-crds']).filter((object) => !FOREIGN.includes(object.kind));
    expect(conform(objects)).toMatchObject({ resources: [], summary: { valid: objects.length, invalid: 0, errors: 0, skipped: 0 } });
  });

  test('finds a misspelt field, of Kubernetes or of ours', () => {
    const objects = render(TRIAL);
    const wrong = [{ ...the(objects, 'Service', 'rambo-api'), spec: { prots: [] } }, { ...the(objects, 'RunnerPool', 'default'), spec: { minRaedy: 1 } }];
    expect(conform(wrong).summary).toMatchObject({ invalid: 2 });
  });
});

describe('helm itself', () => {
  const values = { ...TRIAL, defaultPool: { namespaces: ['team-a'] } };
  /** Nothing runs here: hooks are tested by setup.test.ts, pods by the end-to-end ring. */
  const helm = (...args: readonly string[]): string => {
    const { ok, out, error } = runHelm([...args, '--namespace', 'rambo-system', '--kubeconfig', t.addresses.kubeconfig, '--no-hooks'], ['install', 'upgrade'].includes(args[0] ?? '') ? values : undefined);
    if (!ok) throw new Error(error);
    return out;
  };
  const names = async (kind: string, namespace = 'rambo-system'): Promise<readonly string[]> =>
    (await t.stack.kubectl.run('get', kind, '-n', namespace, '-o', 'jsonpath={range .items[*]}{.metadata.name}{"\\n"}{end}')).split('\n').filter((name) => name !== '');
  const crds = ['agents.rambo.dev', 'models.rambo.dev', 'runnerpools.rambo.dev', 'toolservers.rambo.dev', 'workflowruns.rambo.dev', 'workflows.rambo.dev'];

  test('installs on a cluster without definitions, the pool among the objects, and takes over nothing of others', async () => {
    for (const name of [...['controller', 'api', 'modelgateway'].flatMap((account) => [`ClusterRole/rambo-${account}`, `ClusterRoleBinding/rambo-${account}`]), ...crds.map((crd) => `crd/${crd}`)]) await t.stack.kubectl.run('delete', name);
    expect(() => helm('install', 'rambo', CHART)).toThrow(/invalid ownership metadata|already exists/);
    for (const kind of ['validatingadmissionpolicy', 'validatingadmissionpolicybinding']) await t.stack.kubectl.run('delete', kind, '-l', 'app.kubernetes.io/part-of=rambo');
    for (const kind of ['serviceaccount', 'role', 'rolebinding']) for (const name of await names(kind)) if (name.startsWith('rambo-')) await t.stack.kubectl.run('delete', kind, name, '-n', 'rambo-system');
    helm('install', 'rambo', CHART);
    expect(await names('crd')).toEqual(crds);
    expect(await names('runnerpool', 'team-a')).toEqual(['default']);
    expect(await names('deployment')).toEqual(['rambo-api', 'rambo-controller', 'rambo-modelgateway']);
    expect(await names('job')).toEqual(['rambo-migrate-1']);
  }, 120_000);

  test('upgrades and goes back, each time with a migration of its own, and changes nothing else', async () => {
    helm('upgrade', 'rambo', CHART);
    expect(await names('job')).toEqual(['rambo-migrate-2']);
    helm('rollback', 'rambo', '1');
    expect(await names('job')).toEqual(['rambo-migrate-1']);
    const generation = await t.stack.kubectl.run('get', 'deployment', '-n', 'rambo-system', '-o', 'jsonpath={.items[*].metadata.generation}');
    expect(generation).toBe('1 1 1');
  }, 120_000);

  test('leaves definitions, and so all workflows, when it is uninstalled', async () => {
    await t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'Workflow', metadata: { name: 'mine', namespace: 'team-a' }, spec: { nodes: [{ name: 'a', type: 'transform', with: { output: 1 } }] } });
    helm('uninstall', 'rambo');
    expect(await names('crd')).toEqual(crds);
    expect(await names('workflow', 'team-a')).toEqual(['mine']);
    expect([await names('deployment'), await names('networkpolicy'), await names('networkpolicy', 'team-a'), await names('runnerpool', 'team-a')]).toEqual([[], [], [], []]);
  }, 120_000);
});
