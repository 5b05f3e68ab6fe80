import { chain, script } from '../test/harness/test-stack.ts';
import { costRows, type Bench } from './context.ts';
import { latencies, medians, type Row } from './numbers.ts';

/** One thing the bench can measure. */
export interface Scenario {
  readonly name: string;
  readonly what: string;
  /** Not part of `make bench`, only of SCENARIO=... or SCENARIO=all: it takes long. */
  readonly long?: boolean;
  run(bench: Bench): Promise<readonly Row[]>;
}

const ARGO = 'Argo 4.1.2, same 2 cores';

/** Latency of single runs, one after the other, by Postgres's clock: creation to end. */
async function oneByOne(bench: Bench, workflow: string, n: number): Promise<readonly number[]> {
  const ids: string[] = [];
  for (let i = 0; i < n; i++) {
    ids.push(await bench.start(workflow));
    await bench.ended(workflow, i + 1);
  }
  // The first ones warm up caches and prepared statements.
  return bench.durations(ids.slice(Math.min(5, n - 1)));
}

const single: Scenario = {
  name: '1x1', what: 'runs of one warm node: latency alone, and runs per second under load',
  run: async (bench) => {
    await bench.defineChain('bench-1', 1);
    await bench.defineChain('bench-1-load', 1);
    const alone = await oneByOne(bench, 'bench-1', 45);
    const cost = await bench.measured(async () => {
      await bench.startMany('bench-1-load', 1_000);
      await bench.ended('bench-1-load', 1_000);
    });
    return [
      latencies('1x1', 'one run', alone),
      { scenario: '1x1', name: 'runs per second', unit: 'runs/s', n: 1_000, value: 1_000 / await bench.span('bench-1-load'), comparedWith: { what: 'Argo 3.5, best single controller (CNOE)', value: 13.5 } },
      ...costRows('1x1', cost, 1_000),
    ];
  },
};

function chainLatency(nodes: number, target?: number, argo?: number): Scenario {
  const name = `${nodes}-chain`;
  return {
    name, what: `a chain of ${nodes} warm transforms, started over the API, one run at a time`,
    run: async (bench) => {
      await bench.defineChain(`bench-${name}`, nodes);
      return [latencies(name, 'whole run', await oneByOne(bench, `bench-${name}`, 45), {
        ...(target === undefined ? {} : { target: { value: target, better: 'lower' } }),
        ...(argo === undefined ? {} : { comparedWith: { what: ARGO, value: argo } }),
      })];
    },
  };
}

const byObject: Scenario = {
  name: '10-chain-cr', what: 'a chain of 10 warm transforms as a WorkflowRun: until its status says so, and writes to the API server',
  run: async (bench) => {
    await bench.defineChain('bench-cr', 10);
    const writes = await bench.t.metric('rambo_kube_writes_total');
    const ms: number[] = [];
    for (let i = 0; i < 12; i++) {
      const { metadata } = await bench.t.create({ apiVersion: 'rambo.dev/v1alpha1', kind: 'WorkflowRun', metadata: { generateName: 'bench-', namespace: 'default' }, spec: { workflowRef: { name: 'bench-cr' } } });
      await bench.ended('bench-cr', i + 1);
      ms.push(...await bench.durations([metadata.uid]));
      await bench.t.finished(metadata.name);
    }
    const perRun = 1 + (await bench.t.metric('rambo_kube_writes_total') - writes) / 12;
    return [
      latencies('10-chain-cr', 'accepted to ended', ms.slice(2), { target: { value: 150, better: 'lower' }, comparedWith: { what: ARGO, value: 46_200 } }),
      { scenario: '10-chain-cr', name: 'API-server writes per run, creation included', unit: 'writes', n: 12, value: perRun, target: { value: 4, better: 'lower' }, comparedWith: { what: ARGO, value: 55 } },
    ];
  },
};

const scripts: Scenario = {
  name: 'script-chain', what: 'a chain of 10 JavaScript nodes, each in a clean process',
  run: async (bench) => {
    const nodes = Array.from({ length: 10 }, (_, i) => script(`n${i}`, 'export default ({ input }) => input + 1;', i === 0 ? {} : { dependsOn: [`n${i - 1}`] }, i === 0 ? 1 : `\${{ nodes.n${i - 1}.output }}`));
    await bench.define('bench-script', { nodes });
    const ms = await oneByOne(bench, 'bench-script', 25);
    return [latencies('script-chain', 'per node', ms.map((run) => run / 10), { target: { value: 60, better: 'lower' }, comparedWith: { what: ARGO, value: 4_620 } })];
  },
};

const fan: Scenario = {
  name: '20-wide', what: '20 warm transforms side by side',
  run: async (bench) => {
    await bench.define('bench-wide', { nodes: Array.from({ length: 20 }, (_, i) => ({ name: `n${i}`, type: 'transform', with: { output: i }, runner: { isolation: 'warm' } })) });
    return [latencies('20-wide', 'whole run', await oneByOne(bench, 'bench-wide', 45), { target: { value: 60, better: 'lower' }, comparedWith: { what: ARGO, value: 19_100 } })];
  },
};

