import type { AgentDelta, CommandReply, LogsReply, LogsRequest, RunCommand } from '../platform/messages/payloads.ts';
import type { ObjectStore } from '../platform/objects/index.ts';
import type { WaitingAccount } from './auth/firebase/admin.ts';
import type { Gateway } from '../prisma/gateway/index.ts';
import type {
  AttemptCursor, AttemptRow, Db, EventRow, ListCursor, NodeCursor, NodeRunRow, ObjectCursor, Page, RunnerPoolRow, RunQuery, RunRecord, RunSummary, TaskRunRow, WorkflowRow,
} from '../prisma/store/index.ts';
import type { WorkflowPublisher } from './workflow/publisher.ts';

/*
 * What the API needs of the world, declared by its consumer. `wiring.ts` adapts Postgres, NATS and Kubernetes;
 * tests stub them in a line.
 */

/** What names of users begin with; nobody else's does. */
export const USER_NAME_PREFIX = 'user:';

/** Somebody the Kubernetes API server knows: never anything a client claims about itself. */
export interface KubePrincipal {
  readonly kind: 'kubernetes';
  /** User name such as `system:serviceaccount:team-a:ci`; never one that begins with `user:`. */
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Roles of a person in the installation. */
export const USER_ROLES = ['ADMIN', 'MANAGER', 'DEVELOPER', 'VIEWER', 'AGENT'] as const;
/** Role of a person in the installation. */
export type UserRole = (typeof USER_ROLES)[number];
/** Roles of a member in a project; its owner is no member. */
export const MEMBER_ROLES = ['MANAGER', 'DEVELOPER', 'VIEWER', 'AGENT'] as const;
/** Role of a member in a project. */
export type MemberRole = (typeof MEMBER_ROLES)[number];
/** What a personal access token can be good for. */
export const TOKEN_SCOPES = ['read', 'write', 'runs'] as const;
/** One scope of a personal access token. */
export type TokenScope = (typeof TOKEN_SCOPES)[number];

/** A person with an account here, as a verified token and the row in Postgres say. */
export interface UserPrincipal {
  readonly kind: 'user';
  /** `user:<id>`: what is written into audit, runs and annotations. */
  readonly name: string;
  readonly userId: string;
  readonly role: UserRole;
  readonly email?: string;
  readonly emailVerified: boolean;
  /** When the password, provider or second factor was last shown, epoch milliseconds; for access tokens when they were made. */
  readonly signedInAt: number;
  /** When the token runs out, epoch milliseconds. */
  readonly validUntil: number;
  /** Whether that sign-in had a second factor. Never of an access token. */
  readonly secondFactor: boolean;
  readonly via: 'firebase' | 'accessToken';
  /** What an access token is good for; absent for a sign-in, which has no such cap. */
  readonly scopes?: readonly TokenScope[];
  /** Of an access token: which one. */
  readonly tokenId?: string;
  /** Of a sign-in: its account in Firebase. */
  readonly firebaseUid?: string;
}

/** Who calls. */
export type Principal = KubePrincipal | UserPrincipal;

/** Verbs the API asks about. Binding, transferring and the like are a `patch` or a `delete` of what they change. */
export const VERBS = ['get', 'list', 'watch', 'create', 'patch', 'delete'] as const;
/** One verb. */
export type Verb = (typeof VERBS)[number];
/** Resources of Kubernetes, and what their runs are about (`agentruns`, `agentapprovals`: no custom resources): rights go by namespace. */
export const NAMESPACE_RESOURCES = ['workflowruns', 'workflows', 'runnerpools', 'agents', 'models', 'toolservers', 'agentruns', 'agentapprovals'] as const;
/** Resources of a project: rows of the gateway. */
export const PROJECT_RESOURCES = ['projects', 'tasks', 'members', 'sprints', 'tickets', 'requirements', 'workflows', 'agents', 'files', 'events'] as const;
/** What a person has of their own. */
export const USER_RESOURCES = ['users', 'accesstokens', 'imports', 'agents'] as const;
/** What belongs to no project and no person. */
export const INSTALLATION_RESOURCES = ['projects', 'users', 'audit', 'schema', 'budgets'] as const;
/** Any resource; Kubernetes principals are asked about under these names in the group `rambo.dev`. */
export type Resource = (typeof NAMESPACE_RESOURCES)[number] | (typeof PROJECT_RESOURCES)[number] | (typeof USER_RESOURCES)[number] | (typeof INSTALLATION_RESOURCES)[number];

/**
 * What is to be reached: the resource and the place of the loaded row, or the place it would be made in. `admin` asks for
 * what only administrators do in that place (bind a namespace): it needs a second factor and a recent sign-in.
 */
export type Target =
  | { readonly kind: 'namespace'; readonly resource: (typeof NAMESPACE_RESOURCES)[number]; readonly namespace: string }
  | { readonly kind: 'project'; readonly resource: (typeof PROJECT_RESOURCES)[number]; readonly projectId: string; readonly admin?: true }
  | { readonly kind: 'user'; readonly resource: (typeof USER_RESOURCES)[number]; readonly userId: string }
  | { readonly kind: 'installation'; readonly resource: (typeof INSTALLATION_RESOURCES)[number] };

/** Tells who a bearer token belongs to. */
export interface Authenticator {
  /** The caller, or undefined for a token that is not valid here. Throws UnavailableError when nobody can tell. */
  authenticate(token: string): Promise<Principal | undefined>;
}

/** What a Kubernetes principal is asked about; without a namespace: in the whole cluster. */
export interface AccessQuestion {
  readonly resource: Resource;
  readonly namespace?: string;
}

/** Tells what a Kubernetes principal may do. */
export interface Authorizer {
  /** Throws UnavailableError when nobody can tell. */
  allowed(principal: KubePrincipal, verb: Verb, question: AccessQuestion): Promise<boolean>;
}

/** A project as far as rights go, and what the caller is in it. */
export interface ProjectPlace {
  readonly id: string;
  readonly ownerId: string;
  readonly namespace: string | null;
  /** Whether it lies in the bin: only those who may delete it still reach it. */
  readonly deleted: boolean;
  /** Number of the last change in it, as of this look; absent where nobody counts. */
  readonly seq?: number;
  /** The caller's role as a member; null for none. */
  readonly memberRole: MemberRole | null;
  /** The caller's role in the installation as it is now; null where the account is gone or disabled, or the caller is no user. */
  readonly userRole: UserRole | null;
}

/** Where rows of projects and namespaces belong. Every method may throw UnavailableError. */
export interface PlaceReader {
  /** The place of a project, with the roles of the user asked for (if it is a user). */
  byProject(projectId: string, userId: string | undefined): Promise<ProjectPlace | undefined>;
  /** The place of the project bound to a namespace. */
  byNamespace(namespace: string, userId: string | undefined): Promise<ProjectPlace | undefined>;
}

/** Looks a user up afresh, past every cache, before a sensitive verb. */
export interface StandingReader {
  /** The role now; undefined when the account is gone or disabled or its sign-in was revoked. Throws UnavailableError. */
  standing(principal: UserPrincipal): Promise<UserRole | undefined>;
}

/** Accounts of Firebase, as far as operations touch them. Those that answer throw UnavailableError when Firebase is away or not configured. */
export interface Identities {
  /** Sends a link for a new password, if there is such an account. Says nothing, and returns at once. */
  mailPasswordReset(email: string): void;
  /** Sends a link that proves the address. Returns at once. */
  mailEmailVerification(email: string): void;
  /** Makes all sign-ins of an account void. */
  revoke(firebaseUid: string): Promise<void>;
  setDisabled(firebaseUid: string, disabled: boolean): Promise<void>;
  /** Takes accounts with their password hashes over; the uids of those that were refused, with why. */
  importAccounts(accounts: readonly WaitingAccount[]): Promise<readonly { readonly uid: string; readonly reason: string }[]>;
}

/** Runs as they stand in Postgres. Every method may throw UnavailableError. */
export interface RunReader {
  run(id: string): Promise<RunRecord | undefined>;
  /** The newest run of that name. */
  runByName(namespace: string, name: string): Promise<RunRecord | undefined>;
  runs(query: RunQuery): Promise<Page<RunSummary>>;
  /** Runs of each task, the newest first, from below a place; those that are gone are left out. */
  ofTasks(taskIds: readonly string[], after: ListCursor | undefined, first: number): Promise<readonly Page<TaskRunRow>[]>;
  /** Whether all of these runs, versions by id, are there and still have that version. */
  stand(versions: ReadonlyMap<string, number>): Promise<boolean>;
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

/** Tells the API processes of each other's changes in projects, and wakes whoever looks at one. */
export interface ProjectNotices {
  /** Calls `wake` as Notices.watch does. Throws UnavailableError. */
  watch(projectId: string, wake: () => void): Promise<{ close(): void }>;
  /** After the commit. A notice that gets lost costs time only. */
  changed(changes: readonly { readonly projectId: string }[]): void;
}

/** What the API sweeps. */
export const SWEPT_KINDS = ['files', 'projectEvents', 'idempotentAnswers', 'objects'] as const;
/** One of them. */
export type SweptKind = (typeof SWEPT_KINDS)[number];

/** What grows in the journal of an agent run, and the pieces of answers that are not in it yet. */
export interface AgentNotices {
  /** Calls `wake` as Notices.watch does. Throws UnavailableError. */
  watch(agentRunId: string, wake: () => void): Promise<{ close(): void }>;
  /** Calls `hear` with each piece of an answer while it comes; some may be lost. */
  deltas(agentRunId: string, hear: (delta: AgentDelta) => void): { close(): void };
  /** After the commit of a decision. A notice that gets lost costs time only. */
  changed(grown: { readonly namespace: string; readonly runId: string; readonly agentRun: string; readonly seq: number; readonly phase: string }): void;
}

/** Counters of the API; label values come from closed sets only. */
export interface ApiMetrics {
  /** One operation: `field` is a root field of the schema (or `multiple`, `none`), `code` a documented error code or `OK`. */
  operation(field: string, type: string, code: string, seconds: number): void;
  /** A request that never became an operation. */
  refused(code: string): void;
  /** A question to the API server and how it was answered: `allowed`, `denied`, `cached`, `unavailable`. */
  review(kind: 'token' | 'access', result: 'allowed' | 'denied' | 'cached' | 'unavailable'): void;
  /** A token that was looked at, not from memory, by who made it. */
  signIn(kind: 'kubernetes' | 'firebase' | 'accessToken', result: 'accepted' | 'refused' | 'unavailable'): void;
  /** A read, by whether its answer was at hand. */
  answer(result: 'hit' | 'miss' | 'stale'): void;
  /** Rows and objects that nobody can want any more. */
  swept(what: SweptKind, count: number): void;
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
  readonly places: PlaceReader;
  readonly standing: StandingReader;
  readonly identities: Identities;
  readonly gateway: Gateway;
  readonly runs: RunReader;
  readonly definitions: DefinitionReader;
  readonly commands: RunCommands;
  readonly logs: LogReader;
  readonly notices: Notices;
  /** Content of files; undefined where the installation has no object store. */
  readonly objects: ObjectStore | undefined;
  /** Writes Workflow objects. */
  readonly publisher: WorkflowPublisher;
  readonly projectNotices: ProjectNotices;
  readonly agentNotices: AgentNotices;
  /** Prepared statements, for what is read often. */
  readonly db: Db;
}
