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

const place = { run: fc.integer({ min: 0, max: 2 }), item: fc.integer({ min: 0, max: 1 }) };
const steps: fc.Arbitrary<readonly Step[]> = fc.array(fc.oneof(
  fc.record({ do: fc.constantFrom('enqueue' as const, 'release' as const, 'cancel' as const, 'reopen' as const), ...place }),
  fc.record({ do: fc.constant('admit' as const) }), fc.record({ do: fc.constant('forget' as const), run: place.run }),
), { maxLength: 60, size: 'max' });

/** What waits and what flies, as `run/item`, beside the dispatcher itself. */
class Model {
  readonly waiting = new Set<string>();
  readonly flying = new Set<string>();
  readonly #world = world(() => 3);
  readonly #runs = [0, 1, 2, 3].map((n) => liveRun(`run-${n}`));

  step(step: Step): void {
    if (step.do === 'admit') this.#admit();
    else if (step.do === 'forget') this.#forget(this.#run(step.run));
    else this.#one(step.do, this.#run(step.run), step.item);
  }

  told(): object {
    const [{ queued, inFlight, runs } = { queued: 0, inFlight: 0, runs: 0 }] = [...this.#world.dispatcher.demand()];
    return { queued, inFlight, runs };
  }

  counted(): object {
    return { queued: this.waiting.size, inFlight: this.flying.size, runs: new Set([...this.waiting, ...this.flying].map((key) => key.split('/')[0])).size };
  }

  #run(n: number): LiveRun {
    return this.#runs[n] ?? liveRun('none');
  }

  #admit(): void {
    for (const { run, item } of this.#world.dispatcher.admit()) {
      this.waiting.delete(`${run}/${item}`);
      this.flying.add(`${run}/${item}`);
    }
  }

  #forget(run: LiveRun): void {
    this.#world.dispatcher.forget(run);
    for (const key of [...this.waiting]) if (key.startsWith(`${run.id}/`)) this.waiting.delete(key);
  }

  #one(what: 'enqueue' | 'release' | 'cancel' | 'reopen', run: LiveRun, item: number): void {
    const { dispatcher, leases } = this.#world;
    const key = `${run.id}/${item}`;
    if (what === 'enqueue' && !this.waiting.has(key) && !this.flying.has(key)) {
      dispatcher.enqueue(run, at(item));
      this.waiting.add(key);
    }
    if (what === 'cancel' && this.waiting.delete(key)) dispatcher.cancel(run, at(item));
    if (what === 'reopen' && !this.waiting.has(key)) {
      dispatcher.reopen(run, at(item), true);
      this.flying.add(key);
    }
    if (what === 'release' && this.flying.delete(key)) {
      const lease = leases.close(run.id, 'a', item);
      if (lease !== undefined) dispatcher.release(lease);
    }
  }
}

test('whatever happens, demand counts the attempts that wait, those in flight, and their runs', () => {
  fc.assert(fc.property(steps, (list) => {
    const model = new Model();
    for (const step of list) model.step(step);
    expect(model.told()).toEqual(model.counted());
  }), { numRuns: 300 });
});
