import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { Kubectl } from '../../hack/stack/kube.ts';
import type { RunObject } from '../harness/test-stack.ts';

const run = promisify(execFile);

/** Namespace of the release that the ring installs. */
export const SYSTEM = 'rambo-system';
/** Name of that release. */
export const RELEASE = 'rambo';
/** The chart. */
export const CHART = path.resolve(import.meta.dirname, '../../charts/rambo');

/** What the ring installs with: servers of a trial, images of this checkout. */
export const VALUES = {
  image: { tag: 'dev' }, postgres: { trial: true }, nats: { trial: true }, api: { introspection: true },
  defaultPool: { spec: { minReady: 1, max: 4, resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '1Gi' } } } },
  controller: { resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '512Mi' } } },
};

/** Where the ring's cluster is; set-up says it in the environment. */
export interface Place {
  readonly kubeconfig: string;
  readonly kubectl: string;
  readonly helm: string;
}

/** A pod as the tests look at it. */
export interface PodObject {
  readonly metadata: { readonly name: string; readonly uid: string; readonly labels?: Readonly<Record<string, string>>; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly phase: string; readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly restartCount: number; readonly ready: boolean }[];
  };
}

/** An answer over REST. */
export interface RestAnswer<Body> { readonly status: number; readonly type: string; readonly body: Body }

/** A time of this machine. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Polls until `probe` gives something. Throws what was waited for, and what the probe said last. */
export async function until<T>(what: string, probe: () => Promise<T | undefined | false>, timeoutMs = 60_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let last = '';
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (performance.now() > deadline) throw new Error(`timed out waiting for ${what}${last}`);
    await pause(100);
  }
}

/** The installation under test, with the verbs tests need. */
export class Site {
  readonly kubectl: Kubectl;
  readonly place: Place;
  readonly #dir = mkdtempSync(path.join(tmpdir(), 'rambo-e2e-'));
  #files = 0;
  #token: string | undefined;
  #db: pg.Pool | undefined;

  constructor(place: Place) {
    this.place = place;
    this.kubectl = new Kubectl(place.kubectl, place.kubeconfig);
  }

  /** The one that set-up has installed. */
  static shared(): Site {
    const text = process.env['RAMBO_E2E_PLACE'];
    if (text === undefined) throw new Error('run this ring with `make e2e`');
    const place: Place = JSON.parse(text);
    return new Site(place);
  }

