import fc from 'fast-check';
import { createRun } from '../../engine/index.ts';
import { compiled, META, script } from '../../engine/test-kit.ts';
import { ManualClock } from '../../platform/clock/manual.ts';
import { Dispatcher, type PlacedAttempt } from './dispatcher.ts';
import { Leases } from './leases.ts';
import type { LiveRun } from './live-run.ts';

const DEFINITION = compiled([script('a')]);

function liveRun(id: string): LiveRun {
  const meta = { ...META, id };
  return { id, shard: 0, meta, compiled: DEFINITION, state: createRun(DEFINITION, meta), source: 'api', version: 0, sends: new Map() };
}

function at(item: number, over: Partial<PlacedAttempt> = {}): PlacedAttempt {
  return { node: 'a', item, attempt: 1, mode: 'warm', pool: 'default', ...over };
}

function world(capacity: () => number) {
  const leases = new Leases(new ManualClock());
  return { leases, dispatcher: new Dispatcher(leases, capacity) };
}

test('no more are admitted than the pool has room for; what is released makes room', () => {
  const { leases, dispatcher } = world(() => 2);
  const run = liveRun('r');
  for (const item of [0, 1, 2]) dispatcher.enqueue(run, at(item));
  expect(dispatcher.admit().map((a) => a.item)).toEqual([0, 1]);
  expect(dispatcher.admit()).toEqual([]);
  const lease = leases.close('r', 'a', 0);
  if (lease !== undefined) dispatcher.release(lease);
  expect(dispatcher.admit().map((a) => a.item)).toEqual([2]);
});

test('runs of one priority take turns', () => {
  const { dispatcher } = world(() => 4);
  const [a, b] = [liveRun('a'), liveRun('b')];
  for (const item of [0, 1, 2]) dispatcher.enqueue(a, at(item));
  dispatcher.enqueue(b, at(0));
  expect(dispatcher.admit().map((x) => `${x.run}${x.item}`)).toEqual(['a0', 'b0', 'a1', 'a2']);
});

type Step = { readonly do: 'enqueue' | 'release' | 'cancel' | 'reopen'; readonly run: number; readonly item: number } | { readonly do: 'admit' } | { readonly do: 'forget'; readonly run: number };

const place = { run: fc.integer({ min: 0, max: 3 }), item: fc.integer({ min: 0, max: 3 }) };
const steps: fc.Arbitrary<readonly Step[]> = fc.array(fc.oneof(
  fc.record({ do: fc.constantFrom('enqueue' as const, 'release' as const, 'cancel' as const, 'reopen' as const), ...place }),
  fc.record({ do: fc.constant('admit' as const) }), fc.record({ do: fc.constant('forget' as const), run: place.run }),
), { maxLength: 60 });

test('whatever happens, demand counts the attempts that wait, those in flight, and their runs', () => {
  fc.assert(fc.property(steps, (list) => {
    const { leases, dispatcher } = world(() => 3);
    const runs = [0, 1, 2, 3].map((n) => liveRun(`run-${n}`));
    const waiting = new Set<string>();
    const flying = new Set<string>();
    for (const step of list) {
      if (step.do === 'admit') {
        for (const a of dispatcher.admit()) { waiting.delete(`${a.run}/${a.item}`); flying.add(`${a.run}/${a.item}`); }
        continue;
      }
      const run = runs[step.run] as LiveRun;
      if (step.do === 'forget') {
        dispatcher.forget(run);
        for (const key of [...waiting]) if (key.startsWith(`${run.id}/`)) waiting.delete(key);
        continue;
      }
      const key = `${run.id}/${step.item}`;
      if (step.do === 'enqueue' && !waiting.has(key) && !flying.has(key)) { dispatcher.enqueue(run, at(step.item)); waiting.add(key); }
      if (step.do === 'cancel' && waiting.delete(key)) dispatcher.cancel(run, at(step.item));
      if (step.do === 'reopen' && !waiting.has(key)) { dispatcher.reopen(run, at(step.item), true); flying.add(key); }
      if (step.do === 'release' && flying.delete(key)) {
        const lease = leases.close(run.id, 'a', step.item);
        if (lease !== undefined) dispatcher.release(lease);
      }
    }
    const [told = { queued: 0, inFlight: 0, runs: 0 }] = [...dispatcher.demand()];
    const of = new Set([...waiting, ...flying].map((key) => key.split('/')[0]));
    expect({ queued: told.queued, inFlight: told.inFlight, runs: told.runs }).toEqual({ queued: waiting.size, inFlight: flying.size, runs: of.size });
  }), { numRuns: 300 });
});
