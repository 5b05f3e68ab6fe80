import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { Stack, type StackAddresses, type StackOptions } from '../../hack/stack/stack.ts';

/** A custom resource as tests look at it. */
export interface RunObject {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string };
  readonly status?: {
    readonly phase?: string; readonly progress?: string; readonly outputs?: unknown;
    readonly failures?: readonly { readonly node: string; readonly reason: string; readonly message: string }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason: string; readonly message: string }[];
  };
}

/** A whole stack of its own for one test file, with the verbs tests need. */
export class TestStack {
  readonly stack: Stack;
  readonly addresses: StackAddresses;
  readonly #dir: string;
  readonly #db: pg.Pool;

  private constructor(stack: Stack, addresses: StackAddresses, dir: string) {
    this.stack = stack;
    this.addresses = addresses;
    this.#dir = dir;
    this.#db = new pg.Pool({ connectionString: addresses.databaseUrl, max: 2 });
    this.#db.on('error', () => undefined);
  }

  /** Starts control plane, Postgres, NATS, controllers and, when asked, the API. About 5 s. */
  static async start(options: Partial<Omit<StackOptions, 'dir' | 'persistent' | 'log'>> = {}): Promise<TestStack> {
    const dir = mkdtempSync(path.join(tmpdir(), 'rambo-run-'));
    const log = (line: string): void => { if (process.env['RAMBO_TEST_VERBOSE'] !== undefined) process.stderr.write(`${line}\n`); };
    const stack = new Stack({ controllers: 1, api: false, ...options, dir, persistent: false, log });
    try {
      return new TestStack(stack, await stack.start(), dir);
    } catch (error) {
      await stack.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.#db.end();
    await this.stack.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** Rows of a query. */
  async sql<Row extends object>(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    return (await this.#db.query<Row>(text, [...values])).rows;
  }

  /** Applies a manifest given as an object. */
  async apply(object: object): Promise<void> {
    await this.#kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], object);
  }

  /** Creates an object and returns it. */
  async create(object: object): Promise<RunObject> {
    const created: RunObject = JSON.parse(await this.#kubectl(['create', '-f', '-', '-o', 'json'], object));
    return created;
  }

  async getRun(name: string): Promise<RunObject> {
    const run: RunObject = JSON.parse(await this.stack.kubectl.run('get', 'wfr', name, '-o', 'json'));
    return run;
  }

  /** Starts an inline workflow as a WorkflowRun. */
  startInline(nodes: readonly object[], rest: { readonly spec?: object; readonly workflow?: object } = {}): Promise<RunObject> {
    return this.create({
      apiVersion: 'rambo.dev/v1alpha1', kind: 'WorkflowRun', metadata: { generateName: 't-', namespace: 'default' },
      spec: { workflow: { nodes, ...rest.workflow }, ...rest.spec },
    });
  }

  /** Waits for a run's final phase in its status. */
  async finished(name: string, timeoutMs = 45_000): Promise<RunObject> {
    await this.stack.kubectl.run('wait', '--for=condition=Completed', `wfr/${name}`, `--timeout=${Math.ceil(timeoutMs / 1_000)}s`);
    return this.getRun(name);
  }

  /** Polls until `probe` gives something. */
  async until<T>(what: string, probe: () => Promise<T | undefined | false>, timeoutMs = 30_000): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
      if (performance.now() > deadline) throw new Error(`timed out waiting for ${what}`);
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
  }

  /** Posts a GraphQL operation as the demo account; the answer's body, errors and all. Throws when there is none in time. */
  async ask<T>(query: string, variables: object = {}, { headers = {}, timeoutMs = 60_000 }: { readonly headers?: Readonly<Record<string, string>>; readonly timeoutMs?: number } = {}): Promise<T> {
    const response = await fetch(`${this.addresses.apiUrl}/graphql`, {
      method: 'POST', body: JSON.stringify({ query, variables }), signal: AbortSignal.timeout(timeoutMs),
      headers: { 'content-type': 'application/json', authorization: `Bearer ${this.addresses.token}`, ...headers },
    });
    const body: T = JSON.parse(await response.text());
    return body;
  }

  /** Waits until all these runs have succeeded, by their rows. */
  async succeeded(ids: readonly string[], timeoutMs?: number): Promise<void> {
    await this.until('all runs to succeed', async () =>
      (await this.sql("select 1 from run where id = any ($1::uuid[]) and phase = 'Succeeded'", [ids])).length === ids.length, timeoutMs);
  }

  /** Shards by the name of the controller, without the digits of its process; those nobody holds a lease of are left out. */
  async shardOwners(): Promise<Readonly<Record<string, number>>> {
    const rows = await this.sql<{ owner: string; n: number }>('select owner, count(*)::int n from shard where lease_until >= clock_timestamp() group by owner');
    return Object.fromEntries(rows.map(({ owner, n }) => [owner.replace(/-[^-]+$/, ''), n]));
  }

  /** Makes the default pool, and waits for a ready runner. */
  async pool(spec: object = { minReady: 1 }, name = 'default'): Promise<void> {
    await this.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'RunnerPool', metadata: { name, namespace: 'default' }, spec });
    await this.until('a ready runner', async () => {
      const pods: { items: readonly { status: { conditions?: readonly { type: string; status: string }[] } }[] } =
        JSON.parse(await this.stack.kubectl.run('get', 'pods', '-l', `rambo.dev/pool=${name}`, '-o', 'json'));
      return pods.items.some((pod) => pod.status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') === true);
    });
  }

  /** Value of one metric of the first controller, summed over its labels. */
  async metric(name: string, labels: RegExp = /.*/): Promise<number> {
    const text = await (await fetch(`${this.stack.controllerUrl()}/metrics`)).text();
    let sum = 0;
    for (const line of text.split('\n')) {
      const match = /^([a-z_]+)(\{[^}]*\})? (\S+)$/.exec(line);
      if (match?.[1] === name && labels.test(match[2] ?? '')) sum += Number(match[3]);
    }
    return sum;
  }

  async #kubectl(args: readonly string[], object: object): Promise<string> {
    const { writeFileSync } = await import('node:fs');
    const file = path.join(this.#dir, `m-${Math.random().toString(36).slice(2)}.json`);
    writeFileSync(file, JSON.stringify(object));
    return this.stack.kubectl.run(...args.map((arg) => (arg === '-' ? file : arg)));
  }
}

/** A JavaScript node. */
export function script(name: string, source: string, more: object = {}, input?: unknown): object {
  return { name, type: 'script', with: { language: 'javascript', source, ...(input === undefined ? {} : { input }) }, ...more };
}

/** A chain of `n` transforms, each counting one further; `warm` sends them through a runner. */
export function chain(n: number, warm: boolean): object[] {
  return Array.from({ length: n }, (_, i) => ({
    name: `n${i}`, type: 'transform',
    with: { output: i === 0 ? 1 : `\${{ nodes.n${i - 1}.output + 1 }}` },
    ...(warm ? { runner: { isolation: 'warm' } } : {}),
  }));
}
