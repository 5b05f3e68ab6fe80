import fc from 'fast-check';
import type { NodeSpec, NodeStatus } from '../../crds/node.ts';
import type { WorkflowSpec } from '../../crds/workflow.ts';
import { compile } from '../compile/compile.ts';
import type { Compiled } from '../compile/plan.ts';
import { asAgents, META } from '../test-kit.ts';
import { NO_ITEM, type Counts, type NodeError, type NodeRow, type RunEvent, type RunRow, type Step } from '../types.ts';
import { advance } from './advance.ts';
import { restoreRun } from './restore.ts';
import { createRun, type RunState } from './state.ts';
import { EMPTY_STEP } from './step.ts';
import { pendingTimers } from './timers.ts';
import { counts, nodeRows, redispatch, liveAttempts } from './views.ts';

// ---- random workflows -------------------------------------------------------------------------------------------

interface Shape {
  readonly kind: number;
  readonly deps: readonly number[];
  readonly retries: number;
  readonly carryOn: boolean;
  readonly when: number;
  readonly items: number;
  readonly limits: number;
}

const shape: fc.Arbitrary<Shape> = fc.record({
  kind: fc.nat(9), deps: fc.array(fc.nat(20), { maxLength: 3 }), retries: fc.nat(2), carryOn: fc.boolean(), when: fc.nat(7), items: fc.nat(5), limits: fc.nat(5),
});

function node(prefix: string, i: number, given: Shape): NodeSpec {
  const deps = i === 0 ? [] : [...new Set(given.deps.map((dep) => `${prefix}${dep % i}`))];
  const first = deps[0];
  const base: NodeSpec = {
    name: `${prefix}${i}`, type: 'script', with: { language: 'bash', source: 'x', input: first === undefined ? '${{ inputs.n }}' : `\${{ has(nodes.${first}.output) ? nodes.${first}.output : 0 }}` },
    dependsOn: deps, continueOnFailure: given.carryOn, retry: { limit: given.retries, infraLimit: 2, ...(given.kind === 8 ? { on: 'error.class != "Invalid" && attempts < 3' } : {}) },
    ...(given.limits === 0 ? { timeout: '5s' } : {}), ...(given.limits === 1 ? { pendingTimeout: '7s' } : {}),
    ...(given.when === 0 && first !== undefined ? { when: `nodes.${first}.status == "Failed"` } : {}), ...(given.when === 1 ? { when: 'inputs.n > 100' } : {}),
  };
  if (given.kind <= 1) return { ...base, type: 'transform', with: { output: '${{ inputs.n + 1 }}' } };
  if (given.kind === 2) return { ...base, type: 'wait', with: { duration: '3s' } };
  if (given.kind <= 5) return { ...base, forEach: `range(${given.items})`, ...(given.limits > 2 ? { parallelism: 2 } : {}) };
  if (given.kind === 6) return { ...base, type: 'transform', forEach: `range(${given.items})`, with: { output: '${{ item * 2 }}' } };
  return base;
}

interface Plan { readonly spec: WorkflowSpec; readonly seed: number }

const workflow: fc.Arbitrary<Plan> = fc.record({
  nodes: fc.array(shape, { minLength: 1, maxLength: 7 }), exit: fc.array(shape, { maxLength: 2 }), parallelism: fc.constantFrom(undefined, 1, 2, 5), failFast: fc.boolean(), timeout: fc.boolean(), seed: fc.nat(1_000_000),
}).map(({ nodes, exit, parallelism, failFast, timeout, seed }) => ({
  seed,
  spec: {
    nodes: nodes.map((given, i) => node('n', i, given)), onExit: exit.map((given, i) => node('x', i, given)), failFast, outputs: { first: '${{ nodes.n0.output }}', phase: '${{ run.phase }}' },
    ...(parallelism === undefined ? {} : { parallelism }), ...(timeout ? { timeout: '20s' } : {}),
  },
}));

/** Nodes 2 and 5 are agents where they would be scripts: they may park. */
const AGENTS = /^[nx][25]$/;

