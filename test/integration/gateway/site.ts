import { systemClock } from '../../../platform/clock/index.ts';
import { systemIds } from '../../../platform/ids/index.ts';
import { type Gateway, openGateway } from '../../../prisma/gateway/index.ts';
import { type Db, openStore } from '../../../prisma/store/index.ts';
import type { Ports, UserPrincipal, UserRole } from '../../../api/ports.ts';
import { type ApiParts, type ApiServer, startApi } from '../../../api/server.ts';
import { events, until, World } from '../../../api/testing/world.ts';
import type { RateSettings } from '../../../api/http/rate-limit.ts';
import { storePlaces, storeRuns } from '../../../api/wiring.ts';
import { testPostgres, type TestServer } from '../../harness/postgres.ts';

/** JSON as a test reads it: whatever it names is there, or undefined. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests read what they wrote
export type Entry = any;

/** An answer over HTTP. */
export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Entry;
}

/** A person of a test and the token they call with. */
export interface Person { readonly token: string; readonly userId: string }

/** The real API server in this process, over HTTP, with a real Postgres behind it; the runs of Kubernetes are those of a World. */
export class Site {
  readonly world = new World();
  readonly #server: TestServer;
  readonly #api: ApiServer;
  readonly url: string;
  readonly databaseUrl: string;
  readonly db: Db;
  readonly gateway: Gateway;
  /** Statements that the store ran, by name. */
  readonly statements: string[];

  private constructor(parts: { world: World; server: TestServer; api: ApiServer; db: Db; gateway: Gateway; statements: string[]; databaseUrl: string }) {
    this.world = parts.world;
    this.#server = parts.server;
    this.#api = parts.api;
    this.db = parts.db;
    this.gateway = parts.gateway;
    this.statements = parts.statements;
    this.databaseUrl = parts.databaseUrl;
    this.url = `http://127.0.0.1:${parts.api.port}`;
  }

  static async start(over: (ports: Ports, world: World) => Partial<Ports> | Promise<Partial<Ports>> = () => ({}), settings: { readonly rate?: RateSettings; readonly answers?: NonNullable<ApiParts['settings']['answers']> } = {}): Promise<Site> {
    const server = await testPostgres();
    const databaseUrl = await server.createDatabase();
    const gateway = openGateway(databaseUrl);
    const store = openStore({ url: databaseUrl, max: 8 });
    const statements: string[] = [];
    const db: Db = { ...store, query: (statement, values) => {
      statements.push(statement.name);
      return store.query(statement, values);
    } };
    const world = new World();
    const base: Ports = {
      ...world.ports(), gateway, db, places: storePlaces(db), runs: storeRuns(db),
      standing: { standing: (principal) => Promise.resolve([...world.users.values()].find((user) => user.userId === principal.userId)?.role) },
    };
    const api = await startApi({
      ports: { ...base, ...await over(base, world) }, clock: systemClock, ids: systemIds, log: world.log(), metrics: world.metrics(), tracing: { span: (_name, parent, work) => work(parent) },
      settings: { introspection: false, corsOrigins: [], ...settings },
    }, '127.0.0.1', 0);
    return new Site({ world, server, api, db, gateway, statements, databaseUrl });
  }

  async stop(): Promise<void> {
    await this.#api.stop(1_000);
    await this.gateway.close();
    await this.db.close();
    await this.#server.stop();
  }

  get server(): ApiServer { return this.#api; }

  /** A new user with a token. */
  async person(role: UserRole = 'DEVELOPER', over: Partial<UserPrincipal> = {}): Promise<Person> {
    const userId = systemIds.uuid();
    const token = `t-${userId}`;
    const now = new Date();
    await this.gateway.read((db) => db.user.create({ data: { id: userId, email: `${userId}@example.org`, emailVerified: true, role, createdAt: now, updatedAt: now } }));
    this.world.users.set(token, {
      kind: 'user', name: `user:${userId}`, userId, role, emailVerified: true, email: `${userId}@example.org`, signedInAt: Date.now(), validUntil: Date.now() + 3_600_000, secondFactor: true, via: 'firebase', ...over,
    });
    return { token, userId };
  }

  /** A request below /api/v1. */
  async rest(who: Person | string | undefined, method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    const token = typeof who === 'object' ? who.token : who;
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
  }

  /** A GraphQL operation. */
  async gql(who: Person, query: string, variables: object = {}): Promise<Reply> {
    const response = await fetch(`${this.url}/graphql`, {
      method: 'POST', headers: { authorization: `Bearer ${who.token}`, 'content-type': 'application/json' }, body: JSON.stringify({ query, variables }),
    });
    return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) };
  }

  /** Opens a subscription; yields its payloads. */
  async subscribe(who: Person, query: string, variables: object): Promise<AsyncGenerator<Entry, void>> {
    return events(await fetch(`${this.url}/graphql`, {
      method: 'POST', headers: { authorization: `Bearer ${who.token}`, 'content-type': 'application/json', accept: 'text/event-stream' }, body: JSON.stringify({ query, variables }),
    }));
  }

  /** Waits for a condition that real sockets bring about. */
  until(holds: () => boolean, what: string): Promise<void> {
    return until(holds, what);
  }

  /** A project of somebody. */
  async project(owner: Person, over: object = {}): Promise<Entry> {
    const { status, body } = await this.rest(owner, 'POST', '/projects', { name: 'P', ...over });
    if (status !== 201) throw new Error(`createProject: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  /** Makes somebody a member. */
  async member(projectId: string, { userId }: Person, role: string): Promise<void> {
    await this.gateway.read((db) => db.projectMember.create({ data: { projectId, userId, role, createdAt: new Date() } }));
  }

  /** A task in a project. */
  async task(who: Person, projectId: string, over: object = {}): Promise<Entry> {
    const { status, body } = await this.rest(who, 'POST', `/projects/${projectId}/tasks`, { title: 'T', ...over });
    if (status !== 201) throw new Error(`createTask: ${status} ${JSON.stringify(body)}`);
    return body;
  }
}
