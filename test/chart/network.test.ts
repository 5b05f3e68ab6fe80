import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { CHART, EXTERNAL, render, the, TRIAL, type Rendered } from './helm.ts';

/** What may speak with whom, and everything else that stands around the workloads. */

interface Policy {
  readonly podSelector: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly policyTypes: readonly string[];
  readonly ingress?: readonly { readonly from?: readonly object[]; readonly ports: readonly { readonly port: string | number }[] }[];
  readonly egress?: readonly { readonly to?: readonly object[]; readonly ports?: readonly { readonly port: string | number }[] }[];
}
const policy = (objects: readonly Rendered[], name: string, namespace = 'rambo-system'): Policy => the(objects, 'NetworkPolicy', name, namespace)['spec'] as Policy;
const ports = (rules: readonly { readonly ports?: readonly { readonly port: string | number }[] }[] = []): readonly (string | number)[] => rules.flatMap((rule) => rule.ports ?? []).map(({ port }) => port);
const pod = (component: string): object => ({ podSelector: { matchLabels: { 'app.kubernetes.io/name': 'rambo', 'app.kubernetes.io/instance': 'rambo', 'app.kubernetes.io/component': component } } });

describe('network policies', () => {
  const trial = render(TRIAL);

  test('deny everything to every pod of the release', () => {
    expect(policy(trial, 'rambo-default-deny')).toEqual({ podSelector: { matchLabels: { 'app.kubernetes.io/name': 'rambo', 'app.kubernetes.io/instance': 'rambo' } }, policyTypes: ['Ingress', 'Egress'] });
  });
  test('open what is needed: who is called', () => {
    expect(ports(policy(trial, 'rambo-controller').ingress)).toEqual(['metrics']);
    expect(ports(policy(trial, 'rambo-api').ingress)).toEqual(['metrics', 'http']);
    expect(policy(trial, 'rambo-postgres').ingress).toEqual([{ ports: [{ port: 'postgres', protocol: 'TCP' }], from: ['controller', 'api', 'modelgateway', 'migrate'].map(pod) }]);
    expect(policy(trial, 'rambo-nats').ingress?.[0]?.from?.slice(0, 3)).toEqual(['controller', 'api', 'modelgateway'].map(pod));
    expect(policy(trial, 'rambo-nats').ingress?.[0]?.from?.slice(3)).toEqual(['rambo.dev/pool', 'rambo.dev/run-id'].map((key) => ({ namespaceSelector: {}, podSelector: { matchExpressions: [{ key, operator: 'Exists' }] } })));
  });
  test('only runners call the model gateway; it reaches models and tools, not the system\'s own pods', () => {
    const { ingress, egress } = policy(render({ ...TRIAL, networkPolicy: { modelgateway: { egress: [{ to: [{ ipBlock: { cidr: '10.20.0.0/16' } }] }] } } }), 'rambo-modelgateway');
    expect(ingress?.[1]).toEqual({ ports: [{ port: 'http', protocol: 'TCP' }], from: ['rambo.dev/pool', 'rambo.dev/run-id'].map((key) => ({ namespaceSelector: {}, podSelector: { matchExpressions: [{ key, operator: 'Exists' }] } })) });
    expect(ports(egress)).toEqual([53, 53, 443, 6_443, 5_432, 4_222]);
    expect(egress?.at(-2)?.to?.[2]).toEqual({ namespaceSelector: { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['kube-system', 'rambo-system'] }] } });
    expect(JSON.stringify(egress?.at(-2)?.to?.slice(0, 2))).toContain('169.254.0.0/16');
    expect(egress?.at(-1)).toEqual({ to: [{ ipBlock: { cidr: '10.20.0.0/16' } }] });
  });
  test('open what is needed: who calls', () => {
    for (const name of ['rambo-controller', 'rambo-api']) expect(ports(policy(trial, name).egress)).toEqual([53, 53, 443, 6_443, 5_432, 4_222]);
    expect(ports(policy(trial, 'rambo-migrate').egress)).toEqual([53, 53, 5_432]);
    expect(ports(policy(trial, 'rambo-setup').egress)).toEqual([53, 53, 443, 6_443]);
    for (const name of ['rambo-postgres', 'rambo-nats']) expect(policy(trial, name).policyTypes).toEqual(['Ingress']);
  });
  test('name external servers by address and port', () => {
    const objects = render({ ...EXTERNAL, otlp: { endpoint: 'http://x:4318' }, networkPolicy: {
      postgresCidrs: ['10.1.0.0/16'], postgresPort: 6_432, natsCidrs: ['10.2.0.0/16'], natsPort: 4_333, apiServerCidrs: ['10.3.0.1/32'], apiServerPorts: [8_443], otlpPorts: [4_317], dnsNamespace: 'dns',
      monitoringNamespace: 'mon', apiFrom: [{ podSelector: { matchLabels: { app: 'front' } } }], extraEgress: [{ ports: [{ port: 8_200 }] }],
    } });
    const { ingress, egress } = policy(objects, 'rambo-api');
    expect(egress).toEqual([
      { to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'dns' } } }], ports: [{ port: 53, protocol: 'UDP' }, { port: 53, protocol: 'TCP' }] },
      { to: [{ ipBlock: { cidr: '10.3.0.1/32' } }], ports: [{ port: 8_443, protocol: 'TCP' }] },
      { to: [{ ipBlock: { cidr: '10.1.0.0/16' } }], ports: [{ port: 6_432, protocol: 'TCP' }] },
      { to: [{ ipBlock: { cidr: '10.2.0.0/16' } }], ports: [{ port: 4_333, protocol: 'TCP' }] },
      { ports: [{ port: 4_317, protocol: 'TCP' }] },
      { ports: [{ port: 8_200 }] },
    ]);
    expect(ingress).toEqual([
      { ports: [{ port: 'metrics', protocol: 'TCP' }], from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'mon' } } }] },
      { ports: [{ port: 'http', protocol: 'TCP' }], from: [{ podSelector: { matchLabels: { app: 'front' } } }] },
    ]);
    expect(policy(objects, 'rambo-runners', 'default').egress?.[1]).toEqual({ to: [{ ipBlock: { cidr: '10.2.0.0/16' } }], ports: [{ port: 4_333, protocol: 'TCP' }] });
  });
  test('runners are called by nobody and reach no private address', () => {
    const runners = policy(render({ ...TRIAL, defaultPool: { namespaces: ['team'] }, networkPolicy: { runners: { egress: [{ ports: [{ port: 9_000 }] }] } } }), 'rambo-runners', 'team');
    expect(runners).toMatchObject({ podSelector: { matchExpressions: [{ key: 'rambo.dev/pool', operator: 'Exists' }, { key: 'rambo.dev/egress', operator: 'DoesNotExist' }] }, policyTypes: ['Ingress', 'Egress'] });
    expect(runners).not.toHaveProperty('ingress');
    const blocks = runners.egress?.[3]?.to as readonly { readonly ipBlock: { readonly cidr: string; readonly except: readonly string[] } }[];
    expect(blocks[0]?.ipBlock.except).toEqual(expect.arrayContaining(['10.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16', '127.0.0.0/8', '100.64.0.0/10']));
    expect(runners.egress?.[2]).toEqual({ to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'rambo-system' } }, ...pod('modelgateway') }], ports: [{ port: 8_080, protocol: 'TCP' }] });
    expect(runners.egress?.[4]).toEqual({ ports: [{ port: 9_000 }] });
  });
  test('tell the controller what runners of pools with a list of their own have to reach: DNS, NATS, the model gateway', () => {
    for (const [values, nats] of [[TRIAL, { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'rambo-system' } }, ...pod('nats') }], [{ ...EXTERNAL, networkPolicy: { natsCidrs: ['10.2.0.0/16'], natsPort: 4_222 } }, { ipBlock: { cidr: '10.2.0.0/16' } }]] as const) {
      const { data } = the(render(values), 'ConfigMap', 'rambo-default-pool') as unknown as { readonly data: Readonly<Record<string, string>> };
      expect(JSON.parse(data['egress.json'] ?? '')).toEqual([
        { to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } } }], ports: [{ port: 53, protocol: 'UDP' }, { port: 53, protocol: 'TCP' }] },
        { to: [nats], ports: [{ port: 4_222, protocol: 'TCP' }] },
        { to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'rambo-system' } }, ...pod('modelgateway') }], ports: [{ port: 8_080, protocol: 'TCP' }] },
      ]);
    }
  });
  test('can be left out', () => {
    expect(render({ ...TRIAL, networkPolicy: { enabled: false } }).filter(({ kind }) => kind === 'NetworkPolicy')).toEqual([]);
    expect(render({ ...TRIAL, networkPolicy: { runners: { enabled: false } } }).some(({ metadata }) => metadata.name === 'rambo-runners')).toBe(false);
  });
});

