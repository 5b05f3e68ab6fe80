import { Buffer } from 'node:buffer';
import DataLoader from 'dataloader';
import { z } from 'zod';
import { GROUP } from '../crds/names.ts';
import { sleep, systemClock, type Clock } from '../platform/clock/index.ts';
import { RamboError, UnavailableError } from '../platform/errors/index.ts';
import type { KubeClient } from '../platform/kube/client.ts';
import { agentDeltaSchema, commandReplySchema, logsReplySchema } from '../platform/messages/payloads.ts';
import type { AgentDelta, AgentEventNotice } from '../platform/messages/payloads.ts';
import { agentDeltaSubject, agentEventSubject, changedSubject, commandSubject, logsSubject, projectChangedSubject, shardOf } from '../platform/messages/subjects.ts';
import type { Bus } from '../platform/nats/bus.ts';
import {
  getRunByName, getRuns, getWorkflow, listAttempts, listEvents, listNodes, listPools, listRuns, listTaskRuns, listWorkflows, placeOfNamespace, placesOfProjects, runsStand,
} from '../prisma/store/index.ts';
import type { Executor, PlaceRow, RunRecord } from '../prisma/store/index.ts';
import { asMemberRole, asUserRole } from './auth/accounts.ts';
import { batchedPlaces } from './auth/places.ts';
import { USER_NAME_PREFIX } from './ports.ts';
import type { AgentNotices, ApiLog, Authenticator, Authorizer, DefinitionReader, LogReader, Notices, PlaceReader, ProjectNotices, ProjectPlace, RunCommands, RunReader } from './ports.ts';

/* The real world behind the ports: Postgres, NATS, Kubernetes. */

/** A request of an owner waits so long for its answer; one that is lost costs no more than this. */
const TRY_MS = 4_500;
/** All tries together: within an operation's time, and longer than a dead owner keeps its shards. */
const COMMAND_MS = 9_000;
const LOGS_MS = 6_000;
/** Between tries. Nobody listening is told at once, so a new owner is found within this. */
const AGAIN_MIN_MS = 50;
const AGAIN_MAX_MS = 250;

/** Rows of single runs at most in one statement. */
const RUNS_AT_ONCE = 200;

/** Reads of runs from Postgres. Single runs that are asked for within one turn of the event loop share a statement. */
export function storeRuns(db: Executor): RunReader {
  const byId = new DataLoader<string, RunRecord | undefined>(async (ids) => {
    const rows = new Map((await getRuns(db, [...new Set(ids)])).map((row) => [row.id, row]));
    return ids.map((id) => rows.get(id));
  }, { cache: false, maxBatchSize: RUNS_AT_ONCE, batchScheduleFn: (load) => { setImmediate(load); } });
  return {
    run: (id) => byId.load(id),
    runByName: (namespace, name) => getRunByName(db, namespace, name),
    runs: (query) => listRuns(db, query),
    ofTasks: (taskIds, after, first) => listTaskRuns(db, taskIds, after, first),
    stand: (versions) => runsStand(db, versions),
    nodes: (runId, after, first) => listNodes(db, runId, after, first),
    attempts: (runId, after, first) => listAttempts(db, runId, after, first),
    events: (runId, afterSeq, first) => listEvents(db, runId, afterSeq, first),
  };
}

/** Reads of mirrored definitions from Postgres. */
export function storeDefinitions(db: Executor): DefinitionReader {
  return {
    workflow: (namespace, name) => getWorkflow(db, namespace, name),
    workflows: (namespace, after, first) => listWorkflows(db, [namespace], after, first),
    pools: (namespace, after, first) => listPools(db, [namespace], after, first),
  };
}

/** Places of projects from Postgres. */
export function storePlaces(db: Executor): PlaceReader {
  return batchedPlaces(async (ids, userId) => (await placesOfProjects(db, ids, userId)).map(placeOf), async (namespace, userId) => {
    const row = await placeOfNamespace(db, namespace, userId);
    return row === undefined ? undefined : placeOf(row);
  });
}

