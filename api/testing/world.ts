import { ManualClock } from '../../platform/clock/manual.ts';
import { UnavailableError } from '../../platform/errors/index.ts';
import { countingIds } from '../../platform/ids/index.ts';
import type { CommandReply, RunCommand } from '../../platform/messages/payloads.ts';
import type { Gateway } from '../../prisma/gateway/index.ts';
import type { AttemptRow, Db, EventRow, NodeRunRow, Page, RunnerPoolRow, RunRecord, WorkflowRow } from '../../prisma/store/index.ts';
import type { AccessQuestion, ApiLog, ApiMetrics, ApiTracing, KubePrincipal, Ports, Principal, ProjectPlace, UserPrincipal, UserRole, Verb } from '../ports.ts';
import { startApi } from '../server.ts';
import type { ApiParts, ApiServer } from '../server.ts';

/** Tokens of the test world and whom they belong to. */
export const PRINCIPALS: Readonly<Record<string, KubePrincipal>> = {
  alice: { kind: 'kubernetes', name: 'alice', groups: ['team-a'] },
  bob: { kind: 'kubernetes', name: 'bob', groups: ['team-b'] },
};

/** A line that was logged. */
export interface Line { readonly level: string; readonly message: string; readonly fields: Readonly<Record<string, unknown>> }

/** The world behind the API, in memory: tests fill it and look at what the API did to it. */
export class World {
  readonly clock = new ManualClock();
  readonly ids = countingIds();
  readonly runs = new Map<string, RunRecord>();
  readonly nodes: NodeRunRow[] = [];
  readonly attempts: AttemptRow[] = [];
  readonly events: EventRow[] = [];
  readonly workflows: WorkflowRow[] = [];
  readonly pools: RunnerPoolRow[] = [];
  readonly commands: RunCommand[] = [];
  readonly watchers = new Map<string, Set<() => void>>();
  readonly lines: Line[] = [];
  readonly counted: string[] = [];
  readonly reads: string[] = [];
  /** Who may do what: `principal verb resource namespace`. */
  readonly grants = new Set<string>();
  readonly asked: string[] = [];
  /** Tokens of users, beside those of `PRINCIPALS`. */
  readonly users = new Map<string, UserPrincipal>();
  /** Places of projects as the store gives them: `<project id> <user id>`, or a namespace in place of the id. */
  readonly places = new Map<string, ProjectPlace>();
  /** What was asked of Firebase, mails to be sent among it. */
  readonly mails: string[] = [];
  /** What the row and Firebase say of a user now; undefined: gone. By id. */
  readonly standing = new Map<string, UserRole>();
  reviews = 0;
  tokensValid = true;
  apiServerAway = false;
  /** Answers a command; the default commits it and makes a row where there is none. */
  reply: (command: RunCommand) => Promise<CommandReply> = (command) => Promise.resolve(this.commit(command));
  /** Stands before every read of a run. */
  beforeRead: () => Promise<void> = () => Promise.resolve();

  /** Lets a principal do everything in a namespace. */
  grantAll(name: string, namespace: string): void {
    for (const resource of ['workflowruns', 'workflows', 'runnerpools']) {
      for (const verb of ['get', 'list', 'watch', 'create', 'patch']) this.grants.add(`${name} ${verb} ${resource} ${namespace}`);
    }
  }

  commit(command: RunCommand): CommandReply {
    const known = this.runs.has(command.runId);
    if (command.verb !== 'start' || known) return { v: 1, ok: true, runId: command.runId, repeated: known && command.verb === 'start' };
    this.runs.set(command.runId, this.newRow(command));
    return { v: 1, ok: true, runId: command.runId, version: 1 };
  }

  /** Row of a started run. */
  newRow: (command: Extract<RunCommand, { verb: 'start' }>) => RunRecord = () => { throw new Error('set newRow'); };

  /** A run changes: the row, then the notice. */
  change(run: RunRecord): void {
    this.runs.set(run.id, run);
    this.notify(run.id);
  }

  notify(id: string): void {
    for (const wake of [...(this.watchers.get(id) ?? [])]) wake();
  }

