/** API group of every RamBo kind. */
export const GROUP = 'rambo.dev';
/** The only served version. */
export const VERSION = 'v1alpha1';
/** `apiVersion` as it stands in manifests. */
export const API_VERSION = `${GROUP}/${VERSION}`;

/** Annotation of a definition that says which version of its schema the cluster has. */
export const SCHEMA_ANNOTATION = 'rambo.dev/schema-version';
/**
 * Version of all schemas together. Raise it with every change of crds/generated: a process refuses to work on definitions
 * older than its own, and the setup of an older release leaves newer ones alone. crds/generate.test.ts holds it.
 */
export const SCHEMA_VERSION = 2;

/** Labels RamBo puts on the objects it creates; selectors of people and of the controller rest on them. */
export const LABELS = {
  managedBy: 'app.kubernetes.io/managed-by',
  runId: 'rambo.dev/run-id',
  run: 'rambo.dev/run',
  node: 'rambo.dev/node',
  attempt: 'rambo.dev/attempt',
  pool: 'rambo.dev/pool',
  workflow: 'rambo.dev/workflow',
  /** On what belongs to a ToolServer over stdio: its name. */
  toolServer: 'rambo.dev/tool-server',
  /** On Secrets that Models and ToolServers may name: the value `true`. */
  credentials: 'rambo.dev/credentials',
  /** On pods whose pool lists what they may reach: its name. */
  egress: 'rambo.dev/egress',
} as const;

/** Annotations people write. */
export const ANNOTATIONS = {
  /** On a ToolServer: the `discoveryHash` whose schemas are accepted, or `any` for whatever comes. */
  acceptSchemas: 'rambo.dev/accept-schemas',
  /** On an Agent, Model or ToolServer: another value makes the controller look again at once. */
  refresh: 'rambo.dev/refresh',
} as const;

/** Value of `app.kubernetes.io/managed-by` on everything the controller creates. */
export const MANAGED_BY = 'rambo-controller';

/** Field managers, one per writing process, so that server-side apply tells people who owns a field. */
export const FIELD_MANAGERS = { controller: 'rambo-controller', api: 'rambo-api' } as const;

/** Hard limits of the public API. Each is named in the message of whatever refuses a value beyond it. */
export const LIMITS = {
  nodesPerManifest: 1_000,
  forEachItems: 100_000,
  nameLength: 63,
  expressionLength: 4_096,
  sourceLength: 262_144,
  outputBytes: 262_144,
  /** JSON of the evaluated `with` and `env` of one attempt: a message of NATS holds 1 MiB, the rest of the dispatch included. */
  dispatchBytes: 917_504,
  inputEnvBytes: 32_768,
  statusOutputsBytes: 16_384,
  statusFailures: 10,
  terminationMessageBytes: 4_096,
  /** Canonical JSON of one spec, below etcd's 1.5 MiB per request with managed fields and a second copy to spare. */
  specBytes: 1_048_576,
  /** Nesting of objects and arrays in a spec. */
  jsonDepth: 100,
} as const;

/**
 * `status.observedGeneration` of an object no controller has seen: the CRDs give it as the default, so that whoever waits by
 * kstatus (Flux, kpt) does not take an object without a status for one that is ready.
 */
export const NEVER_OBSERVED = -1;

/** Pattern of node, input and output names. */
export const NAME_PATTERN = '^[a-z][a-zA-Z0-9-]{0,62}$';
/** Pattern of durations as people write them: `500ms`, `10s`, `1h30m`. */
export const DURATION_PATTERN = '^([0-9]{1,9}(ms|s|m|h|d)){1,5}$';