const pods: Scenario = {
  name: 'pod-chain', what: 'a chain of 10 containers, each a fresh pod of the process node',
  run: async (bench) => {
    const nodes = Array.from({ length: 10 }, (_, i) => ({ name: `n${i}`, type: 'container', with: { image: 'local/sh', command: ['sh', '-c', 'echo 1 > $RAMBO_OUTPUT_FILE'] }, ...(i === 0 ? {} : { dependsOn: [`n${i - 1}`] }) }));
    await bench.define('bench-pod', { nodes });
    const ms = await oneByOne(bench, 'bench-pod', 12);
    return [latencies('pod-chain', 'per node', ms.map((run) => run / 10), { target: { value: 300, better: 'lower' }, comparedWith: { what: `${ARGO}, real kubelet`, value: 4_620 } })];
  },
};

interface LoadOptions extends Partial<Scenario> {
  readonly target?: Row['target'];
  readonly argo?: number;
  /** How often the same load comes, one after the other; the figures are medians. 1 by default. */
  readonly rounds?: number;
}

/** Many chains at once; the figure is nodes per second from the first creation to the last end. Of several rounds the first is shown too: it compiles what the others run. */
function load(name: string, runs: number, nodes: number, { target, argo, rounds = 1, ...rest }: LoadOptions = {}): Scenario {
  const all = runs * nodes;
  const round = async (bench: Bench, workflow: string): Promise<readonly Row[]> => {
    await bench.defineChain(workflow, nodes);
    const cost = await bench.measured(async () => {
      await bench.startMany(workflow, runs);
      await bench.ended(workflow, runs, 300_000);
    });
    const seconds = await bench.span(workflow);
    return [
      { scenario: name, name: 'nodes per second', unit: 'nodes/s', n: all, value: all / seconds, ...(target === undefined ? {} : { target }), ...(argo === undefined ? {} : { comparedWith: { what: `${ARGO}, pods faked`, value: argo } }) },
      { scenario: name, name: 'whole load', unit: 's', n: runs, value: seconds },
      ...costRows(name, cost, all),
    ];
  };
  return {
    name, what: `${rounds > 1 ? `${rounds} times ` : ''}${runs} chains of ${nodes} warm transforms, started over the API as fast as it takes them`, ...rest,
    run: async (bench) => {
      const seen: (readonly Row[])[] = [];
      for (let i = 0; i < rounds; i++) seen.push(await round(bench, `bench-${name}-${i}`));
      return medians(seen);
    },
  };
}

/** One run that fans out; `targetSeconds` for the whole. */
function fanOut(name: string, items: number, targetSeconds?: number, argo?: number, long?: boolean): Scenario {
  return {
    name, what: `one run of ${items} warm items`, ...(long === true ? { long } : {}),
    run: async (bench) => {
      const workflow = `bench-${name}`;
      await bench.define(workflow, { nodes: [{ name: 'fan', type: 'transform', forEach: `range(${items})`, with: { output: '${{ item }}' }, runner: { isolation: 'warm' } }] });
      const cost = await bench.measured(async () => {
        await bench.start(workflow);
        await bench.ended(workflow, 1, 600_000);
      });
      const seconds = await bench.span(workflow);
      return [
        { scenario: name, name: 'whole run', unit: 's', n: items, value: seconds, ...(targetSeconds === undefined ? {} : { target: { value: targetSeconds, better: 'lower' } }), ...(argo === undefined ? {} : { comparedWith: { what: `${ARGO}, pods faked`, value: argo } }) },
        { scenario: name, name: 'items per second', unit: 'nodes/s', n: items, value: items / seconds },
        ...costRows(name, cost, items),
      ];
    },
  };
}

const QUIET_MS = 15_000;
const IDLE_MS = 20_000;

function rest(ms: number): Promise<void> {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}

/** Rates of a stack that has nothing to do, after it has settled. */
async function idleRows(bench: Bench, scenario: string): Promise<readonly Row[]> {
  await rest(QUIET_MS);
  const before = await bench.transactions();
  const cost = await bench.measured(() => rest(IDLE_MS));
  const transactions = await bench.transactions() - before;
  return [
    { scenario, name: 'Postgres transactions', unit: 'tx/s', n: 1, value: transactions / cost.seconds, target: { value: 5, better: 'lower' } },
    { scenario, name: 'API-server writes', unit: 'writes', n: 1, value: cost.kubeWrites, target: { value: 0, better: 'lower' } },
    { scenario, name: 'CPU, controller', unit: 'ms/s', n: 1, value: cost.cpuMs.controller / cost.seconds, target: { value: 50, better: 'lower' } },
  ];
}

const idle: Scenario = { name: 'idle', what: 'what a stack at rest does, 15 s after the last load', run: (bench) => idleRows(bench, 'idle') };