  ports(): Ports {
    return {
      authenticator: { authenticate: (token) => this.#authenticate(token) },
      authorizer: { allowed: (principal, verb, question) => this.#allowed(principal, verb, question) },
      places: {
        byProject: (projectId, userId) => Promise.resolve(this.places.get(`${projectId} ${userId ?? ''}`)),
        byNamespace: (namespace, userId) => Promise.resolve(this.places.get(`${namespace} ${userId ?? ''}`)),
      },
      identities: {
        mailPasswordReset: (email) => { this.mails.push(`reset ${email}`); }, mailEmailVerification: (email) => { this.mails.push(`verify ${email}`); },
        revoke: async (uid) => { this.mails.push(`revoke ${uid}`); }, setDisabled: async (uid, disabled) => { this.mails.push(`${disabled ? 'disable' : 'enable'} ${uid}`); },
        importAccounts: () => Promise.resolve([]),
      },
      gateway: noGateway,
      db: noStore,
      agentNotices: { watch: () => Promise.resolve({ close: () => undefined }), deltas: () => ({ close: () => undefined }), changed: () => undefined },
      objects: undefined,
      publisher: { publish: () => Promise.resolve(), unpublish: () => Promise.resolve() },
      projectNotices: { watch: () => Promise.resolve({ close: () => undefined }), changed: () => undefined },
      standing: { standing: ({ userId }) => Promise.resolve(this.standing.get(userId)) },
      runs: {
        run: async (id) => {
          this.reads.push(`run ${id}`);
          await this.beforeRead();
          return this.runs.get(id);
        },
        runByName: (namespace, name) => Promise.resolve([...this.runs.values()].find((run) => run.namespace === namespace && run.name === name)),
        runs: (query) => {
          this.reads.push(`runs ${JSON.stringify(query)}`);
          const all = [...this.runs.values()].filter((run) => query.namespaces.includes(run.namespace)).sort((a, b) => (a.id < b.id ? 1 : -1));
          const { after, before } = query;
          if (before !== undefined) {
            const above = all.filter((run) => run.id > before.id);
            return Promise.resolve({ rows: above.slice(-query.first), hasMore: above.length > query.first });
          }
          return Promise.resolve(page(all.filter((run) => after === undefined || run.id < after.id), query.first));
        },
        ofTasks: (ids) => Promise.resolve(ids.map(() => ({ rows: [], hasMore: false }))),
        stand: (versions) => Promise.resolve([...versions].every(([id, version]) => this.runs.get(id)?.version === version)),
        nodes: (_, after, first) => Promise.resolve(page(this.nodes.filter((row) => after === undefined || row.node > after.node), first)),
        attempts: (_, after, first) => Promise.resolve(page(this.attempts.filter((row) => after === undefined || row.node >= after.node), first)),
        events: (_, afterSeq, first) => Promise.resolve(page(this.events.filter((row) => row.seq > afterSeq), first)),
      },
      definitions: {
        workflow: (namespace, name) => Promise.resolve(this.workflows.find((row) => row.namespace === namespace && row.name === name)),
        workflows: (namespace, after, first) => Promise.resolve(page(this.workflows.filter((row) => row.namespace === namespace && row.name > (after?.name ?? '')), first)),
        pools: (namespace, after, first) => Promise.resolve(page(this.pools.filter((row) => row.namespace === namespace && row.name > (after?.name ?? '')), first)),
      },
      commands: { send: (command) => {
        this.commands.push(command);
        return this.reply(command);
      } },
      logs: { read: ({ offset, limit }) => Promise.resolve({ v: 1, text: 'hello'.slice(offset, offset + limit), next: 5, end: true }) },
      notices: { watch: (runId, wake) => {
        const wakes = this.watchers.get(runId) ?? new Set();
        this.watchers.set(runId, wakes.add(wake));
        return Promise.resolve({ close: () => { wakes.delete(wake); } });
      } },
    };
  }

  /** Notices somebody waits for. */
  get watching(): number { return [...this.watchers.values()].reduce((sum, wakes) => sum + wakes.size, 0); }

  log(): ApiLog {
    const at = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string): void => { this.lines.push({ level, message, fields }); };
    return { info: at('info'), warn: at('warn'), error: at('error') };
  }

  metrics(): ApiMetrics {
    return {
      operation: (field, type, code) => { this.counted.push(`${type} ${field} ${code}`); },
      refused: (code) => { this.counted.push(`refused ${code}`); },
      review: () => undefined,
      answer: (result) => { this.counted.push(`answer ${result}`); }, swept: () => undefined,
      signIn: (kind, result) => { this.counted.push(`signIn ${kind} ${result}`); },
      streams: () => undefined,
    };
  }

  async #authenticate(token: string): Promise<Principal | undefined> {
    this.reviews += 1;
    if (this.apiServerAway) throw new UnavailableError('the API server');
    await Promise.resolve();
    if (!this.tokensValid) return undefined;
    return this.users.get(token) ?? (Object.hasOwn(PRINCIPALS, token) ? PRINCIPALS[token] : undefined);
  }

