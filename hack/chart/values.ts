import { z } from 'zod';

/**
 * The values of the chart, in one place: charts/rambo/values.yaml, values.schema.json and docs/chart-values.md are
 * generated from here (`make generate`), so that none of them can forget a value.
 */

const text = (fallback: string, description: string): z.ZodType => z.string().max(4_096).default(fallback).describe(description);
const flag = (fallback: boolean, description: string): z.ZodType => z.boolean().default(fallback).describe(description);
const count = (fallback: number, min: number, max: number, description: string): z.ZodType => z.int().min(min).max(max).default(fallback).describe(description);
const port = (fallback: number, description: string): z.ZodType => count(fallback, 1, 65_535, description);
const strings = (fallback: readonly string[], description: string): z.ZodType => z.array(z.string().min(1)).default([...fallback]).describe(description);
const map = (description: string): z.ZodType => z.record(z.string(), z.string()).default({}).describe(description);
/** A piece of a Kubernetes object; the API server judges what is inside. */
const object = (description: string, fallback: Record<string, unknown> = {}): z.ZodType => z.record(z.string(), z.unknown()).default(fallback).describe(description);
const objects = (description: string): z.ZodType => z.array(z.record(z.string(), z.unknown())).default([]).describe(description);
/** A group of values; unknown ones are refused. */
const group = (description: string, shape: z.core.$ZodShape): z.ZodType => z.strictObject(shape).describe(description);

const DNS_NAME = /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$/;
const name = (fallback: string, description: string): z.ZodType => z.string().max(253).regex(DNS_NAME).default(fallback).describe(description);
const namespaces = (description: string): z.ZodType => z.array(z.string().max(63).regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)).max(100).default([]).describe(description);
const quantity = (fallback: string, description: string): z.ZodType => z.string().regex(/^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$/).default(fallback).describe(description);

function image(repository: string): z.ZodType {
  return group('Image.', {
    repository: z.string().min(1).default(repository).describe('Repository below `image.registry`.'),
    tag: text('', 'Tag; that of `image.tag` when empty.'),
    digest: z.string().regex(/^(sha256:[0-9a-f]{64})?$/).default('').describe('Digest `sha256:…`; wins over the tag. Deploy by digest in production.'),
  });
}

const resources = (cpu: string, memory: string, limit: string): z.ZodType =>
  object('Requests and limits.', { requests: { cpu, memory }, limits: { memory: limit } });

/** What every workload can be told about where and how its pods run. */
function pods(nodes: { readonly resources: z.ZodType }): z.core.$ZodShape {
  return {
    resources: nodes.resources,
    podLabels: map('Labels of the pods.'),
    podAnnotations: map('Annotations of the pods.'),
    nodeSelector: map('Labels a node must have.'),
    tolerations: objects('Taints the pods bear.'),
    affinity: object('Affinity of the pods.'),
    priorityClassName: text('', 'Priority class; `priorityClassName` when empty.'),
    extraEnv: objects('More environment, as in a container: `[{name: A, value: b}]`.'),
  };
}

const serviceAccount = group('Service account.', {
  name: name('', 'An existing account; the chart makes one when empty.'),
  annotations: map('Annotations of the account, such as those of workload identity.'),
});

const monitor = { labels: map('Labels by which Prometheus finds it.') };

