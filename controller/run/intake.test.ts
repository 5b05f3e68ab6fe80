import { advance, createRun } from '../../engine/index.ts';
import { compiled, META, script } from '../../engine/test-kit.ts';
import { ManualClock } from '../../platform/clock/manual.ts';
import type { RunPhase } from '../../crds/workflow-run.ts';
import { workflowSpecSchema } from '../../crds/workflow.ts';
import { workflowRunSpecSchema } from '../../crds/workflow-run.ts';
import { shardOf } from '../../platform/messages/subjects.ts';
import { Definitions } from './definitions.ts';
import { Intake, WORKFLOW_WAIT_MS, type RunCr, type WorkflowCr } from './intake.ts';
import type { LiveRun } from './live-run.ts';
import type { Work } from './ports.ts';

const UID = '00000000-0000-4000-8000-000000000001';
const KEY = 'ns/first';

/** The neighbours of intake, in memory: rows by run, one object, workflows by name. */
class World {
  readonly clock = new ManualClock();
  readonly works: Work[] = [];
  readonly phases = new Map<string, RunPhase>();
  readonly workflows = new Map<string, WorkflowCr>();
  readonly projected: string[] = [];
  cr: RunCr | undefined;
  owned = true;
  live: LiveRun | undefined;
  restoredAt: number | undefined;
  answer: 'Committed' | 'Retry' = 'Committed';
  readonly intake = new Intake({
    clock: this.clock, definitions: new Definitions(), owns: () => this.owned, live: () => this.live, restoredAt: () => Promise.resolve(this.restoredAt), cached: () => this.cr,
    workflow: (_, name) => Promise.resolve(this.workflows.get(name)), phaseOf: (run) => Promise.resolve(this.phases.get(run)),
    project: (run, _, phase) => { this.projected.push(`${run} ${phase}`); },
    submit: (work) => {
      this.works.push(work);
      if (this.answer === 'Retry') work.settle?.({ status: 'Retry', message: 'away' });
      else {
        if (work.create !== undefined) this.phases.set(work.run, work.event.type === 'Reject' ? 'Failed' : 'Running');
        work.settle?.({ status: 'Committed', version: 1 });
      }
    },
  });

  /** The object as the watch shows it now. */
  show(spec: object, more: Partial<RunCr> = {}): void {
    this.cr = { namespace: 'ns', name: 'first', uid: UID, generation: 1, createdAt: this.clock.now(), spec: workflowRunSpecSchema.parse(spec), ...more };
  }

  events(): unknown[] { return this.works.map((work) => work.event); }
}

const INLINE = { workflow: { nodes: [{ name: 'a', type: 'transform', with: { output: 1 } }] } };

function workflow(): WorkflowCr {
  return { spec: workflowSpecSchema.parse(INLINE.workflow), labels: { tier: 'gold' } };
}

test('an object becomes a run whose id is its uid, once', async () => {
  const world = new World();
  world.show(INLINE);
  expect(await world.intake.reconcile(KEY)).toBe('done');
  expect(await world.intake.reconcile(KEY)).toBe('done');
  expect(world.events()).toEqual([{ type: 'Start' }]);
  expect(world.works[0]).toMatchObject({ run: UID, create: { live: { id: UID, shard: shardOf(UID), source: 'cr' } } });
});

test('a run whose workflow does not exist waits 60 s from its creation, then fails naming it', async () => {
  const world = new World();
  world.show({ workflowRef: { name: 'late' } });
  expect(await world.intake.reconcile(KEY)).toMatchObject({ afterMs: WORKFLOW_WAIT_MS });
  world.clock.advance(59_999);
  expect(await world.intake.reconcile(KEY)).toMatchObject({ afterMs: 1 });
  expect(world.works).toEqual([]);
  world.clock.advance(1);
  expect(await world.intake.reconcile(KEY)).toBe('done');
  expect(world.events()).toEqual([{ type: 'Reject', error: { class: 'Invalid', reason: 'WorkflowNotFound', message: expect.stringContaining('late') as string } }]);
});