function build(spec: WorkflowSpec): Compiled {
  const result = compile(spec);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return asAgents(result.compiled, AGENTS);
}

// ---- a world that answers ---------------------------------------------------------------------------------------

/** A number that depends on its parts only. */
function dice(...parts: readonly (string | number)[]): number {
  let hash = 7;
  for (const char of parts.join('/')) hash = (Math.imul(hash, 31) + char.charCodeAt(0)) >>> 0;
  hash ^= hash >>> 13;
  return Math.imul(hash, 0x9e3779b1) >>> 8;
}

const ERRORS: readonly NodeError[] = [
  { class: 'User', reason: 'ExitCode', message: 'exit 1' }, { class: 'Infra', reason: 'LeaseExpired', message: 'lost' }, { class: 'Infra', reason: 'OOMKilled', message: 'oom' }, { class: 'Invalid', reason: 'BadOutput', message: 'no JSON' }, { class: 'Timeout', reason: 'Timeout', message: 'slow' },
];

/** The end of an attempt: the same whenever and however often it is told. */
function outcome(seed: number, name: string, item: number, attempt: number): RunEvent {
  const roll = dice(seed, name, item, attempt) % 10;
  if (roll >= 7 && AGENTS.test(name)) return { type: 'Parked', node: name, item, attempt, why: 'approval' };
  const error = ERRORS[roll];
  if (error === undefined) return { type: 'Succeeded', node: name, item, attempt, output: `${name}/${item}/${attempt}` };
  return { type: 'Failed', node: name, item, attempt, error };
}

/** Events on their way to the run, picked in random order, sometimes repeated. */
class World {
  now = 1_000;
  readonly mail: RunEvent[] = [];
  readonly timers = new Map<string, number>();
  private rolls = 0;
  private readonly seed: number;
  private readonly order: number;

  constructor(seed: number, order: number) {
    this.seed = seed;
    this.order = order;
  }

  roll(sides: number): number {
    this.rolls += 1;
    return dice('order', this.order, this.rolls) % sides;
  }

  take(step: Step): void {
    for (const command of step.commands) {
      if (command.type === 'SetTimer') this.timers.set(command.timer, command.at);
      if (command.type === 'ClearTimer') this.timers.delete(command.timer);
      if (command.type === 'CancelAttempt' && this.roll(2) === 0) this.mail.push({ type: 'Failed', node: command.node, item: command.item, attempt: command.attempt, error: { class: 'Cancelled', reason: 'Cancelled', message: 'killed' } });
      if (command.type !== 'Dispatch') continue;
      const { node: name, item, attempt } = command.dispatch;
      if (this.roll(3) > 0) this.mail.push({ type: 'Taken', node: name, item, attempt, at: this.now });
      this.mail.push(outcome(this.seed, name, item, attempt));
    }
    for (const row of step.nodes) {
      // Whoever an agent waits for answers at some time; some answer before they are asked for it.
      if (AGENTS.test(row.node) && row.status === 'Waiting' && row.dueAt === undefined && row.startedAt !== undefined) this.mail.push({ type: 'Wake', node: row.node, item: row.item });
    }
  }

  /** The next event: a letter, or the earliest timer of a kind that may fire. Undefined when nothing is left. */
  next(kinds: RegExp, eager: boolean): RunEvent | undefined {
    this.now += this.roll(800);
    const letter = this.mail.length > 0 && !(eager && this.roll(4) === 0);
    if (letter) return this.letter();
    const due = [...this.timers].filter(([timer]) => kinds.test(timer)).sort((a, b) => a[1] - b[1])[0];
    if (due === undefined) return this.mail.length > 0 ? this.letter() : undefined;
    this.now = Math.max(this.now, due[1]);
    this.timers.delete(due[0]);
    return { type: 'Timer', timer: due[0] };
  }

