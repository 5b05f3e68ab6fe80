import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { GATEWAY_HEADERS } from '../../../crds/agent-gateway.ts';
import { agentRunId, type AgentEvent } from '../../../crds/agent-run.ts';
import { specHash } from '../../../crds/canonical.ts';
import { modelSpecSchema } from '../../../crds/model.ts';
import { startScriptedModel, type ScriptedModel } from '../../../hack/scripted-model/server.ts';
import type { ScriptInput } from '../../../hack/scripted-model/script.ts';
import type { GatewayParts, GatewayServer } from '../../../modelgateway/server.ts';
import { wireGateway } from '../../../modelgateway/server.ts';
import { ModelCatalog } from '../../../modelgateway/models/catalog.ts';
import { countTokens } from '../../../modelgateway/models/estimate.ts';
import { limitRows } from '../../../modelgateway/models/limit-rows.ts';
import { Limiter } from '../../../modelgateway/models/limiter.ts';
import { makeModel } from '../../../modelgateway/models/provider.ts';
import type { GatewayCounters } from '../../../modelgateway/counters.ts';
import { agentKeyOf, signAgentToken } from '../../../platform/agent-token/index.ts';
import { systemClock } from '../../../platform/clock/index.ts';
import { RamboError } from '../../../platform/errors/index.ts';
import { systemIds } from '../../../platform/ids/index.ts';
import { createLog } from '../../../platform/log/index.ts';
import { guardedFetch } from '../../../platform/net/fetch.ts';
import { agentJournal, getAgentRun, keepAgentKey, openStore, readAccounts, upsertModel, type AgentRunRow, type BudgetAccountRow, type Db } from '../../../prisma/store/index.ts';
import { testPostgres, type TestServer } from '../../harness/postgres.ts';

const KEY = agentKeyOf('SAANSEEDOFTESTS');
export const NS = 'team-a';

/** A message of the gateway on NATS. */
export interface Told { readonly subject: string; readonly body: Readonly<Record<string, unknown>> }

/** A gateway in this process, over HTTP. */
export interface RunningGateway {
  readonly url: string;
  readonly server: GatewayServer;
  readonly limiter: Limiter;
  /** Ends it as a process that is killed: nothing is settled, nothing renewed. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** One attempt of one agent node, as its runner sees the gateway. */
export interface Attempt {
  readonly agentRun: string;
  readonly run: string;
  readonly node: string;
  readonly attempt: number;
  /** What its node was given. */
  readonly given: object;
  open(): Promise<Reply>;
  ask(step: number, more?: { readonly stream?: boolean; readonly purpose?: string; readonly body?: object; readonly headers?: Readonly<Record<string, string>>; readonly signal?: AbortSignal }): Promise<Reply>;
  /** The raw response of a streamed step. */
  stream(step: number, signal?: AbortSignal): Promise<Response>;
  /** Asks until the answer is not `Unavailable`, as a runner does. */
  insist(step: number): Promise<Reply>;
  finish(text: string): Promise<Reply>;
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Reply>;
  /** The next attempt of the same node. */
  next(): Promise<Attempt>;
}

/** An answer as the tests look at it. */
export interface Reply {
  readonly status: number;
  // JSON of the gateway, looked at field by field.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any;
}

/** Real Postgres, the scripted model, and gateways between them. */
export class AgentSite {
  readonly model: ScriptedModel;
  readonly db: Db;
  readonly told: Told[] = [];
  readonly #tokens = new Map<string, string[]>();
  readonly secrets = new Map<string, string>();
  /** Texts of ConfigMaps by `namespace/name/key`. */
  readonly configMaps = new Map<string, string>();
  readonly counted: string[] = [];
  readonly #postgres: TestServer;
  readonly #url: string;
  readonly #pool: pg.Pool;
  readonly #gateways: RunningGateway[] = [];

  private constructor(postgres: TestServer, url: string, model: ScriptedModel) {
    this.#postgres = postgres;
    this.#url = url;
    this.#pool = new pg.Pool({ connectionString: url, max: 2 });
    this.db = openStore({ url, max: 8 });
    this.model = model;
  }

