import type { TestStack } from '../test/harness/test-stack.ts';
import { chain } from '../test/harness/test-stack.ts';
import type { Row } from './numbers.ts';
import { usage, type Program, type Usage } from './processes.ts';

/** What one stretch of work cost. */
export interface Cost {
  readonly seconds: number;
  readonly cpuMs: Readonly<Record<Program, number>>;
  readonly peakMiB: Readonly<Record<Program, number>>;
  /** Transactions that wrote to Postgres. */
  readonly writes: number;
  /** Writes of our two processes to the API server. */
  readonly kubeWrites: number;
}

/** Runs started at once by one request. */
const BULK = 50;
const PROGRAMS: readonly Program[] = ['controller', 'api', 'runner', 'postgres', 'nats', 'cluster'];

/** A stack with what scenarios need of it. */
export class Bench {
  readonly t: TestStack;
  readonly log: (line: string) => void;

  constructor(t: TestStack, log: (line: string) => void) {
    this.t = t;
    this.log = log;
  }

  /** Rows of a query. Counted, so that measuring can be told from the measured. */
  async sql<R extends object>(text: string, values: readonly unknown[] = []): Promise<readonly R[]> {
    this.#queries++;
    return this.t.sql<R>(text, values);
  }

  #queries = 0;

  /** A GraphQL operation; throws on errors. */
  async ask(query: string): Promise<Readonly<Record<string, unknown>>> {
    const { apiUrl, token } = this.t.addresses;
    const response = await fetch(`${apiUrl}/graphql`, {
      method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body: JSON.stringify({ query }),
    });
    const body: { data?: Record<string, unknown>; errors?: readonly { message: string }[] } = JSON.parse(await response.text());
    if (body.errors !== undefined || body.data === undefined) throw new Error(`the API answered ${body.errors?.[0]?.message ?? response.status}`);
    return body.data;
  }

  /** Starts one run of a Workflow over the API; its id. */
  async start(workflow: string): Promise<string> {
    const [id] = await this.startMany(workflow, 1);
    if (id === undefined) throw new Error(`no run of ${workflow} was started`);
    return id;
  }

  /** Starts many runs, at most 50 in one request and 4 requests at once. Ids in no order. */
  async startMany(workflow: string, n: number): Promise<readonly string[]> {
    const sizes = Array.from({ length: Math.ceil(n / BULK) }, (_, i) => Math.min(BULK, n - i * BULK));
    const ids: string[] = [];
    const lane = async (): Promise<void> => {
      for (let size = sizes.shift(); size !== undefined; size = sizes.shift()) ids.push(...await this.#startBulk(workflow, size));
    };
    await Promise.all([lane(), lane(), lane(), lane()]);
    return ids;
  }

  async #startBulk(workflow: string, size: number): Promise<readonly string[]> {
    const input = `{ namespace: "default", workflow: "${workflow}" }`;
    const data = await this.ask(`mutation { startRuns(inputs: [${Array(size).fill(input).join(', ')}]) { results { __typename ... on UserError { message } ... on RunPayload { run { id } } } } }`);
    const { results }: { results: readonly { message?: string; run?: { id: string } }[] } = data['startRuns'] as never;
    return results.map((result) => {
      if (result.run === undefined) throw new Error(`a start was refused: ${result.message ?? ''}`);
      return result.run.id;
    });
  }

  /** Waits until so many runs of a Workflow have ended; throws when one did not succeed. */
  async ended(workflow: string, n: number, timeoutMs = 120_000): Promise<void> {
    await this.t.until(`${n} runs of ${workflow}`, async () => {
      const [row] = await this.sql<{ done: string; bad: string }>(
        "select count(*) filter (where phase = 'Succeeded') done, count(*) filter (where phase in ('Failed', 'Cancelled')) bad from run where workflow = $1", [workflow]);
      if (Number(row?.bad) > 0) throw new Error(`${row?.bad ?? ''} runs of ${workflow} failed`);
      return Number(row?.done) >= n;
    }, timeoutMs);
  }

  /** Milliseconds from creation to end of runs, by Postgres. */
  async durations(ids: readonly string[]): Promise<readonly number[]> {
    const rows = await this.sql<{ ms: string }>('select extract(epoch from finished_at - created_at) * 1000 ms from run where id = any ($1::uuid[])', [ids]);
    return rows.map((row) => Number(row.ms));
  }

