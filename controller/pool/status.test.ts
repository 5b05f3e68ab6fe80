import { poolStatus, sameConditions, type PoolFacts } from './status.ts';

const trouble = { reason: 'PodsFailing', message: 'pod p failed' } as const;
const facts = (over: Partial<PoolFacts>): PoolFacts => ({ generation: 3, minReady: 2, ready: 0, starting: 0, current: over.ready ?? 0, ...over });

function conditions(over: Partial<PoolFacts>): Record<string, string> {
  return Object.fromEntries((poolStatus(facts(over), [], 0).conditions ?? []).map((c) => [c.type, `${c.status}/${c.reason}`]));
}

test.each<[string, Partial<PoolFacts>, Record<string, string>]>([
  ['enough', { ready: 2 }, { Ready: 'True/PoolReady', Reconciling: 'False/PoolReady', Stalled: 'False/PoolReady' }],
  ['none wanted', { minReady: 0 }, { Ready: 'True/PoolReady', Reconciling: 'False/PoolReady', Stalled: 'False/PoolReady' }],
  ['starting', { ready: 1, starting: 1 }, { Ready: 'False/ScalingUp', Reconciling: 'True/ScalingUp', Stalled: 'False/ScalingUp' }],
  ['failing', { trouble }, { Ready: 'False/PodsFailing', Reconciling: 'False/PodsFailing', Stalled: 'True/PodsFailing' }],
  ['enough, yet further ones fail', { ready: 2, trouble }, { Ready: 'True/PodsFailing', Reconciling: 'False/PodsFailing', Stalled: 'False/PodsFailing' }],
  ['none wanted, and those that were asked for fail', { minReady: 0, trouble }, { Ready: 'False/PodsFailing', Reconciling: 'False/PodsFailing', Stalled: 'True/PodsFailing' }],
  ['enough, of an older definition', { ready: 2, current: 1 }, { Ready: 'True/ScalingUp', Reconciling: 'True/ScalingUp', Stalled: 'False/ScalingUp' }],
  ['enough, and the new definition fails', { ready: 2, current: 0, trouble }, { Ready: 'False/PodsFailing', Reconciling: 'False/PodsFailing', Stalled: 'True/PodsFailing' }],
])('%s', (_, over, expected) => {
  expect(conditions(over)).toEqual(expected);
});

const COMBINATIONS = [0, 1, 3].flatMap((minReady) => [0, 1, 3].flatMap((ready) => [0, 1, 3].filter((current) => current <= ready)
  .flatMap((current) => [{}, { trouble }].map((over) => ({ minReady, ready, current, ...over })))));

test.each(COMBINATIONS)('never Stalled beside Ready or Reconciling: %j', (over) => {
  const on = Object.entries(conditions(over)).filter(([, value]) => value.startsWith('True')).map(([type]) => type);
  expect(on).not.toEqual(expect.arrayContaining(['Stalled', 'Ready']));
  expect(on).not.toEqual(expect.arrayContaining(['Stalled', 'Reconciling']));
  expect(on.length).toBeGreaterThan(0);
});

test('transition times change with the status only', () => {
  const first = poolStatus(facts({ starting: 1 }), [], 1_000_000).conditions ?? [];
  const failing = poolStatus(facts({ trouble }), first, 2_000_000).conditions ?? [];
  const ready = poolStatus(facts({ ready: 2 }), failing, 3_000_000).conditions ?? [];
  const times = (list: typeof first): string[] => list.filter((c) => c.type === 'Ready').map((c) => c.lastTransitionTime);
  expect(times(failing)).toEqual(times(first));
  expect(times(ready)).not.toEqual(times(first));
});

test('numbers alone are no news, reasons and generations are', () => {
  const of = (over: Partial<PoolFacts>): ReturnType<typeof poolStatus>['conditions'] & object => poolStatus(facts(over), [], 0).conditions ?? [];
  expect(sameConditions(of({ ready: 2 }), of({ ready: 3 }))).toBe(true);
  expect(sameConditions(of({ ready: 2 }), of({ ready: 1 }))).toBe(false);
  expect(sameConditions(of({}), of({ trouble }))).toBe(false);
  expect(sameConditions(of({}), of({ generation: 4 }))).toBe(false);
});