test('a workflow that appears meanwhile wakes the runs that wait for it, once', async () => {
  const world = new World();
  world.show({ workflowRef: { name: 'late' } });
  await world.intake.reconcile(KEY);
  expect(world.intake.workflowAppeared('other', 'late')).toEqual([]);
  expect(world.intake.workflowAppeared('ns', 'late')).toEqual([KEY]);
  expect(world.intake.workflowAppeared('ns', 'late')).toEqual([]);
  world.workflows.set('late', workflow());
  await world.intake.reconcile(KEY);
  expect(world.works[0]?.create?.live.meta).toMatchObject({ workflowName: 'late', workflowLabels: { tier: 'gold' } });
});

test.each<[string, object, string]>([
  ['an expression that does not parse', { workflow: { nodes: [{ name: 'a', type: 'transform', with: { output: '${{ 1 + }}' } }] } }, 'node a'],
  ['input that breaks the schema', { workflow: { inputs: { type: 'object', required: ['n'] }, nodes: INLINE.workflow.nodes }, input: {} }, 'n'],
])('%s is refused, naming what is wrong', async (_, spec, names) => {
  const world = new World();
  world.show(spec);
  await world.intake.reconcile(KEY);
  const [event] = world.events();
  expect(event).toMatchObject({ type: 'Reject', error: { class: 'Invalid' } });
  expect(JSON.stringify(event)).toContain(names);
});

test('what is not ours, has ended or cannot be written now is left alone or tried again', async () => {
  const world = new World();
  world.show(INLINE);
  world.owned = false;
  expect(await world.intake.reconcile(KEY)).toBe('done');
  world.owned = true;
  world.show(INLINE, { phase: 'Succeeded' });
  expect(await world.intake.reconcile(KEY)).toBe('done');
  expect(world.works).toEqual([]);
  world.show(INLINE);
  world.answer = 'Retry';
  expect(await world.intake.reconcile(KEY)).toMatchObject({ afterMs: 200 });
});

test('suspend and cancel act when their value changes, and only then', async () => {
  const world = new World();
  world.show(INLINE);
  await world.intake.reconcile(KEY);
  world.works.length = 0;
  world.show({ ...INLINE, suspend: true }, { generation: 2 });
  await world.intake.reconcile(KEY);
  await world.intake.reconcile(KEY);
  world.show({ ...INLINE, suspend: false, cancel: 'Graceful' }, { generation: 3 });
  await world.intake.reconcile(KEY);
  world.show({ ...INLINE, suspend: false, cancel: 'Now' }, { generation: 4 });
  await world.intake.reconcile(KEY);
  expect(world.events()).toEqual([{ type: 'Suspend' }, { type: 'Resume' }, { type: 'Cancel', mode: 'Graceful' }, { type: 'Cancel', mode: 'Now' }]);
});

test('after a restart the observed generation says that a wish was carried out before', async () => {
  const world = new World();
  world.phases.set(UID, 'Suspended');
  world.show({ ...INLINE, suspend: true }, { generation: 5, observedGeneration: 5, phase: 'Suspended' });
  await world.intake.reconcile(KEY);
  expect(world.works).toEqual([]);
  const behind = new World();
  behind.phases.set(UID, 'Running');
  behind.show({ ...INLINE, suspend: true }, { generation: 6, observedGeneration: 5, phase: 'Running' });
  await behind.intake.reconcile(KEY);
  expect(behind.events()).toEqual([{ type: 'Suspend' }]);
});

test('an object that is deleted cancels its run at once, where it is ours', () => {
  const world = new World();
  world.intake.deleted(UID);
  world.owned = false;
  world.intake.deleted(UID);
  expect(world.events()).toEqual([{ type: 'Cancel', mode: 'Now' }]);
});

test('a status that is behind is written again', async () => {
  const world = new World();
  world.phases.set(UID, 'Running');
  world.show(INLINE, { phase: 'Pending', observedGeneration: 1 });
  await world.intake.reconcile(KEY);
  expect(world.projected).toEqual([`${UID} Running`]);
});

test('a change that comes after the end asks only for a status that has seen it', async () => {
  const world = new World();
  world.show(INLINE, { phase: 'Succeeded', observedGeneration: 1 });
  await world.intake.reconcile(KEY);
  expect(world.projected).toEqual([]);
  world.show({ ...INLINE, cancel: 'Now' }, { generation: 2, phase: 'Succeeded', observedGeneration: 1 });
  await world.intake.reconcile(KEY);
  expect(world.projected).toEqual([`${UID} Succeeded`]);
  expect(world.works).toEqual([]);
});

