import { actionsAt, describePlan, planOf, random } from './plan.ts';

const hits = new Map([['pg.commit.before', 12], ['nats.reply.result', 9], ['runner.ack', 10]]);

test('a seed is a plan: the same twice, another for another seed', () => {
  const plans = Array.from({ length: 200 }, (_, seed) => describePlan(planOf(seed, hits)));
  expect(Array.from({ length: 200 }, (_, seed) => describePlan(planOf(seed, hits)))).toEqual(plans);
  expect(new Set(plans).size).toBeGreaterThan(150);
});

test('a plan holds one to three faults, at hits the golden run reached', () => {
  for (let seed = 0; seed < 500; seed++) {
    const { faults, acts } = planOf(seed, hits);
    expect([1, 2, 3]).toContain(faults.length + acts.length);
    for (const { point, hit, action } of faults) {
      expect(hit).toBeGreaterThanOrEqual(1);
      expect(hit).toBeLessThanOrEqual(hits.get(point) ?? 3);
      expect(actionsAt(point)).toContainEqual(action);
    }
  }
});

test('random numbers spread over the unit interval', () => {
  const next = random(7);
  const numbers = Array.from({ length: 1_000 }, next);
  expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...numbers)).toBeLessThan(1);
  expect(numbers.reduce((a, b) => a + b, 0) / 1_000).toBeCloseTo(0.5, 1);
});
