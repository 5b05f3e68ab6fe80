import fc from 'fast-check';
import { ManualClock } from '../../platform/clock/manual.ts';
import { firstSign, Leases, placeKey, type Lease } from './leases.ts';

const at = (run: string, node: string, attempt: number, more: { item?: number; mode?: 'warm' | 'pod'; taken?: boolean } = {}) => ({
  run, node, item: more.item ?? -1, attempt, namespace: 'ns', pool: 'default', mode: more.mode ?? 'warm', ...(more.taken === undefined ? {} : { taken: more.taken }),
});

function world(): { clock: ManualClock; leases: Leases } {
  const clock = new ManualClock();
  return { clock, leases: new Leases(clock) };
}

describe('who has expired', () => {
  test.each<[string, 'warm' | 'pod', boolean, boolean, number, boolean]>([
    ['taken and silent for its time', 'warm', true, false, 10_000, true], ['taken and silent for less', 'warm', true, false, 9_999, false], ['not taken: the stream still has it', 'warm', false, false, 60_000, false],
    ['a container of a user, whose pod speaks for it', 'pod', true, false, 60_000, false], ['a runner in a pod that spoke once', 'pod', true, true, 10_000, true], ['a runner in a pod that spoke just now', 'pod', true, true, 9_000, false],
  ])('%s', (_, mode, taken, beaten, silent, gone) => {
    const { clock, leases } = world();
    const lease = leases.open(at('r', 'a', 1, { mode, taken }));
    if (beaten) lease.beaten = clock.monotonic();
    clock.advance(silent);
    expect(leases.expired(10_000)).toEqual(gone ? [lease] : []);
  });

  test('a sign of life begins the time anew', () => {
    const { clock, leases } = world();
    leases.open(at('r', 'a', 1, { taken: true }));
    clock.advance(9_000);
    expect(leases.beat('r', 'a', -1, 1, 'pod-1')).toMatchObject({ runner: 'pod-1' });
    clock.advance(9_000);
    expect(leases.expired(10_000)).toEqual([]);
  });
});

test('a sign of life of an attempt that no longer counts changes nothing', () => {
  const { clock, leases } = world();
  const lease = leases.open(at('r', 'a', 2));
  clock.advance(500);
  expect([leases.beat('r', 'a', -1, 1, 'old'), leases.beat('r', 'b', -1, 2, 'x'), leases.beat('other', 'a', -1, 2, 'x'), leases.beat('r', 'a', 0, 2, 'x')]).toEqual([undefined, undefined, undefined, undefined]);
  expect([lease.runner, lease.seen]).toEqual([undefined, clock.monotonic() - 500]);
});

test('the first sign says how long it took from the sending, never less than nothing; later ones say nothing', () => {
  const { clock, leases } = world();
  const lease = leases.open(at('r', 'a', 1));
  expect(firstSign(lease, clock.now() + 250)).toBe(0.25);
  expect(firstSign(lease, clock.now() + 900)).toBeUndefined();
  expect(firstSign(leases.open(at('r', 'b', 1)), clock.now() - 60_000)).toBe(0);
  expect(firstSign(leases.open(at('r', 'c', 1, { taken: true })), clock.now())).toBeUndefined();
});

test('what nobody took is known by its age', () => {
  const { clock, leases } = world();
  const old = leases.open(at('r', 'a', 1));
  leases.open(at('r', 'b', 1, { taken: true }));
  clock.advance(1_000);
  leases.open(at('r', 'c', 1));
  expect(leases.untaken(1_000)).toEqual([old]);
});

test('attempts of a runner are those of its namespace', () => {
  const { leases } = world();
  leases.open({ ...at('r', 'a', 1), namespace: 'one', runner: 'pod' });
  const two = leases.open({ ...at('s', 'a', 1), namespace: 'two', runner: 'pod' });
  expect(leases.ofRunner('two', 'pod')).toEqual([two]);
});

// The oracle: a plain list of what is open, one per place.
const place = fc.record({ run: fc.constantFrom('r1', 'r2', 'r3'), node: fc.constantFrom('a', 'b'), item: fc.constantFrom(-1, 0), attempt: fc.integer({ min: 1, max: 3 }) });
const act = fc.oneof(
  fc.record({ kind: fc.constant('open' as const), place, taken: fc.boolean() }), fc.record({ kind: fc.constant('close' as const), place, exact: fc.boolean() }),
  fc.record({ kind: fc.constant('beat' as const), place }), fc.record({ kind: fc.constant('closeRun' as const), place }), fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(5_000) }),
);

test('whatever is opened, closed and heard of, it knows the same as a plain list', () => {
  fc.assert(fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
    const { clock, leases } = world();
    let open: Lease[] = [];
    const of = (run: string, node: string, item: number): Lease | undefined => open.find((lease) => placeKey(lease.run, lease.node, lease.item) === placeKey(run, node, item));
    for (const one of acts) {
      if (one.kind === 'pass') {
        clock.advance(one.ms);
        continue;
      }
      const { run, node, item, attempt } = one.place;
      const before = of(run, node, item);
      if (one.kind === 'open') open = [...open.filter((lease) => lease !== before), leases.open(at(run, node, attempt, { item, taken: one.taken }))];
      else if (one.kind === 'beat') expect(leases.beat(run, node, item, attempt, 'pod')).toBe(before?.attempt === attempt ? before : undefined);
      else if (one.kind === 'closeRun') {
        expect(new Set(leases.closeRun(run))).toEqual(new Set(open.filter((lease) => lease.run === run)));
        open = open.filter((lease) => lease.run !== run);
      } else {
        const gone = one.exact && before?.attempt !== attempt ? undefined : before;
        expect(leases.close(run, node, item, one.exact ? attempt : undefined)).toBe(gone);
        open = open.filter((lease) => lease !== gone);
      }
      expect(leases.size).toBe(open.length);
      expect(new Set(leases.all())).toEqual(new Set(open));
      expect(new Set(leases.expired(3_000))).toEqual(new Set(open.filter((lease) => lease.taken && clock.monotonic() - lease.seen >= 3_000)));
      expect(leases.get(run, node, item)).toBe(of(run, node, item));
    }
  }), { numRuns: 200 });
});