  private letter(): RunEvent | undefined {
    const at = this.roll(this.mail.length);
    const event = this.mail[at];
    // Some letters come twice.
    if (this.roll(4) > 0) this.mail.splice(at, 1);
    return event;
  }
}

// ---- what is compared -------------------------------------------------------------------------------------------

interface Outcome { readonly run: unknown; readonly rows: readonly unknown[] }

/** The end of a run without times: what must not depend on the order of events. */
function ending(state: RunState): Outcome {
  const { startedAt: _s, finishedAt: _f, ...run } = state.run;
  return { run, rows: nodeRows(state).map(({ startedAt: _a, finishedAt: _b, queuedAt: _c, dueAt: _d, ...row }) => row) };
}

function recount(state: RunState): Counts {
  const by: Record<NodeStatus, number> = { Pending: 0, Queued: 0, Running: 0, Waiting: 0, Succeeded: 0, Failed: 0, Skipped: 0, Omitted: 0, Cancelled: 0 };
  const rows = nodeRows(state);
  const over = new Set<NodeStatus>(['Succeeded', 'Failed', 'Skipped', 'Omitted', 'Cancelled']);
  for (const plan of state.compiled.nodes) {
    const parent = rows.find((row) => row.node === plan.name && row.item === NO_ITEM);
    by[parent?.status ?? 'Pending'] += 1;
    parent?.items?.forEach((_, item) => {
      const row = rows.find((entry) => entry.node === plan.name && entry.item === item);
      by[row?.status ?? (!over.has(parent.status) ? 'Pending' : parent.status === 'Cancelled' ? 'Cancelled' : 'Omitted')] += 1;
    });
  }
  const total = Object.values(by).reduce((a, b) => a + b, 0);
  return { total, done: total - by.Pending - by.Queued - by.Running - by.Waiting, byStatus: by };
}

function sortedStep(step: Step): unknown {
  const key = (value: unknown): string => JSON.stringify(value);
  return { run: step.run, nodes: [...step.nodes].map(key).sort(), attempts: [...step.attempts].map(key).sort(), commands: [...step.commands].map(key).sort(), history: step.history.length };
}

/** Everything committed so far, as the database would hold it. */
class Store {
  readonly rows = new Map<string, NodeRow>();
  run: RunRow = { phase: 'Pending', suspended: false };
  seq = 0;

  commit(step: Step): void {
    if (step.run !== undefined) this.run = step.run;
    for (const row of step.nodes) this.rows.set(`${row.node}/${row.item}`, row);
    for (const entry of step.history) {
      expect(entry.seq).toBe(this.seq + 1);
      this.seq = entry.seq;
    }
  }

  restore(definition: Compiled, reversed: boolean): RunState {
    // Through JSON, as through a database, and in another order.
    const rows = [...this.rows.values()].map((row): NodeRow => JSON.parse(JSON.stringify(row)) as NodeRow);
    return restoreRun(definition, META, this.run, reversed ? rows.reverse() : rows, this.seq);
  }
}

const QUIET = /^(retry|wait|continue)/;
const ALL = /./;

function runToEnd(definition: Compiled, seed: number, order: number): RunState {
  const state = createRun(definition, META);
  const world = new World(seed, order);
  world.take(advance(state, { type: 'Start' }, world.now));
  for (let guard = 0; guard < 3_000; guard++) {
    const event = world.next(QUIET, true);
    if (event === undefined) return state;
    world.take(advance(state, event, world.now));
  }
  throw new Error('the run does not end');
}

// ---- the properties ---------------------------------------------------------------------------------------------