describe('the default pool', () => {
  const namespaces = (values: object): readonly (string | undefined)[] => render({ ...TRIAL, ...values }).filter(({ kind }) => kind === 'RunnerPool').map(({ metadata }) => metadata.namespace);
  test('is made in `default`, in the watched namespaces, or where it is asked for', () => {
    expect(namespaces({})).toEqual(['default']);
    expect(namespaces({ watchNamespaces: ['a', 'b'] })).toEqual(['a', 'b']);
    expect(namespaces({ defaultPool: { namespaces: ['c'] } })).toEqual(['c']);
    expect(namespaces({ defaultPool: { create: false } })).toEqual([]);
  });
  test('is the template of those the controller makes', () => {
    const objects = render({ ...TRIAL, defaultPool: { spec: { max: 9, image: 'mine:1' } }, imagePullSecrets: [{ name: 'x' }] });
    const { spec } = the(objects, 'RunnerPool', 'default') as unknown as { readonly spec: object };
    expect(spec).toMatchObject({ max: 9, image: 'mine:1', imagePullSecrets: [{ name: 'x' }], minReady: 1 });
    expect(JSON.parse((the(objects, 'ConfigMap', 'rambo-default-pool')['data'] as Readonly<Record<string, string>>)['default.json'] ?? '')).toEqual(spec);
  });
});