const sleeping: Scenario = {
  name: '20k-sleeping', what: '20,000 runs that wait: idle cost, memory, takeover after a kill, accuracy of the timers', long: true,
  run: async (bench) => {
    const runs = 20_000;
    await bench.define('bench-sleep', { nodes: [{ name: 'nap', type: 'wait', with: { duration: '180s' } }] });
    await bench.startMany('bench-sleep', runs);
    const quiet = await idleRows(bench, '20k-sleeping');
    const mib = bench.controllerMiB();
    const started = performance.now();
    bench.t.stack.child('controller-0').kill();
    await bench.t.until('the controller to be back with all runs', async () => await bench.t.metric('rambo_runs').catch(() => 0) >= runs, 60_000);
    const takeover = performance.now() - started;
    await bench.ended('bench-sleep', runs, 300_000);
    const late = await bench.sql<{ ms: string }>("select extract(epoch from n.finished_at - n.started_at) * 1000 - 180000 ms from node_run n join run r on r.id = n.run_id where r.workflow = 'bench-sleep' order by random() limit 2000");
    return [
      ...quiet,
      { scenario: '20k-sleeping', name: 'controller memory', unit: 'MiB', n: runs, value: mib },
      { scenario: '20k-sleeping', name: 'killed until all runs are held again', unit: 's', n: 1, value: takeover / 1_000 },
      latencies('20k-sleeping', 'lateness of timers', late.map((row) => Number(row.ms))),
    ];
  },
};

/** F36: everything waits for runners that do not exist, then they come. */
const live: Scenario = {
  name: '10k-live', what: '10,000 live runs of 3 nodes whose pool has no runner; then one comes: memory of the controller, and how fast they drain', long: true,
  run: async (bench) => {
    const runs = 10_000;
    await bench.define('bench-live', { nodes: chain(3, true).map((node) => ({ ...node, runner: { isolation: 'warm', pool: 'bench-later' } })) });
    const accepted = await bench.measured(() => bench.startMany('bench-live', runs).then(() => undefined));
    await rest(QUIET_MS);
    const mib = bench.controllerMiB();
    const drained = await bench.measured(async () => {
      await bench.t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'RunnerPool', metadata: { name: 'bench-later', namespace: 'default' }, spec: { minReady: 0, max: 1, slots: 256, reuse: 'Shared' } });
      await bench.ended('bench-live', runs, 300_000);
    });
    return [
      { scenario: '10k-live', name: 'runs accepted per second', unit: 'runs/s', n: runs, value: runs / accepted.seconds },
      { scenario: '10k-live', name: 'controller memory, all live', unit: 'MiB', n: runs, value: mib, target: { value: 350, better: 'lower' } },
      { scenario: '10k-live', name: 'controller memory after the drain, peak', unit: 'MiB', n: runs, value: drained.peakMiB.controller, target: { value: 350, better: 'lower' } },
      { scenario: '10k-live', name: 'nodes per second, start of the runner included', unit: 'nodes/s', n: 3 * runs, value: 3 * runs / drained.seconds },
    ];
  },
};

const kill: Scenario = {
  name: 'controller-kill', what: 'SIGKILL under load: until the next node ends',
  run: async (bench) => {
    await bench.defineChain('bench-kill', 60);
    const gaps: number[] = [];
    for (let round = 0; round < 5; round++) {
      await bench.startMany('bench-kill', 100);
      const before = await bench.sql<{ n: string }>('select count(*) n from attempt');
      await bench.t.until('progress', async () => Number((await bench.sql<{ n: string }>('select count(*) n from attempt'))[0]?.n) > Number(before[0]?.n) + 50);
      bench.t.stack.child('controller-0').kill();
      const [at] = await bench.sql<{ t: Date }>('select clock_timestamp() t');
      await bench.ended('bench-kill', (round + 1) * 100);
      const [next] = await bench.sql<{ ms: string }>('select min(extract(epoch from finished_at - $1::timestamptz)) * 1000 ms from attempt where finished_at > $1::timestamptz', [at?.t]);
      gaps.push(Number(next?.ms));
    }
    return [latencies('controller-kill', 'progress again after', gaps, { target: { value: 5_000, better: 'lower' } })];
  },
};

/** All scenarios, in the order they run. */
export const SCENARIOS: readonly Scenario[] = [
  single, chainLatency(3), chainLatency(10, 40, 46_200), chainLatency(14), byObject, scripts, fan, pods,
  load('504x10', 504, 10, { target: { value: 4_000, better: 'higher' }, argo: 72.7, rounds: 5 }),
  fanOut('2000-nodes', 2_000, 1, 37.7), kill, idle,
  fanOut('10k-fanout', 10_000, undefined, undefined, true), load('8000-burst', 8_000, 1, { long: true }),
  fanOut('100k-nodes', 100_000, 40, undefined, true), live, sleeping,
];
