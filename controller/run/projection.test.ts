import { NODE_STATUSES } from '../../crds/node.ts';
import type { Condition } from '../../crds/parts.ts';
import type { RunRow } from '../../engine/types.ts';
import { projectReview, projectStatus, type ProjectionInput } from './projection.ts';

const byStatus = Object.fromEntries(NODE_STATUSES.map((status) => [status, 0])) as ProjectionInput['counts']['byStatus'];

function input(row: Partial<RunRow>, conditions: readonly Condition[] = []): ProjectionInput {
  return { runId: 'u', generation: 3, row: { phase: 'Running', suspended: false, ...row }, counts: { total: 4, done: 2, byStatus }, failures: [], conditions, now: 1_000 };
}

function states(conditions: readonly Condition[] | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries((conditions ?? []).map((c) => [c.type, `${c.status} ${c.reason}`]));
}

test('a run that waits for a person is stalled, not reconciling, and says why and what to do', () => {
  const status = projectStatus(input({ review: 'the database was restored' }));
  expect(status).toMatchObject({ phase: 'Running', progress: '2/4', observedGeneration: 3 });
  expect(states(status.conditions)).toEqual({ Accepted: 'True Accepted', Reconciling: 'False NeedsReview', Completed: 'False NeedsReview', Stalled: 'True NeedsReview' });
  expect(status.conditions?.find((c) => c.type === 'Stalled')?.message).toMatch(/^the database was restored; resume it \(spec\.suspend: false\).*cancel it/);
});

test('once decided it is as any other', () => {
  expect(states(projectStatus(input({})).conditions)).toMatchObject({ Reconciling: 'True Running', Stalled: 'False NotStalled' });
});

test('an object that has ended keeps everything but the note; without a note nothing is written', () => {
  const done: Condition[] = [
    { type: 'Completed', status: 'True', reason: 'Succeeded', message: 'the run succeeded', lastTransitionTime: '2026-01-01T00:00:00Z', observedGeneration: 1 },
    { type: 'Stalled', status: 'False', reason: 'NotStalled', message: 'no', lastTransitionTime: '2026-01-01T00:00:00Z', observedGeneration: 1 },
  ];
  const noted = projectReview(input({ review: 'old rows' }, done));
  expect(Object.keys(noted ?? {})).toEqual(['observedGeneration', 'conditions']);
  expect(states(noted?.conditions)).toEqual({ Completed: 'True Succeeded', Stalled: 'True NeedsReview' });
  expect(states(projectReview(input({ phase: 'Cancelled' }, noted?.conditions))?.conditions)).toEqual({ Completed: 'True Succeeded', Stalled: 'False NotStalled' });
  expect(projectReview(input({ phase: 'Cancelled' }, done))).toBeUndefined();
});