function placeOf({ id, ownerId, namespace, deletedAt, seq, memberRole, userRole }: PlaceRow): ProjectPlace {
  return { id, ownerId, namespace, deleted: deletedAt !== null, seq, memberRole: asMemberRole(memberRole) ?? null, userRole: asUserRole(userRole) ?? null };
}

/**
 * Commands to the owner of a run. One that reaches nobody, is not answered, or reaches a replica that is the owner no
 * more is repeated with the same bytes until its time is up: the owner knows it again by its run.
 */
export function busCommands(bus: Pick<Bus, 'request'>, clock: Clock = systemClock): RunCommands {
  return {
    send: (command) => untilAnswered(clock, COMMAND_MS, async (timeoutMs) => {
      const subject = commandSubject(shardOf(command.runId));
      const reply = parsed(commandReplySchema, await bus.request(subject, Buffer.from(JSON.stringify(command)), timeoutMs), subject);
      if (reply.code === 'NotOwner') throw new UnavailableError(`the owner of run ${command.runId}`);
      return reply;
    }),
  };
}

/** Logs from the owner of a run. */
export function busLogs(bus: Pick<Bus, 'request'>, clock: Clock = systemClock): LogReader {
  return {
    read: (request) => untilAnswered(clock, LOGS_MS, async (timeoutMs) => {
      const subject = logsSubject(shardOf(request.run));
      return parsed(logsReplySchema, await bus.request(subject, Buffer.from(JSON.stringify(request)), timeoutMs), subject);
    }),
  };
}

/** Repeats what is unavailable: while the shard of a run moves, nobody speaks for it. Throws the last UnavailableError. */
async function untilAnswered<T>(clock: Clock, totalMs: number, attempt: (timeoutMs: number) => Promise<T>): Promise<T> {
  const deadline = clock.monotonic() + totalMs;
  for (let pause = AGAIN_MIN_MS; ; pause = Math.min(AGAIN_MAX_MS, pause * 2)) {
    try {
      return await attempt(Math.max(1, Math.min(TRY_MS, deadline - clock.monotonic())));
    } catch (error) {
      if (!(error instanceof UnavailableError) || clock.monotonic() + pause >= deadline) throw error;
      await sleep(clock, pause);
    }
  }
}

/** Who looks at something. `reconnected` must be called when NATS is back: every watcher then looks again. */
export class BusNotices implements Notices {
  readonly #bus: Pick<Bus, 'listen' | 'flush'>;
  readonly #subjectOf: (id: string) => string;
  readonly #wakes = new Set<() => void>();

  /** For runs: the namespace is not known before the row is read, so any is listened to: an id is unique. */
  constructor(bus: Pick<Bus, 'listen' | 'flush'>, subjectOf: (id: string) => string = (runId) => changedSubject('*', runId)) {
    this.#bus = bus;
    this.#subjectOf = subjectOf;
  }

  async watch(id: string, wake: () => void): Promise<{ close(): void }> {
    const listening = this.#bus.listen(this.#subjectOf(id), wake);
    this.#wakes.add(wake);
    const close = (): void => {
      this.#wakes.delete(wake);
      listening.stop();
    };
    try {
      await this.#bus.flush();
    } catch (error) {
      close();
      throw new UnavailableError('NATS', error);
    }
    return { close };
  }

  /** Wakes everybody. */
  reconnected(): void {
    for (const wake of [...this.#wakes]) wake();
  }
}

/** Notices of projects: every API process tells the others. */
export class BusProjectNotices extends BusNotices implements ProjectNotices {
  readonly #bus: Pick<Bus, 'publish'>;

  constructor(bus: Pick<Bus, 'listen' | 'flush' | 'publish'>) {
    super(bus, projectChangedSubject);
    this.#bus = bus;
  }

  changed(changes: readonly { readonly projectId: string }[]): void {
    for (const projectId of new Set(changes.map((change) => change.projectId))) this.#bus.publish(projectChangedSubject(projectId), PROJECT_NOTICE);
  }
}

/** Notices of agent runs: of the model gateway, and of API processes that wrote a decision. */
export class BusAgentNotices extends BusNotices implements AgentNotices {
  readonly #bus: Pick<Bus, 'listen' | 'publish'>;

  constructor(bus: Pick<Bus, 'listen' | 'flush' | 'publish'>) {
    super(bus, (agentRun) => agentEventSubject('*', agentRun));
    this.#bus = bus;
  }

  deltas(agentRun: string, hear: (delta: AgentDelta) => void): { close(): void } {
    const listening = this.#bus.listen(agentDeltaSubject('*', agentRun), (_subject, payload) => {
      const delta = agentDeltaSchema.safeParse(jsonIn(payload));
      if (delta.success) hear(delta.data);
    });
    return { close: () => { listening.stop(); } };
  }