describe('a database that was restored', () => {
  /** A run as its owner has it, held or not. */
  function liveOf(held: boolean): LiveRun {
    const definition = compiled([script('a')]);
    const state = createRun(definition, { ...META, id: UID });
    advance(state, { type: 'Start' }, 1);
    if (held) advance(state, { type: 'Hold', why: 'old rows' }, 2);
    return { id: UID, shard: shardOf(UID), meta: META, compiled: definition, state, source: 'cr', version: 1, sends: new Map() };
  }

  function heldWorld(): World {
    const world = new World();
    world.phases.set(UID, 'Running');
    world.live = liveOf(true);
    return world;
  }

  test.each<[string, Partial<RunCr>, number | undefined]>([
    ['was accepted before, by its status', { phase: 'Running' }, undefined],
    ['is older than the restore', {}, 10_000_000_000_000],
  ])('an object without a row that %s is stored and held, not started', async (_, more, restoredAt) => {
    const world = new World();
    world.restoredAt = restoredAt;
    world.show({ ...INLINE, cancel: 'Now' }, more);
    await world.intake.reconcile(KEY);
    expect(world.events()).toEqual([{ type: 'Hold', why: expect.stringContaining('the database') as string }]);
    expect(world.works[0]?.create?.live.id).toBe(UID);
  });

  test('an object that came after the restore is started', async () => {
    const world = new World();
    world.restoredAt = 5;
    world.show(INLINE, { createdAt: 6_000 });
    await world.intake.reconcile(KEY);
    expect(world.events()).toEqual([{ type: 'Start' }]);
  });

  test('what the object asked for before it said NeedsReview decides nothing', async () => {
    const world = heldWorld();
    world.show({ ...INLINE, suspend: false, cancel: 'Graceful' }, { generation: 3, observedGeneration: 2, phase: 'Running' });
    await world.intake.reconcile(KEY);
    expect(world.events()).toEqual([]);
    expect(world.projected).toEqual([`${UID} Running`]);
  });

  test.each<[string, object, object]>([
    ['suspend: false', { suspend: false }, { type: 'Resume' }],
    ['cancel', { cancel: 'Now' }, { type: 'Cancel', mode: 'Now' }],
  ])('a person decides by %s, whether the controller saw the change or was started after it', async (_, change, event) => {
    const seen = heldWorld();
    seen.show(INLINE, { generation: 1, observedGeneration: 1, phase: 'Running', needsReview: true });
    await seen.intake.reconcile(KEY);
    seen.show({ ...INLINE, ...change }, { generation: 2, observedGeneration: 1, phase: 'Running', needsReview: true });
    await seen.intake.reconcile(KEY);
    expect(seen.events()).toEqual([event]);
    const later = heldWorld();
    later.show({ ...INLINE, ...change }, { generation: 2, observedGeneration: 1, phase: 'Running', needsReview: true });
    await later.intake.reconcile(KEY);
    expect(later.events()).toEqual([event]);
  });

  test('to suspend decides nothing; a run whose object was cancelled already is cancelled when it is resumed', async () => {
    const world = heldWorld();
    world.show({ ...INLINE, cancel: 'Graceful' }, { generation: 2, observedGeneration: 2, phase: 'Running', needsReview: true });
    await world.intake.reconcile(KEY);
    world.show({ ...INLINE, cancel: 'Graceful', suspend: true }, { generation: 3, observedGeneration: 2, phase: 'Running', needsReview: true });
    await world.intake.reconcile(KEY);
    expect(world.events()).toEqual([]);
    world.show({ ...INLINE, cancel: 'Graceful', suspend: false }, { generation: 4, observedGeneration: 3, phase: 'Running', needsReview: true });
    await world.intake.reconcile(KEY);
    expect(world.events()).toEqual([{ type: 'Cancel', mode: 'Graceful' }]);
  });

  test('a final object of a run that is held can still decide about it', async () => {
    const world = heldWorld();
    world.show(INLINE, { generation: 1, observedGeneration: 1, phase: 'Succeeded', needsReview: true });
    await world.intake.reconcile(KEY);
    world.show({ ...INLINE, cancel: 'Now' }, { generation: 2, observedGeneration: 1, phase: 'Succeeded', needsReview: true });
    await world.intake.reconcile(KEY);
    expect(world.events()).toEqual([{ type: 'Cancel', mode: 'Now' }]);
  });
});
