import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { EXTERNAL, podTemplates, render, TRIAL, type Rendered } from '../../chart/helm.ts';
import { TestStack } from '../../harness/test-stack.ts';

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

/** Kinds of others, which this API server does not serve. */
const FOREIGN = ['ServiceMonitor', 'PrometheusRule', 'HTTPRoute'];

/** Server-side dry run with strict fields. Throws with what the server said. */
async function dryRun(objects: readonly object[]): Promise<void> {
  const file = path.join(dir, 'objects.json');
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
  await t.stack.kubectl.run('apply', '--server-side', '--force-conflicts', '--dry-run=server', '--validate=strict', '-f', file);
}

const EVERYTHING = {
  ...TRIAL, watchNamespaces: ['team-a', 'team-b'], imagePullSecrets: [{ name: 'regcred' }], caBundle: { configMap: 'ca' }, proxy: { https: 'http://proxy:3128' },
  otlp: { endpoint: 'http://collector:4318', runnerEndpoint: 'http://collector:4318' }, commonLabels: { a: 'b' }, commonAnnotations: { c: 'd' }, priorityClassName: 'system-cluster-critical',
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