describe('properties', () => {
  test('any order, repetition and delay of results ends in the same state', () => {
    fc.assert(fc.property(workflow, fc.nat(1_000_000), fc.nat(1_000_000), ({ spec, seed }, one, two) => {
      const definition = build({ ...spec, failFast: false, timeout: '1d' });
      const first = runToEnd(definition, seed, one);
      expect(['Succeeded', 'Failed']).toContain(first.run.phase);
      expect(ending(runToEnd(definition, seed, two))).toEqual(ending(first));
      expect(counts(first).done).toBe(counts(first).total);
    }), { numRuns: 400 });
  });

  test('with cancel, suspend, timeouts and restarts at random, every step can be restored and goes on the same', () => {
    fc.assert(fc.property(workflow, fc.nat(1_000_000), ({ spec, seed }, order) => {
      const definition = build(spec);
      const world = new World(seed, order);
      const store = new Store();
      let state = createRun(definition, META);
      let event: RunEvent | undefined = { type: 'Start' };
      const accepted: { readonly event: RunEvent; readonly now: number }[] = [];
      for (let guard = 0; event !== undefined; guard++) {
        if (guard > 3_000) throw new Error('the run does not end');
        const twin = store.restore(definition, world.roll(2) === 0);
        const step = advance(state, event, world.now);
        expect(sortedStep(advance(twin, event, world.now))).toEqual(sortedStep(step));
        if (step !== EMPTY_STEP) accepted.push({ event, now: world.now });
        expect(step === EMPTY_STEP || step.history.length > 0).toBe(true);
        store.commit(step);
        world.take(step);
        checkInvariants(state, store, definition);
        if (world.roll(5) === 0) state = twin;
        event = chaos(world) ?? world.next(ALL, true) ?? (state.run.suspended ? { type: 'Resume' } : undefined);
      }
      checkEnd(state, world);
      const replayed = createRun(definition, META);
      for (const one of accepted) advance(replayed, one.event, one.now);
      expect(nodeRows(replayed)).toEqual(nodeRows(state));
      expect(replayed.run).toEqual(state.run);
    }), { numRuns: 200 });
  });
});

function chaos(world: World): RunEvent | undefined {
  switch (world.roll(60)) {
    case 0: return { type: 'Suspend' };
    case 1: case 2: case 3: return { type: 'Resume' };
    case 4: return world.roll(3) === 0 ? { type: 'Cancel', mode: 'Graceful' } : undefined;
    case 5: return world.roll(4) === 0 ? { type: 'Cancel', mode: 'Now' } : undefined;
    case 6: return { type: 'Failed', node: 'n0', item: NO_ITEM, attempt: 1, error: { class: 'Infra', reason: 'ImagePullBackOff', message: 'no image' } };
    case 7: return { type: 'Timer', timer: 'timeout:n0:-1:1' };
    case 8: return { type: 'Wake', node: 'n2', item: NO_ITEM };
    case 9: return { type: 'Parked', node: 'n0', item: NO_ITEM, attempt: 1, why: 'not mine to say' };
    default: return undefined;
  }
}

const withoutContinue = (state: RunState): unknown => pendingTimers(state).filter((timer) => timer.timer !== 'continue');

function checkInvariants(state: RunState, store: Store, definition: Compiled): void {
  const twin = store.restore(definition, false);
  expect(nodeRows(twin)).toEqual(nodeRows(state));
  expect(store.run).toEqual(state.run);
  expect(withoutContinue(twin)).toEqual(withoutContinue(state));
  expect(counts(state)).toEqual(recount(state));
  expect(counts(twin)).toEqual(counts(state));
  expect(twin.active).toBe(state.active);
  for (const live of liveAttempts(state)) expect(redispatch(twin, live.node, live.item)).toEqual(redispatch(state, live.node, live.item));
}

/** A final run takes nothing any more, and leaves no timer that would do anything. */
function checkEnd(state: RunState, world: World): void {
  expect(['Succeeded', 'Failed', 'Cancelled']).toContain(state.run.phase);
  expect(counts(state).done).toBe(counts(state).total);
  expect(pendingTimers(state)).toEqual([]);
  const before = ending(state);
  for (const event of [...world.mail, { type: 'Start' }, { type: 'Suspend' }, { type: 'Cancel', mode: 'Now' }, { type: 'Timer', timer: 'run-timeout' }] as const) {
    expect(advance(state, event, world.now)).toBe(EMPTY_STEP);
  }
  expect(ending(state)).toEqual(before);
}
