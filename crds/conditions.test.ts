import { CONDITIONS, findCondition, REASONS, removeCondition, setCondition, timestamp } from './conditions.ts';
import { conditionSchema } from './parts.ts';

const T0 = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const reconciling = { type: CONDITIONS.reconciling, status: 'True', reason: REASONS.running, message: 'Nodes run.', observedGeneration: 1 } as const;
const first = setCondition([], reconciling, T0);

test('a new condition is appended with the time of now, in whole seconds', () => {
  expect(first).toEqual([{ ...reconciling, lastTransitionTime: '2026-01-02T03:04:05Z' }]);
  expect(conditionSchema.safeParse(first[0]).success).toBe(true);
});

test('lastTransitionTime moves only with the status', () => {
  const reworded = setCondition(first, { ...reconciling, reason: REASONS.suspended, message: 'Suspended.' }, T0 + 9_000);
  expect(reworded[0]).toMatchObject({ reason: 'Suspended', lastTransitionTime: '2026-01-02T03:04:05Z' });
  const done = setCondition(reworded, { ...reconciling, status: 'False', reason: REASONS.succeeded }, T0 + 9_000);
  expect(done[0]).toMatchObject({ status: 'False', lastTransitionTime: '2026-01-02T03:04:14Z' });
});

test('the very same list comes back when nothing differs', () => {
  expect(setCondition(first, reconciling, T0 + 60_000)).toBe(first);
  expect(setCondition(first, { ...reconciling, observedGeneration: 2 }, T0)).not.toBe(first);
});

test('other conditions stay, in their order', () => {
  const both = setCondition(first, { ...reconciling, type: CONDITIONS.accepted }, T0);
  expect(setCondition(both, { ...reconciling, message: 'x' }, T0).map((entry) => entry.type)).toEqual(['Reconciling', 'Accepted']);
  expect(removeCondition(both, CONDITIONS.reconciling)).toEqual([findCondition(both, CONDITIONS.accepted)]);
  expect(removeCondition(first, CONDITIONS.stalled)).toBe(first);
});

test('a long message is cut to what the API server takes', () => {
  expect(setCondition([], { ...reconciling, message: 'x'.repeat(40_000) }, T0)[0]?.message).toHaveLength(32_768);
});

test('reasons and types are CamelCase and unique', () => {
  for (const list of [Object.values(REASONS), Object.values(CONDITIONS)]) {
    expect(new Set<string>(list).size).toBe(list.length);
    for (const word of list) expect(word).toMatch(/^[A-Z][A-Za-z]+$/);
  }
});

test('timestamp', () => {
  expect(timestamp(0)).toBe('1970-01-01T00:00:00Z');
});
