import type { RunPhase, WorkflowRunStatus } from '../../crds/workflow-run.ts';
import { ManualClock } from '../../platform/clock/manual.ts';
import { StatusWriter, type PatchResult, type RunObject } from './status-writer.ts';

const cr = { namespace: 'ns', name: 'r', uid: 'u' };

interface World {
  clock: ManualClock;
  writer: StatusWriter;
  writes: string[];
  object: RunObject | undefined;
  phase: RunPhase;
  answer: PatchResult | undefined;
  patched: (status: WorkflowRunStatus) => void;
  status(): WorkflowRunStatus;
  wait(ms: number): Promise<void>;
}

function world(): World {
  const clock = new ManualClock();
  const w: World = {
    clock, writes: [], object: { uid: 'u', resourceVersion: '1', generation: 1, conditions: [] }, phase: 'Running', answer: undefined, patched: () => undefined, status: () => ({ phase: w.phase }),
    writer: new StatusWriter({
      clock, log: { warn: () => undefined },
      project: () => Promise.resolve(w.status()),
      port: {
        read: () => Promise.resolve(w.object),
        patch: (_, version, status) => {
          w.patched(status);
          const answer = w.answer ?? { kind: 'Written' as const, resourceVersion: `${Number(version) + 1}` };
          w.writes.push(`${status.phase}@${version}${answer.kind === 'Written' ? '' : `!${answer.kind}`}`);
          if (answer.kind === 'Written' && w.object !== undefined) w.object = { ...w.object, resourceVersion: answer.resourceVersion, phase: status.phase ?? w.object.phase };
          return Promise.resolve(answer);
        },
        failedEvent: () => { w.writes.push('event'); return Promise.resolve(); },
      },
    }),
    wait: async (ms) => {
      clock.advance(ms);
      for (let i = 0; i < 30; i++) await Promise.resolve();
    },
  };
  return w;
}

test('a quick run costs one patch', async () => {
  const w = world();
  w.writer.changed('u', cr, 'Running');
  w.phase = 'Succeeded';
  w.writer.changed('u', cr, 'Succeeded');
  await w.wait(0);
  expect(w.writes).toEqual(['Succeeded@1']);
  expect(w.writer.pending).toBe(0);
});

test('a run of 6 s that fails costs Running, Failed and the Event', async () => {
  const w = world();
  for (let i = 0; i < 58; i++) { w.writer.changed('u', cr, 'Running'); await w.wait(100); }
  w.phase = 'Failed';
  w.writer.changed('u', cr, 'Failed');
  await w.wait(0);
  expect(w.writes).toEqual(['Running@1', 'Failed@2', 'event']);
});

test('progress is written ever more rarely', async () => {
  const w = world();
  for (let i = 0; i < 600; i++) { w.writer.changed('u', cr, 'Running'); await w.wait(100); }
  expect(w.writes.length).toBeGreaterThanOrEqual(4);
  expect(w.writes.length).toBeLessThanOrEqual(5);
});

test('a conflict reads again and repeats', async () => {
  const w = world();
  w.answer = { kind: 'Stale' };
  w.phase = 'Succeeded';
  w.writer.changed('u', cr, 'Succeeded');
  await w.wait(0);
  w.answer = undefined;
  w.object = { uid: 'u', resourceVersion: '9', generation: 1, conditions: [] };
  await w.wait(1_000);
  expect(w.writes).toEqual(['Succeeded@1!Stale', 'Succeeded@9']);
});

test.each<[string, RunObject | undefined]>([
  ['gone', undefined],
  ['made anew under the same name', { uid: 'other', resourceVersion: '1', generation: 1, conditions: [] }],
  ['final already', { uid: 'u', resourceVersion: '1', generation: 1, observedGeneration: 1, conditions: [], phase: 'Succeeded' }],
])('an object that is %s is left alone', async (_, object) => {
  const w = world();
  w.object = object;
  w.writer.changed('u', cr, 'Failed');
  await w.wait(100);
  expect(w.writes).toEqual([]);
  expect(w.writer.pending).toBe(0);
});

test('a spec that changes after the end is noted once, without a second Event', async () => {
  const w = world();
  const completed = { type: 'Completed', status: 'True', reason: 'Failed', message: 'no luck', lastTransitionTime: '2026-01-01T00:00:00Z', observedGeneration: 1 } as const;
  w.object = { uid: 'u', resourceVersion: '4', generation: 2, observedGeneration: 1, conditions: [completed], phase: 'Failed' };
  const written: WorkflowRunStatus[] = [];
  w.patched = (status) => { written.push(status); };
  w.writer.changed('u', cr, 'Failed');
  await w.wait(0);
  expect(w.writes).toEqual(['Failed@4']);
  expect(written).toEqual([{ observedGeneration: 2, phase: 'Failed', conditions: [{ ...completed, observedGeneration: 2 }] }]);
  expect(w.writer.pending).toBe(0);
});

test('a run that is held is shown soon, and so is that it is not any more', async () => {
  const w = world();
  w.writer.changed('u', cr, 'Running');
  await w.wait(100);
  w.writer.changed('u', cr, 'Running', true);
  await w.wait(100);
  w.writer.changed('u', cr, 'Running', false);
  await w.wait(100);
  expect(w.writes).toEqual(['Running@1', 'Running@2', 'Running@3']);
});

test('an object that has ended gets a note that its run is held, and that it is not any more, and keeps its phase', async () => {
  const w = world();
  const notes: unknown[] = [];
  w.object = { uid: 'u', resourceVersion: '1', generation: 1, conditions: [], phase: 'Succeeded' };
  w.status = () => {
    notes.push('note');
    return { observedGeneration: 1 };
  };
  w.writer.changed('u', cr, 'Running', true);
  await w.wait(100);
  expect(w.writes).toEqual(['undefined@1']);
  expect(w.writer.pending).toBe(0);
  w.object = { uid: 'u', resourceVersion: '2', generation: 1, conditions: [], phase: 'Succeeded', needsReview: true };
  w.writer.changed('u', cr, 'Cancelled');
  await w.wait(100);
  expect(w.writes).toEqual(['undefined@1', 'undefined@2']);
  expect(notes).toHaveLength(2);
});