  /** Seconds from the first creation to the last end of a Workflow's runs. */
  async span(workflow: string): Promise<number> {
    const [row] = await this.sql<{ s: string }>('select extract(epoch from max(finished_at) - min(created_at)) s from run where workflow = $1', [workflow]);
    return Number(row?.s);
  }

  /** Applies a Workflow and waits until the controller knows it. */
  async define(name: string, spec: object): Promise<void> {
    await this.t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'Workflow', metadata: { name, namespace: 'default' }, spec });
    await this.t.stack.kubectl.run('wait', '--for=condition=Ready', `workflow/${name}`, '--timeout=30s');
  }

  /** A chain of warm transforms. */
  async defineChain(name: string, nodes: number): Promise<void> {
    await this.define(name, { nodes: chain(nodes, true) });
  }

  /** Lets caches fill, statements be prepared and hot code be compiled: figures are of a process that has worked before. */
  async warmUp(): Promise<void> {
    await this.defineChain('bench-warm-up', 10);
    for (let round = 1; round <= 3; round++) {
      await this.startMany('bench-warm-up', 100);
      await this.ended('bench-warm-up', round * 100);
    }
  }

  /** Does some work and says what it cost. */
  async measured(work: () => Promise<void>): Promise<Cost> {
    const before = await this.#reading();
    await work();
    const after = await this.#reading();
    const of = (pick: (usage: Usage | undefined, old: Usage | undefined) => number): Record<Program, number> =>
      Object.fromEntries(PROGRAMS.map((program) => [program, pick(after.usage.get(program), before.usage.get(program))])) as Record<Program, number>;
    return {
      seconds: (after.at - before.at) / 1_000,
      cpuMs: of((usage_, old) => (usage_?.cpuMs ?? 0) - (old?.cpuMs ?? 0)), peakMiB: of((usage_) => usage_?.peakMiB ?? 0),
      writes: after.writes - before.writes, kubeWrites: after.kubeWrites - before.kubeWrites,
    };
  }

  /** Resident memory of the controller now, MiB. */
  controllerMiB(): number {
    return usage(new Set(this.t.stack.pids())).get('controller')?.rssMiB ?? Number.NaN;
  }

  async #reading(): Promise<{ at: number; usage: ReadonlyMap<Program, Usage>; writes: number; kubeWrites: number }> {
    const kubeWrites = await this.t.metric('rambo_kube_writes_total');
    return { kubeWrites, writes: await this.#writes(), usage: usage(new Set(this.t.stack.pids())), at: performance.now() };
  }

  /** Transactions so far that wrote: each took one id. Reading the next id takes none. */
  async #writes(): Promise<number> {
    const [row] = await this.sql<{ n: string }>('select pg_snapshot_xmax(pg_current_snapshot())::text n');
    return Number(row?.n);
  }

  /** Transactions of the database so far but for our own, reading ones too. Sessions report them with a delay of up to 10 s. */
  async transactions(): Promise<number> {
    const own = this.#queries;
    const [row] = await this.sql<{ n: string }>('select xact_commit + xact_rollback n from pg_stat_database where datname = current_database()');
    return Number(row?.n) - own;
  }
}

/** Rows of a load: what it cost per node, program by program. */
export function costRows(scenario: string, cost: Cost, nodes: number): readonly Row[] {
  const cpu = PROGRAMS.filter((program) => cost.cpuMs[program] > 0).map((program): Row => ({
    scenario, name: `CPU per node, ${program}`, unit: 'ms', n: nodes, value: cost.cpuMs[program] / nodes,
    ...(program === 'controller' ? { target: { value: 0.15, better: 'lower' as const }, comparedWith: { what: 'Argo', value: 6 } } : {}),
  }));
  return [
    ...cpu,
    { scenario, name: 'Postgres commits per node', unit: 'commits', n: nodes, value: cost.writes / nodes },
    { scenario, name: 'API-server writes', unit: 'writes', n: 1, value: cost.kubeWrites, target: { value: 0, better: 'lower' } },
    { scenario, name: 'controller peak memory', unit: 'MiB', n: 1, value: cost.peakMiB.controller },
  ];
}
