import { ManualClock } from '../../platform/clock/manual.ts';
import { Leases, type Lease } from './leases.ts';
import { LEASE_MS, Sweeper, type StreamProgress } from './sweeper.ts';

function world() {
  const clock = new ManualClock();
  const leases = new Leases(clock);
  const state: { stream: string | undefined; progress: StreamProgress | undefined; asked: number; failed: string[]; resent: string[] } = {
    stream: 'one', progress: { waiting: 0, acknowledged: 0, last: 0 }, asked: 0, failed: [], resent: [],
  };
  const sweeper = new Sweeper({
    clock, leases, log: { warn: () => undefined }, stream: () => state.stream,
    progress: async () => {
      state.asked++;
      return state.progress;
    },
    submit: ({ run, event }) => { state.failed.push(`${run} ${event.type === 'Failed' ? event.error.reason : event.type}`); },
    resend: (run) => { state.resent.push(run); },
  });
  const open = (run: string, more: Partial<Lease> = {}): Lease =>
    Object.assign(leases.open({ run, node: 'n', item: -1, attempt: 1, namespace: 'ns', pool: 'p', mode: 'warm' }), more);
  const run = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 1_000) {
      clock.advance(1_000);
      for (let i = 0; i < 20; i++) await Promise.resolve();
    }
  };
  return { clock, leases, state, sweeper, open, run };
}

test('idle it asks nobody; a runner that says nothing for the length of a lease has lost its attempt', async () => {
  const w = world();
  w.sweeper.start();
  await w.run(60_000);
  expect(w.state.asked).toBe(0);
  w.open('r', { taken: true });
  await w.run(LEASE_MS - 1_000);
  expect(w.state.failed).toEqual([]);
  await w.run(1_000);
  expect(w.state.failed).toEqual(['r RunnerLost']);
});

describe('a dispatch nobody shows to have', () => {
  test.each<[string, Partial<Lease>, StreamProgress | undefined, boolean]>([
    ['waits where it has not been reached yet', { seq: 7, stream: 'one' }, { waiting: 9, acknowledged: 6, last: 20 }, false],
    ['is gone where it was acknowledged, whatever others have waiting', { seq: 7, stream: 'one' }, { waiting: 9, acknowledged: 7, last: 20 }, true],
    ['is gone where the stream has nothing', { seq: 7, stream: 'one' }, { waiting: 0, acknowledged: 3, last: 20 }, true],
    ['is gone with an earlier stream', { seq: 7, stream: 'zero' }, { waiting: 9, acknowledged: 3, last: 20 }, true],
    ['waits for a consumer', { seq: 7, stream: 'one' }, undefined, false],
    ['may be among what waits, where nobody knows its number', {}, { waiting: 9, acknowledged: 50, last: 60 }, false],
  ])('%s', async (_, lease, progress, gone) => {
    const w = world();
    w.state.progress = progress;
    w.sweeper.start();
    w.open('r', lease);
    await w.run(11_000);
    expect(w.state.failed).toEqual(gone ? ['r RunnerLost'] : []);
    expect(w.state.resent).toEqual([]);
  });
  test('whose number nobody knows is gone once all that was in the stream then has been acknowledged', async () => {
    const w = world();
    w.state.progress = { waiting: 9, acknowledged: 50, last: 60 };
    w.sweeper.start();
    w.open('r');
    await w.run(12_000);
    w.state.progress = { waiting: 9, acknowledged: 59, last: 90 };
    await w.run(2_000);
    expect(w.state.failed).toEqual([]);
    w.state.progress = { waiting: 9, acknowledged: 60, last: 90 };
    await w.run(1_000);
    expect(w.state.failed).toEqual(['r RunnerLost']);
  });
  test('is left alone while it is not known which stream there is', async () => {
    const w = world();
    w.state.stream = undefined;
    w.sweeper.start();
    w.open('r', { seq: 1, stream: 'zero' });
    await w.run(20_000);
    expect([w.state.failed, w.state.asked]).toEqual([[], 0]);
  });
});

describe('a stream that is another one', () => {
  test.each<[number | undefined, readonly string[]]>([
    // What others sent there meanwhile says nothing about ours; where our numbers are not known, it might be ours.
    [5, ['old']], [0, ['old', 'unknown']], [undefined, ['old', 'unknown']],
  ])('what the former had is sent again, with %p waiting in it', async (waiting, resent) => {
    const w = world();
    w.state.stream = 'two';
    w.state.progress = waiting === undefined ? undefined : { waiting, acknowledged: 0, last: 5 };
    w.open('old', { seq: 9, stream: 'one' });
    w.open('new', { seq: 1, stream: 'two' });
    w.open('while-nobody-knew', { seq: 2, stream: undefined });
    w.open('unknown');
    w.open('taken', { taken: true, seq: 8, stream: 'one' });
    w.leases.open({ run: 'pod', node: 'n', item: -1, attempt: 1, namespace: 'ns', pool: 'p', mode: 'pod' });
    await w.sweeper.streamLost();
    expect(w.state.resent).toEqual(resent);
    expect(w.state.failed).toEqual([]);
  });
});