describe('around the workloads', () => {
  const env = (objects: readonly Rendered[], name: string): Readonly<Record<string, string>> => Object.fromEntries(
    (the(objects, 'Deployment', name)['spec'].template.spec.containers[0].env as readonly { readonly name: string; readonly value?: string }[]).map((one) => [one.name, one.value ?? '']));

  test('an Ingress, with and without TLS', () => {
    const ingress = (values: object): Rendered => the(render({ ...TRIAL, ingress: { enabled: true, host: 'rambo.example', ...values } }), 'Ingress', 'rambo-api');
    expect(ingress({})['spec']).toEqual({ rules: [{ host: 'rambo.example', http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'rambo-api', port: { name: 'http' } } } }] } }] });
    expect(ingress({ className: 'nginx', path: '/rambo', tlsSecret: 'cert', annotations: { a: 'b' } })).toMatchObject({
      metadata: { annotations: { a: 'b' } }, spec: { ingressClassName: 'nginx', tls: [{ hosts: ['rambo.example'], secretName: 'cert' }], rules: [{ http: { paths: [{ path: '/rambo' }] } }] },
    });
  });
  test('a route of the Gateway API', () => {
    expect(the(render({ ...TRIAL, api: { service: { port: 8_080 } }, httpRoute: { enabled: true, parentRefs: [{ name: 'gw' }], hostnames: ['x.example'], path: '/r' } }), 'HTTPRoute', 'rambo-api')['spec']).toEqual({
      parentRefs: [{ name: 'gw' }], hostnames: ['x.example'],
      rules: [{ matches: [{ path: { type: 'PathPrefix', value: '/r' } }], backendRefs: [{ name: 'rambo-api', port: 8_080 }] }],
    });
  });
  test('a Service', () => {
    expect(the(render({ ...TRIAL, api: { service: { type: 'LoadBalancer', port: 81, annotations: { a: 'b' } } } }), 'Service', 'rambo-api')).toMatchObject({ metadata: { annotations: { a: 'b' } }, spec: { type: 'LoadBalancer', ports: [{ port: 81, targetPort: 'http' }] } });
  });
  test('disruption budgets, unless switched off', () => {
    for (const name of ['rambo-controller', 'rambo-api', 'rambo-modelgateway']) expect(the(render(TRIAL), 'PodDisruptionBudget', name)['spec']).toMatchObject({ maxUnavailable: 1, unhealthyPodEvictionPolicy: 'AlwaysAllow' });
    expect(render({ ...TRIAL, podDisruptionBudget: { enabled: false } }).some(({ kind }) => kind === 'PodDisruptionBudget')).toBe(false);
  });
  test('admission policies, unless switched off', () => {
    expect(render(TRIAL).filter(({ kind }) => kind.startsWith('ValidatingAdmissionPolicy')).length).toBe(6);
    expect(render({ ...TRIAL, admissionPolicies: { enabled: false } }).some(({ kind }) => kind.startsWith('ValidatingAdmissionPolicy'))).toBe(false);
  });
  test('what Prometheus and Grafana read, when asked for', () => {
    expect(render(TRIAL).some(({ kind }) => ['ServiceMonitor', 'PrometheusRule'].includes(kind))).toBe(false);
    const objects = render({ ...TRIAL, metrics: { serviceMonitor: { enabled: true, interval: '10s', labels: { release: 'p' } }, prometheusRule: { enabled: true }, dashboards: { enabled: true } } });
    const { metadata, spec } = the(objects, 'ServiceMonitor', 'rambo') as unknown as { readonly metadata: object; readonly spec: { readonly selector: { readonly matchLabels: Readonly<Record<string, string>> }; readonly endpoints: object } };
    expect(metadata).toMatchObject({ labels: { release: 'p' } });
    expect(spec.endpoints).toEqual([{ port: 'metrics', path: '/metrics', interval: '10s', honorLabels: true }]);
    const chosen = objects.filter((object) => object.kind === 'Service' && Object.entries(spec.selector.matchLabels).every(([key, value]) => object.metadata.labels?.[key] === value));
    expect(chosen.map((object) => [object.metadata.name, object['spec'].ports])).toEqual(['controller', 'api', 'modelgateway'].map((name) => [`rambo-${name}-metrics`, [{ name: 'metrics', port: 8_081, targetPort: 'metrics' }]]));
  });
  test('alerts and dashboards are the files of the chart, byte for byte: their braces are not Helm\'s', () => {
    const files = path.join(CHART, 'files');
    const objects = render({ ...TRIAL, metrics: { prometheusRule: { enabled: true, labels: { a: 'b' } }, dashboards: { enabled: true, labels: { c: 'd' }, annotations: { folder: 'e' } } } });
    const rules = objects.filter(({ kind }) => kind === 'PrometheusRule');
    expect(rules.map((rule) => [rule.metadata.labels?.['a'], rule['spec'] as unknown])).toEqual(existsSync(path.join(files, 'alerts.yaml')) ? [['b', parse(readFileSync(path.join(files, 'alerts.yaml'), 'utf8'))]] : []);
    const names = existsSync(path.join(files, 'dashboards')) ? readdirSync(path.join(files, 'dashboards')).sort() : [];
    const maps = objects.filter(({ kind, metadata }) => kind === 'ConfigMap' && metadata.labels?.['c'] === 'd');
    expect(maps.map(({ metadata }) => metadata.name)).toEqual(names.map((name) => `rambo-dashboard-${path.basename(name, '.json')}`));
    for (const name of names) {
      const text = String(maps.map((map) => (map['data'] as Readonly<Record<string, string>>)[name]).find((one) => one !== undefined));
      expect(JSON.parse(text)).toEqual(JSON.parse(readFileSync(path.join(files, 'dashboards', name), 'utf8')));
    }
  });
  test('alerts lead to the runbooks of whoever runs it', () => {
    const links = (values: object): readonly string[] => [...JSON.stringify(the(render({ ...TRIAL, metrics: { prometheusRule: { enabled: true, ...values } } }), 'PrometheusRule', 'rambo')['spec']).matchAll(/"runbook_url":"([^"]+)"/g)].map((match) => match[1] ?? '');
    const ours = links({});
    expect(ours.length).toBeGreaterThan(25);
    for (const link of ours) expect(link).toMatch(/^https:\/\/github\.com\/rambo-dev\/rambo\/blob\/main\/docs\/runbooks\/Rambo\w+\.md$/);
    expect(links({ runbookUrl: 'https://wiki.example/rambo' })).toEqual(ours.map((link) => `https://wiki.example/rambo/${link.split('/').at(-1) ?? ''}`));
    expect(() => render({ ...TRIAL, metrics: { prometheusRule: { runbookUrl: 'wiki' } } })).toThrow(/runbookUrl/);
  });
  test('log level, traces, origins, audience and introspection reach the processes', () => {
    const objects = render({ ...TRIAL, logLevel: 'debug', otlp: { endpoint: 'http://c:4318', runnerEndpoint: 'http://r:4318' }, api: { corsOrigins: ['https://a', 'https://b'], tokenAudience: 'mine', introspection: true }, controller: { podsInFlight: 7 } });
    expect(env(objects, 'rambo-api')).toMatchObject({ RAMBO_LOG_LEVEL: 'debug', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', RAMBO_CORS_ORIGINS: 'https://a,https://b', RAMBO_TOKEN_AUDIENCE: 'mine', RAMBO_GRAPHQL_INTROSPECTION: 'true' });
    expect(env(objects, 'rambo-controller')).toMatchObject({ RAMBO_LOG_LEVEL: 'debug', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', RAMBO_RUNNER_OTLP_ENDPOINT: 'http://r:4318', RAMBO_PODS_IN_FLIGHT: '7' });
  });
  test('trust in an authority of one\'s own reaches every process that speaks TLS', () => {
    for (const [given, volume] of [[{ configMap: 'ca', key: 'bundle.pem' }, { configMap: { name: 'ca' } }], [{ secret: 'ca', key: 'bundle.pem' }, { secret: { secretName: 'ca' } }]] as const) {
      const objects = render({ ...TRIAL, caBundle: given });
      for (const [kind, name] of [['Deployment', 'rambo-controller'], ['Deployment', 'rambo-api'], ['Job', 'rambo-migrate-1']] as const) {
        const { volumes, containers } = the(objects, kind, name)['spec'].template.spec as { readonly volumes: readonly object[]; readonly containers: readonly { readonly env: readonly object[]; readonly volumeMounts: readonly object[] }[] };
        expect(volumes).toContainEqual({ name: 'ca', ...volume });
        expect(containers[0]?.env).toContainEqual({ name: 'NODE_EXTRA_CA_CERTS', value: '/etc/rambo/ca/bundle.pem' });
        expect(containers[0]?.volumeMounts).toContainEqual({ name: 'ca', mountPath: '/etc/rambo/ca', readOnly: true });
      }
    }
  });
  test('a proxy is used, and passed by inside the cluster', () => {
    const objects = render({ ...TRIAL, proxy: { https: 'http://p:3128', http: 'http://p:3129', noProxy: ['10.0.0.0/8'] } });
    for (const name of ['rambo-controller', 'rambo-api']) {
      expect(env(objects, name)).toMatchObject({ NODE_USE_ENV_PROXY: '1', HTTPS_PROXY: 'http://p:3128', HTTP_PROXY: 'http://p:3129', NO_PROXY: 'localhost,127.0.0.1,kubernetes.default.svc,.svc,.cluster.local,10.0.0.0/8' });
    }
    expect(env(render(TRIAL), 'rambo-api')).not.toHaveProperty('NODE_USE_ENV_PROXY');
  });
  test('logs of nodes lie in an emptyDir or a claim', () => {
    const volumes = (logs: object): readonly object[] => the(render({ ...TRIAL, controller: { logs } }), 'Deployment', 'rambo-controller')['spec'].template.spec.volumes as readonly object[];
    expect(volumes({ size: '5Gi' })).toContainEqual({ name: 'logs', emptyDir: { sizeLimit: '5Gi' } });
    expect(volumes({ existingClaim: 'logs' })).toContainEqual({ name: 'logs', persistentVolumeClaim: { claimName: 'logs' } });
  });
  test('probes tell busy from dead', () => {
    for (const name of ['rambo-controller', 'rambo-api']) {
      const { livenessProbe, readinessProbe } = the(render(TRIAL), 'Deployment', name)['spec'].template.spec.containers[0] as { readonly livenessProbe: Probe; readonly readinessProbe: Probe };
      expect([livenessProbe.httpGet.path, readinessProbe.httpGet.path]).toEqual(['/healthz', '/readyz']);
      // A minute of silence is death; a few seconds are work.
      expect(livenessProbe.periodSeconds * livenessProbe.failureThreshold).toBeGreaterThanOrEqual(60);
      expect(readinessProbe.periodSeconds * readinessProbe.failureThreshold).toBeLessThanOrEqual(10);
    }
  });
  test('names follow the release, and may be given', () => {
    const names = (flags: object): readonly string[] => render({ ...TRIAL, ...flags }).filter(({ kind }) => kind === 'Deployment').map(({ metadata }) => metadata.name);
    expect(names({ nameOverride: 'flow' })).toEqual(['rambo-flow-api', 'rambo-flow-controller', 'rambo-flow-modelgateway']);
    expect(names({ fullnameOverride: 'x' })).toEqual(['x-api', 'x-controller', 'x-modelgateway']);
  });
});

interface Probe {
  readonly httpGet: { readonly path: string };
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}