  async close(): Promise<void> {
    await this.#db?.end();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** Runs helm. Returns what it printed. Throws with what it said. */
  async helm(args: readonly string[], values: object = {}): Promise<string> {
    const { stdout } = await run(this.place.helm, [...args, '--kubeconfig', this.place.kubeconfig, ...(Object.keys(values).length === 0 ? [] : ['--values', this.#file(values)])], {
      maxBuffer: 64 * 1_048_576, env: { PATH: process.env['PATH'] ?? '', HOME: this.#dir },
    });
    return stdout;
  }

  async apply(...objects: readonly object[]): Promise<void> {
    for (const object of objects) await this.kubectl.run('apply', '--server-side', '--force-conflicts', '-f', this.#file(object));
  }

  async create<T = RunObject>(object: object): Promise<T> {
    const created: T = JSON.parse(await this.kubectl.run('create', '-f', this.#file(object), '-o', 'json'));
    return created;
  }

  async get<T>(...args: readonly string[]): Promise<T> {
    const found: T = JSON.parse(await this.kubectl.run('get', ...args, '-o', 'json'));
    return found;
  }

  async pods(namespace: string, selector: string): Promise<readonly PodObject[]> {
    return (await this.get<{ items: readonly PodObject[] }>('pods', '-n', namespace, '-l', selector)).items;
  }

  /** Starts an inline workflow as a WorkflowRun of `namespace`. */
  start(nodes: readonly object[], rest: { readonly namespace?: string; readonly workflow?: object; readonly spec?: object } = {}): Promise<RunObject> {
    return this.create({
      apiVersion: 'rambo.dev/v1alpha1', kind: 'WorkflowRun', metadata: { generateName: 't-', namespace: rest.namespace ?? 'default' },
      spec: { workflow: { nodes, ...rest.workflow }, ...rest.spec },
    });
  }

  async run(name: string, namespace = 'default'): Promise<RunObject> {
    return this.get<RunObject>('wfr', name, '-n', namespace);
  }

  /** Waits for a run's final phase. */
  async finished(name: string, timeoutMs = 90_000, namespace = 'default'): Promise<RunObject> {
    await this.kubectl.run('wait', '--for=condition=Completed', `wfr/${name}`, '-n', namespace, `--timeout=${Math.ceil(timeoutMs / 1_000)}s`);
    return this.run(name, namespace);
  }

  /** Waits until all replicas of a workload are ready, and none is on its way out. */
  async rolledOut(workload: string, namespace = SYSTEM): Promise<void> {
    await this.kubectl.run('rollout', 'status', workload, '-n', namespace, '--timeout=180s');
  }

  /** Address of a Service as this machine reaches it. */
  async service(name: string, namespace = SYSTEM): Promise<string> {
    const found = await this.get<{ spec: { clusterIP: string; ports: readonly { port: number }[] } }>('service', name, '-n', namespace);
    return `${found.spec.clusterIP}:${found.spec.ports[0]?.port ?? 0}`;
  }

  /** A token of a person who may do what a developer does in `default`. */
  async token(): Promise<string> {
    if (this.#token !== undefined) return this.#token;
    await this.apply(
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'developer', namespace: 'default' } },
      { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name: 'developer', namespace: 'default' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' }, subjects: [{ kind: 'ServiceAccount', name: 'developer', namespace: 'default' }] },
    );
    this.#token = await this.kubectl.token('default', 'developer', 'rambo');
    return this.#token;
  }

  /**
   * Posts a GraphQL operation; the answer's data. What the service could not do for the moment (`UNAVAILABLE`, `TIMEOUT`), and what met a
   * kept connection to a pod that is gone, is asked again for half a minute, as clients do: mutations need a key, or must be
   * safe to repeat. Throws with the errors of any other answer.
   */
  async ask<T>(query: string, variables: object = {}): Promise<T> {
    const deadline = performance.now() + 30_000;
    for (;;) {
      const answer = await this.#post<T>(JSON.stringify({ query, variables }));
      if (answer.data !== undefined) return answer.data;
      if (answer.againMs === undefined || performance.now() > deadline) throw new Error(answer.problem);
      await pause(answer.againMs);
    }
  }

  async #post<T>(body: string): Promise<{ readonly data?: T; readonly problem: string; readonly againMs?: number }> {
    let response: Response;
    try {
      response = await fetch(`http://${await this.service(`${RELEASE}-api`)}/graphql`, {
        method: 'POST', body, signal: AbortSignal.timeout(30_000), headers: { 'content-type': 'application/json', authorization: `Bearer ${await this.token()}` },
      });
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      return { problem: `${error.message}: ${String(error.cause)}`, againMs: 200 };
    }
    const text = await response.text();
    const { data, errors }: { data?: T; errors?: readonly { extensions?: { code?: string; retryAfterSeconds?: number } }[] } = JSON.parse(text);
    const problem = `the API answered ${response.status} ${text.slice(0, 400)}`;
    if (data !== undefined && errors === undefined) return { data, problem };
    const { code, retryAfterSeconds } = errors?.[0]?.extensions ?? {};
    const again = code === 'TIMEOUT' ? 1 : code === 'UNAVAILABLE' ? retryAfterSeconds : undefined;
    return { problem, ...(again === undefined ? {} : { againMs: again * 1_000 }) };
  }

  /** One request over REST; without a token where none is given. The body of the answer is its JSON. */
  async rest<Body>(method: string, route: string, token?: string, body?: object): Promise<RestAnswer<Body>> {
    const response = await fetch(`http://${await this.service(`${RELEASE}-api`)}/api/v1${route}`, {
      method, signal: AbortSignal.timeout(30_000), ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...(body === undefined ? {} : { 'content-type': 'application/json' }), connection: 'close' },
    });
    return { status: response.status, type: response.headers.get('content-type') ?? '', body: JSON.parse(await response.text()) };
  }

  /** Rows of a query of the release's database. */
  async sql<Row extends object>(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    if (this.#db === undefined) {
      const secret = await this.get<{ data: { url: string } }>('secret', `${RELEASE}-postgres`, '-n', SYSTEM);
      const url = new URL(Buffer.from(secret.data.url, 'base64').toString());
      url.hostname = (await this.service(`${RELEASE}-postgres`)).split(':')[0] ?? '';
      this.#db = new pg.Pool({ connectionString: url.toString(), max: 2, connectionTimeoutMillis: 5_000 });
      this.#db.on('error', () => undefined);
    }
    return (await this.#db.query<Row>(text, [...values])).rows;
  }

  /** The text at a path of a pod's port, over the API server: no network of ours is needed. */
  async text(pod: string, port: number, where: string, namespace = SYSTEM): Promise<string> {
    return this.kubectl.run('get', '--raw', `/api/v1/namespaces/${namespace}/pods/${pod}:${port}/proxy${where}`);
  }

  #file(object: object): string {
    const file = path.join(this.#dir, `${++this.#files}.json`);
    writeFileSync(file, JSON.stringify(object));
    return file;
  }
}

/** Prints a figure of the ring, for people and for whoever compares runs. */
export function figure(name: string, value: string): void {
  process.stderr.write(`    figure: ${name}: ${value}\n`);
}