/** All values of the chart. */
export const valuesSchema = group('Values of the RamBo chart.', {
  nameOverride: name('', 'Instead of the name of the chart in names of objects.'),
  fullnameOverride: name('', 'Instead of release and chart in names of objects.'),
  commonLabels: map('Labels of every object.'),
  commonAnnotations: map('Annotations of every object.'),
  image: group('What all images share.', {
    registry: text('', 'Registry and path before every repository, without a slash at the end.'),
    tag: text('', 'Tag of all images; the version of the chart when empty.'),
    pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent').describe('When images are pulled.'),
  }),
  imagePullSecrets: z.array(z.strictObject({ name: z.string().min(1) })).default([]).describe('Secrets for pulling images, of all pods of the chart and of the runners of default pools: `[{name: regcred}]`. They must exist in each of those namespaces.'),
  watchNamespaces: namespaces('Namespaces whose workflows are run; all when empty. With names the controller gets Roles in them instead of a ClusterRole, and runs elsewhere are refused. The namespaces must exist.'),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Log level of all processes.'),
  priorityClassName: text('', 'Priority class of controller and API.'),
  extraEnv: objects('More environment of all processes of the chart, as in a container.'),
  caBundle: group('Certificates trusted besides the system\'s (Node\'s `NODE_EXTRA_CA_CERTS`): of a Postgres, NATS, OTLP endpoint or proxy with an authority of your own.', {
    configMap: name('', 'ConfigMap that holds them.'),
    secret: name('', 'Secret that holds them; give one of the two.'),
    key: z.string().min(1).default('ca.crt').describe('Key in it, PEM.'),
  }),
  proxy: group('Proxy of outgoing HTTP of controller and API (spans to the OTLP endpoint). The API server, Postgres and NATS are always reached directly.', {
    https: text('', '`HTTPS_PROXY`.'),
    http: text('', '`HTTP_PROXY`.'),
    noProxy: strings([], 'Hosts that are reached directly, besides the cluster\'s own.'),
  }),
  otlp: group('Traces.', {
    endpoint: text('', 'Where spans go, OTLP over HTTP, such as `http://collector.observability:4318`; none are made when empty.'),
    runnerEndpoint: text('', 'Where runners send theirs; `otlp.endpoint` when empty.'),
  }),
  sentry: group('Reports of faults of RamBo itself; see docs/tracing.md for what they hold.', {
    existingSecret: name('', 'Secret with the DSN of a project in Sentry; nothing is reported when empty.'),
    key: z.string().min(1).default('dsn').describe('Key of the DSN.'),
    environment: text('', 'Name under which Sentry shows this installation; `production` when empty.'),
  }),
  postgres: group('The state of record.', {
    existingSecret: name('', 'Secret with the URL of an external Postgres. Needed unless `postgres.trial`.'),
    urlKey: z.string().min(1).default('url').describe('Key of the URL that controller and API use.'),
    migrationUrlKey: text('', 'Key of the URL that the migration Job uses, of a role that may change the schema; `postgres.urlKey` when empty.'),
    trial: flag(false, 'Bring a Postgres of its own: one pod, no backup, for trials only. Its password is made once and kept in a Secret.'),
    trialServer: group('The Postgres of a trial.', {
      image: image('rambo/trial-postgres'),
      persistence: group('Its data.', {
        enabled: flag(true, 'Keep data in a PersistentVolumeClaim; else it ends with the pod.'),
        size: quantity('8Gi', 'Size of the claim.'),
        storageClassName: text('', 'Class of the claim; the default of the cluster when empty.'),
      }),
      ...pods({ resources: resources('100m', '256Mi', '1Gi') }),
    }),
  }),
  nats: group('Dispatch and results. In JWT mode: the controller signs a user per pool.', {
    url: text('', 'External NATS as controller and API reach it, such as `nats://nats.nats:4222`. Needed unless `nats.trial`.'),
    runnerUrl: text('', 'The same as runner pods reach it; `nats.url` when empty.'),
    existingSecret: name('', 'Secret with `controller.creds`, `api.creds`, `modelgateway.creds` and `account.seed` of an external NATS. Needed unless `nats.trial`; see docs/install.md.'),
    trial: flag(false, 'Bring a NATS of its own: one pod, for trials only. Operator, account and users are made once and kept in a Secret.'),
    trialServer: group('The NATS of a trial.', { image: image('rambo/trial-nats'), ...pods({ resources: resources('50m', '64Mi', '1Gi') }) }),
  }),
  objectStore: group('Where the content of files lies: a bucket of an S3 store. Without one all else works, and files answer UNAVAILABLE.', {
    endpoint: z.string().max(2_048).regex(/^(https?:\/\/.+)?$/).default('').describe('Address of its S3 API, such as `https://s3.eu-central-1.amazonaws.com`; none when empty.'),
    publicEndpoint: z.string().max(2_048).regex(/^(https?:\/\/.+)?$/).default('').describe('Where browsers reach it, if elsewhere: uploads and downloads lead there. Another origin than the API\'s.'),
    bucket: z.string().min(1).max(63).default('rambo').describe('Bucket; it must exist, and its CORS rules must let the console\'s origin PUT and GET.'),
    region: z.string().min(1).default('us-east-1').describe('Region that requests are signed for.'),
    existingSecret: name('', 'Secret with the keys of an account that may read, write, list and delete objects of that bucket. Needed with `objectStore.endpoint`.'),
    accessKeyKey: z.string().min(1).default('access-key').describe('Key of the access key in it.'),
    secretKeyKey: z.string().min(1).default('secret-key').describe('Key of the secret key in it.'),
  }),
  controller: group('The controller.', {
    image: image('rambo/controller'),
    replicas: count(2, 1, 16, 'Replicas; they share the runs.'),
    podsInFlight: count(100, 1, 10_000, 'Pods of container nodes at once per namespace.'),
    serviceAccount,
    logs: group('Where logs of nodes are kept, the last MiB of each attempt.', {
      size: quantity('2Gi', 'Limit of the emptyDir.'),
      existingClaim: name('', 'A PersistentVolumeClaim (ReadWriteMany with more than one replica) instead of the emptyDir.'),
    }),
    ...pods({ resources: resources('100m', '192Mi', '512Mi') }),
  }),
  api: group('The API.', {
    image: image('rambo/api'),
    replicas: count(2, 1, 64, 'Replicas.'),
    tokenAudience: z.string().min(1).default('rambo').describe('Audience a token must be meant for.'),
    corsOrigins: strings([], 'Origins of web pages that may call.'),
    introspection: flag(false, 'Whether everybody may read the GraphQL schema through the API; administrators may without.'),
    trustedDocuments: group('GraphQL documents that pages send by their SHA-256; see docs/api.md.', {
      configMap: name('', 'ConfigMap with the manifest: a JSON object of texts by SHA-256.'),
      key: z.string().min(1).default('documents.json').describe('Key of that ConfigMap.'),
      only: flag(false, 'Whether the documents of the manifest are the only ones that are served.'),
    }),
    rateLimit: group('Requests per second on average, ten seconds of them at once; 0 for any number. Each replica counts for itself.', {
      principal: count(500, 0, 1_000_000, 'Of one caller.'),
      address: count(20, 0, 1_000_000, 'Without a valid token, per IPv4 address or IPv6 /64.'),
    }),
    proxyHops: count(0, 0, 10, 'Proxies in front of the API, exactly: each adds one address to X-Forwarded-For. 0: the header is not believed.'),
    consoleUrl: text('', 'Address of the console: where links in mails lead.'),
    firebase: group('Sign-in of people with Firebase. Without a project only Kubernetes accounts and access tokens come in; see docs/authentication.md.', {
      project: z.string().regex(/^([a-z][a-z0-9-]{3,29})?$/).default('').describe('Id of the Firebase project.'),
      existingSecret: name('', 'Secret with the key file of a service account of that project. Without one the pod\'s own identity is used (workload identity).'),
      key: z.string().min(1).default('credential.json').describe('Key of that Secret.'),
      defaultRole: z.enum(['ADMIN', 'MANAGER', 'DEVELOPER', 'VIEWER', 'AGENT']).default('VIEWER').describe('Role of somebody who signs in for the first time.'),
      adminEmails: strings([], 'Addresses whose verified owners are administrators from their first sign-in on. Needed for the first one.'),
    }),
    mail: group('Mails with links for new passwords and confirmed addresses.', {
      existingSecret: name('', 'Secret with the URL of a mail server, `smtps://user:password@host:465`. Nothing is sent without one.'),
      key: z.string().min(1).default('url').describe('Key of that Secret.'),
      from: text('RamBo <rambo@localhost>', 'Sender.'),
    }),
    serviceAccount,
    service: group('Service of the API.', {
      type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']).default('ClusterIP').describe('Type.'),
      port: port(80, 'Port.'),
      annotations: map('Annotations.'),
    }),
    ...pods({ resources: resources('100m', '192Mi', '512Mi') }),
  }),
  modelgateway: group('The model gateway: every call of a model and of a tool goes through it. Without it nodes of type agent fail with AgentsNotInstalled.', {
    enabled: flag(true, 'Install it.'),
    image: image('rambo/modelgateway'),
    replicas: count(2, 1, 64, 'Replicas.'),
    runnerUrl: z.string().max(2_048).regex(/^(https?:\/\/.+)?$/).default('').describe('The gateway as runner pods reach it; its Service when empty.'),
    allow: strings([], 'Private hosts and CIDRs that Models and ToolServers of every namespace may name, such as `llm.internal` or `10.20.0.0/16`; Services of their own namespace they may always. Give `networkPolicy.modelgateway.egress` too.'),
    budgets: group('Budgets where nobody set others, in tokens and USD; 0 for any amount.', {
      runTokens: count(2_000_000, 0, 1_000_000_000_000, 'Tokens of one workflow run.'),
      runUsd: z.number().min(0).max(1_000_000).default(0).describe('USD of one workflow run.'),
      dayTokens: count(0, 0, 1_000_000_000_000, 'Tokens of a namespace in a day (UTC).'),
      dayUsd: z.number().min(0).max(1_000_000).default(0).describe('USD of a namespace in a day (UTC).'),
    }),
    serviceAccount,
    ...pods({ resources: resources('100m', '192Mi', '768Mi') }),
  }),
  ingress: group('Ingress of the API.', {
    enabled: flag(false, 'Make an Ingress.'),
    className: text('', 'Ingress class.'),
    annotations: map('Annotations. Subscriptions are long answers: buffering off, long read timeout.'),
    host: text('', 'Host.'),
    path: z.string().startsWith('/').default('/').describe('Path.'),
    tlsSecret: text('', 'Secret with the certificate; no TLS when empty.'),
  }),
  httpRoute: group('HTTPRoute (Gateway API) of the API.', {
    enabled: flag(false, 'Make an HTTPRoute.'),
    annotations: map('Annotations.'),
    parentRefs: objects('Gateways it belongs to.'),
    hostnames: strings([], 'Hosts.'),
    path: z.string().startsWith('/').default('/').describe('Path prefix.'),
  }),
  runner: group('Runner pods. They are made by the controller; this is what it is told.', { image: image('rambo/runner') }),
  defaultPool: group('The RunnerPool `default`: made by the chart in `namespaces`, and by the controller with minReady 0 in any namespace whose workflows need one.', {
    create: flag(true, 'Make the pools of `namespaces`.'),
    namespaces: namespaces('Where the chart makes it; `watchNamespaces` when empty, else `default`.'),
    spec: object('Spec of the pool, as in a RunnerPool; `imagePullSecrets` is added; the image is `runner.image` unless named here.', {
      minReady: 1, max: 4,
      resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '1Gi' } },
    }),
  }),
  migration: group('The Job that brings the database to the schema of this release; runs at every upgrade. Controller and API wait for it.', {
    image: image('rambo/migrate'),
    waitSeconds: count(300, 1, 3_600, 'How long one try waits for Postgres.'),
    backoffLimit: count(10, 0, 100, 'Tries.'),
    ...pods({ resources: resources('50m', '128Mi', '512Mi') }),
  }),
  backup: group('A CronJob that runs `rambo backup`: Postgres alone, definitions are in Git or in backups of etcd. Take the claim away from the cluster; docs/backup.md.', {
    schedule: z.string().regex(/^$|^(@[a-z]+|(\S+ ){4}\S+)$/).default('').describe('When, as a CronJob has it, such as `17 2 * * *`; no backups are made when empty.'),
    timeZone: text('', 'Time zone of the schedule; that of the control plane when empty.'),
    keep: count(14, 1, 10_000, 'So many are kept.'),
    image: image('rambo/cli'),
    persistence: group('Where they lie.', {
      existingClaim: text('', 'A PersistentVolumeClaim of yours; the chart makes one that outlives the release when empty.'),
      size: quantity('20Gi', 'Size of the claim.'),
      storageClassName: text('', 'Class of the claim; the default of the cluster when empty.'),
    }),
    ...pods({ resources: resources('50m', '128Mi', '512Mi') }),
  }),
  setup: group('The hook that runs before install and upgrade: brings CRDs up to date, makes the Secrets of trial servers where they are missing.', {
    image: image('rambo/migrate'),
    crds: flag(true, 'Apply the CRDs of this release, unless the cluster has newer ones. When off, apply `charts/rambo/crds` before every upgrade.'),
    ...pods({ resources: resources('50m', '64Mi', '256Mi') }),
  }),
  admissionPolicies: group('ValidatingAdmissionPolicies beside the CRDs.', { enabled: flag(true, 'Install them. Off only where another release of this cluster has them.') }),
  rbac: group('Permissions.', {
    create: flag(true, 'Make roles and bindings. When off they must exist: docs/install.md.'),
    aggregateRoles: flag(true, 'Let the cluster\'s roles view, edit and admin see and change RamBo\'s kinds.'),
  }),
  podDisruptionBudget: group('Disruption budgets of controller, API and model gateway.', { enabled: flag(true, 'Make them: at most one pod is away by will.') }),
  networkPolicy: group('NetworkPolicies: everything is denied but what is needed.', {
    enabled: flag(true, 'Make them.'),
    dnsNamespace: name('kube-system', 'Namespace of the cluster\'s DNS.'),
    apiServerPorts: z.array(z.int().min(1).max(65_535)).min(1).default([443, 6_443]).describe('Ports of the API server.'),
    apiServerCidrs: strings(['0.0.0.0/0', '::/0'], 'Addresses of the API server; it has no label a policy could name.'),
    postgresPort: port(5_432, 'Port of an external Postgres.'),
    postgresCidrs: strings(['0.0.0.0/0', '::/0'], 'Addresses of an external Postgres.'),
    natsPort: port(4_222, 'Port of an external NATS.'),
    natsCidrs: strings(['0.0.0.0/0', '::/0'], 'Addresses of an external NATS.'),
    objectStorePorts: z.array(z.int().min(1).max(65_535)).default([443]).describe('Ports of the object store; used when `objectStore.endpoint` is set.'),
    objectStoreCidrs: strings(['0.0.0.0/0', '::/0'], 'Addresses of the object store.'),
    otlpPorts: z.array(z.int().min(1).max(65_535)).default([4_318]).describe('Ports of the OTLP endpoint; used when `otlp.endpoint` is set.'),
    sentryPorts: z.array(z.int().min(1).max(65_535)).default([443]).describe('Ports of Sentry; used when `sentry.existingSecret` is set.'),
    firebasePorts: z.array(z.int().min(1).max(65_535)).default([443]).describe('Ports of Google\'s services, for the API; used when `api.firebase.project` is set.'),
    smtpPorts: z.array(z.int().min(1).max(65_535)).default([465, 587]).describe('Ports of the mail server, for the API; used when `api.mail.existingSecret` is set.'),
    monitoringNamespace: text('', 'Namespace that may read metrics; any when empty.'),
    apiFrom: objects('Who may call the API, as `from` of a NetworkPolicy; anybody when empty.'),
    runners: group('Pods of runners, in the namespaces of the default pool.', {
      enabled: flag(true, 'Nobody may call runners; they reach DNS, NATS, the model gateway and public addresses only.'),
      egress: objects('What they may reach besides, as `egress` of a NetworkPolicy.'),
    }),
    modelgateway: group('The model gateway. It reaches the internet and Services outside its own namespace.', { egress: objects('What it may reach besides, as `egress` of a NetworkPolicy: models at private addresses outside the cluster.') }),
    extraEgress: objects('What controller, API and model gateway may reach besides, as `egress` of a NetworkPolicy.'),
  }),
  metrics: group('What the Prometheus operator and Grafana read.', {
    serviceMonitor: group('ServiceMonitor.', { enabled: flag(false, 'Make it.'), interval: z.string().regex(/^[0-9]+(s|m)$/).default('30s').describe('How often.'), ...monitor }),
    prometheusRule: group('PrometheusRule with the alerts of docs/runbooks.', {
      enabled: flag(false, 'Make it.'),
      runbookUrl: z.string().regex(/^https?:\/\/.*[^/]$/).default('https://github.com/rambo-dev/rambo/blob/main/docs/runbooks').describe('Where the pages of docs/runbooks are, yours or ours, without a slash at the end: `/RamboFault.md` is added.'),
      ...monitor,
    }),
    dashboards: group('ConfigMaps with Grafana dashboards.', { enabled: flag(false, 'Make them.'), labels: z.record(z.string(), z.string()).default({ grafana_dashboard: '1' }).describe('Labels by which Grafana finds them.'), annotations: map('Annotations, such as the folder.') }),
  }),
});
