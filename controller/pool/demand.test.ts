import fc from 'fast-check';
import { ManualClock } from '../../platform/clock/manual.ts';
import { DemandBook, DemandTeller, type PoolDemand } from './demand.ts';

function want(over: Partial<PoolDemand> = {}): PoolDemand {
  return { mode: 'warm', namespace: 'ns', pool: 'p', queued: 0, inFlight: 1, runs: 1, busy: {}, ...over };
}

describe('what others want', () => {
  function book(): { clock: ManualClock; book: DemandBook } {
    const clock = new ManualClock();
    return { clock, book: new DemandBook(clock) };
  }

  test('is the sum of what each said last', () => {
    const { book: b } = book();
    b.take('a', [want({ queued: 5, busy: { 'p-1': 1 } }), want({ pool: 'q', queued: 9 })]);
    b.take('b', [want({ queued: 2, busy: { 'p-1': 2, 'p-2': 1 } })]);
    b.take('a', [want({ queued: 3, busy: { 'p-1': 1 } })]);
    expect([b.demand('ns', 'p'), b.demand('ns', 'q'), b.demand('other', 'p')]).toEqual([{ attempts: 7, runs: 2 }, { attempts: 10, runs: 1 }, { attempts: 0, runs: 0 }]);
    expect([b.busy('ns', 'p', 'p-1'), b.busy('ns', 'p', 'p-2'), b.busy('ns', 'q', 'p-1')]).toEqual([3, 1, 0]);
    expect([...b.wanted()].map(({ pool }) => pool)).toEqual(['p', 'q']);
  });
  test('ends when it is said to be nothing, when its replica is gone, and when it was not said again for long', () => {
    const { book: b, clock } = book();
    b.take('a', [want()]);
    b.take('b', [want()]);
    b.take('c', [want()]);
    b.take('a', [want({ inFlight: 0 })]);
    expect(b.demand('ns', 'p').attempts).toBe(2);
    b.keep(['me', 'a', 'c']);
    expect(b.demand('ns', 'p').attempts).toBe(1);
    clock.advance(29_000);
    expect(b.demand('ns', 'p').attempts).toBe(1);
    clock.advance(1_000);
    expect(b.demand('ns', 'p').attempts).toBe(0);
  });
  test('pods of all pools of a namespace share one bound and are no demand for warm pods', () => {
    const { book: b } = book();
    b.take('a', [want({ mode: 'pod', pool: '', queued: 500 })]);
    expect(b.demand('ns', 'p').attempts).toBe(0);
    expect([...b.wanted()]).toEqual([]);
    expect(b.room(100, 'pod', 'ns', 'whatever')).toBe(50);
    expect(b.room(100, 'warm', 'ns', 'p')).toBe(100);
  });
  test.each([
    [[], 16], [[1], 15], [[8], 8], [[500], 8], [[500, 500], 6], [[1, 500], 8], [[1, 1, 1], 13],
  ])('of a room of 16, beside others who want %j, this one has %d', (others, room) => {
    const { book: b } = book();
    for (const [i, queued] of others.entries()) b.take(`r${i}`, [want({ queued, inFlight: 0 })]);
    expect(b.room(16, 'warm', 'ns', 'p')).toBe(room);
  });
  test('parts are never nothing, and together hardly more than there is', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 400 }), fc.array(fc.nat(600), { minLength: 1, maxLength: 6 }), (total, needs) => {
      const used = needs.map((mine, i) => {
        const { book: b } = book();
        for (const [j, queued] of needs.entries()) if (i !== j) b.take(`r${j}`, [want({ queued, inFlight: 0 })]);
        const room = b.room(total, 'warm', 'ns', 'p');
        expect(room).toBeGreaterThanOrEqual(1);
        return Math.min(mine, room);
      });
      expect(used.reduce((sum, n) => sum + n, 0)).toBeLessThanOrEqual(total + needs.length);
    }));
  });
});

describe('telling', () => {
  function world(): { clock: ManualClock; local: PoolDemand[]; sent: (readonly PoolDemand[])[]; teller: DemandTeller; state: { alone: boolean } } {
    const clock = new ManualClock();
    const local: PoolDemand[] = [];
    const sent: (readonly PoolDemand[])[] = [];
    const state = { alone: false };
    const teller = new DemandTeller({ clock, local: () => [...local], send: (pools) => { sent.push(pools); }, alone: () => state.alone });
    return { clock, local, sent, teller, state };
  }

  test('a change is told at once, further ones once a second, the end too; then there is silence', () => {
    const w = world();
    w.local.push(want());
    w.teller.changed();
    w.clock.advance(0);
    expect(w.sent).toEqual([[want()]]);
    for (let i = 2; i < 50; i++) {
      w.local[0] = want({ inFlight: i });
      w.teller.changed();
      w.clock.advance(10);
    }
    expect(w.sent).toHaveLength(1);
    w.local.length = 0;
    w.teller.changed();
    w.clock.advance(1_000);
    expect(w.sent.slice(1)).toEqual([[want({ inFlight: 0, runs: 0 })]]);
    for (let i = 0; i < 20; i++) { w.teller.changed(); w.teller.refresh(); w.clock.advance(1_000); }
    expect(w.sent).toHaveLength(2);
  });
  test('only pools that changed are named', () => {
    const w = world();
    w.local.push(want(), want({ pool: 'q' }));
    w.teller.changed();
    w.clock.advance(0);
    w.local[1] = want({ pool: 'q', queued: 4 });
    w.teller.changed();
    w.clock.advance(1_000);
    expect(w.sent[1]).toEqual([want({ pool: 'q', queued: 4 })]);
  });
  test('what still holds is said again now and then, and to a newcomer at once', () => {
    const w = world();
    w.local.push(want());
    w.teller.everything();
    w.clock.advance(0);
    for (let i = 0; i < 6; i++) { w.clock.advance(5_000); w.teller.refresh(); w.clock.advance(0); }
    expect(w.sent).toHaveLength(4);
    w.teller.everything();
    w.clock.advance(1_000);
    expect(w.sent).toHaveLength(5);
  });
  test('nobody there: nothing is said, and no timer waits', () => {
    const w = world();
    w.state.alone = true;
    w.local.push(want());
    w.teller.changed();
    expect(w.clock.pending).toBe(0);
    w.state.alone = false;
    w.teller.everything();
    w.clock.advance(0);
    expect(w.sent).toEqual([[want()]]);
  });
  test('many pools go in several notices', () => {
    const w = world();
    for (let i = 0; i < 600; i++) w.local.push(want({ pool: `p${i}` }));
    w.teller.changed();
    w.clock.advance(0);
    expect(w.sent.map((pools) => pools.length)).toEqual([256, 256, 88]);
  });
});
