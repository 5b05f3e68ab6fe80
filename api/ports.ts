import type { CommandReply, LogsReply, LogsRequest, RunCommand } from '../platform/messages/payloads.ts';
import type {
  AttemptCursor, AttemptRow, EventRow, NodeCursor, NodeRunRow, ObjectCursor, Page, RunnerPoolRow, RunQuery, RunRecord, RunSummary, WorkflowRow,
} from '../prisma/store/index.ts';

/*
 * What the API needs of the world, declared by its consumer. `wiring.ts` adapts Postgres, NATS and Kubernetes;
 * tests stub them in a line.
 */

/** Who calls, as the Kubernetes API server says. Never anything a client claims about itself. */
export interface Principal {
  /** User name such as `system:serviceaccount:team-a:ci`. */
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Kubernetes verbs the API asks about. */
export type Verb = 'get' | 'list' | 'watch' | 'create' | 'patch';
/** Resources of `rambo.dev` the API asks about. */
export type Resource = 'workflowruns' | 'workflows' | 'runnerpools';

/** What is to be reached: the loaded row, or the namespace it would be made in. */
export interface Target {
  readonly resource: Resource;
  readonly namespace: string;
}

/** Tells who a bearer token belongs to. */
export interface Authenticator {
  /** The caller, or undefined for a token that is not valid here. Throws UnavailableError when nobody can tell. */
  authenticate(token: string): Promise<Principal | undefined>;
}

/** Tells what a principal may do. */
export interface Authorizer {
  /** Throws UnavailableError when nobody can tell. */
  allowed(principal: Principal, verb: Verb, target: Target): Promise<boolean>;
}

/** Runs as they stand in Postgres. Every method may throw UnavailableError. */
export interface RunReader {
  run(id: string): Promise<RunRecord | undefined>;
  /** The newest run of that name. */
  runByName(namespace: string, name: string): Promise<RunRecord | undefined>;
  runs(query: RunQuery): Promise<Page<RunSummary>>;
  nodes(runId: string, after: NodeCursor | undefined, first: number): Promise<Page<NodeRunRow>>;
  attempts(runId: string, after: AttemptCursor | undefined, first: number): Promise<Page<AttemptRow>>;
  events(runId: string, afterSeq: number, first: number): Promise<Page<EventRow>>;
}

/** Mirrors of definitions. Every method may throw UnavailableError. */
export interface DefinitionReader {
  workflow(namespace: string, name: string): Promise<WorkflowRow | undefined>;
  workflows(namespace: string, after: ObjectCursor | undefined, first: number): Promise<Page<WorkflowRow>>;
  pools(namespace: string, after: ObjectCursor | undefined, first: number): Promise<Page<RunnerPoolRow>>;
}

/** The owner of a run, asked over NATS. */
export interface RunCommands {
  /** Answered after the owner's commit. Throws UnavailableError when no owner answers in time. */
  send(command: RunCommand): Promise<CommandReply>;
}

/** Logs of attempts, asked of the owner of the run. */
export interface LogReader {
  /** Throws UnavailableError when no owner answers in time. */
  read(request: LogsRequest): Promise<LogsReply>;
}

/** Wakes whoever looks at a run. */
export interface Notices {
  /**
   * Calls `wake` whenever the run may have changed, and after a lost connection is back: notices sent meanwhile are lost.
   * Resolves once nothing that happens from now on can be missed. Throws UnavailableError.
   */
  watch(runId: string, wake: () => void): Promise<{ close(): void }>;
}

/** Counters of the API; label values come from closed sets only. */
export interface ApiMetrics {
  /** One operation: `field` is a root field of the schema (or `multiple`, `none`), `code` a documented error code or `OK`. */
  operation(field: string, type: string, code: string, seconds: number): void;
  /** A request that never became an operation. */
  refused(code: string): void;
  /** A question to the API server and how it was answered: `allowed`, `denied`, `cached`, `unavailable`. */
  review(kind: 'token' | 'access', result: 'allowed' | 'denied' | 'cached' | 'unavailable'): void;
  /** Open subscriptions. */
  streams(open: number): void;
}

/** Log lines: a constant message and keys. */
export interface ApiLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** One span per operation. */
export interface ApiTracing {
  /** Runs `work` in a span that continues `parent` (a W3C traceparent) and hands it its own traceparent. */
  span<T>(name: string, parent: string | undefined, work: (traceparent: string | undefined) => Promise<T>): Promise<T>;
}

/** Everything the API stands on. */
export interface Ports {
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly runs: RunReader;
  readonly definitions: DefinitionReader;
  readonly commands: RunCommands;
  readonly logs: LogReader;
  readonly notices: Notices;
}