  async #allowed(principal: KubePrincipal, verb: Verb, { resource, namespace }: AccessQuestion): Promise<boolean> {
    if (this.apiServerAway) throw new UnavailableError('the API server');
    await Promise.resolve();
    const question = `${principal.name} ${verb} ${resource} ${namespace ?? '*'}`;
    this.asked.push(question);
    return this.grants.has(question);
  }
}

/** The world has no Postgres: what writes the gateway's tables is tested against a real one. */
const noStore: Db = {
  query: () => { throw new Error('this world has no Postgres'); }, transaction: () => { throw new Error('this world has no Postgres'); }, stats: () => ({ total: 0, idle: 0, waiting: 0 }), close: () => Promise.resolve(),
};
const noGateway: Gateway = {
  read: () => Promise.reject(new UnavailableError('Postgres')), transaction: () => Promise.reject(new UnavailableError('Postgres')), close: () => Promise.resolve(),
};

function page<T>(rows: readonly T[], first: number): Page<T> {
  return { rows: rows.slice(0, first), hasMore: rows.length > first };
}

const untraced: ApiTracing = { span: (_name, parent, work) => work(parent) };

/** An answer of the API. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: { readonly data?: Record<string, unknown> | null; readonly errors?: readonly { readonly message: string; readonly extensions?: Record<string, unknown> }[] };
}

/** The real server, over real HTTP, with the test world behind it. */
export class TestApi {
  readonly world: World;
  readonly #server: ApiServer;

  constructor(world: World, server: ApiServer) {
    this.world = world;
    this.#server = server;
  }

  get url(): string { return `http://127.0.0.1:${this.#server.port}/graphql`; }
  get server(): ApiServer { return this.#server; }

  /** Sends anything. */
  async send(init: RequestInit, path = ''): Promise<Answer> {
    const response = await fetch(this.url + path, init);
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: text.startsWith('{') ? JSON.parse(text) : {} };
  }

  /** Sends an operation as a well-behaved client does. */
  query(query: string, variables: Readonly<Record<string, unknown>> = {}, token = 'alice'): Promise<Answer> {
    return this.send({ method: 'POST', headers: headersOf(token), body: JSON.stringify({ query, variables }) });
  }

  /** Opens a subscription; yields `next` payloads, ends with `complete`. */
  async subscribe(query: string, variables: Readonly<Record<string, unknown>> = {}, token = 'alice', signal?: AbortSignal): Promise<AsyncGenerator<Answer['body'], void>> {
    const response = await fetch(this.url, {
      method: 'POST', headers: { ...headersOf(token), accept: 'text/event-stream' }, body: JSON.stringify({ query, variables }), ...(signal === undefined ? {} : { signal }),
    });
    return events(response);
  }
}

function headersOf(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
}

/** Payloads of a stream of server-sent events, until it completes. */
export async function* events(response: Response): AsyncGenerator<Answer['body'], void> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const block = text.slice(0, end);
      text = text.slice(end + 2);
      if (block.startsWith('event: complete')) return;
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (data !== undefined) yield JSON.parse(data);
    }
  }
  throw new Error('the stream broke off without complete');
}

/** Starts a server around a world. */
export async function startTestApi(world: World, settings: Partial<ApiParts['settings']> = {}): Promise<TestApi> {
  const server = await startApi({
    ports: world.ports(), clock: world.clock, ids: world.ids, log: world.log(), metrics: world.metrics(), tracing: untraced,
    settings: { introspection: false, corsOrigins: [], ...settings },
  }, '127.0.0.1', 0);
  return new TestApi(world, server);
}

/** Waits for a condition that real sockets bring about. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => { setImmediate(resolve); });
  }
}