  changed({ namespace, runId, agentRun, seq, phase }: Parameters<AgentNotices['changed']>[0]): void {
    this.#bus.publish(agentEventSubject(namespace, agentRun), Buffer.from(JSON.stringify({ v: 1, run: runId, agentRun, seq, phase } satisfies AgentEventNotice)));
  }
}

/** What cannot be read is nothing: pieces of answers may be lost. */
function jsonIn(payload: Uint8Array): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
    return value;
  } catch {
    return undefined;
  }
}

const PROJECT_NOTICE = Buffer.from(JSON.stringify({ v: 1 }));

const tokenReviewSchema = z.object({
  status: z.object({
    authenticated: z.boolean().optional(),
    audiences: z.array(z.string()).optional(),
    user: z.object({
      username: z.string().optional(),
      uid: z.string().optional(),
      groups: z.array(z.string()).nullish(),
      extra: z.record(z.string(), z.array(z.string())).nullish(),
    }).optional(),
  }),
});

/** TokenReview for one audience. A token of another audience, or one without a user name, is nobody's. */
export function kubeAuthenticator(kube: Pick<KubeClient, 'json'>, audience: string, log: ApiLog): Authenticator {
  return {
    authenticate: async (token) => {
      const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences: [audience] } };
      const { status } = tokenReviewSchema.parse(await review(kube, log, 'authentication.k8s.io/v1/tokenreviews', 'tokenreviews', body));
      const { username, uid, groups, extra } = status.user ?? {};
      if (status.authenticated !== true || status.audiences?.includes(audience) !== true || username === undefined || username === '') return undefined;
      // Ours are called so: a certificate may say anything, and must not write into the audit as one of them.
      if (username.startsWith(USER_NAME_PREFIX)) return undefined;
      return { kind: 'kubernetes', name: username, groups: groups ?? [], ...(uid === undefined ? {} : { uid }), ...(extra == null ? {} : { extra }) };
    },
  };
}

const accessReviewSchema = z.object({ status: z.object({ allowed: z.boolean(), denied: z.boolean().optional() }) });

/** SubjectAccessReview on resources of `rambo.dev`. */
export function kubeAuthorizer(kube: Pick<KubeClient, 'json'>, log: ApiLog): Authorizer {
  return {
    allowed: async (principal, verb, question) => {
      const { name, uid, groups, extra } = principal;
      const spec = { user: name, uid, groups, extra, resourceAttributes: { group: GROUP, ...question, verb } };
      const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec };
      const { status } = accessReviewSchema.parse(await review(kube, log, 'authorization.k8s.io/v1/subjectaccessreviews', 'subjectaccessreviews', body));
      return status.allowed && status.denied !== true;
    },
  };
}

/** Any failure means that nobody can tell: closed. The log says why; it never holds the body, which has a token in it. */
async function review(kube: Pick<KubeClient, 'json'>, log: ApiLog, path: string, resource: string, body: unknown): Promise<unknown> {
  try {
    return await kube.json({ verb: 'create', resource, path: `/apis/${path}`, body });
  } catch (error) {
    log.warn({ resource, code: error instanceof RamboError ? error.code : 'Unknown' }, 'the API server did not review');
    throw new UnavailableError('the Kubernetes API server', error);
  }
}

function parsed<T>(schema: z.ZodType<T>, payload: Uint8Array, subject: string): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(payload).toString('utf8')));
  } catch (error) {
    throw new RamboError('BadReply', `the answer on ${subject} cannot be read`, { cause: error });
  }
}