  static async start(): Promise<AgentSite> {
    const postgres = await testPostgres();
    const site = new AgentSite(postgres, await postgres.createDatabase(), await startScriptedModel());
    await keepAgentKey(site.db, KEY.kid, JSON.stringify(KEY.publicKey));
    return site;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#gateways.map((gateway) => gateway.stop()));
    await this.#pool.end();
    await this.db.close();
    await this.model.stop();
    await this.#postgres.stop();
  }

  async sql<Row extends object>(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    return (await this.#pool.query<Row>(text, [...values])).rows;
  }

  /** A gateway. `over` replaces parts of it. */
  async gateway(over: Partial<GatewayParts> = {}): Promise<RunningGateway> {
    const db = openStore({ url: this.#url, max: 12, connectTimeoutMs: 5_000 });
    const fetch = guardedFetch({ allow: ['127.0.0.1'] });
    const counted = (name: string) => (...args: readonly unknown[]): void => { this.counted.push([name, ...args.filter((arg) => typeof arg === 'string')].join(' ')); };
    const counters: GatewayCounters = {
      answered: counted('answered'), failed: counted('failed'), again: counted('again'), exceeded: counted('exceeded'), ended: counted('ended'), spent: counted('spent'), tool: counted('tool'), inFlight: () => () => undefined,
    };
    const log = createLog('modelgateway', process.env['RAMBO_TEST_VERBOSE'] === undefined ? 'silent' : 'debug');
    const holder = `gw-${systemIds.secret().slice(0, 6)}`;
    const limiter = new Limiter({ rows: limitRows(db), clock: systemClock, log, holder });
    const server = wireGateway({
      db, clock: systemClock, ids: systemIds, log, holder,
      counters,
      bus: {
        publish: (subject, payload) => { this.told.push({ subject, body: JSON.parse(Buffer.from(payload).toString()) }); },
        request: async (subject, payload) => { this.told.push({ subject, body: JSON.parse(Buffer.from(payload).toString()) }); return Buffer.from('{"ok":true}'); },
      },
      catalog: new ModelCatalog(db, systemClock), limiter, makeModel, countTokens, fetchFor: () => fetch,
      secrets: { read: async (namespace, name, key = 'apiKey') => {
        const value = this.secrets.get(`${namespace}/${name}/${key}`);
        if (value === undefined) throw new RamboError('SecretMissing', `there is no Secret "${name}" in namespace ${namespace}`);
        return value;
      } },
      configMaps: { read: async (namespace, name, key) => this.configMaps.get(`${namespace}/${name}/${key}`) },
      patience: { firstMs: 1_500, idleMs: 1_000 }, outageMs: 600_000,
      defaults: { run: { tokens: null, nano: null }, namespaceDay: { tokens: null, nano: null } },
      ...over,
      door: { host: '127.0.0.1', port: 0, mostBytes: 1_048_576, answered: () => undefined, ...over.door },
    });
    const port = await server.door.listen();
    let over2 = false;
    const end = async (): Promise<void> => {
      if (over2) return;
      over2 = true;
      server.calls.close();
      await server.tools.close();
      await server.door.close();
      fetch.close();
      await db.close();
    };
    const gateway: RunningGateway = { url: `http://127.0.0.1:${port}`, server, limiter, kill: end, stop: async () => { await server.sweeper.stop(); await server.calls.drain(100); await limiter.close(); await end(); } };
    this.#gateways.push(gateway);
    return gateway;
  }

  /** A Model that asks the scripted server. */
  async addModel(name: string, spec: Readonly<Record<string, unknown>> = {}, namespace = NS): Promise<void> {
    const parsed = modelSpecSchema.parse({ provider: 'openai-compatible', model: name, baseUrl: this.model.url, retries: 0, ...spec });
    await upsertModel(this.db, {
      namespace, name, uid: randomUUID(), generation: 1, resourceVersion: '1', spec: Buffer.from(JSON.stringify(parsed)), labels: null, phase: 'Ready', reason: 'Ready', message: '', updatedAt: Date.now(), probedAt: null,
    });
  }

  /** The first attempt of a node with an inline agent whose instructions are a script. */
  async agent(gateway: RunningGateway, script: ScriptInput, { spec = {}, input = 'go', node = 'ask', namespace = NS, run, more = {} }: {
    readonly spec?: object; readonly input?: unknown; readonly node?: string; readonly namespace?: string; readonly run?: string; readonly more?: object;
  } = {}): Promise<Attempt> {
    const inline = { modelRef: { name: 'main' }, instructions: { text: `[[script: ${JSON.stringify(script)}]]` }, ...spec };
    return this.attempt(gateway, { inline, input, ...more }, { node, namespace, ...(run === undefined ? {} : { run }) });
  }

  /** An attempt of a node that was given `given`. */
  async attempt(gateway: RunningGateway, given: object, { node = 'ask', namespace = NS, run = randomUUID(), attempt = 1 }: { readonly node?: string; readonly namespace?: string; readonly run?: string; readonly attempt?: number } = {}): Promise<Attempt> {
    await this.sql(
      `INSERT INTO run (id, namespace, name, source, shard, definition_hash, input, principal, created_at, phase) VALUES ($1, $2, $3, 'api', 0, 'h', '{}', 'alice', now(), 'Running') ON CONFLICT DO NOTHING`,
      [run, namespace, `r-${run.slice(0, 8)}`],
    );
    await this.sql("INSERT INTO node_run (run_id, node, item, status, attempt, retries, infra) VALUES ($1, $2, -1, 'Running', $3, 0, 0) ON CONFLICT DO NOTHING", [run, node, attempt]);
    const token = await signAgentToken(KEY, { ns: namespace, run, node, item: -1, attempt, pool: 'default', with: specHash(given) }, Date.now());
    const id = agentRunId(run, node, -1);
    this.#tokens.set(id, [...this.#tokens.get(id) ?? [], token]);
    const send = async (path: string, body: unknown, headers: Readonly<Record<string, string>> = {}, signal?: AbortSignal): Promise<Response> => fetch(`${gateway.url}${path}`, {
      method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers }, body: JSON.stringify(body), ...(signal === undefined ? {} : { signal }),
    });
    const post = async (path: string, body: unknown, headers: Readonly<Record<string, string>> = {}, signal?: AbortSignal): Promise<Reply> => {
      const response = await send(path, body, headers, signal);
      const text = await response.text();
      return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text };
    };
    const ask: Attempt['ask'] = (step, { stream = false, purpose = 'step', body = {}, headers = {}, signal } = {}) =>
      post('/v1/chat/completions', { stream, ...body }, { [GATEWAY_HEADERS.step]: String(step), [GATEWAY_HEADERS.purpose]: purpose, ...headers }, signal);
    return {
      agentRun: id, run, node, attempt, given, post,
      open: () => post('/v1/agent/open', { with: given, runner: `pod-${attempt}` }),
      ask,
      insist: async (step) => {
        for (;;) {
          const reply = await ask(step);
          if (reply.status !== 503) return reply;
        }
      },
      stream: (step, signal) => send('/v1/chat/completions', { stream: true }, { [GATEWAY_HEADERS.step]: String(step) }, signal),
      finish: (text) => post('/v1/agent/finish', { text }),
      next: () => this.attempt(gateway, given, { node, namespace, run, attempt: attempt + 1 }),
    };
  }

  /** Tokens that were signed for an agent run, attempt by attempt. */
  tokens(agentRun: string): readonly string[] { return this.#tokens.get(agentRun) ?? []; }

  journal(agentRun: string): Promise<readonly AgentEvent[]> {
    return agentJournal(this.db, agentRun);
  }

  async kinds(agentRun: string): Promise<readonly string[]> {
    return (await this.journal(agentRun)).map(({ kind }) => kind);
  }

  async row(agentRun: string): Promise<AgentRunRow> {
    const row = await getAgentRun(this.db, agentRun);
    if (row === undefined) throw new Error(`no agent run ${agentRun}`);
    return row;
  }

  async account(key: string): Promise<BudgetAccountRow> {
    const [account] = await readAccounts(this.db, [key]);
    if (account === undefined) throw new Error(`no account ${key}`);
    return account;
  }

  /** Polls until `probe` gives something. */
  async until<T>(what: string, probe: () => Promise<T | undefined | false>, timeoutMs = 15_000): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
      if (performance.now() > deadline) throw new Error(`timed out waiting for ${what}`);
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
  }
}
